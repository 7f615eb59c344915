//! How far long work has come, on standard error: a line for each file.

use std::io::Write;

use store::care::Progress;

/// A file is told again when so much more of it is done.
const STEP_BYTES: u64 = 256 << 20;

/// What was told last.
#[derive(Debug)]
pub(super) struct Told {
    doing: &'static str,
    file: String,
    done_bytes: u64,
    files: u64,
}

impl Told {
    pub(super) const fn new(doing: &'static str) -> Self {
        Self {
            doing,
            file: String::new(),
            done_bytes: 0,
            files: 0,
        }
    }

    /// Writes a line when another file has begun, or when much more of this one is done.
    pub(super) fn tell(&mut self, progress: &Progress) {
        let is_new = self.file != progress.file;
        if !is_new && progress.done_bytes < self.done_bytes.saturating_add(STEP_BYTES) {
            return;
        }
        if is_new {
            self.file.clone_from(&progress.file);
            self.files += 1;
        }
        self.done_bytes = progress.done_bytes;
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        let line = format!(
            "{} {} ({}), {:.1} of {:.1} MiB",
            self.doing,
            progress.file,
            self.files,
            mib(progress.done_bytes),
            mib(progress.total_bytes)
        );
        // Who closes standard error does not want to know.
        let _closed = writeln!(std::io::stderr(), "{line}");
    }
}
