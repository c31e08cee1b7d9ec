//! The part of a source string behind the question mark: `?size=640x480&fps=60`.

use super::CaptureError;
use std::collections::BTreeMap;
use std::str::FromStr;

/// Options of one source, each to be taken once.
#[derive(Debug)]
pub struct Options {
    scheme: &'static str,
    map: BTreeMap<String, String>,
}

impl Options {
    /// Splits `a=1&b=2`; only the names in `known` are allowed, or any when it is empty.
    pub fn parse(scheme: &'static str, text: &str, known: &[&str]) -> Result<Self, CaptureError> {
        let mut map = BTreeMap::new();
        for pair in text.split('&').filter(|p| !p.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (key, value) = (decode(key), decode(value));
            if !known.is_empty() && !known.contains(&key.as_str()) {
                return Err(spec(format!(
                    "{scheme}: unknown option \"{key}\"{}; {}",
                    hint(&key, known),
                    listing(known)
                )));
            }
            if value.is_empty() {
                return Err(spec(format!("{scheme}: option \"{key}\" has no value: write {key}=VALUE")));
            }
            if map.contains_key(&key) {
                return Err(spec(format!("{scheme}: option \"{key}\" is given twice")));
            }
            map.insert(key, value);
        }
        Ok(Self { scheme, map })
    }

    /// Takes an option that may be absent.
    pub fn take<T: FromStr<Err = CaptureError>>(&mut self, key: &str) -> Result<Option<T>, CaptureError> {
        let Some(value) = self.map.remove(key) else { return Ok(None) };
        value.parse().map(Some).map_err(|e| spec(format!("{}: {key}: {e}", self.scheme)))
    }

    /// Takes an option that must be there.
    pub fn need<T: FromStr<Err = CaptureError>>(&mut self, key: &str, example: &str) -> Result<T, CaptureError> {
        self.take(key)?.ok_or_else(|| {
            spec(format!(
                "{}: option \"{key}\" is missing, and the stream itself does not tell: add {key}={example}",
                self.scheme
            ))
        })
    }

    /// All that has not been taken.
    pub fn rest(self) -> BTreeMap<String, String> {
        self.map
    }
}

/// An error about the source string.
pub fn spec(message: String) -> CaptureError {
    CaptureError::Spec(message)
}

/// `, did you mean "x"?` with the nearest of the known words, if one is near.
pub fn hint(word: &str, known: &[&str]) -> String {
    let word = word.to_lowercase();
    let near = known.iter().map(|k| (strsim::damerau_levenshtein(&word, k), k)).min();
    match near {
        Some((distance, k)) if distance <= 2.max(k.len() / 3) => format!(", did you mean \"{k}\"?"),
        _ => String::new(),
    }
}

fn listing(known: &[&str]) -> String {
    format!("the options are {}", known.join(", "))
}

/// Puts options behind a source's name the way [`Options::parse`] reads them.
pub fn print(f: &mut std::fmt::Formatter<'_>, options: &[(&str, Option<String>)]) -> std::fmt::Result {
    let mut sign = '?';
    for (key, value) in options {
        if let Some(value) = value {
            write!(f, "{sign}{}={}", encode(key), encode(value))?;
            sign = '&';
        }
    }
    Ok(())
}

/// Protects the characters that have a meaning in a source string.
pub fn encode(text: &str) -> String {
    text.replace('%', "%25").replace('?', "%3F").replace('&', "%26").replace('=', "%3D")
}

/// Undoes [`encode`]; any other `%` stands for itself, so plain file names need no care.
pub fn decode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        let (before, tail) = rest.split_at(at);
        out.push_str(before);
        let code = tail.get(..3).unwrap_or("").to_ascii_uppercase();
        let (c, used) = match code.as_str() {
            "%25" => ('%', 3),
            "%3F" => ('?', 3),
            "%26" => ('&', 3),
            "%3D" => ('=', 3),
            _ => ('%', 1),
        };
        out.push(c);
        rest = tail.get(used..).unwrap_or("");
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::capture::Rate;
    use proptest::prelude::*;

    #[test]
    fn unknown_options_name_the_nearest_and_the_list() {
        let known = ["size", "fps", "format"];
        let e = Options::parse("raw", "fsp=3", &known).unwrap_err().to_string();
        assert_eq!(e, "raw: unknown option \"fsp\", did you mean \"fps\"?; the options are size, fps, format");
        let e = Options::parse("raw", "colour=3", &known).unwrap_err().to_string();
        assert!(!e.contains("mean"), "{e}");
    }

    #[test]
    fn options_without_value_twice_or_wrong_are_refused() {
        for (text, message) in [("fps", "no value"), ("fps=", "no value"), ("fps=1&fps=2", "twice")] {
            let e = Options::parse("raw", text, &["fps"]).unwrap_err().to_string();
            assert!(e.contains(message), "{e}");
        }
        let mut o = Options::parse("raw", "fps=fast", &["fps"]).unwrap();
        assert!(o.take::<Rate>("fps").unwrap_err().to_string().starts_with("raw: fps: \"fast\" is no frame rate"));
        let e = o.need::<Rate>("fps", "90").unwrap_err().to_string();
        assert!(e.contains("add fps=90"), "{e}");
    }

    proptest! {
        #[test]
        fn any_text_survives(text in "\\PC{0,20}") {
            prop_assert_eq!(decode(&encode(&text)), text.clone());
            prop_assert!(!encode(&text).contains(['?', '&', '=']));
        }

        #[test]
        fn text_without_codes_is_left_alone(text in "[g-z%]{0,20}") {
            prop_assert_eq!(decode(&text), text);
        }
    }
}
