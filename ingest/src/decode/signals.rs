//! A profile made ready for judging values quickly.

use rustc_hash::FxHashMap;
use telemetry::profile::{MqttMapping, Profile, Signal, SignalInput, SignalKind};
use telemetry::{Bad, Quality, Uncertain, namur};

use super::hj212::PointMap;
use super::json::{Scalar, whole};
use super::scale::Scale;
use crate::modbus::map::RegisterMap;

/// The signals of a profile by name, with what each may say.
#[derive(Debug)]
pub(crate) struct SignalTable {
    rules: Vec<SignalRule>,
    by_name: FxHashMap<Box<str>, u16>,
    pub(crate) mapping: Mapping,
    pub(crate) modbus: RegisterMap,
    pub(crate) hj212: PointMap,
}

#[derive(Debug)]
struct SignalRule {
    name: Box<str>,
    kind: SignalKind,
    least: f64,
    greatest: f64,
    /// Known states, in order; empty: any whole number.
    states: Vec<i64>,
    input: SignalInput,
}

/// [`MqttMapping`] with places instead of names.
#[derive(Debug)]
pub(crate) struct Mapping {
    pub(crate) time: Option<Box<str>>,
    pub(crate) seq: Option<Box<str>>,
    /// Signal, pointer and scale.
    pub(crate) values: Vec<(u16, Box<str>, Scale)>,
}

impl SignalTable {
    pub(crate) fn new(profile: &Profile) -> Self {
        let place = |name: &str| {
            profile
                .signal_index(name)
                .and_then(|place| u16::try_from(place).ok())
        };
        let by_name = profile.signals.iter().filter_map(|signal| {
            let name = signal.name.as_str();
            Some((name.into(), place(name)?))
        });
        Self {
            rules: profile.signals.iter().map(SignalRule::new).collect(),
            by_name: by_name.collect(),
            mapping: Mapping::new(&profile.mqtt, place),
            modbus: RegisterMap::new(profile),
            hj212: PointMap::new(profile),
        }
    }

    pub(crate) fn has_mapping(&self) -> bool {
        !self.mapping.values.is_empty()
    }

    /// The place of a signal. Devices mostly report in the order of their profile: `expected` is tried first.
    pub(crate) fn find(&self, name: &str, expected: u16) -> Option<u16> {
        match self.rules.get(usize::from(expected)) {
            Some(rule) if *rule.name == *name => Some(expected),
            _ => self.by_name.get(name).copied(),
        }
    }

    /// What a value of a JSON payload is worth.
    pub(crate) fn judge(&self, signal: u16, scalar: &Scalar<'_>) -> (f64, Quality) {
        let yes_or_no = matches!(
            self.rules.get(usize::from(signal)),
            Some(SignalRule {
                kind: SignalKind::Bool,
                ..
            })
        );
        match scalar {
            Scalar::Number(number) => self.judge_number(signal, *number),
            Scalar::Bool(yes) if yes_or_no => (f64::from(u8::from(*yes)), Quality::Good),
            Scalar::Null => (0.0, Quality::Bad(Bad::NotFinite)),
            Scalar::Bool(_) | Scalar::Text(_) | Scalar::Composite => (0.0, Quality::Bad(Bad::WrongType)),
        }
    }

    /// What a number is worth as it comes from the device: 0 and bad when it is not finite; kept but bad when it lies outside of
    /// the range, is an unknown state, or is not whole where it must be. A current becomes what it stands for.
    pub(crate) fn judge_number(&self, signal: u16, number: f64) -> (f64, Quality) {
        match self.rules.get(usize::from(signal)) {
            Some(rule) if rule.input == SignalInput::Current => {
                namur::read(number, [rule.least, rule.greatest])
            }
            _ => self.judge_value(signal, number),
        }
    }

    /// What a number in the signal's unit is worth.
    pub(crate) fn judge_value(&self, signal: u16, number: f64) -> (f64, Quality) {
        if !number.is_finite() {
            return (0.0, Quality::Bad(Bad::NotFinite));
        }
        let quality = match self.rules.get(usize::from(signal)) {
            Some(rule) => rule.judge(number),
            None => Quality::Good,
        };
        (number, quality)
    }
}

impl SignalRule {
    fn new(signal: &Signal) -> Self {
        let [least, greatest] = match (signal.kind, signal.range) {
            (SignalKind::Bool, _) => [0.0, 1.0],
            (_, Some(range)) => range,
            (_, None) => [f64::MIN, f64::MAX],
        };
        let mut states: Vec<i64> = match signal.kind {
            SignalKind::State => signal.states.keys().filter_map(|key| key.parse().ok()).collect(),
            SignalKind::Bool | SignalKind::Number | SignalKind::Counter => Vec::new(),
        };
        states.sort_unstable();
        Self {
            name: signal.name.as_str().into(),
            kind: signal.kind,
            least,
            greatest,
            states,
            input: signal.input,
        }
    }

    fn judge(&self, number: f64) -> Quality {
        let must_be_whole = matches!(self.kind, SignalKind::Bool | SignalKind::State);
        if must_be_whole && number.fract() != 0.0 {
            return Quality::Bad(Bad::WrongType);
        }
        let known =
            self.states.is_empty() || whole(number).is_some_and(|number| self.states.contains(&number));
        if known && (self.least..=self.greatest).contains(&number) {
            Quality::Good
        } else {
            Quality::Bad(Bad::OutOfRange)
        }
    }
}

impl Mapping {
    fn new(mapping: &MqttMapping, place: impl Fn(&str) -> Option<u16>) -> Self {
        let values = mapping.values.iter().filter_map(|value| {
            let scale = Scale::new(value.scale, value.offset);
            Some((place(value.signal.as_str())?, value.pointer.clone(), scale))
        });
        Self {
            time: mapping.time.clone(),
            seq: mapping.seq.clone(),
            values: values.collect(),
        }
    }
}

/// The quality behind a word of a payload. A word that nobody knows means doubt, never trust.
pub(crate) fn reported(word: &str) -> Quality {
    match word {
        "good" => Quality::Good,
        "bad" => Quality::Bad(Bad::Reported),
        _ => Quality::Uncertain(Uncertain::Reported),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_current_becomes_its_value_and_tells_a_fault_from_gas() {
        let text = "kind = \"detector\"\nversion = 1\ntitle = { zh = \"探测器\", en = \"detector\" }\ndomain = \"gas\"\n\
                    report_interval = \"5s\"\n[[signal]]\nname = \"gas\"\ntitle = { zh = \"浓度\", en = \"gas\" }\n\
                    unit = \"%{LEL}\"\nrange = [0, 100]\ninput = \"4-20mA\"\n";
        let table = SignalTable::new(&Profile::parse("detector.toml", text).unwrap());
        // 4 mA are 0 %LEL and 20 mA 100 %LEL: 12 mA are 50. NAMUR NE 43 has the rest.
        for (current, value, quality) in [
            (12.0, 50.0, Quality::Good),
            (20.3, 100.0, Quality::Good),
            (3.8, -1.25, Quality::Good),
            (3.7, -1.875, Quality::Uncertain(Uncertain::Reported)),
            (21.3, 100.0, Quality::Bad(Bad::SensorFault)),
            (f64::NAN, 0.0, Quality::Bad(Bad::NotFinite)),
        ] {
            let (found, trust) = table.judge(0, &Scalar::Number(current));
            assert_eq!(trust, quality, "{current} mA");
            assert!((found - value).abs() < 1e-9, "{current} mA: {found}");
        }
        assert_eq!(
            table.judge(0, &Scalar::Number(3.5)).1,
            Quality::Bad(Bad::SensorFault)
        );
        // What comes out of the history is in the signal's unit.
        assert_eq!(table.judge_value(0, 12.0), (12.0, Quality::Good));
    }
}
