//! The MQTT front door: gate, sessions, authentication, limits; the only crate that knows rumqttd.
