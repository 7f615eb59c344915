//! What the end-to-end tests share.

pub(crate) mod ask;
pub(crate) mod county;
pub(crate) mod disk;
pub(crate) mod engines;
pub(crate) mod front;
pub(crate) mod http;
pub(crate) mod mqtt;
pub(crate) mod peers;
pub(crate) mod program;
pub(crate) mod proxy;
pub(crate) mod receiver;
pub(crate) mod wait;

/// A small generator of our own (SplitMix64), so that moments come from a printed seed.
pub(crate) fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// How often a test repeats its fault: what the environment says, or else `otherwise`.
pub(crate) fn rounds(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).map_or(otherwise, |text| {
        text.parse()
            .unwrap_or_else(|error| panic!("{variable}={text}: {error}"))
    })
}
