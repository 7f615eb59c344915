//! `townwatch` as a process: started on ports of the system's choice, ended by its process id.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use super::wait;

/// The program under test.
pub(crate) fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_townwatch"));
    command.env("TOWNWATCH_LOG", "warn,rumqttd=error");
    command
}

/// Runs the program to its end: exit code, standard output, standard error.
pub(crate) fn call(arguments: &[&str]) -> (i32, String, String) {
    let output = command().args(arguments).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.code().unwrap_or(-1),
        text(&output.stdout),
        text(&output.stderr),
    )
}

/// Runs `townwatch …` with the configuration in `folder`.
pub(crate) fn townwatch(folder: &Path, arguments: &[&str]) -> std::process::Output {
    command()
        .args(arguments)
        .arg("--config")
        .arg(folder.join("townwatch.toml"))
        .env("USER", "wang")
        .env_remove("SUDO_USER")
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// Runs a command that has to succeed, with `--json`, and reads its answer.
pub(crate) fn told(folder: &Path, arguments: &[&str]) -> serde_json::Value {
    let mut with_json = arguments.to_vec();
    with_json.push("--json");
    let output = townwatch(folder, &with_json);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A running `townwatch serve` or `townwatch demo`.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    lines: Receiver<String>,
    /// Where the MQTT gate listens.
    pub mqtt: SocketAddr,
    /// Where the pages and the API are.
    pub web: SocketAddr,
}

impl Server {
    /// Starts `serve` with a configuration in `folder` (see [`Setup`]) and waits until it is ready.
    pub(crate) fn serve(folder: &Path) -> Self {
        let mut command = command();
        command
            .arg("serve")
            .arg("--config")
            .arg(folder.join("townwatch.toml"));
        Self::start(command)
    }

    /// Starts `demo` with these arguments, on free ports, and waits until it is ready.
    pub(crate) fn demo(data: &Path, arguments: &[&str]) -> Self {
        let mut command = command();
        command
            .args(["demo", "--mqtt", "127.0.0.1:0", "--web", "127.0.0.1:0", "--data"])
            .arg(data)
            .args(arguments);
        Self::start(command)
    }

    /// Starts `command` and waits until it has said where it listens.
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = child.stdout.take().unwrap();
        let (sender, lines) = sync_channel(10_000);
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let mut mqtt = None;
        let mut web = None;
        while mqtt.is_none() || web.is_none() {
            let line = lines.recv_timeout(wait::LONG).unwrap_or_else(|error| {
                panic!(
                    "townwatch did not say where it listens: {error}; {:?}",
                    child.try_wait()
                )
            });
            let words: Vec<&str> = line.split_whitespace().collect();
            match words.as_slice() {
                // A gate that is switched off has no address; nobody connects to this one.
                ["MQTT", "off"] => mqtt = "0.0.0.0:0".parse().ok(),
                ["MQTT", address, ..] => mqtt = address.parse().ok(),
                ["pages", address, ..] => {
                    web = address
                        .trim_start_matches("http://")
                        .trim_end_matches('/')
                        .parse()
                        .ok();
                }
                _ => {}
            }
        }
        Self {
            child,
            lines,
            mqtt: mqtt.unwrap(),
            web: web.unwrap(),
        }
    }

    /// Ends it as a power cut would.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends it a signal by name, like `-HUP`.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let status = Command::new("kill").args([name, &pid]).status().unwrap();
        assert!(status.success());
    }

    /// Asks it to stop (SIGTERM) and waits until it has.
    pub(crate) fn stop(mut self) -> ExitStatus {
        let pid = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-TERM", &pid])
                .status()
                .unwrap()
                .success()
        );
        wait::until("townwatch stops in order", wait::LONG, || {
            match self.child.try_wait() {
                Ok(Some(status)) => Ok(status),
                other => Err(format!("{other:?}")),
            }
        })
    }

    /// Where a door listens, as said in the line that begins with `name`.
    pub(crate) fn door(&self, name: &str) -> SocketAddr {
        while let Some(line) = self.line(wait::SOON) {
            let words: Vec<&str> = line.split_whitespace().collect();
            if let [first, address] = words.as_slice()
                && *first == name
            {
                return address.parse().unwrap();
            }
        }
        panic!("townwatch did not say where {name} is");
    }

    /// Where the gate listens with this further kind of listener, `tls`, `ws` or `wss`.
    pub(crate) fn listener(&self, kind: &str) -> SocketAddr {
        while let Some(line) = self.line(wait::SOON) {
            let words: Vec<&str> = line.split_whitespace().collect();
            if let ["MQTT", address, named, ..] = words.as_slice()
                && named.trim_end_matches(',') == kind
            {
                return address.parse().unwrap();
            }
        }
        panic!("townwatch did not say where it listens with {kind}");
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its resident memory, in KiB.
    pub(crate) fn memory_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .unwrap();
        line.split_whitespace().next().unwrap().parse().unwrap()
    }

    /// Waits until it has ended by itself.
    pub(crate) fn exited(mut self) -> ExitStatus {
        wait::until("townwatch ends by itself", wait::LONG, || {
            match self.child.try_wait() {
                Ok(Some(status)) => Ok(status),
                other => Err(format!("{other:?}")),
            }
        })
    }

    /// The next line on standard output.
    pub(crate) fn line(&self, within: Duration) -> Option<String> {
        self.lines.recv_timeout(within).ok()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// A folder with a configuration and a registry for `serve`.
#[derive(Debug)]
pub(crate) struct Setup {
    pub folder: tempfile::TempDir,
}

impl Setup {
    /// Devices, each with password `secret`, and further lines of configuration.
    pub(crate) fn new(registry: &str, more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("county.toml"), registry).unwrap();
        let setup = Self { folder };
        setup.configure(more);
        setup
    }

    /// Writes the configuration again.
    pub(crate) fn configure(&self, more: &str) {
        let config = format!(
            "[data]\nfolder = \"data\"\n[registry]\nfile = \"county.toml\"\n[web]\nlisten = \"127.0.0.1:0\"\n{more}\n"
        );
        let config = if more.contains("[mqtt]") {
            config
        } else {
            format!("{config}[mqtt]\nlisten = \"127.0.0.1:0\"\n")
        };
        std::fs::write(self.path().join("townwatch.toml"), config).unwrap();
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.path().join("data")
    }

    pub(crate) fn start(&self) -> Server {
        Server::serve(self.path())
    }
}

/// A running `townwatch simulate`, which takes faults on its standard input.
#[derive(Debug)]
pub(crate) struct Simulator {
    child: Child,
    input: ChildStdin,
}

impl Simulator {
    /// Starts the small county against the gate at `mqtt`; its registry is written to `registry` first.
    pub(crate) fn start(mqtt: SocketAddr, registry: &Path, more: &[&str]) -> Self {
        let mut command = command();
        command
            .args(["simulate", "--mqtt", &mqtt.to_string(), "--registry-out"])
            .arg(registry)
            .args(more);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let input = child.stdin.take().unwrap();
        wait::until("the simulator writes its registry", wait::LONG, || {
            std::fs::read_to_string(registry)
                .ok()
                .filter(|text| serde_json::from_str::<serde_json::Value>(text).is_ok())
                .map(|_| ())
                .ok_or_else(|| format!("{:?}", child.try_wait()))
        });
        Self { child, input }
    }

    /// Plays a fault.
    pub(crate) fn fault(&mut self, text: &str) {
        writeln!(self.input, "{text}").unwrap();
        self.input.flush().unwrap();
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        // It may have ended already.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
