//! What several commands share: the arguments of configuration, and building the stations from it.

use crate::capture::{CaptureError, Lit, Source, SourceSpec};
use crate::config::{Config, Layers};
use crate::dere_grl::Recogniser;
use crate::error::{Error, Result};
use crate::face::models::Store;
use crate::face::stage::FaceStage;
use crate::health::cpu;
use crate::health::indicator::{IndicatorConfig, IndicatorError, Light};
use crate::health::logger::{self, LogLevel};
use crate::metrics::{Metrics, MetricsError};
use crate::pipeline::analyser::Analyser;
use crate::sinks::{Sink, SinkError, SinkSpec};
use std::path::PathBuf;
use std::time::Duration;

/// Arguments that set the configuration.
#[derive(Debug, Clone, clap::Args)]
pub struct ConfigArgs {
    /// Configuration file (TOML); see `mercam config default`
    #[arg(short, long, env = "MERCAM_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Set one key, as in --set analysis.spotting.refractory_ms=300; wins over the file and the environment
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// How much to log to standard error
    #[arg(short, long, value_name = "LEVEL")]
    pub log: Option<LogLevel>,
}

impl ConfigArgs {
    /// File, then environment, then flags; starts the log.
    pub fn resolve(&self) -> Result<Config> {
        logger::start(self.log.unwrap_or(LogLevel::Info));
        let mut config = Layers::from_env(self.config.clone(), self.set.clone()).resolve().map_err(Error::config)?;
        if let Some(level) = self.log {
            config.log = level;
        }
        logger::start(config.log);
        Ok(config)
    }
}

/// `20s`, `1.5m`, `500ms`, `2h` or plain seconds.
pub fn parse_duration(text: &str) -> std::result::Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let scale = match &text[digits.len()..] {
        "ms" => 1e-3,
        "" | "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        unit => return Err(format!("unknown unit `{unit}`; use ms, s, m or h, as in 20s")),
    };
    let value: f64 = digits.parse().map_err(|_| "expected a number with a unit, as in 20s or 1.5m".to_string())?;
    Duration::try_from_secs_f64(value * scale).map_err(|e| e.to_string())
}

/// A capture error with its exit code: a wrong string is a wrong call, a missing device is 69.
pub fn capture_error(e: CaptureError) -> Error {
    match e {
        CaptureError::Spec(_) => Error::usage(e),
        CaptureError::Unavailable { .. } => Error::unavailable(e),
        CaptureError::Malformed { .. } | CaptureError::Broken { .. } => Error::failure(e),
    }
}

/// A sink error with its exit code.
pub fn sink_error(e: SinkError) -> Error {
    match e {
        SinkError::Spec(_) => Error::usage(e),
        SinkError::Unavailable { .. } => Error::unavailable(e),
        _ => Error::failure(e),
    }
}

/// Opens the source of a configuration; of a camera the light is on until it is closed.
pub fn open_source(spec: &SourceSpec, indicator: &IndicatorConfig) -> Result<Box<dyn Source>> {
    let light = if spec.is_camera() { light(indicator)? } else { None };
    let source = spec.build().map_err(capture_error)?;
    Ok(match light {
        Some(light) => Box::new(Lit::new(source, light)),
        None => source,
    })
}

/// Switches the light on that tells that a camera is in use, where one is configured.
pub fn light(indicator: &IndicatorConfig) -> Result<Option<Light>> {
    indicator.on().map_err(|e| match e {
        IndicatorError::Config(_) => Error::config(e),
        IndicatorError::Unavailable { .. } => Error::unavailable(e),
    })
}

/// Opens the sinks.
pub fn open_sinks(specs: &[SinkSpec]) -> Result<Vec<Box<dyn Sink>>> {
    specs.iter().map(|s| s.build().map_err(sink_error)).collect()
}

/// Opens the metrics, where they are asked for.
pub fn open_metrics(config: &Config) -> Result<Option<Metrics>> {
    let metrics = config.metrics.build().map_err(|e| match e {
        MetricsError::Config(_) => Error::config(e),
        MetricsError::Unavailable { .. } => Error::unavailable(e),
    })?;
    if let Some(place) = metrics.as_ref().and_then(Metrics::place) {
        log::info!("metrics at {place}");
    }
    Ok(metrics)
}

/// Builds the stations between source and sinks; with the face networks only when pictures will come.
pub fn build_analyser(config: &Config, pictures: bool, live: bool) -> Result<Analyser> {
    cpu::prepare();
    let face = if pictures { Some(build_face(config, live)?) } else { None };
    let analysis = config.analysis.build().map_err(Error::config)?;
    let recogniser = Recogniser::load(&config.dere_grl).map_err(Error::unavailable)?;
    Ok(Analyser::new(face, analysis, recogniser, config.dere_grl.reject_none_above, live))
}

/// Builds the face stage, fetching the networks when they are missing; `live` when a camera delivers the pictures.
pub fn build_face(config: &Config, live: bool) -> Result<FaceStage> {
    cpu::prepare();
    super::models::ensure(&config.face.networks())?;
    config.face.build(&Store::default(), live).map_err(Error::unavailable)
}
