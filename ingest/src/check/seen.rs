//! Recognises a reading that came before.

use std::collections::VecDeque;

use rustc_hash::FxHashSet;

use crate::decode::{DeviceTime, Item};

/// Readings of a device that are remembered; an older one that comes again is stored again, over itself.
/// MQTT clients redeliver what was in flight, which is 20 messages in most of them.
const REMEMBERED: usize = 64;

/// Readings through an external broker that are remembered, of all devices together. After a crash the broker sends
/// again what was not acknowledged: this holds for 64 workers (the most) with 1000 such messages each (the default of
/// `external.receive_max`) of one reading. An older one that comes again is stored again, over itself.
const REMEMBERED_EXTERNAL: usize = 65_536;

/// The fingerprints of the last readings of a device.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    fingerprints: Vec<u64>,
    oldest: usize,
}

impl Seen {
    /// Whether a reading of this fingerprint is among the last 64; if not it is from now on.
    pub(crate) fn check(&mut self, fingerprint: u64) -> bool {
        if self.fingerprints.contains(&fingerprint) {
            return true;
        }
        if self.fingerprints.len() < REMEMBERED {
            self.fingerprints.push(fingerprint);
        } else if let Some(place) = self.fingerprints.get_mut(self.oldest) {
            *place = fingerprint;
            self.oldest = (self.oldest + 1) % REMEMBERED;
        }
        false
    }
}

/// The fingerprints of the last readings that came through an external broker, of all devices: what the broker sends
/// again may be many readings of few devices. At most 2 MB; empty where there is no external broker.
#[derive(Debug, Default)]
pub(crate) struct SeenExternal {
    fingerprints: FxHashSet<u64>,
    order: VecDeque<u64>,
}

impl SeenExternal {
    /// Whether a reading of this fingerprint of the device at that place is among the last 65,536; if not it is from
    /// now on.
    pub(crate) fn check(&mut self, device: usize, fingerprint: u64) -> bool {
        let whole = mix(device as u64, fingerprint);
        if !self.fingerprints.insert(whole) {
            return true;
        }
        if self.order.len() >= REMEMBERED_EXTERNAL
            && let Some(oldest) = self.order.pop_front()
        {
            self.fingerprints.remove(&oldest);
        }
        self.order.push_back(whole);
        false
    }
}

/// A number that two readings share only when device time, sequence number and content are the same.
/// Two different ones share it once in 10^19.
pub(crate) fn fingerprint(time: DeviceTime, seq: Option<u64>, unknown: u64, items: &[Item]) -> u64 {
    let time = match time {
        DeviceTime::None => 0,
        DeviceTime::At(time) => mix(1, time.millis().cast_unsigned()),
        DeviceTime::Unreadable => 2,
    };
    let mut hash = mix(
        mix(mix(time, seq.map_or(0, |seq| seq.wrapping_add(1))), unknown),
        items.len() as u64,
    );
    for item in items {
        let tag = u64::from(item.signal) << 8 | u64::from(item.quality.code());
        hash = mix(mix(hash, tag), item.value.to_bits());
    }
    hash
}

/// The folded multiplication of wyhash: both halves of a 128-bit product.
fn mix(hash: u64, word: u64) -> u64 {
    const ODD: [u64; 2] = [0xA076_1D64_78BD_642F, 0xE703_7ED1_A0B4_28DB];
    let [a, b] = ODD;
    let product = u128::from(hash ^ a) * u128::from(word ^ b);
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the two halves of the product are meant"
    )]
    let halves = (product as u64, (product >> 64) as u64);
    halves.0 ^ halves.1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_all_devices_behind_an_external_broker_the_last_65536_readings_are_known() {
        let mut seen = SeenExternal::default();
        for number in 0..70_000 {
            assert!(!seen.check(3, number), "{number} is new");
        }
        assert!(!seen.check(4, 69_999), "of another device it is another");
        assert!(seen.check(3, 69_999) && seen.check(3, 4_465));
        assert_eq!((seen.fingerprints.len(), seen.order.len()), (65_536, 65_536));
        assert!(!seen.check(3, 0), "too long ago");
    }
}
