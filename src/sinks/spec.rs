//! What the user writes to name a sink: a string, or a table of the configuration file.
//!
//! Both go through the same types, so an option has one name, one meaning and one default.

#[cfg(feature = "mqtt")]
use super::MqttConfig;
use super::{
    CsvConfig, FileConfig, HumanConfig, LogConfig, SerialConfig, Sink, SinkError, StdoutConfig, StreamConfig,
    StreamKind, UdpConfig,
};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use toml::{Table, Value};

/// A sink to be made: `log`, `stdout`, `human`, `file:PATH`, `csv:PATH`, `serial:DEVICE`, `udp:HOST:PORT`,
/// `tcp:HOST:PORT`, `unix:PATH`, `mqtt:HOST`, each with options behind a `?`.
///
/// `serial:/dev/ttyUSB0?baud=921600&format=binary` is the same as the table
/// `kind = "serial"`, `device = "/dev/ttyUSB0"`, `baud = 921600`, `format = "binary"`.
/// In a path, `?` is written `%3F`, and `%25` stands for `%` where it would be misread; in an option's value, `&` is
/// written `%26`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum SinkSpec {
    /// A readable line for each event in the process's log.
    Log(LogConfig),
    /// JSON lines on standard output.
    Stdout(StdoutConfig),
    /// Readable detections with their reasons on standard output.
    Human(HumanConfig),
    /// JSON lines in a file.
    File(FileConfig),
    /// Rows of a table in a file.
    Csv(CsvConfig),
    /// Events on a serial line.
    Serial(SerialConfig),
    /// Events as datagrams.
    Udp(UdpConfig),
    /// Events to a broker.
    #[cfg(feature = "mqtt")]
    Mqtt(MqttConfig),
    /// Events to a host over TCP, acknowledged.
    Tcp(StreamConfig),
    /// Events to a host over a Unix domain socket, acknowledged.
    Unix(StreamConfig),
}

impl SinkSpec {
    /// The kinds, as they are written.
    pub const KINDS: &[&str] = &[
        "log",
        "stdout",
        "human",
        "file",
        "csv",
        "serial",
        "udp",
        "tcp",
        "unix",
        #[cfg(feature = "mqtt")]
        "mqtt",
    ];

    /// The kind with all its defaults.
    fn of_kind(kind: &str) -> Option<Self> {
        Some(match kind {
            "log" => Self::Log(LogConfig::default()),
            "stdout" => Self::Stdout(StdoutConfig::default()),
            "human" => Self::Human(HumanConfig::default()),
            "file" => Self::File(FileConfig::default()),
            "csv" => Self::Csv(CsvConfig::default()),
            "serial" => Self::Serial(SerialConfig::default()),
            "udp" => Self::Udp(UdpConfig::default()),
            #[cfg(feature = "mqtt")]
            "mqtt" => Self::Mqtt(MqttConfig::default()),
            "tcp" => Self::Tcp(StreamConfig::default()),
            "unix" => Self::Unix(StreamConfig::default()),
            _ => return None,
        })
    }

    /// The kind, as it is written.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Log(_) => "log",
            Self::Stdout(_) => "stdout",
            Self::Human(_) => "human",
            Self::File(_) => "file",
            Self::Csv(_) => "csv",
            Self::Serial(_) => "serial",
            Self::Udp(_) => "udp",
            #[cfg(feature = "mqtt")]
            Self::Mqtt(_) => "mqtt",
            Self::Tcp(_) => "tcp",
            Self::Unix(_) => "unix",
        }
    }

    /// The key that the part behind the colon belongs to, and what it is, for messages.
    const fn target(&self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::File(_) | Self::Csv(_) => Some(("path", "PATH")),
            Self::Udp(_) => Some(("address", "HOST:PORT")),
            #[cfg(feature = "mqtt")]
            Self::Mqtt(_) => Some(("address", "HOST")),
            Self::Serial(_) => Some(("device", "DEVICE")),
            Self::Tcp(_) => Some(("address", "HOST:PORT")),
            Self::Unix(_) => Some(("address", "PATH")),
            Self::Log(_) | Self::Stdout(_) | Self::Human(_) => None,
        }
    }

    /// Checks the values alone: nothing is opened.
    ///
    /// # Errors
    /// [`SinkError::Spec`] naming the option that makes no sense.
    pub fn validate(&self) -> Result<(), SinkError> {
        match self {
            Self::File(c) => c.validate(),
            Self::Csv(c) => c.validate(),
            Self::Serial(c) => c.validate(),
            Self::Udp(c) => c.validate(),
            #[cfg(feature = "mqtt")]
            Self::Mqtt(c) => c.validate(),
            Self::Tcp(c) => c.validate(StreamKind::Tcp),
            Self::Unix(c) => c.validate(StreamKind::Unix),
            Self::Log(_) | Self::Stdout(_) | Self::Human(_) => Ok(()),
        }
    }

    /// Makes the sink. A serial line that is away is no error; it is opened when it comes.
    ///
    /// # Errors
    /// [`SinkError::Spec`] for values that make no sense, [`SinkError::Unavailable`] for a file that cannot be
    /// opened or a standard output that is not there.
    pub fn build(&self) -> Result<Box<dyn Sink>, SinkError> {
        Ok(match self {
            Self::Log(c) => Box::new(c.build()),
            Self::Stdout(c) => Box::new(c.build()?),
            Self::Human(c) => Box::new(c.build()?),
            Self::File(c) => Box::new(c.build()?),
            Self::Csv(c) => Box::new(c.build()?),
            Self::Udp(c) => Box::new(c.build()?),
            #[cfg(feature = "mqtt")]
            Self::Mqtt(c) => Box::new(c.build()?),
            Self::Serial(c) => c.build()?,
            Self::Tcp(c) => c.build(StreamKind::Tcp)?,
            Self::Unix(c) => c.build(StreamKind::Unix)?,
        })
    }

    /// All options with their values, without `kind`.
    fn table(&self) -> Result<Table, SinkError> {
        let mut table = Table::try_from(self).map_err(|e| SinkError::Spec(format!("sink `{}`: {e}", self.kind())))?;
        table.remove("kind");
        Ok(table)
    }
}

impl FromStr for SinkSpec {
    type Err = SinkError;

    fn from_str(text: &str) -> Result<Self, SinkError> {
        let (head, query) = text.split_once('?').map_or((text, None), |(h, q)| (h, Some(q)));
        let (kind, target) = head.split_once(':').map_or((head, None), |(k, t)| (k, Some(t)));
        let defaults = Self::of_kind(kind).ok_or_else(|| unknown_kind(text, kind))?;
        let wrong = |why: String| SinkError::Spec(format!("sink `{text}`: {why}"));
        let known = defaults.table()?;
        let mut table = Table::new();
        match (defaults.target(), target) {
            (Some((key, _)), Some(t)) if !t.is_empty() => {
                table.insert(key.into(), Value::String(unescape(t)));
            }
            (Some((_, what)), _) => return Err(wrong(format!("write `{kind}:{what}`"))),
            (None, Some(t)) if !t.is_empty() => {
                return Err(wrong(format!("`{kind}` takes nothing behind a colon; options come behind a `?`")));
            }
            (None, _) => {}
        }
        for option in query.unwrap_or_default().split('&').filter(|o| !o.is_empty()) {
            let (key, value) = option.split_once('=').ok_or_else(|| wrong(format!("write `{option}=VALUE`")))?;
            let options: Vec<_> =
                known.keys().map(String::as_str).filter(|k| defaults.target().is_none_or(|t| t.0 != *k)).collect();
            let Some(like) = known.get(key).filter(|_| options.contains(&key)) else {
                return Err(wrong(format!("unknown option `{key}`{}", suggest(key, &options))));
            };
            let value = typed(&unescape(value), like).map_err(|what| wrong(format!("`{key}` takes {what}")))?;
            if table.insert(key.into(), value).is_some() {
                return Err(wrong(format!("`{key}` is given twice")));
            }
        }
        table.insert("kind".into(), Value::String(kind.into()));
        let spec: Self = Value::Table(table).try_into().map_err(|e: toml::de::Error| wrong(e.message().to_owned()))?;
        spec.validate()?;
        Ok(spec)
    }
}

impl fmt::Display for SinkSpec {
    /// The shortest string that means the same: options at their defaults are left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind())?;
        // Values that TOML cannot hold (a path that is no UTF-8) are left out: an error here would be a panic.
        let table = self.table().unwrap_or_default();
        let defaults = Self::of_kind(self.kind()).and_then(|d| d.table().ok()).unwrap_or_default();
        let target = self.target().map(|t| t.0);
        if let Some(value) = target.and_then(|t| table.get(t)).and_then(Value::as_str) {
            write!(f, ":{}", escape(value, '?'))?;
        }
        let mut before = '?';
        for (key, value) in table.iter().filter(|(k, v)| target != Some(k.as_str()) && defaults.get(*k) != Some(v)) {
            let text = value.as_str().map_or_else(|| value.to_string(), |s| escape(s, '&'));
            write!(f, "{before}{key}={text}")?;
            before = '&';
        }
        Ok(())
    }
}

/// The value of an option, of the same type as its default.
fn typed(text: &str, like: &Value) -> Result<Value, String> {
    match like {
        Value::Integer(_) => {
            text.parse().map(Value::Integer).map_err(|_| format!("a whole number, and `{text}` is none"))
        }
        Value::Float(_) => text.parse().map(Value::Float).map_err(|_| format!("a number, and `{text}` is none")),
        Value::Boolean(_) => {
            text.parse().map(Value::Boolean).map_err(|_| format!("`true` or `false`, and `{text}` is neither"))
        }
        _ => Ok(Value::String(text.to_owned())),
    }
}

fn unknown_kind(text: &str, kind: &str) -> SinkError {
    let hint = if kind == "mqtt" {
        "; this mercam was built without it: use the Debian package, or build with `--features mqtt`".to_owned()
    } else if kind.starts_with("/dev/") {
        format!("; for a serial line write `serial:{kind}`")
    } else if kind.contains('/') || kind.contains('.') {
        format!("; for a file write `file:{kind}`")
    } else {
        suggest(kind, SinkSpec::KINDS)
    };
    SinkError::Spec(format!("sink `{text}`: unknown kind `{kind}`{hint}"))
}

/// `; did you mean ...`, or the list of what there is when nothing is near.
fn suggest(word: &str, known: &[&str]) -> String {
    let distance = |k: &&&str| strsim::damerau_levenshtein(word, k);
    match known.iter().min_by_key(distance) {
        None => "; there are no options".into(),
        Some(near) if distance(&near) <= (near.len() / 3).max(1) => format!("; did you mean `{near}`?"),
        Some(_) => format!("; there are `{}`", known.join("`, `")),
    }
}

/// Only these are escapes: every other `%` is itself, so that paths can be written as they are.
const ESCAPES: [(&str, char); 3] = [("%25", '%'), ("%3F", '?'), ("%26", '&')];

fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let (c, length) =
            ESCAPES.iter().find(|(e, _)| rest.starts_with(e)).map_or((c, c.len_utf8()), |(e, c)| (*c, e.len()));
        out.push(c);
        rest = rest.get(length..).unwrap_or_default();
    }
    out
}

/// Escapes `special`, and each `%` that would be read as an escape.
fn escape(text: &str, special: char) -> String {
    let mut out = String::with_capacity(text.len());
    for (i, c) in text.char_indices() {
        let rest = text.get(i..).unwrap_or_default();
        match ESCAPES.iter().find(|(e, escaped)| (*escaped == c && c == special) || rest.starts_with(e)) {
            Some(_) if c == '%' => out.push_str("%25"),
            Some((e, _)) => out.push_str(e),
            None => out.push(c),
        }
    }
    out
}

#[cfg(test)]
#[path = "spec_tests.rs"]
mod tests;
