//! Where events are published, and what Home Assistant is told about them.

use crate::wire::DeviceName;
use serde_json::{Value, json};

/// What is published when the device is there, and when it is not.
pub const ONLINE: &[u8] = b"online";
/// What the broker publishes when the device is gone.
pub const OFFLINE: &[u8] = b"offline";

/// The kinds of events, as on the wire; a number stands for each in the spool.
pub const KINDS: [&str; 6] = ["provisional", "confirmed", "withdrawn", "face_appeared", "face_left", "status"];

/// Whether the broker keeps the last event of this kind for whoever subscribes later.
pub fn retained(kind: &str) -> bool {
    kind == "status"
}

/// The topics of one device: `PREFIX/DEVICE/KIND`.
#[derive(Debug, Clone)]
pub struct Topics {
    base: String,
    device: DeviceName,
}

impl Topics {
    /// Below this prefix.
    pub fn new(prefix: &str, device: DeviceName) -> Self {
        Self { base: format!("{prefix}/{device}"), device }
    }

    /// The device.
    pub const fn device(&self) -> &DeviceName {
        &self.device
    }

    /// Events of a kind.
    pub fn event(&self, kind: &str) -> String {
        format!("{}/{kind}", self.base)
    }

    /// `online` or `offline`, retained.
    pub fn availability(&self) -> String {
        format!("{}/availability", self.base)
    }

    /// What Home Assistant wants to know: a retained message for each thing it shows.
    pub fn discovery(&self, prefix: &str) -> Vec<(String, String)> {
        let (status, confirmed) = (self.event("status"), self.event("confirmed"));
        let icon = "mdi:face-recognition";
        [
            (
                "sensor",
                "detection",
                json!({
                    "name": "Last micro-expression", "state_topic": confirmed, "json_attributes_topic": confirmed,
                    "value_template": "{{ value_json.class }}", "icon": icon, "force_update": true
                }),
            ),
            (
                "sensor",
                "faces",
                json!({
                    "name": "Faces", "state_topic": status, "value_template": "{{ value_json.faces }}", "icon": icon
                }),
            ),
            (
                "sensor",
                "frame_rate",
                json!({
                    "name": "Frame rate", "state_topic": status, "unit_of_measurement": "fps",
                    "value_template": "{{ value_json.rate | round(1) }}", "entity_category": "diagnostic"
                }),
            ),
            (
                "sensor",
                "temperature",
                json!({
                    "name": "Board temperature", "state_topic": status, "unit_of_measurement": "°C",
                    "device_class": "temperature", "entity_category": "diagnostic",
                    "value_template": "{{ value_json.temperature_c | default(none) }}"
                }),
            ),
        ]
        .into_iter()
        .map(|(component, name, mut config)| {
            // Object ids know neither dots nor other signs.
            let id = format!("mercam_{}_{name}", self.device.as_str().replace('.', "_"));
            if let Value::Object(map) = &mut config {
                map.insert("unique_id".into(), Value::String(id.clone()));
                map.insert("availability_topic".into(), Value::String(self.availability()));
                map.insert(
                    "device".into(),
                    json!({
                        "identifiers": [format!("mercam_{}", self.device)], "name": self.device.as_str(),
                        "manufacturer": "mercam", "sw_version": env!("CARGO_PKG_VERSION")
                    }),
                );
            }
            (format!("{prefix}/{component}/{id}/config"), config.to_string())
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_device_has_topics_of_its_own_and_tells_where_they_are() {
        let topics = Topics::new("site/hall", "kiosk-7.left".parse().unwrap());
        assert_eq!(topics.event("confirmed"), "site/hall/kiosk-7.left/confirmed");
        let told = topics.discovery("homeassistant");
        assert!(told.len() >= 3);
        for (topic, config) in told {
            assert!(topic.starts_with("homeassistant/sensor/mercam_kiosk-7_left_"), "{topic}");
            let config: Value = serde_json::from_str(&config).unwrap();
            assert_eq!(config["availability_topic"], "site/hall/kiosk-7.left/availability");
            let state = config["state_topic"].as_str().unwrap();
            assert!(KINDS.iter().any(|k| topics.event(k) == state), "{state}");
            assert!(topic.contains(config["unique_id"].as_str().unwrap()));
        }
    }
}
