//! A small registry for the tests, in text, so that each test shows what it stands on.

/// PHC string of the password `secret`. Made with argon2-cffi 25.1.0 (PyPI): argon2id, 64 KiB, 1 pass,
/// 1 lane, salt `townwatchtest!!!`.
pub(crate) const SECRET_HASH: &str =
    "$argon2id$v=19$m=64,t=1,p=1$dG93bndhdGNodGVzdCEhIQ$/IzmfUZDINO3Xx+rfNSmTXRMqu+s6LgAd7RM7GgEu0Q";

/// The county and one sewage station `site-1`.
pub(crate) const HEAD: &str = r#"
[county]
name = { zh = "测试县", en = "Test county" }
position = { latitude = 27.56, longitude = 119.72 }

[[organisation]]
id = "operator"
name = { zh = "运维公司", en = "O&M contractor" }

[[site]]
id = "site-1"
kind = "sewage_station"
name = { zh = "上村站", en = "Shangcun station" }
organisation = "operator"
town = "Shangcun"
position = { latitude = 27.56, longitude = 119.72 }
attributes = { design_capacity_tpd = 20, in_service = true, exempted = false }
"#;

/// A device that connects to the gate with the password `secret`.
pub(crate) fn mqtt_device(id: &str, profile: &str) -> String {
    format!(
        "\n[[device]]\nid = \"{id}\"\nsite = \"site-1\"\nprofile = \"{profile}\"\npassword_hash = \"{SECRET_HASH}\"\n"
    )
}

/// A device that is polled.
pub(crate) fn modbus_device(id: &str, profile: &str, address: std::net::SocketAddr, unit: u8) -> String {
    format!(
        "\n[[device]]\nid = \"{id}\"\nsite = \"site-1\"\nprofile = \"{profile}\"\n\
         transport = {{ modbus = {{ address = \"{address}\", unit = {unit} }} }}\n"
    )
}

/// The county with one small sewage station `station-1` on MQTT.
pub(crate) fn one_station() -> String {
    format!("{HEAD}{}", mqtt_device("station-1", "sewage-station-small"))
}

/// A data logger of that number and password.
pub(crate) fn logger(id: &str, profile: &str, mn: &str, password: &str) -> String {
    format!(
        "\n[[device]]\nid = \"{id}\"\nsite = \"site-1\"\nprofile = \"{profile}\"\n\
         transport = {{ hj212 = {{ mn = \"{mn}\", password = \"{password}\" }} }}\n"
    )
}
