//! The list of the files that belong to a model, with their SHA-256.

use super::DereGrlError;
use serde::Deserialize;
use sha2::{Digest, Sha256};

/// `manifest.toml` of a model folder.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Id of the model, the same as in its files' metadata.
    pub model_id: String,
    /// The files.
    #[serde(rename = "file")]
    pub files: Vec<ManifestFile>,
}

/// One file of a model folder.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManifestFile {
    /// Its name within the folder.
    pub name: String,
    /// SHA-256 in lower-case hexadecimal.
    pub sha256: String,
    /// Its size.
    pub bytes: u64,
    /// `int8` or `fp32` where it is a network.
    pub precision: Option<String>,
}

const BUILT_IN: &str = include_str!("../../models/manifest.toml");

impl Manifest {
    /// The manifest of the model that is built into mercam.
    pub fn built_in() -> Result<Self, DereGrlError> {
        Self::parse(BUILT_IN, "built-in manifest.toml")
    }

    /// From the text of `manifest.toml`; `name` is what errors call it.
    pub fn parse(text: &str, name: &str) -> Result<Self, DereGrlError> {
        toml::from_str(text).map_err(|e| DereGrlError::Manifest { manifest: name.into(), reason: e.to_string() })
    }

    /// Checks that `bytes` are the file `name` of this manifest, and returns their SHA-256.
    /// `manifest` is what errors call the manifest.
    pub fn check(&self, manifest: &str, name: &str, bytes: &[u8]) -> Result<String, DereGrlError> {
        let listed = self.files.iter().find(|f| f.name == name);
        let listed = listed.ok_or_else(|| DereGrlError::NotListed { manifest: manifest.into(), file: name.into() })?;
        let found = sha256(bytes);
        if found != listed.sha256.to_ascii_lowercase() {
            return Err(DereGrlError::Hash { file: name.into(), expected: listed.sha256.clone(), found });
        }
        Ok(found)
    }
}

/// SHA-256 in lower-case hexadecimal.
fn sha256(bytes: &[u8]) -> String {
    use std::fmt::Write;
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut s, b| {
        let _ = write!(s, "{b:02x}"); // writing to a String cannot fail
        s
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn a_manifest_with_an_unknown_key_names_it() {
        let text = "model_id = \"m\"\nfiles = []\n[[file]]\nname = \"a\"\nsha256 = \"\"\nbytes = 1\n";
        let e = Manifest::parse(text, "x/manifest.toml").unwrap_err().to_string();
        assert!(e.contains("x/manifest.toml") && e.contains("files"), "{e}");
    }

    #[test]
    fn a_file_that_is_not_listed_or_differs_is_refused() {
        let listed = Manifest {
            model_id: "m".into(),
            files: vec![ManifestFile {
                name: "a".into(),
                sha256: sha256(b"abc").to_uppercase(),
                bytes: 3,
                precision: None,
            }],
        };
        assert_eq!(
            listed.check("m", "a", b"abc").unwrap(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert!(matches!(listed.check("m", "a", b"abd"), Err(DereGrlError::Hash { .. })));
        assert!(matches!(listed.check("m", "b", b"abc"), Err(DereGrlError::NotListed { .. })));
    }

    #[test]
    fn the_built_in_manifest_lists_both_precisions() {
        let m = Manifest::built_in().unwrap();
        for p in ["int8", "fp32"] {
            assert!(m.files.iter().any(|f| f.precision.as_deref() == Some(p)), "{p}");
        }
    }
}
