//! The configuration: a strict TOML file, then the environment, then flags; the later one wins.
//!
//! Every station's own section is defined beside the station; this module only joins and layers them.

mod layers;

pub use layers::{ConfigError, Layers};

use crate::capture::SourceSpec;
use crate::dere_grl::DereGrlConfig;
use crate::face::config::FaceConfig;
use crate::health::governor::HealthConfig;
use crate::health::indicator::IndicatorConfig;
use crate::health::logger::LogLevel;
use crate::metrics::MetricsConfig;
use crate::pipeline::PipelineConfig;
use crate::sinks::{LogConfig, SinkSpec};
use crate::spotting::AnalysisConfig;
use crate::wire::DeviceName;
use serde::{Deserialize, Serialize};

/// The documented default configuration, as `mercam config default` prints it. A test holds it equal to
/// [`Config::default`], key by key.
pub const DEFAULT_TOML: &str = include_str!("default.toml");

/// Everything that can be configured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Name of this device in every event: 1 to 64 of A-Z, a-z, 0-9, `.`, `_`, `-`. Absent: the host's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceName>,
    /// Where frames come from.
    pub source: SourceSpec,
    /// How much is logged: `error`, `warn`, `info`, `debug`, `trace` or `off`.
    pub log: LogLevel,
    /// Threads and queues.
    pub pipeline: PipelineConfig,
    /// What is done about heat.
    pub health: HealthConfig,
    /// The light that tells that a camera is in use.
    pub indicator: IndicatorConfig,
    /// Detection and tracking of faces.
    pub face: FaceConfig,
    /// Registration, the neutral baseline, and spotting of onset, apex and offset.
    pub analysis: AnalysisConfig,
    /// The model.
    pub dere_grl: DereGrlConfig,
    /// Counters and latencies for Prometheus.
    pub metrics: MetricsConfig,
    /// Where events go; several are served at once.
    #[serde(rename = "sink")]
    pub sinks: Vec<SinkSpec>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            device: None,
            source: SourceSpec::default(),
            log: LogLevel::Info,
            pipeline: PipelineConfig::default(),
            health: HealthConfig::default(),
            indicator: IndicatorConfig::default(),
            face: FaceConfig::default(),
            analysis: AnalysisConfig::default(),
            dere_grl: DereGrlConfig::default(),
            metrics: MetricsConfig::default(),
            sinks: vec![SinkSpec::Log(LogConfig::default())],
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Every key of a table with its path.
    fn keys(table: &toml::Table, at: &str, into: &mut Vec<String>) {
        for (key, value) in table {
            let path = format!("{at}{key}");
            match value {
                toml::Value::Table(inner) => keys(inner, &format!("{path}."), into),
                _ => into.push(path),
            }
        }
    }

    #[test]
    fn the_printed_default_has_every_key_at_its_default_and_a_comment_before_each() {
        assert_eq!(Config::from_toml(DEFAULT_TOML, "default.toml").unwrap(), Config::default());
        let (mut printed, mut known) = (vec![], vec![]);
        keys(&toml::from_str(DEFAULT_TOML).unwrap(), "", &mut printed);
        keys(&toml::Table::try_from(Config::default()).unwrap(), "", &mut known);
        assert_eq!(printed, known);
        let lines: Vec<&str> = DEFAULT_TOML.lines().collect();
        for pair in lines.windows(2).filter(|w| !w[1].is_empty() && !w[1].starts_with(['#', '['])) {
            assert!(pair[0].starts_with('#') || pair[0].is_empty(), "no comment before: {}", pair[1]);
        }
    }
}
