//! Loading a model, with its integrity checked, and asking it.

use super::manifest::Manifest;
use super::network::Network;
use super::{DereGrlConfig, DereGrlError, Features, Kernels, Precision, Recognition};
use crate::event::ModelRef;
use std::path::Path;

/// Name of the class that stands for "no micro-expression".
pub const NONE: &str = "none";

const INT8: &[u8] = include_bytes!("../../models/dere_grl.int8.onnx");
const FP32: &[u8] = include_bytes!("../../models/dere_grl.fp32.onnx");
const MANIFEST: &str = "manifest.toml";

/// A loaded DeRe-GRL network. One per thread; it keeps its working memory between calls.
pub struct Recogniser {
    network: Network,
    model: ModelRef,
    none: Option<usize>,
    answer: Recognition,
}

impl std::fmt::Debug for Recogniser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recogniser")
            .field("model", &self.model)
            .field("classes", &self.classes())
            .finish_non_exhaustive()
    }
}

impl Recogniser {
    /// Loads the configured model: reads it, checks its SHA-256 against the manifest, checks what its metadata
    /// promises, and optimises it (some 10 to 100 ms).
    ///
    /// # Errors
    /// A file that is missing, not listed, damaged, in another precision, or made for other features.
    pub fn load(config: &DereGrlConfig) -> Result<Self, DereGrlError> {
        match &config.model {
            None => {
                let (name, bytes) = (
                    config.precision.file(),
                    match config.precision {
                        Precision::Int8 => INT8,
                        Precision::Fp32 => FP32,
                    },
                );
                Self::from_bytes(bytes, name, &Manifest::built_in()?, "built-in manifest.toml", config.precision)
            }
            Some(path) => Self::from_path(path, config.precision),
        }
    }

    fn from_path(path: &Path, precision: Precision) -> Result<Self, DereGrlError> {
        let file = if path.is_dir() { path.join(precision.file()) } else { path.to_owned() };
        let read = |p: &Path| std::fs::read(p).map_err(|source| DereGrlError::Read { path: p.into(), source });
        let bytes = read(&file)?;
        let list = file.with_file_name(MANIFEST);
        let shown = list.display().to_string();
        let text = String::from_utf8(read(&list)?)
            .map_err(|_| DereGrlError::Manifest { manifest: shown.clone(), reason: "is not UTF-8 text".into() })?;
        let manifest = Manifest::parse(&text, &shown)?;
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        Self::from_bytes(&bytes, &name, &manifest, &shown, precision)
    }

    fn from_bytes(
        bytes: &[u8],
        name: &str,
        manifest: &Manifest,
        manifest_name: &str,
        precision: Precision,
    ) -> Result<Self, DereGrlError> {
        let mut sha256 = manifest.check(manifest_name, name, bytes)?;
        let network = Network::load(bytes, name, precision)?;
        let (meta, kernels) = (&network.metadata, &network.kernels);
        if meta.model_id != manifest.model_id {
            let reason = format!("is {:?}, but {manifest_name} says {:?}", meta.model_id, manifest.model_id);
            return Err(DereGrlError::Metadata { file: name.into(), key: "model_id".into(), reason });
        }
        log::debug!("{name}: {} of {} products run in int8", kernels.int8, kernels.all);
        if kernels.quantised != meta.int8_matmuls || !kernels.float.is_empty() {
            log::warn!("{name}: {} of its {} int8 products run as int8", kernels.quantised, meta.int8_matmuls);
        }
        sha256.truncate(16);
        let model = ModelRef { id: meta.model_id.clone(), precision: meta.precision.to_string(), sha256 };
        let none = meta.classes.iter().position(|c| c == NONE);
        Ok(Self { network, model, none, answer: Recognition::default() })
    }

    /// Recognises a movement. The answer is kept until the next call.
    ///
    /// # Errors
    /// A landmark that is not finite or more than 10 IOD away; a failure inside tract.
    pub fn recognise(&mut self, features: &Features) -> Result<&Recognition, DereGrlError> {
        features.check()?;
        let answer = &mut self.answer;
        self.network.run(features, |probs, actions, relations| answer.fill(probs, actions, relations))?;
        Ok(answer)
    }

    /// The classes, in the order of the probabilities.
    pub fn classes(&self) -> &[String] {
        &self.network.metadata.classes
    }

    /// Name of the class of an answer of this recogniser.
    pub fn class_name(&self, answer: &Recognition) -> &str {
        self.classes().get(answer.class).map_or("", String::as_str)
    }

    /// Each class with its probability.
    pub fn named_probabilities(&self, answer: &Recognition) -> Vec<(String, f32)> {
        self.classes().iter().cloned().zip(answer.probabilities.iter().copied()).collect()
    }

    /// The answer is "no micro-expression". Always false with a model that has no such class.
    pub fn is_none(&self, answer: &Recognition) -> bool {
        self.none == Some(answer.class)
    }

    /// Id, precision and hash of the model, as it appears in events.
    pub fn model_ref(&self) -> ModelRef {
        self.model.clone()
    }

    /// What the optimised plan multiplies in.
    pub fn kernels(&self) -> &Kernels {
        &self.network.kernels
    }
}
