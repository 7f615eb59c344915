//! The poller as the web sees it.

use dashboards::field::{Field, Later, LinkView, WriteError, Written};
use ingest::modbus::{FieldAccess, UnitStatus, WriteRefused};

/// The way from the API to the polled units.
#[derive(Debug)]
pub(crate) struct PolledField(pub FieldAccess);

impl Field for PolledField {
    fn link(&self, device: &str) -> Option<LinkView> {
        self.0.status(device).map(link_view)
    }

    fn write<'a>(
        &'a self,
        device: &'a str,
        signal: &'a str,
        value: f64,
    ) -> Later<'a, Result<Written, WriteError>> {
        Box::pin(async move {
            let done = self.0.write(device, signal, value).await.map_err(|refused| {
                let why = refused.to_string();
                match refused {
                    WriteRefused::Off | WriteRefused::NotListed { .. } | WriteRefused::LifeSafety { .. } => {
                        WriteError::Forbidden(why)
                    }
                    WriteRefused::OutOfRange { .. } | WriteRefused::Unfit { .. } => WriteError::Value(why),
                    WriteRefused::Busy(_) | WriteRefused::TooLate => WriteError::Busy(why),
                    WriteRefused::NotPolled(_)
                    | WriteRefused::Unreachable
                    | WriteRefused::Exception(_)
                    | WriteRefused::Stopped => WriteError::Failed(why),
                }
            })?;
            Ok(Written {
                answered: done.answered,
                read_back: done.read_back,
                confirmed: done.confirmed,
            })
        })
    }

    fn identify<'a>(&'a self, device: &'a str) -> Later<'a, Result<Vec<(String, String)>, String>> {
        Box::pin(async move {
            let identity = self.0.identify(device).await;
            identity
                .map(|identity| identity.objects)
                .map_err(|error| error.to_string())
        })
    }
}

fn link_view(status: UnitStatus) -> LinkView {
    LinkView {
        line: status.line.into(),
        unit: status.unit,
        state: status.reach.name(),
        failures: status.failures,
        last_answer: status.last_answer.map(Into::into),
        last_failure: status.last_failure,
        polls: status.polls,
        skipped_cycles: status.skipped_cycles,
        exceptions: status.exceptions,
    }
}
