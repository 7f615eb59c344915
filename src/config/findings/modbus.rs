//! What is wrong under `[modbus]`.

use telemetry::Catalogue;
use telemetry::time::Span;

use super::{Config, Finding, Source};

/// Longest pause on a line.
const PAUSE_MAX: Span = Span::from_secs(10);

/// Pauses that are too long.
pub(super) fn pause_nonsense(config: &Config, here: &Source<'_>) -> Vec<Finding> {
    let modbus = &config.modbus;
    [
        ("request_pause", &modbus.request_pause),
        ("connect_pause", &modbus.connect_pause),
    ]
    .into_iter()
    .filter(|(_, pause)| *pause.get_ref() > PAUSE_MAX)
    .map(|(name, pause)| {
        let what = format!(
            "modbus.{name} = {}: a line would hardly be polled",
            pause.get_ref()
        );
        here.at(pause.span(), what, format!("at most \"{PAUSE_MAX}\""))
    })
    .collect()
}

/// Entries of `life_safety_writes` that name nothing that could be written: a typing error must not stay hidden.
pub(super) fn life_safety_nonsense(
    config: &Config,
    here: &Source<'_>,
    catalogue: &Catalogue,
) -> Vec<Finding> {
    let writable = |entry: &str| {
        let (device, signal) = entry.split_once('/')?;
        let profile = &catalogue.device(device)?.profile;
        let mut points = profile.modbus.points.iter();
        points.find(|point| point.signal.as_str() == signal && point.write.is_some())
    };
    let entries = config.modbus.life_safety_writes.iter();
    entries
        .filter(|entry| writable(entry.get_ref()).is_none())
        .map(|entry| {
            let what = format!(
                "modbus.life_safety_writes: {:?} names no signal that its profile allows to be written",
                entry.get_ref()
            );
            here.at(
                entry.span(),
                what,
                "\"device/signal\" of a point with write = { min, max }",
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use crate::config::findings::tests::check;

    #[test]
    fn a_life_safety_signal_that_cannot_be_written_is_named_with_its_line() {
        let findings = check(|text| {
            text.replace(
                "life_safety_writes = []",
                "life_safety_writes = [\"panel-1/mute\"]",
            )
            .replace("request_pause = \"0s\"", "request_pause = \"11s\"")
        })
        .unwrap_err();
        let text: Vec<String> = findings.iter().map(ToString::to_string).collect();
        assert_eq!(findings.len(), 2, "{text:#?}");
        assert!(text[0].contains("modbus.request_pause = 11s"), "{text:#?}");
        assert!(text[1].contains("\"panel-1/mute\" names no signal"), "{text:#?}");
        assert!(findings.iter().all(|finding| finding.line.is_some()));
    }
}
