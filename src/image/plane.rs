//! A plane of `f32` values that keeps its memory.

/// A picture plane of `f32`, row by row without padding.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plane {
    width: usize,
    height: usize,
    data: Vec<f32>,
}

impl Plane {
    /// A plane of zeros.
    pub fn new(width: usize, height: usize) -> Self {
        Self { width, height, data: vec![0.0; width * height] }
    }

    /// Width in pixels.
    pub const fn width(&self) -> usize {
        self.width
    }

    /// Height in pixels.
    pub const fn height(&self) -> usize {
        self.height
    }

    /// All values, row by row.
    pub fn values(&self) -> &[f32] {
        &self.data
    }

    /// All values, to be written.
    pub fn values_mut(&mut self) -> &mut [f32] {
        &mut self.data
    }

    /// Row `y`; rows beyond the last are the last. Empty when the plane is.
    pub fn row(&self, y: usize) -> &[f32] {
        let y = y.min(self.height.saturating_sub(1));
        self.data.get(y * self.width..(y + 1) * self.width).unwrap_or(&[])
    }

    /// Row `y`, to be written; empty when there is no such row.
    pub fn row_mut(&mut self, y: usize) -> &mut [f32] {
        self.data.get_mut(y * self.width..(y + 1) * self.width).unwrap_or(&mut [])
    }

    /// Gives the plane this size, reusing its memory; the content is unspecified afterwards.
    pub fn resize(&mut self, width: usize, height: usize) {
        (self.width, self.height) = (width, height);
        self.data.resize(width * height, 0.0);
    }
}
