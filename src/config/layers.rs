//! Layers of configuration: file, environment, `--set`. Each is checked when it is laid on, so that an error
//! names the line, the variable or the flag that brought it, and the nearest key that exists.

use super::Config;
use std::path::{Path, PathBuf};

/// Prefix of the environment variables that are configuration.
const PREFIX: &str = "MERCAM_";
/// Variables with that prefix that are not keys of the configuration.
const NOT_KEYS: [&str; 4] = ["MERCAM_CONFIG", "MERCAM_CACHE", "MERCAM_OFFLINE", "MERCAM_SINK"];

/// Why a configuration was refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{path}: {why}; give another with --config, or print a default one with: mercam config default")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        why: std::io::Error,
    },
    /// A key or value is wrong.
    #[error("{origin}: {message}")]
    Wrong {
        /// File and line, variable or flag.
        origin: String,
        /// Path of the key, what is wrong, and the nearest key.
        message: String,
    },
}

/// What is laid over the defaults, lowest first.
#[derive(Debug, Clone, Default)]
pub struct Layers {
    /// The file.
    pub file: Option<PathBuf>,
    /// Environment variables.
    pub env: Vec<(String, String)>,
    /// `KEY=VALUE` of `--set`.
    pub set: Vec<String>,
}

impl Layers {
    /// With the variables of this process's environment.
    pub fn from_env(file: Option<PathBuf>, set: Vec<String>) -> Self {
        let mut env: Vec<_> = std::env::vars().filter(|(k, _)| k.starts_with(PREFIX)).collect();
        env.sort();
        Self { file, env, set }
    }

    /// Lays one over the other.
    ///
    /// # Errors
    /// See [`ConfigError`]; the first wrong layer is named.
    pub fn resolve(&self) -> Result<Config, ConfigError> {
        let (mut table, mut config) = match &self.file {
            Some(path) => read_file(path)?,
            None => (toml::Table::new(), Config::default()),
        };
        for (name, value) in &self.env {
            let is_key = !NOT_KEYS.contains(&name.as_str());
            let Some(key) = name.strip_prefix(PREFIX).filter(|k| is_key && !k.is_empty()) else { continue };
            let path = key.to_lowercase().replace("__", ".");
            config = lay(&mut table, &path, value, &format!("environment variable {name}"))?;
        }
        for pair in &self.set {
            let origin = format!("--set {pair}");
            let Some((key, value)) = pair.split_once('=') else {
                let message = "expected KEY=VALUE, such as analysis.spotting.refractory_ms=300".into();
                return Err(ConfigError::Wrong { origin, message });
            };
            config = lay(&mut table, key.trim(), value.trim(), &origin)?;
        }
        Ok(config)
    }
}

fn read_file(path: &Path) -> Result<(toml::Table, Config), ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|why| ConfigError::Unreadable { path: path.into(), why })?;
    let config = parse(&text, &path.display().to_string())?;
    let table = toml::from_str(&text).map_err(|e| wrong(path.display().to_string(), "", e.message()))?;
    Ok((table, config))
}

/// Reads a whole file's text; errors name the line.
pub(super) fn parse(text: &str, name: &str) -> Result<Config, ConfigError> {
    let at = |span: Option<std::ops::Range<usize>>| {
        let line = span.and_then(|s| text.get(..s.start)).map(|before| before.matches('\n').count() + 1);
        line.map_or_else(|| name.to_string(), |l| format!("{name}, line {l}"))
    };
    let reader = toml::Deserializer::parse(text).map_err(|e| wrong(at(e.span()), "", e.message()))?;
    serde_path_to_error::deserialize(reader).map_err(|e| {
        let path = e.path().to_string();
        wrong(at(e.inner().span()), &path, e.inner().message())
    })
}

/// Sets one key in the table and reads the whole again.
fn lay(table: &mut toml::Table, path: &str, value: &str, origin: &str) -> Result<Config, ConfigError> {
    // A value that is no TOML is a string: MERCAM_SOURCE=/dev/video2 needs no quotes.
    let parsed = toml::from_str::<toml::Table>(&format!("v = {value}")).ok().and_then(|mut t| t.remove("v"));
    let parsed = parsed.unwrap_or_else(|| toml::Value::String(value.to_string()));
    let mut place = &mut *table;
    let mut keys: Vec<&str> = path.split('.').collect();
    let last = keys.pop().unwrap_or_default();
    for key in keys {
        let inner = place.entry(key).or_insert_with(|| toml::Value::Table(toml::Table::new()));
        let Some(inner) = inner.as_table_mut() else {
            return Err(wrong(origin.into(), path, &format!("`{key}` is a value, not a section")));
        };
        place = inner;
    }
    place.insert(last.to_string(), parsed);
    serde_path_to_error::deserialize(toml::Value::Table(table.clone()))
        .map_err(|e| wrong(origin.into(), &e.path().to_string(), e.inner().message()))
}

fn wrong(origin: String, path: &str, message: &str) -> ConfigError {
    let mut text = message.trim().replace('\n', " ");
    if !path.is_empty() && path != "." {
        text = format!("{path}: {text}");
    }
    if let Some(nearest) = nearest(message) {
        text.push_str(&format!("; did you mean `{nearest}`?"));
    }
    ConfigError::Wrong { origin, message: text }
}

/// The known key that is nearest to an unknown one, out of serde's own message
/// ("unknown field `x`, expected one of `a`, `b`").
fn nearest(message: &str) -> Option<String> {
    let rest = message.split_once("unknown field").or_else(|| message.split_once("unknown variant"))?.1;
    let mut names = rest.split('`').skip(1).step_by(2);
    let unknown = names.next()?;
    let near = names.map(|n| (strsim::damerau_levenshtein(unknown, n), n)).min()?;
    (near.0 <= unknown.len().div_ceil(2).max(2)).then(|| near.1.to_string())
}

impl Config {
    /// Reads a configuration from text.
    ///
    /// # Errors
    /// [`ConfigError::Wrong`] with the line.
    pub fn from_toml(text: &str, name: &str) -> Result<Self, ConfigError> {
        parse(text, name)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn refused(layers: &Layers) -> String {
        layers.resolve().map(|c| format!("accepted: {c:?}")).unwrap_err().to_string()
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line_and_the_nearest_one() {
        let e = Config::from_toml("[pipeline]\n# a comment\nframe_que = 3\n", "kiosk.toml").unwrap_err().to_string();
        assert!(e.starts_with("kiosk.toml, line 3: pipeline"), "{e}");
        assert!(e.contains("frame_que") && e.contains("did you mean `frame_queue`?"), "{e}");
    }

    #[test]
    fn a_wrong_type_is_named_with_its_path() {
        let e = Config::from_toml("[pipeline]\nframe_queue = \"three\"\n", "f").unwrap_err().to_string();
        assert!(e.contains("line 2") && e.contains("pipeline.frame_queue"), "{e}");
    }

    #[test]
    fn flags_win_over_the_environment_and_that_over_the_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, "log = \"warn\"\n[pipeline]\nframe_queue = 1\nevent_queue = 1\n").unwrap();
        let layers = Layers {
            file: Some(file.path().into()),
            env: vec![
                ("MERCAM_PIPELINE__EVENT_QUEUE".into(), "2".into()),
                ("MERCAM_PIPELINE__STATUS_INTERVAL_S".into(), "2.5".into()),
                ("MERCAM_CACHE".into(), "/somewhere".into()),
            ],
            set: vec!["pipeline.status_interval_s=3.5".into()],
        };
        let config = layers.resolve().unwrap();
        assert_eq!(config.log, crate::health::logger::LogLevel::Warn);
        assert_eq!((config.pipeline.frame_queue, config.pipeline.event_queue), (1, 2));
        assert_eq!(config.pipeline.status_interval_s, 3.5);
    }

    #[test]
    fn the_variable_or_flag_that_is_wrong_is_named() {
        let env = vec![("MERCAM_PIPELIN__EVENT_QUEUE".to_string(), "2".to_string())];
        let e = refused(&Layers { env, ..Layers::default() });
        assert!(e.contains("MERCAM_PIPELIN__EVENT_QUEUE") && e.contains("`pipeline`"), "{e}");
        let e = refused(&Layers { set: vec!["pipeline.event_queue=x".into()], ..Layers::default() });
        assert!(e.contains("--set pipeline.event_queue=x") && e.contains("pipeline.event_queue"), "{e}");
        let e = refused(&Layers { set: vec!["pipeline".into()], ..Layers::default() });
        assert!(e.contains("KEY=VALUE"), "{e}");
    }

    #[test]
    fn a_missing_file_says_how_to_get_one() {
        let e = refused(&Layers { file: Some("no/such/file.toml".into()), ..Layers::default() });
        assert!(e.contains("no/such/file.toml") && e.contains("config default"), "{e}");
    }
}
