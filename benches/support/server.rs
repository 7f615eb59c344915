//! The program as a process of its own.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::process;

/// A running `townwatch`; dropping it stops it in order.
pub(crate) struct Server {
    child: Child,
    pub(crate) mqtt: SocketAddr,
    pub(crate) web: SocketAddr,
    /// Kept open: the program's next line on standard output must have somewhere to go.
    pub(crate) lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Server {
    /// Starts it and waits until it says where it listens.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_townwatch"))
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut lines = BufReader::new(child.stdout.take().expect("its output is ours")).lines();
        let (mut mqtt, mut web) = (None, None);
        while let (None, _) | (_, None) = (mqtt, web) {
            let line = lines.next().expect("it says where it listens").expect("in text");
            let words: Vec<&str> = line.split_whitespace().collect();
            match words.as_slice() {
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
            mqtt: mqtt.expect("said"),
            web: web.expect("said"),
            lines,
        }
    }

    /// The process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks for a page; gives the time it took and the whole answer.
    pub(crate) fn get(&self, path: &str) -> (Duration, String) {
        let begun = process::now();
        let mut stream = std::net::TcpStream::connect(self.web).expect("the web listens");
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
            self.web
        )
        .expect("it hears");
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).expect("it answers");
        let text = String::from_utf8_lossy(&bytes).into_owned();
        assert!(
            text.starts_with("HTTP/1.1 200"),
            "{path}: {}",
            text.lines().next().unwrap_or("nothing")
        );
        (begun.elapsed(), text)
    }

    /// The sum of a metric over its labels.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let (_, text) = self.get("/metrics");
        text.lines()
            .filter_map(|line| line.strip_prefix(name)?.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        Command::new("kill")
            .args(["-TERM", &self.child.id().to_string()])
            .status()
            .ok();
        while self.lines.next().is_some() {}
        self.child.wait().ok();
    }
}
