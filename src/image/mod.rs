//! Image kernels on luma: a region of the picture, contrast normalisation, pyramids, patches.
//!
//! All kernels work on a [`Region`] only, never on the whole picture, write into buffers that are reused, and are
//! written as plain loops over row slices, which the compiler turns into SSE2 or NEON code.

pub mod normalise;
pub mod patch;
pub mod plane;
pub mod pyramid;
pub mod region;

pub use normalise::{NormaliseScale, Normaliser};
pub use plane::Plane;
pub use pyramid::Pyramid;
pub use region::Region;
