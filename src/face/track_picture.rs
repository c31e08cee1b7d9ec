//! Key pictures: what the landmarks looked like, and the templates made from that.
//!
//! Each landmark has its patch in one of a few key pictures. A picture knows how the face was seen in it, so the patch
//! can be drawn as it looks now.

use super::lk::Bank;
use super::track_config::TrackerConfig;
use super::track_fit::{inverse, product};
use crate::geometry::{Iod, Px, Rect};
use crate::image::{NormaliseScale, Pyramid, Region, patch};
use crate::landmarks::{COUNT, PerLandmark, iod};
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

/// How a face is seen: the 2 x 2 matrix from the face frame to picture pixels (turn, size, foreshortening).
pub type View = [[f32; 2]; 2];

/// The length of an IOD in pixels in a view: the square root of its determinant.
pub fn view_scale(view: &View) -> f32 {
    (view[0][0] * view[1][1] - view[0][1] * view[1][0]).abs().sqrt()
}

/// A picture in which landmarks have their patches.
#[derive(Debug, Clone)]
pub struct Picture {
    /// The contrast-normalised region.
    pub pyramid: Pyramid,
    /// How the face was seen in it.
    pub view: View,
    /// Where the patches lie in it, in its pixels; `None` for landmarks that were not seen.
    pub patches: PerLandmark<Option<Px>>,
    /// Landmark less patch, in the face frame.
    pub offset: PerLandmark<Iod>,
    /// When a landmark last had its patch here.
    pub used: Timestamp,
}

/// Templates of all landmarks at all levels, drawn as the face is seen now.
#[derive(Debug, Clone, Default)]
pub struct Templates {
    fine: Bank,
    bare: Bank,
    coarse: Vec<Bank>,
    /// One template, to try another patch.
    trial: Bank,
    /// The view they were drawn for.
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

    /// The template drawn by [`Self::render_trial`], as number 0.
    pub const fn trial(&self) -> &Bank {
        &self.trial
    }

    /// Draws the templates of the followed landmarks, each from the picture that `source` names, as seen in `view`.
    pub fn render(
        &mut self,
        pictures: &[Picture],
        source: &PerLandmark<usize>,
        view: &View,
        working: &Working,
        config: &TrackerConfig,
    ) {
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
            if let Some(picture) = pictures.get(source[i]) {
                self.render_point(i, picture, working);
            }
        }
    }

    /// Draws the templates of one landmark anew, after it has got another patch.
    pub fn render_point(&mut self, i: usize, picture: &Picture, working: &Working) {
        let Some(back) = inverse(&self.view).map(|b| product(&picture.view, &b)) else { return };
        let fine = if is_bare(i) { &mut self.bare } else { &mut self.fine };
        render_one(fine, i, 0, i, picture, &back, working);
        for (l, bank) in self.coarse.iter_mut().enumerate() {
            render_one(bank, i, l + 1, i, picture, &back, working);
        }
    }

    /// Draws the patch that landmark `i` has in `picture`, as seen in `view`, for [`Self::trial`].
    pub fn render_trial(
        &mut self,
        i: usize,
        picture: &Picture,
        view: &View,
        working: &Working,
        config: &TrackerConfig,
    ) {
        let (size, sigma) = working.fine_window(config.window_iod);
        self.trial.reset(1, size, sigma, true);
        let Some(back) = inverse(view).map(|b| product(&picture.view, &b)) else { return };
        render_one(&mut self.trial, 0, 0, i, picture, &back, working);
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

/// Draws template `slot` of a level: the patch of landmark `i`; `back` leads from what is seen now to the picture.
fn render_one(bank: &mut Bank, slot: usize, level: usize, i: usize, picture: &Picture, back: &View, working: &Working) {
    // a face that has grown since may use more levels than its picture has: then the coarsest serves
    let own_level = level.min(picture.pyramid.levels().len().saturating_sub(1));
    let (Some(plane), Some(patch)) = (picture.pyramid.levels().get(own_level), picture.patches[i]) else {
        return bank.clear(slot);
    };
    let shrink = (1 << own_level) as f32;
    let ratio = working.pixel(level) / (picture.pyramid.region().factor as f32 * shrink);
    let place = picture.pyramid.region().to_region(patch).map(|c| c / shrink);
    let side = bank.side();
    let warp = patch::Warp::around(place, back.map(|row| row.map(|v| v * ratio)), side);
    patch::cubic(plane, &warp, side, bank.context_mut(slot));
    bank.prepare(slot);
}
