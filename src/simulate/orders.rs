//! What `demo` and its child say to each other: orders on the child's standard input, reports on its
//! standard output, one a line.

use std::io::Write;
use std::net::SocketAddr;

use device_simulators::Progress;
use serde::{Deserialize, Serialize};
use telemetry::registry::Registry;
use telemetry::time::Span;
use tokio::io::{AsyncBufReadExt, BufReader, Lines, Stdin};

use crate::exit::Failure;

/// The word that begins the order to run: `run ADDRESS HISTORY`.
pub(crate) const RUN: &str = "run";

/// What the child is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Connect to `mqtt` and tell so much history first.
    Run { mqtt: SocketAddr, history: Span },
    /// Play a fault; every other line.
    Fault(String),
}

impl Order {
    fn parse(line: &str) -> Self {
        let words: Vec<&str> = line.split_whitespace().collect();
        if let [RUN, mqtt, history] = words.as_slice()
            && let (Ok(mqtt), Ok(history)) = (mqtt.parse(), history.parse())
        {
            return Self::Run { mqtt, history };
        }
        Self::Fault(line.trim().to_owned())
    }
}

/// The orders on standard input.
pub(super) struct Orders(Lines<BufReader<Stdin>>);

impl Orders {
    /// Reads from standard input.
    pub(super) fn from_standard_input() -> Self {
        Self(BufReader::new(tokio::io::stdin()).lines())
    }

    /// The next order; none when standard input is closed.
    pub(super) async fn next(&mut self) -> Option<Order> {
        loop {
            match self.0.next_line().await {
                Ok(Some(line)) if line.trim().is_empty() => {}
                Ok(Some(line)) => return Some(Order::parse(&line)),
                Ok(None) | Err(_) => return None,
            }
        }
    }
}

/// What the child says: one JSON value a line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Report {
    /// First: who and what there is, with the addresses of the Modbus slaves.
    Registry(Registry),
    /// Then: how far it is.
    Progress {
        /// Records of history there are to tell.
        history_total: u64,
        /// Of them: acknowledged.
        history_acked: u64,
        /// Connections that are open.
        connected: u64,
    },
}

impl From<Progress> for Report {
    fn from(progress: Progress) -> Self {
        Self::Progress {
            history_total: progress.history_total,
            history_acked: progress.history_acked,
            connected: progress.connected,
        }
    }
}

impl Report {
    /// Writes it to standard output.
    pub(crate) fn say(&self) -> Result<(), Failure> {
        let failed = |error: std::io::Error| Failure::other("the parent is gone", error);
        let mut line = serde_json::to_vec(self).map_err(|error| failed(error.into()))?;
        line.push(b'\n');
        let mut out = std::io::stdout().lock();
        out.write_all(&line).and_then(|()| out.flush()).map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_to_run_has_an_address_and_a_span_and_everything_else_is_a_fault() {
        let run = Order::parse("run 127.0.0.1:1883 7d");
        assert_eq!(
            run,
            Order::Run {
                mqtt: "127.0.0.1:1883".parse().unwrap(),
                history: Span::from_secs(604_800)
            }
        );
        assert_eq!(
            Order::parse(" gas-leak+1min "),
            Order::Fault("gas-leak+1min".to_owned())
        );
        assert_eq!(
            Order::parse("run fast 7d"),
            Order::Fault("run fast 7d".to_owned())
        );
    }
}
