//! Secrets: made, hashed, and never kept in the clear.

use argon2::{Algorithm, Argon2, Params, PasswordHasher, Version};
use sha2::{Digest, Sha256};

/// Shortest password that a person may choose, in characters. Source: OWASP ASVS 5.0.0, 6.2.1.
pub(crate) const PASSWORD_CHARS_MIN: usize = 8;
/// Longest password that a person may choose, in bytes.
pub(crate) const PASSWORD_BYTES_MAX: usize = 128;

/// Why there is no secret.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SecretError {
    /// The system gives no random numbers.
    #[error("the system gives no random numbers: {0}")]
    Random(getrandom::Error),
    /// argon2 refuses: a fault of the program.
    #[error("the password cannot be hashed: {0}")]
    Hash(argon2::password_hash::Error),
    /// argon2 refuses its parameters: a fault of the program.
    #[error("argon2 refuses its parameters: {0}")]
    Params(argon2::Error),
    /// The chosen password cannot be taken.
    #[error("the password cannot be taken: {0}")]
    Chosen(&'static str),
}

/// A password and what is stored for it.
pub(crate) struct Made {
    /// In the clear: told once. None when a person chose it.
    pub told: Option<String>,
    /// argon2id, PHC.
    pub hash: Box<str>,
}

/// 128 random bits as 32 hexadecimal digits.
pub(crate) fn random() -> Result<String, SecretError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(SecretError::Random)?;
    Ok(hex(&bytes))
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A new password of the program's making, hashed with little work (`docs/decisions/0012`).
pub(crate) fn generate() -> Result<Made, SecretError> {
    let secret = random()?;
    let params = Params::new(64, 1, 1, None).map_err(SecretError::Params)?;
    let hash = Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password(secret.as_bytes())
        .map_err(SecretError::Hash)?;
    Ok(Made {
        told: Some(secret),
        hash: hash.to_string().into(),
    })
}

/// The hash of a password that a person chose, with the full work.
pub(crate) fn chosen(password: &str) -> Result<Made, SecretError> {
    if password.chars().count() < PASSWORD_CHARS_MIN {
        return Err(SecretError::Chosen("it has less than 8 characters"));
    }
    if password.len() > PASSWORD_BYTES_MAX {
        return Err(SecretError::Chosen("it has more than 128 bytes"));
    }
    if password.chars().any(char::is_control) {
        return Err(SecretError::Chosen("it holds a control character"));
    }
    let hash = Argon2::default()
        .hash_password(password.as_bytes())
        .map_err(SecretError::Hash)?;
    Ok(Made {
        told: None,
        hash: hash.to_string().into(),
    })
}

/// What is stored of a token: tokens are random and long, so a fast hash is enough.
pub(crate) fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_can_be_used_by_the_gate_and_is_never_twice_the_same() {
        let (one, two) = (generate().unwrap(), generate().unwrap());
        assert_ne!(one.told, two.told);
        assert_eq!(one.told.unwrap().len(), 32);
        for hash in [one.hash, two.hash, chosen("station 7 pump").unwrap().hash] {
            assert_eq!(broker::check_hash(&hash), Ok(()));
        }
    }

    #[test]
    fn a_short_long_or_unprintable_password_is_refused() {
        for password in ["", "1234567", "geheim12\n", &"x".repeat(129)] {
            assert!(chosen(password).is_err(), "{password:?}");
        }
    }

    #[test]
    fn a_token_is_stored_as_its_sha_256() {
        // printf %s abc | sha256sum
        assert_eq!(
            hex(&digest("abc")),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
