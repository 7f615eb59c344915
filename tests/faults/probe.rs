//! What this machine lets a test do.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

/// What a case needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Need {
    /// `strace` may attach to and start a program and change what its calls answer.
    Strace,
    /// An image of a file system may be made and mounted through a loop device.
    LoopMount,
    /// A network namespace with a pair of interfaces may be made.
    NetworkNamespace,
    /// A memory limit may be set for a group of processes (cgroup v1).
    MemoryGroup,
    /// The kernel may be told to lose packets at random.
    PacketLoss,
}

/// Every case of this folder that needs something, with what it needs.
pub(crate) const CASES: [(&str, Need); 11] = [
    ("F03 power cut", Need::LoopMount),
    ("F03 and F04 power cut of the store", Need::LoopMount),
    ("F05 fsync fails once", Need::Strace),
    ("F06 fsync always fails", Need::Strace),
    ("F07 fsync takes two seconds", Need::Strace),
    ("F10 and F11 disk full", Need::LoopMount),
    ("F10 and F11 full disk of the store", Need::LoopMount),
    ("F16 out of memory", Need::MemoryGroup),
    ("F19 partition", Need::NetworkNamespace),
    ("F20 packet loss", Need::PacketLoss),
    ("F24 killed before the call", Need::Strace),
];

/// Whether it is there; says so loudly when a case must be left out.
pub(crate) fn has(case: &str, need: Need) -> bool {
    match missing(need) {
        None => true,
        Some(why) => {
            println!("SKIPPED {case}: {why}");
            false
        }
    }
}

/// Why a need is not met.
pub(crate) fn missing(need: Need) -> Option<String> {
    match need {
        Need::Strace => {
            let inject = [
                "-f",
                "-qq",
                "-o",
                "/dev/null",
                "-e",
                "inject=getpid:error=EPERM",
                "true",
            ];
            ran("strace", &inject)
        }
        Need::LoopMount => {
            if !is_root() {
                return Some("not root".to_owned());
            }
            ran("mkfs.ext4", &["-V"]).or_else(|| {
                let loops = Path::new("/dev/loop-control").exists();
                (!loops).then(|| "no loop devices".to_owned())
            })
        }
        Need::NetworkNamespace => {
            if !is_root() {
                return Some("not root".to_owned());
            }
            let name = format!("tw-probe-{}", std::process::id());
            let made = ran("ip", &["netns", "add", &name]);
            if made.is_none() {
                ran("ip", &["netns", "del", &name]);
            }
            made
        }
        Need::PacketLoss => {
            if !is_root() {
                return Some("not root".to_owned());
            }
            // A chain that no packet passes.
            let chain = format!("tw-probe-{}", std::process::id());
            let words = |text: &str| ran("iptables", &text.split(' ').collect::<Vec<_>>());
            let made = words(&format!("-w -N {chain}"));
            if made.is_some() {
                return made;
            }
            let statistic = "-m statistic --mode random --probability 0.2 -j DROP";
            let lost = words(&format!("-w -A {chain} {statistic}"));
            words(&format!("-w -F {chain}"));
            words(&format!("-w -X {chain}"));
            lost
        }
        Need::MemoryGroup => {
            let file = Path::new("/sys/fs/cgroup/memory/memory.limit_in_bytes");
            if !is_root() {
                Some("not root".to_owned())
            } else if file.exists() {
                None
            } else {
                Some("no memory group of cgroup v1".to_owned())
            }
        }
    }
}

fn is_root() -> bool {
    std::fs::read_to_string("/proc/self/status")
        .is_ok_and(|status| status.lines().any(|line| line.starts_with("Uid:\t0\t")))
}

/// None when it ran well, else what went wrong.
fn ran(program: &str, arguments: &[&str]) -> Option<String> {
    let run = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output();
    match run {
        Ok(output) if output.status.success() => None,
        Ok(output) => Some(format!(
            "{program}: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        )),
        Err(error) => Some(format!("{program}: {error}")),
    }
}

#[test]
fn which_fault_cases_cannot_run_here_is_said_in_one_line() {
    let mut reasons: BTreeMap<Need, Option<String>> = BTreeMap::new();
    let mut skipped = Vec::new();
    for (case, need) in CASES {
        if let Some(why) = reasons.entry(need).or_insert_with(|| missing(need)) {
            skipped.push(format!("{case} ({why})"));
        }
    }
    if skipped.is_empty() {
        println!(
            "FAULT CASES: all {} that need something of this machine can run",
            CASES.len()
        );
    } else {
        println!("FAULT CASES SKIPPED: {}", skipped.join("; "));
    }
}
