//! Recognises a reading that came before.

use crate::decode::{DeviceTime, Item};

/// Readings of a device that are remembered; an older one that comes again is stored again, over itself.
/// MQTT clients redeliver what was in flight, which is 20 messages in most of them.
const REMEMBERED: usize = 64;

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
