use super::*;

#[test]
fn the_password_of_nobody_is_verified_like_any_other() {
    // A string that did not parse would fail at once and tell who exists.
    let wrong = Argon2::default().verify_password(b"guess", NOBODY).unwrap_err();
    assert_eq!(wrong, argon2::password_hash::Error::PasswordInvalid);
}
