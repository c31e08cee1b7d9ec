//! DeRe-GRL: the graph network that recognises a movement and says why, run by tract.
//!
//! A re-implementation after the abstract of Wei et al., "Prior Information based Decomposition and Reconstruction
//! Learning for Micro-Expression Recognition", IEICE Trans. Inf. & Syst. E106-D(10), 2023; `models/MODEL_CARD.md`
//! says what is the paper's and what is ours. Landmark graph backbone in two streams (points and bones); the Action
//! Decomposition Module maps each facial component's features to action features; the Relation Reconstruction Module
//! weights every action with every other; the class is inferred from those relations.
//!
//! Both precisions are built into the binary, with the manifest that names their SHA-256:
//!
//! ```
//! use mercam::dere_grl::{DereGrlConfig, Features};
//! use mercam::geometry::Iod;
//!
//! let mut recogniser = DereGrlConfig::default().build()?;
//! let still = Features::new(&[Iod::default(); 68], &[Iod::default(); 68]);
//! let answer = recogniser.recognise(&still)?.clone();
//! assert!((answer.probabilities.iter().sum::<f32>() - 1.0).abs() < 1e-4);
//! # Ok::<(), mercam::dere_grl::DereGrlError>(())
//! ```

mod config;
mod error;
mod features;
mod kernels;
mod manifest;
mod metadata;
mod network;
mod recogniser;
mod recognition;

pub use config::{DereGrlConfig, Precision};
pub use error::DereGrlError;
pub use features::{FEATURE_FORMAT, Features};
pub use kernels::Kernels;
pub use manifest::{Manifest, ManifestFile};
pub use recogniser::{NONE, Recogniser};
pub use recognition::Recognition;
