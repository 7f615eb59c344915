//! For how long which series is kept.

use std::collections::{BTreeMap, HashMap};

use store::series::ShortLived;
use telemetry::profile::RetentionClass;
use telemetry::time::Span;
use telemetry::{Catalogue, DeviceEntry, SeriesId};

use crate::config::Data;

/// How long the points of a class are kept.
fn kept(data: &Data, class: RetentionClass) -> Span {
    let classes = &data.retention;
    let own = match class {
        RetentionClass::LifeSafety => &classes.life_safety,
        RetentionClass::Compliance => &classes.compliance,
        RetentionClass::Operation => &classes.operation,
        RetentionClass::Diagnostic => &classes.diagnostic,
    };
    *own.as_ref().unwrap_or(&data.keep).get_ref()
}

/// How long the class that is kept longest is kept; days are deleted after that.
pub(crate) fn longest(data: &Data) -> Span {
    let classes = [
        RetentionClass::LifeSafety,
        RetentionClass::Compliance,
        RetentionClass::Operation,
        RetentionClass::Diagnostic,
    ];
    let spans = classes.map(|class| kept(data, class));
    spans.into_iter().fold(*data.keep.get_ref(), Span::max)
}

/// The series that are kept for less than the longest. One that no device of the registry has any more is kept as long
/// as any.
pub(crate) fn short_lived(data: &Data, catalogue: &Catalogue) -> Vec<ShortLived> {
    let longest = longest(data);
    let mut by_span: BTreeMap<Span, Vec<SeriesId>> = BTreeMap::new();
    for entry in catalogue.devices() {
        for (signal, series) in entry.profile.signals.iter().zip(&entry.series) {
            let keep = kept(data, entry.profile.retention_of(signal));
            if keep < longest {
                by_span.entry(keep).or_default().push(*series);
            }
        }
    }
    let short = by_span
        .into_iter()
        .map(|(keep, series)| ShortLived::new(keep, series));
    short.collect()
}

/// How long each series is kept that is kept for less than the longest.
pub(crate) fn shorter(data: &Data, catalogue: &Catalogue) -> HashMap<SeriesId, Span> {
    let longest = longest(data);
    let of_device = |entry: &DeviceEntry| -> Vec<(SeriesId, Span)> {
        let signals = entry.profile.signals.iter().zip(&entry.series);
        signals
            .map(|(signal, series)| (*series, kept(data, entry.profile.retention_of(signal))))
            .filter(|(_, keep)| *keep < longest)
            .collect()
    };
    catalogue.devices().iter().flat_map(of_device).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_is_kept_as_configured_and_the_others_as_long_as_any() {
        // Given lamps whose driver's temperature is diagnostic, and 30 days for that,
        let data: Data =
            toml::from_str("keep = \"400d\"\nretention = { diagnostic = \"30d\", life_safety = \"1000d\" }")
                .unwrap();
        assert_eq!(longest(&data), "1000d".parse().unwrap());
        let lamp = telemetry::profile::builtin().unwrap()["street-lamp"].clone();
        let class = |name: &str| {
            let place = lamp.signal_index(name).unwrap();
            lamp.retention_of(&lamp.signals[place])
        };
        assert_eq!(class("temperature"), RetentionClass::Diagnostic);
        assert_eq!(class("power"), RetentionClass::Compliance);
        assert_eq!(class("voltage"), RetentionClass::Operation);
        let tank = telemetry::profile::builtin().unwrap()["lpg-tank"].clone();
        assert_eq!(tank.retention_of(&tank.signals[0]), RetentionClass::LifeSafety);
        // then each of them is kept as long as its class says.
        assert_eq!(kept(&data, class("temperature")), "30d".parse().unwrap());
        assert_eq!(kept(&data, class("voltage")), "400d".parse().unwrap());
    }
}
