//! What a model says about itself, and whether mercam can work with it.

use super::features::{FEATURE_FORMAT, FEATURES, FIRST, NODES, NORMALISATION, WINDOW};
use super::{DereGrlError, Precision};
use crate::landmarks::Component;
use std::collections::BTreeMap;
use tract_onnx::prelude::*;

/// A model's metadata, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Metadata {
    pub model_id: String,
    pub precision: Precision,
    /// Products that the quantiser made int8; 0 in an fp32 model.
    pub int8_matmuls: usize,
    pub classes: Vec<String>,
    pub actions_per_component: usize,
}

/// The key-value pairs of an ONNX file.
pub(super) type Pairs = BTreeMap<String, String>;

/// Reads the pairs that tract keeps as properties of the graph.
pub(super) fn pairs(model: &InferenceModel) -> Pairs {
    let text = |t: &Tensor| t.try_as_plain_ram().ok().and_then(|p| p.to_scalar::<String>().ok().cloned());
    let props = model.properties.iter();
    props.filter_map(|(k, v)| Some((k.strip_prefix("onnx.metadata_props.")?.to_owned(), text(v)?))).collect()
}

impl Metadata {
    /// Checks what the pairs say; `file` is named in errors.
    pub fn new(pairs: &Pairs, file: &str, asked: Precision) -> Result<Self, DereGrlError> {
        let wrong = |key: &str, reason: String| DereGrlError::Metadata { file: file.into(), key: key.into(), reason };
        let get = |key: &str| pairs.get(key).map(String::as_str).ok_or_else(|| wrong(key, "is missing".into()));
        let number = |key: &str| -> Result<usize, DereGrlError> {
            let text = get(key)?;
            text.parse().map_err(|_| wrong(key, format!("is {text:?}, not a number")))
        };
        let names = |key: &str| -> Result<Vec<String>, DereGrlError> {
            let text = get(key)?;
            serde_json::from_str(text).map_err(|e| wrong(key, format!("is {text:?}, not a JSON list of names ({e})")))
        };
        let expect = |key: &str, have: &str, want: &str| match have == want {
            true => Ok(()),
            false => Err(wrong(key, format!("is {have}, this mercam needs {want}"))),
        };
        expect("feature_format", get("feature_format")?, FEATURE_FORMAT)?;
        expect("first_landmark", get("first_landmark")?, &FIRST.to_string())?;
        expect("nodes", get("nodes")?, &NODES.to_string())?;
        expect("features", &names("features")?.join(", "), FEATURES)?;
        expect("normalisation", get("normalisation")?, NORMALISATION)?;
        expect("window", get("window")?, WINDOW)?;
        let own = Component::ALL.map(Component::name).join(", ");
        expect("components", &names("components")?.join(", "), &own)?;
        let classes = names("classes")?;
        if classes.len() < 2 {
            return Err(wrong("classes", format!("names {}; at least two are needed", classes.len())));
        }
        let actions_per_component = number("actions_per_component")?;
        if !(1..=64).contains(&actions_per_component) {
            return Err(wrong("actions_per_component", format!("is {actions_per_component}, not 1 to 64")));
        }
        let precision = match get("precision")? {
            "int8" => Precision::Int8,
            "fp32" => Precision::Fp32,
            other => return Err(wrong("precision", format!("is {other:?}, not int8 or fp32"))),
        };
        if precision != asked {
            return Err(DereGrlError::Precision { file: file.into(), asked, found: precision.to_string() });
        }
        let int8_matmuls = number("int8_matmuls")?;
        Ok(Self { model_id: get("model_id")?.into(), precision, int8_matmuls, classes, actions_per_component })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn good() -> Pairs {
        let components = serde_json::to_string(&Component::ALL.map(Component::name)).unwrap();
        [
            ("model_id", "m"),
            ("precision", "int8"),
            ("int8_matmuls", "20"),
            ("feature_format", FEATURE_FORMAT),
            ("first_landmark", "17"),
            ("nodes", "51"),
            ("features", "[\"x\", \"y\", \"dx\", \"dy\"]"),
            ("normalisation", NORMALISATION),
            ("window", WINDOW),
            ("components", &components),
            ("classes", "[\"a\", \"none\"]"),
            ("actions_per_component", "2"),
        ]
        .map(|(k, v)| (k.to_owned(), v.to_owned()))
        .into()
    }

    #[test]
    fn each_key_that_is_missing_or_wrong_is_named() {
        assert_eq!(Metadata::new(&good(), "f", Precision::Int8).unwrap().int8_matmuls, 20);
        for key in good().keys() {
            let mut p = good();
            p.remove(key);
            let e = Metadata::new(&p, "some.onnx", Precision::Int8).unwrap_err().to_string();
            assert!(e.contains(key) && e.contains("some.onnx") && e.contains("missing"), "{e}");
        }
        for (key, bad) in [
            ("feature_format", "pixels-v9"),
            ("features", "[\"u\", \"v\"]"),
            ("normalisation", "pixels"),
            ("window", "onset,apex,offset"),
            ("components", "[\"nose\"]"),
            ("classes", "[\"a\"]"),
            ("classes", "a, b"),
            ("nodes", "68"),
            ("actions_per_component", "0"),
            ("int8_matmuls", "many"),
            ("precision", "int4"),
        ] {
            let mut p = good();
            p.insert(key.into(), bad.into());
            let e = Metadata::new(&p, "some.onnx", Precision::Int8).unwrap_err().to_string();
            assert!(e.contains(key) && e.contains("some.onnx"), "{e}");
        }
    }

    #[test]
    fn another_precision_than_asked_for_is_refused_with_the_mend() {
        let e = Metadata::new(&good(), "f", Precision::Fp32).unwrap_err().to_string();
        assert!(e.contains("dere_grl.precision") && e.contains("set it to int8"), "{e}");
    }
}
