//! An error with what it came of, for people.

use std::error::Error;
use std::fmt::Write;

/// `error` and its causes in one line, the deepest last: `the journal failed: disk I/O error`.
///
/// Our errors do not repeat their cause in their own text, so nothing stands twice.
#[must_use]
pub fn with_causes(error: &(dyn Error + '_)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        // Writing to a String cannot fail.
        let _infallible = write!(text, ": {error}");
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the figure is not known")]
    struct Outer(#[source] Inner);

    #[derive(Debug, thiserror::Error)]
    #[error("the series cannot be read")]
    struct Inner(#[source] std::io::Error);

    #[test]
    fn an_error_is_told_with_all_of_its_causes_in_order() {
        // Given an error with two causes, one below the other, when it is told, then all three are said.
        let error = Outer(Inner(std::io::Error::other("the disk is gone")));
        assert_eq!(
            with_causes(&error),
            "the figure is not known: the series cannot be read: the disk is gone"
        );
        // And one without a cause says just itself.
        assert_eq!(with_causes(&std::io::Error::other("alone")), "alone");
    }
}
