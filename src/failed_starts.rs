//! How often in a row the storage failed: after three times the server starts degraded, from memory.
//!
//! The number stands in a small file of the data folder, written without waiting for the disk. Where even that cannot
//! be written (the disk was remounted read-only), every failure counts as the third.

use std::path::{Path, PathBuf};

/// So many failures in a row, and the next start is a degraded one.
pub(crate) const FAILURES_MAX: u32 = 3;
/// The name of the file in the data folder.
const FILE: &str = "storage-failures";

/// The count of one data folder.
#[derive(Clone, Debug)]
pub(crate) struct FailedStarts(PathBuf);

impl FailedStarts {
    /// Of that data folder.
    pub(crate) fn of(folder: &Path) -> Self {
        Self(folder.join(FILE))
    }

    /// How many there were. A file that cannot be read counts as none.
    pub(crate) fn count(&self) -> u32 {
        let text = std::fs::read_to_string(&self.0).unwrap_or_default();
        text.trim().parse().unwrap_or(0)
    }

    /// One more; the new count.
    pub(crate) fn add(&self) -> u32 {
        let count = self.count().saturating_add(1);
        self.set(count).map_or(FAILURES_MAX, |()| count)
    }

    /// The disk seems to work, but one more failure is too many.
    pub(crate) fn one_left(&self) {
        self.tell(self.set(FAILURES_MAX - 1));
    }

    /// All is well.
    pub(crate) fn clear(&self) {
        if self.0.exists() {
            self.tell(std::fs::remove_file(&self.0));
        }
    }

    fn set(&self, count: u32) -> std::io::Result<()> {
        std::fs::write(&self.0, format!("{count}\n"))
    }

    fn tell(&self, outcome: std::io::Result<()>) {
        if let Err(error) = outcome {
            tracing::warn!(file = %self.0.display(), %error, "the count of storage failures could not be written");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_counted_over_starts_and_forgotten_when_all_is_well() {
        let folder = tempfile::tempdir().unwrap();
        let failed = FailedStarts::of(folder.path());
        assert_eq!(failed.count(), 0);
        assert_eq!((failed.add(), failed.add()), (1, 2));
        assert_eq!(FailedStarts::of(folder.path()).count(), 2);
        failed.clear();
        assert_eq!(failed.count(), 0);
        failed.one_left();
        assert_eq!(failed.add(), FAILURES_MAX);
    }

    #[test]
    fn where_nothing_can_be_counted_every_failure_is_the_last() {
        let failed = FailedStarts::of(Path::new("/proc/no-such-folder"));
        assert_eq!(failed.add(), FAILURES_MAX);
    }
}
