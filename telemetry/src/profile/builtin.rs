//! The profiles that come with the program.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Profile, ProfileError};

/// File name and text of every built-in profile.
const FILES: [(&str, &str); 14] = [
    (
        "sewage-station.toml",
        include_str!("../../profiles/sewage-station.toml"),
    ),
    (
        "sewage-station-small.toml",
        include_str!("../../profiles/sewage-station-small.toml"),
    ),
    (
        "sewage-logger.toml",
        include_str!("../../profiles/sewage-logger.toml"),
    ),
    ("lpg-tank.toml", include_str!("../../profiles/lpg-tank.toml")),
    (
        "gas-detector-panel.toml",
        include_str!("../../profiles/gas-detector-panel.toml"),
    ),
    (
        "lpg-depot-valves.toml",
        include_str!("../../profiles/lpg-depot-valves.toml"),
    ),
    (
        "lpg-delivery-point.toml",
        include_str!("../../profiles/lpg-delivery-point.toml"),
    ),
    (
        "manhole-cover.toml",
        include_str!("../../profiles/manhole-cover.toml"),
    ),
    (
        "street-lamp.toml",
        include_str!("../../profiles/street-lamp.toml"),
    ),
    (
        "loop-controller.toml",
        include_str!("../../profiles/loop-controller.toml"),
    ),
    ("waste-bin.toml", include_str!("../../profiles/waste-bin.toml")),
    (
        "dust-station.toml",
        include_str!("../../profiles/dust-station.toml"),
    ),
    (
        "bridge-edge.toml",
        include_str!("../../profiles/bridge-edge.toml"),
    ),
    ("server.toml", include_str!("../../profiles/server.toml")),
];

/// Every built-in profile by its kind.
///
/// # Errors
/// [`ProfileError`] when a file of the program itself is wrong; a test holds that none is.
pub fn builtin() -> Result<BTreeMap<Box<str>, Arc<Profile>>, ProfileError> {
    FILES
        .iter()
        .map(|(file, text)| {
            let profile = Profile::parse(file, text)?;
            Ok((profile.kind.clone(), Arc::new(profile)))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_profile_is_sound_and_named_after_its_file() {
        let profiles = builtin().unwrap();
        assert_eq!(profiles.len(), FILES.len());
        for (file, _) in FILES {
            assert!(profiles.contains_key(file.trim_end_matches(".toml")), "{file}");
        }
    }
}
