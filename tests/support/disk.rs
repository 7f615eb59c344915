//! A disk of its own under a folder: an ext4 image behind a loop device, which can be filled and whose power can be cut.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::wait;

/// A mounted image; unmounted at the end.
#[derive(Debug)]
pub(crate) struct Disk {
    image: PathBuf,
    mounted_at: PathBuf,
}

fn run(program: &str, arguments: &[&str]) -> Result<(), String> {
    let ran = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{program}: {error}"))?;
    if ran.status.success() {
        Ok(())
    } else {
        Err(format!(
            "{program} {arguments:?}: {}",
            String::from_utf8_lossy(&ran.stderr).trim()
        ))
    }
}

impl Disk {
    /// Makes an image of so many MiB beside `at` and mounts it there.
    pub(crate) fn new(at: &Path, mib: u64) -> Self {
        let image = at.with_extension("ext4");
        std::fs::File::create(&image).unwrap().set_len(mib << 20).unwrap();
        // Blocks of 4 KiB, as on any disk of more than 512 MiB. With smaller ones SQLite's shared memory has holes that a full
        // disk cannot fill, and the system ends who writes there (SIGBUS).
        run("mkfs.ext4", &["-q", "-F", "-b", "4096", image.to_str().unwrap()]).unwrap();
        std::fs::create_dir_all(at).unwrap();
        let disk = Self {
            image,
            mounted_at: at.to_owned(),
        };
        disk.mount();
        disk
    }

    fn mount(&self) {
        let (image, at) = (self.image.to_str().unwrap(), self.mounted_at.to_str().unwrap());
        wait::until("the disk is mounted", wait::SOON, || {
            run("mount", &["-o", "loop", image, at])
        });
    }

    fn unmount(&self) -> Result<(), String> {
        run("umount", &[self.mounted_at.to_str().unwrap()])
    }

    /// Cuts the power: what is not durable now is gone, and everything that is written from now on fails. When it was,
    /// in ms. `EXT4_IOC_SHUTDOWN`, without writing the log. Source: Linux, include/uapi/linux/fs.h.
    ///
    /// What a server says after that moment does not count: a machine without power says nothing, while this one
    /// still answers an fsync that is under way, in a race of jbd2 even with success (`jbd2_complete_transaction`
    /// takes an aborted transaction that has ended for a committed one).
    pub(crate) fn cut_power(&self) -> i64 {
        let cut = "import fcntl, os, struct, sys, time\n\
                   disk = os.open(sys.argv[1], os.O_RDONLY)\n\
                   print(int(time.time() * 1000))\n\
                   fcntl.ioctl(disk, 0x8004587d, struct.pack('I', 2))";
        let at = self.mounted_at.to_str().unwrap();
        let ran = Command::new("python3").args(["-c", cut, at]).output().unwrap();
        assert!(ran.status.success(), "{ran:?}");
        String::from_utf8_lossy(&ran.stdout).trim().parse().unwrap()
    }

    /// Gives the power back, after the server has ended.
    pub(crate) fn power_on(&self) {
        wait::until("the dead disk is unmounted", wait::LONG, || self.unmount());
        self.mount();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.unmount().is_err() {
            // A server that a failed test leaves behind still holds it.
            run("umount", &["-l", self.mounted_at.to_str().unwrap()]).ok();
        }
    }
}
