//! What a source delivers: a luma picture, or landmarks that somebody measured before, with the driver's time.

use crate::geometry::{Px, Rect};
use crate::landmarks::PerLandmark;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// An 8-bit luma plane, row by row without padding.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Luma {
    width: u32,
    height: u32,
    data: Vec<u8>,
}

impl Luma {
    /// A black picture.
    pub fn new(width: u32, height: u32) -> Self {
        Self { width, height, data: vec![0; width as usize * height as usize] }
    }

    /// Takes a plane; `None` when its length is not `width * height`.
    pub fn from_vec(width: u32, height: u32, data: Vec<u8>) -> Option<Self> {
        (data.len() == width as usize * height as usize).then_some(Self { width, height, data })
    }

    /// Width in pixels.
    pub const fn width(&self) -> u32 {
        self.width
    }

    /// Height in pixels.
    pub const fn height(&self) -> u32 {
        self.height
    }

    /// All pixels, row by row.
    pub fn pixels(&self) -> &[u8] {
        &self.data
    }

    /// All pixels, to be written.
    pub fn pixels_mut(&mut self) -> &mut [u8] {
        &mut self.data
    }

    /// Row `y`; empty when there is no such row.
    pub fn row(&self, y: u32) -> &[u8] {
        let w = self.width as usize;
        self.data.get(y as usize * w..(y as usize + 1) * w).unwrap_or(&[])
    }

    /// Becomes a copy of another picture, reusing the memory.
    pub fn copy_from(&mut self, other: &Self) {
        (self.width, self.height) = (other.width, other.height);
        self.data.clear();
        self.data.extend_from_slice(&other.data);
    }

    /// Gives the picture this size, reusing its memory; the content is unspecified afterwards.
    pub fn resize(&mut self, width: u32, height: u32) {
        (self.width, self.height) = (width, height);
        self.data.resize(width as usize * height as usize, 0);
    }
}

/// Identity of a face track; never reused within one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FaceId(pub u32);

/// One face in one frame, as the face stage measured it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Face {
    /// Its track.
    pub id: FaceId,
    /// The box around its landmarks, in pixels.
    pub bounds: Rect,
    /// 68 landmarks in iBUG order, in pixels, sub-pixel.
    #[serde(with = "crate::frame::per_landmark")]
    pub landmarks: PerLandmark<Px>,
    /// How far each landmark can be trusted, 0 (lost) to 1.
    #[serde(with = "crate::frame::per_landmark")]
    pub confidence: PerLandmark<f32>,
}

/// What one step of a source holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// A picture, in which the face stage still has to look for faces.
    Picture(Luma),
    /// Faces measured earlier (a replay) or made with exact truth (the landmark-space synthetic source).
    Faces(Vec<Face>),
}

/// One step of a source.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    /// The driver's or stream's monotonic time of the exposure.
    pub time: Timestamp,
    /// Number of this frame in the source, from 0, counting lost frames as well.
    pub sequence: u64,
    /// Frames lost between the previous delivered frame and this one, as far as the source knows.
    pub lost_before: u32,
    /// The picture or the faces.
    pub content: Content,
}

/// Serde for arrays of 68, which serde itself does not derive.
pub mod per_landmark {
    use crate::landmarks::{COUNT, PerLandmark};
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    /// Writes the 68 values as a sequence.
    pub fn serialize<S: Serializer, T: Serialize>(values: &PerLandmark<T>, s: S) -> Result<S::Ok, S::Error> {
        s.collect_seq(values)
    }

    /// Reads exactly 68 values.
    pub fn deserialize<'de, D: Deserializer<'de>, T: Deserialize<'de>>(d: D) -> Result<PerLandmark<T>, D::Error> {
        let values = Vec::<T>::deserialize(d)?;
        let n = values.len();
        values.try_into().map_err(|_| D::Error::custom(format!("expected {COUNT} landmarks, found {n}")))
    }
}
