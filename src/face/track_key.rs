//! Key pictures: what the landmarks looked like, and the templates made from that.

use super::lk::Bank;
use super::track_config::TrackerConfig;
use super::track_fit::{inverse, product};
use crate::geometry::{FaceFrame, Iod, Pixels, Px, Rect, Roi, Similarity};
use crate::image::{NormaliseScale, Pyramid, Region, patch};
use crate::landmarks::{COUNT, PerLandmark, face_frame, iod};
use crate::time::Timestamp;

/// The size at which a face is worked on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Working {
    /// Picture pixels per working pixel.
    pub factor: i32,
    /// Inter-ocular distance in working pixels.
    pub iod: f32,
    /// Pyramid levels.
    pub levels: usize,
    /// Width of the region in working pixels.
    pub width: usize,
    /// Height of the region in working pixels.
    pub height: usize,
    /// Contrast normalisation.
    pub normalise: NormaliseScale,
    /// Regions begin on multiples of this many working pixels.
    pub grid: i32,
}

impl Working {
    /// For the face with these landmarks; `None` when they do not make a face.
    pub fn of(points: &PerLandmark<Px>, config: &TrackerConfig) -> Option<Self> {
        let iod_px = iod(points);
        if !(iod_px.is_finite() && (4.0..20_000.0).contains(&iod_px) && points.iter().all(|p| p.is_finite())) {
            return None;
        }
        let factor = (iod_px / config.full_resolution_iod_px).ceil().max(1.0);
        let iod = iod_px / factor;
        let mut levels = 1;
        while levels < config.levels && iod / (1 << levels) as f32 >= 16.0 {
            levels += 1;
        }
        let normalise = NormaliseScale {
            mean_sigma: config.mean_sigma_iod * iod,
            spread_sigma: config.spread_sigma_iod * iod,
            floor: config.noise_floor,
            step: NormaliseScale::step_for(config.mean_sigma_iod * iod),
        };
        let grid = normalise.step.max(1 << (levels - 1));
        // room for the windows, for the statistics of the normalisation and for motion until the region is moved
        let margin = 0.45 * iod_px;
        let bounds = followed_bounds(points, config);
        let side = |length: f32| {
            let pixels = ((length + 2.0 * margin) / factor).clamp(16.0, 2000.0) as usize;
            pixels.next_multiple_of(grid * 2)
        };
        let (width, height) = (side(bounds.width), side(bounds.height));
        Some(Self { factor: factor as i32, iod, levels, width, height, normalise, grid: grid as i32 })
    }

    /// The region around the face.
    pub fn region(&self, points: &PerLandmark<Px>, config: &TrackerConfig) -> Region {
        Region::around(followed_bounds(points, config).centre(), self.width, self.height, self.factor, self.grid)
    }

    /// Side and standard deviation of a window of level 0, in working pixels.
    fn fine_window(&self, width_iod: f32) -> (usize, f32) {
        let width = width_iod * self.iod;
        (multiple_of_4(width).clamp(8, 40), width / 4.0)
    }

    /// Side and standard deviation of the window of a coarse level, in pixels of the level. Coarse levels only lead
    /// the way: they must catch what moves, not measure it.
    fn coarse_window(&self, level: usize, config: &TrackerConfig) -> (usize, f32) {
        let size = multiple_of_4(1.6 * config.window_iod * self.iod / (1 << level) as f32).clamp(12, 20);
        (size, size as f32 / 4.0)
    }

    /// Working pixels of `level` in picture pixels.
    pub const fn pixel(&self, level: usize) -> f32 {
        (self.factor * (1 << level)) as f32
    }
}

fn multiple_of_4(width: f32) -> usize {
    (width / 4.0).round() as usize * 4
}

/// Landmarks on bare skin over bone: the bridge of the nose. They have little structure and no movement of their own,
/// so a wide window costs nothing and steadies them.
const fn is_bare(i: usize) -> bool {
    matches!(i, 27..=30)
}

/// First landmark that is followed by Lucas-Kanade.
pub const fn first_followed(config: &TrackerConfig) -> usize {
    if config.contour { 0 } else { 17 }
}

fn followed_bounds(points: &PerLandmark<Px>, config: &TrackerConfig) -> Rect {
    Rect::around(points[first_followed(config)..].iter().copied())
}

/// A key picture.
#[derive(Debug, Clone)]
pub struct Key {
    /// The contrast-normalised region.
    pub pyramid: Pyramid,
    /// Where the patches lie in the key picture, in picture pixels.
    pub points: PerLandmark<Px>,
    /// From the key picture to the face frame.
    pub to_face: Similarity<Pixels, FaceFrame>,
    /// The way back.
    pub from_face: Similarity<FaceFrame, Pixels>,
    /// What has to be added to the place of the patch to have the landmark, in the face frame.
    pub offset: PerLandmark<Iod>,
    /// Where the offset is going, slowly.
    pub target: PerLandmark<Iod>,
    /// Where the landmark network looked, in the key picture.
    pub roi: Roi,
    /// When it was last in use.
    pub used: Timestamp,
}

impl Key {
    /// A key picture from a pyramid; `None` when the points do not make a face.
    pub fn new(pyramid: Pyramid, points: &PerLandmark<Px>, roi: Roi, time: Timestamp) -> Option<Self> {
        let to_face = face_frame(points)?;
        let zero = [Iod::default(); COUNT];
        let from_face = to_face.inverse()?;
        Some(Self { pyramid, points: *points, to_face, from_face, offset: zero, target: zero, roi, used: time })
    }

    /// Inter-ocular distance in the key picture, in pixels.
    pub fn iod_px(&self) -> f32 {
        self.from_face.scale()
    }
}

/// How the face has been turned, scaled and foreshortened since the key picture: a 2 x 2 matrix.
pub type View = [[f32; 2]; 2];

/// The view in which the face looks as in its key picture.
pub const SAME_VIEW: View = [[1.0, 0.0], [0.0, 1.0]];

/// Templates of all landmarks at all levels, seen as the face is seen now.
#[derive(Debug, Clone, Default)]
pub struct Templates {
    fine: Bank,
    bare: Bank,
    coarse: Vec<Bank>,
    /// The view they were made for.
    view: View,
}

impl Templates {
    /// The templates to measure landmark `i` with, at level 0.
    pub const fn fine(&self, i: usize) -> &Bank {
        if is_bare(i) { &self.bare } else { &self.fine }
    }

    /// The templates of all landmarks at a level from 1 on.
    pub fn coarse(&self, level: usize) -> Option<&Bank> {
        self.coarse.get(level.checked_sub(1)?)
    }

    /// Makes the templates of the followed landmarks, seen in this view.
    pub fn render(&mut self, key: &Key, view: &View, working: &Working, config: &TrackerConfig) {
        let (size, sigma) = working.fine_window(config.window_iod);
        self.fine.reset(COUNT, size, sigma, true);
        let (size, sigma) = working.fine_window(config.bare_window_iod);
        self.bare.reset(COUNT, size, sigma, true);
        self.coarse.resize_with(working.levels - 1, Bank::default);
        for (l, bank) in self.coarse.iter_mut().enumerate() {
            let (size, sigma) = working.coarse_window(l + 1, config);
            bank.reset(COUNT, size, sigma, false);
        }
        self.view = *view;
        for i in first_followed(config)..COUNT {
            self.render_point(i, key, working);
        }
    }

    /// Makes the templates of one landmark anew, after its place in the key picture has changed.
    pub fn render_point(&mut self, i: usize, key: &Key, working: &Working) {
        let Some(back) = inverse(&self.view) else { return };
        let fine = if is_bare(i) { &mut self.bare } else { &mut self.fine };
        render_one(fine, 0, i, key, &back, working);
        for (l, bank) in self.coarse.iter_mut().enumerate() {
            render_one(bank, l + 1, i, key, &back, working);
        }
    }

    /// Whether the view has changed by more than the templates stand.
    pub fn stale(&self, view: &View, config: &TrackerConfig) -> bool {
        let Some(back) = inverse(&self.view) else { return true };
        let m = product(view, &back);
        let turn = (m[1][0] - m[0][1]).atan2(m[0][0] + m[1][1]).abs();
        let stretch = (m[0][0] - 1.0).abs().max((m[1][1] - 1.0).abs()).max((m[0][1] + m[1][0]).abs() / 2.0);
        turn > config.turn_deg.to_radians() || !(stretch <= config.zoom)
    }
}

/// Makes one template; `back` leads from what is seen now to the key picture.
fn render_one(bank: &mut Bank, level: usize, i: usize, key: &Key, back: &View, working: &Working) {
    // a face that has grown since may use more levels than its key picture has: then the coarsest serves
    let key_level = level.min(key.pyramid.levels().len().saturating_sub(1));
    let Some(plane) = key.pyramid.levels().get(key_level) else { return };
    let shrink = (1 << key_level) as f32;
    let ratio = working.pixel(level) / (key.pyramid.region().factor as f32 * shrink);
    let place = key.pyramid.region().to_region(key.points[i]).map(|c| c / shrink);
    let side = bank.side();
    let warp = patch::Warp::around(place, back.map(|row| row.map(|v| v * ratio)), side);
    patch::cubic(plane, &warp, side, bank.context_mut(i));
    bank.prepare(i);
}
