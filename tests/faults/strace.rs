//! `strace` as a bad disk: what calls answer, and how long they take.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::support::wait;

/// The calls with which SQLite and the program make bytes durable.
pub(crate) const SYNC: &str = "fsync,fdatasync";

/// A `strace` that is attached to a running program. Dropping it lets the program go on undisturbed.
#[derive(Debug)]
pub(crate) struct Attached {
    child: Child,
    log: PathBuf,
}

impl Attached {
    /// Changes the calls of `pid` as `inject` says, e.g. `error=EIO:when=1`; only those on `files` when there are any.
    pub(crate) fn to(pid: u32, inject: &str, files: &[PathBuf], log: &Path) -> Self {
        Self::to_calls(pid, SYNC, inject, files, log)
    }

    /// As [`Self::to`], for other calls than those that make bytes durable.
    pub(crate) fn to_calls(pid: u32, calls: &str, inject: &str, files: &[PathBuf], log: &Path) -> Self {
        let mut command = Command::new("strace");
        command.args(["-f", "-ttt", "-e", &format!("trace={calls}"), "-e"]);
        command.arg(format!("inject={calls}:{inject}"));
        for file in files {
            command.arg("-P").arg(file);
        }
        command.arg("-o").arg(log).args(["-p", &pid.to_string()]);
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        wait::until("strace is attached to every thread", wait::LONG, || {
            let tracer = format!("TracerPid:\t{}", child.id());
            let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).map_err(|error| error.to_string())?;
            let traced = |task: std::fs::DirEntry| {
                std::fs::read_to_string(task.path().join("status"))
                    .is_ok_and(|status| status.contains(&tracer))
            };
            let tasks: Vec<bool> = tasks.map_while(Result::ok).map(traced).collect();
            if tasks.iter().all(|traced| *traced) {
                Ok(())
            } else {
                Err(format!("{tasks:?}"))
            }
        });
        Self {
            child,
            log: log.to_owned(),
        }
    }

    /// When the first changed call returned, in ms since 1970; none when there was none yet.
    pub(crate) fn first_injected_ms(&self) -> Option<i64> {
        first_injected_ms(&self.log)
    }
}

/// When the first changed call in a log returned.
fn first_injected_ms(log: &Path) -> Option<i64> {
    let text = std::fs::read_to_string(log).ok()?;
    let line = text.lines().find(|line| line.contains("(INJECTED)"))?;
    let seconds: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    #[expect(clippy::cast_possible_truncation, reason = "milliseconds of this century")]
    Some((seconds * 1000.0) as i64)
}

impl Drop for Attached {
    fn drop(&mut self) {
        let pid = self.child.id().to_string();
        // It may have ended with the program. On SIGTERM it lets the program go.
        Command::new("kill").args(["-TERM", &pid]).status().ok();
        self.child.wait().ok();
    }
}

/// `command`, started under a `strace` that changes its calls from the beginning. The process is the program's own:
/// strace stands behind it and ends with it.
pub(crate) fn under(command: &Command, inject: &str, files: &[PathBuf]) -> Command {
    let mut strace = Command::new("strace");
    strace.args([
        "-D",
        "-I",
        "1",
        "-f",
        "-qq",
        "-o",
        "/dev/null",
        "-e",
        &format!("trace={SYNC}"),
        "-e",
    ]);
    strace.arg(format!("inject={SYNC}:{inject}"));
    for file in files {
        strace.arg("-P").arg(file);
    }
    strace.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            strace.env(name, value);
        }
    }
    strace
}

/// Ends the `strace` that stands behind a program; the program goes on.
pub(crate) fn release(pid: u32) {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let tracer = status
        .lines()
        .find_map(|line| line.strip_prefix("TracerPid:\t"))
        .unwrap();
    assert_ne!(tracer, "0", "nobody traces {pid}");
    assert!(
        Command::new("kill")
            .args(["-TERM", tracer])
            .status()
            .unwrap()
            .success()
    );
}
