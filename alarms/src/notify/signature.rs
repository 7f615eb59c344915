//! The signature of Standard Webhooks: HMAC-SHA256 over `id.timestamp.body`. Source: Standard Webhooks specification 1.0.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The key behind a secret: base64, with or without `whsec_` before it.
///
/// # Errors
/// A sentence for a person when it is no base64, or not of 16 to 64 bytes.
pub fn key(secret: &str) -> Result<Vec<u8>, String> {
    let text = secret.strip_prefix("whsec_").unwrap_or(secret);
    let key = STANDARD
        .decode(text)
        .map_err(|error| format!("no base64: {error}"))?;
    if (16..=64).contains(&key.len()) {
        Ok(key)
    } else {
        Err(format!("{} bytes; 16 to 64 are allowed", key.len()))
    }
}

/// The value of the header `webhook-signature`. `timestamp_s` is that of `webhook-timestamp`, in seconds since 1970.
///
/// # Panics
/// Never: HMAC takes keys of every length.
#[must_use]
pub fn sign(key: &[u8], id: &str, timestamp_s: i64, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of every length");
    mac.update(format!("{id}.{timestamp_s}.{body}").as_bytes());
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_that_of_the_specification() {
        // The example of the specification's libraries: svix-libs, "test vector".
        let key = key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let body = r#"{"test": 2432232314}"#;
        assert_eq!(
            sign(&key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
    }

    #[test]
    fn a_secret_that_is_too_short_is_refused() {
        assert!(key("whsec_c2VjcmV0").is_err());
        assert!(key("not base64!").is_err());
    }
}
