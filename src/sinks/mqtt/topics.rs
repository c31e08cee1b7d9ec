//! Where events are published, and what Home Assistant is told about them.

use super::session::Publication;
use crate::mqtt::AVAILABILITY;
use crate::wire::DeviceName;
use serde_json::{Value, json};

/// The kinds of events, as on the wire; a number stands for each in the spool.
pub const KINDS: [&str; 6] = ["provisional", "confirmed", "withdrawn", "face_appeared", "face_left", "status"];

/// Whether the broker keeps the last event of this kind for whoever subscribes later.
fn retained(kind: &str) -> bool {
    kind == "status"
}

/// The device and the kind that a topic below a prefix names; `None` when it is of another form.
pub(crate) fn parts<'a>(prefix: &str, topic: &'a str) -> Option<(&'a str, &'a str)> {
    let (device, kind) = topic.strip_prefix(prefix)?.strip_prefix('/')?.split_once('/')?;
    (device.parse::<DeviceName>().is_ok() && !kind.contains('/')).then_some((device, kind))
}

/// The topics of one device: `PREFIX/DEVICE/KIND`.
#[derive(Debug, Clone)]
pub struct Topics {
    prefix: String,
    device: DeviceName,
}

impl Topics {
    /// Below this prefix.
    pub fn new(prefix: &str, device: DeviceName) -> Self {
        Self { prefix: prefix.into(), device }
    }

    /// The device.
    pub const fn device(&self) -> &DeviceName {
        &self.device
    }

    /// Events of a kind.
    pub fn event(&self, kind: &str) -> String {
        format!("{}/{}/{kind}", self.prefix, self.device)
    }

    /// Puts an event's device and kind before its JSON, as it waits in the spool: a host forwards the events of others.
    pub fn begin_record(&self, device: &str, kind: &str, record: &mut Vec<u8>) {
        let device = device.parse::<DeviceName>();
        let name = device.as_ref().unwrap_or(&self.device).as_str();
        record.push(KINDS.iter().position(|k| *k == kind).unwrap_or(KINDS.len()) as u8);
        record.push(name.len() as u8); // a name has 64 bytes at most
        record.extend_from_slice(name.as_bytes());
    }

    /// What is published of a record; `None` when it is none.
    pub fn publication<'a>(&self, record: &'a [u8]) -> Option<Publication<'a>> {
        let (&kind, rest) = record.split_first()?;
        let (&length, rest) = rest.split_first()?;
        let (device, payload) = rest.split_at_checked(usize::from(length))?;
        let (device, kind) = (std::str::from_utf8(device).ok()?, KINDS.get(usize::from(kind))?);
        let topic = format!("{}/{device}/{kind}", self.prefix);
        Some(Publication { topic, payload, retain: retained(kind) })
    }

    /// `online` or `offline`, retained.
    pub fn availability(&self) -> String {
        self.event(AVAILABILITY)
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
    fn an_event_is_published_under_the_name_of_its_device() {
        let topics = Topics::new("site", "hub".parse().unwrap());
        for (device, topic) in [("kiosk-1", "site/kiosk-1/status"), ("", "site/hub/status"), ("a/+", "site/hub/status")]
        {
            let mut record = Vec::new();
            topics.begin_record(device, "status", &mut record);
            record.extend_from_slice(b"{}");
            let expected = Publication { topic: topic.into(), payload: b"{}", retain: true };
            assert_eq!(topics.publication(&record), Some(expected));
        }
        for bad in [&b""[..], b"\x01", b"\x01\x09abc", b"\x09\x01a{}", b"\x01\x01\xff{}"] {
            assert_eq!(topics.publication(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_topic_names_device_and_kind() {
        assert_eq!(parts("site/hall", "site/hall/kiosk-7/confirmed"), Some(("kiosk-7", "confirmed")));
        for other in ["site/hall/kiosk-7", "site/hallway/k/confirmed", "site/hall/a b/status", "site/hall/k/status/x"] {
            assert_eq!(parts("site/hall", other), None, "{other}");
        }
    }

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
