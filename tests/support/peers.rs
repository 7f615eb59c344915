//! Programs that nobody here wrote, started as processes and ended by their process ids.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

/// A peer that is killed when the test lets go of it.
#[derive(Debug)]
pub(crate) struct Peer(pub Child);

impl Drop for Peer {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// The Python of `tests/run`'s own folder, with pymodbus and selenium.
pub(crate) fn python() -> PathBuf {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/.venv/bin/python");
    assert!(
        python.exists(),
        "{} is missing: run tests/run once, it installs the peers",
        python.display()
    );
    python
}

/// A script under `tests/peers`.
pub(crate) fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/peers")
        .join(name)
}

/// Runs a peer to its end.
pub(crate) fn run(program: &str, arguments: &[&str]) -> Output {
    Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| {
            panic!("{program} cannot be started ({error}): run tests/run once, it installs the peers")
        })
}
