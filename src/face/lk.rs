//! Lucas-Kanade: where a small patch of the key picture lies in the current one, to hundredths of a pixel.
//!
//! Inverse compositional (Baker and Matthews, "Lucas-Kanade 20 Years On", IJCV 2004): gradients and Hessian belong to
//! the template and are computed once. The window is Gaussian, so that what is next to a landmark counts less than the
//! landmark. A constant difference between template and picture is solved for and drops out, because the weighted
//! gradients are made to sum to zero.
//!
//! The picture is interpolated bilinearly. Between four pixels the right-hand side of the normal equations is then
//! itself bilinear in the position, so four correlations per gradient (one per neighbour) describe it for a whole cell
//! of one pixel, and all iterations within the cell are free.

mod sums;
mod window;

use crate::image::{Plane, patch};
use sums::{cell, cells, dot, dot3, multiply, subtract, sums};
use window::MAX_SIZE;
pub use window::Window;

/// Squared gradient, in the mean over the window, without which a template says nothing.
const MIN_STRUCTURE: f32 = 1e-4;
/// A step below this many pixels ends the iteration.
const CONVERGED: f32 = 0.002;
/// Cells of one pixel that one search may visit.
const MAX_CELLS: usize = 12;
/// Steps within one cell.
const MAX_STEPS: usize = 12;
/// Pixels of context kept around a template for the backward check.
const CONTEXT: usize = 4;
/// Pixels of context that the gradients need.
const RIM: usize = 1;

/// What belongs to one template beside its pixels.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Normal {
    /// Hessian: xx, xy, yy.
    hessian: [f32; 3],
    /// The right-hand side that the template itself gives.
    own: [f32; 2],
    /// Weighted variance of the template.
    variance: f32,
    /// Smaller eigenvalue of the Hessian over the sum of the weights: squared gradient along the weaker axis.
    stiffness: f32,
    /// The same along the stronger axis.
    strongest: f32,
    /// Where the window looks.
    cells: Cells,
}

/// Cells along one side of a window.
const CELLS: usize = 3;

/// A part of a window: where its gradients lie, from the middle of the window in pixels, and its share of the Hessian (xx,
/// xy, yy).
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Cell {
    /// The middle of its squared gradients.
    pub at: [f32; 2],
    /// Its share of the Hessian.
    pub hessian: [f32; 3],
}

/// The parts of a window.
pub type Cells = [Cell; CELLS * CELLS];

/// The templates of all points at one pyramid level.
#[derive(Debug, Clone, Default)]
pub struct Bank {
    window: Window,
    /// For each point: weighted centred x gradients, y gradients, weighted centred values.
    data: Vec<f32>,
    normal: Vec<Normal>,
    /// For each point the pixels, with `margin` more on each side.
    context: Vec<f32>,
    margin: usize,
}

/// Buffers of searches.
#[derive(Debug, Clone, Default)]
pub struct Scratch {
    patch: Vec<f32>,
    around: Vec<f32>,
    back: Bank,
    context: Plane,
}

/// Where a patch is believed to be before the picture is asked.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Belief {
    /// The place, in pixels of the plane.
    pub at: [f32; 2],
    /// Its standard deviation, in pixels.
    pub deviation: f32,
    /// Variance of the difference of template and picture, in squared units of the plane.
    pub noise: f32,
}

/// How well a template agrees with the picture at a place.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Match {
    /// Weighted correlation of the template with the picture, -1 to 1.
    pub correlation: f32,
    /// Standard deviation of the position along its worse axis that the residual and the gradients predict, in pixels.
    pub deviation: f32,
    /// Weighted variance of the difference of template and picture.
    pub residual: f32,
}

impl Bank {
    /// Makes room for `points` templates with this window. Only with `backward` can [`Self::backward`] be used.
    pub fn reset(&mut self, points: usize, size: usize, sigma: f32, backward: bool) {
        self.window.set(size, sigma);
        self.margin = if backward { CONTEXT } else { RIM };
        let n = self.window.size;
        self.data.resize(points * 3 * n * n, 0.0);
        self.normal.clear();
        self.normal.resize(points, Normal::default());
        self.context.resize(points * self.side() * self.side(), 0.0);
    }

    /// The window of this level.
    pub const fn window(&self) -> &Window {
        &self.window
    }

    /// Side of a template with its context, in pixels.
    pub const fn side(&self) -> usize {
        self.window.size + 2 * self.margin
    }

    /// The pixels of template `i` with its context, `side()` x `side()`, to be written before [`Self::prepare`].
    pub fn context_mut(&mut self, i: usize) -> &mut [f32] {
        let n = self.side() * self.side();
        self.context.get_mut(i * n..(i + 1) * n).unwrap_or(&mut [])
    }

    /// Makes template `i` one that is found nowhere.
    pub fn clear(&mut self, i: usize) {
        if let Some(normal) = self.normal.get_mut(i) {
            *normal = Normal::default();
        }
    }

    /// Computes gradients and Hessian of template `i` from its context.
    pub fn prepare(&mut self, i: usize) {
        let (side, margin) = (self.side(), self.margin);
        let (n, m) = (self.window.size, self.window.size * self.window.size);
        let Some(context) = self.context.get(i * side * side..(i + 1) * side * side) else { return };
        let Some(data) = self.data.get_mut(i * 3 * m..(i + 1) * 3 * m) else { return };
        let (gx, rest) = data.split_at_mut(m);
        let (gy, centred) = rest.split_at_mut(m);
        let weights = &self.window.weights;
        for v in 0..n {
            let y = (v + margin) * side + margin;
            let at = |y: usize, x: usize| &context[y + x - 1..][..n];
            let (a0, a1, a2) = (at(y - side, 0), at(y - side, 1), at(y - side, 2));
            let (b0, b1, b2) = (at(y, 0), at(y, 1), at(y, 2));
            let (c0, c1, c2) = (at(y + side, 0), at(y + side, 1), at(y + side, 2));
            let line = v * n..(v + 1) * n;
            // into rows of their own: the compiler then knows that nothing overlaps, and uses whole registers
            let (mut row_x, mut row_y) = ([0f32; MAX_SIZE], [0f32; MAX_SIZE]);
            for u in 0..n {
                // derivative along one axis, the binomial 1 2 1 along the other
                row_x[u] = (2.0 * (b2[u] - b0[u]) + a2[u] - a0[u] + c2[u] - c0[u]) * 0.125;
                row_y[u] = (2.0 * (c1[u] - a1[u]) + c0[u] - a0[u] + c2[u] - a2[u]) * 0.125;
            }
            gx[line.clone()].copy_from_slice(&row_x[..n]);
            gy[line.clone()].copy_from_slice(&row_y[..n]);
            centred[line].copy_from_slice(b1);
        }
        let total = self.window.total;
        let mean = |values: &[f32]| dot(values, weights) / total;
        let (mean_x, mean_y, mean_c) = (mean(gx), mean(gy), mean(centred));
        subtract(gx, mean_x);
        subtract(gy, mean_y);
        subtract(centred, mean_c);
        let cells = cells(gx, gy, weights, n);
        // the Hessian, and what the template itself gives on the right-hand side (its mean does not count there)
        let (xx, xy, yy) = (dot3(weights, gx, gx), dot3(weights, gx, gy), dot3(weights, gy, gy));
        let (own_x, own_y) = (dot3(weights, gx, centred), dot3(weights, gy, centred));
        let variance = dot3(weights, centred, centred);
        multiply(gx, weights);
        multiply(gy, weights);
        multiply(centred, weights);
        let own = [own_x, own_y];
        let (half, apart) = ((xx + yy) / 2.0, ((xx - yy).powi(2) / 4.0 + xy * xy).sqrt());
        self.normal[i] = Normal {
            hessian: [xx, xy, yy],
            own,
            variance: variance / total,
            stiffness: ((half - apart) / total).max(0.0),
            strongest: (half + apart) / total,
            cells,
        };
    }

    /// Looks for template `i` in `plane`, from `start` on, at most `reach` pixels away (positions are of the middle of
    /// the window, in pixels of the plane). `None` when the template has no structure or the search runs away.
    ///
    /// Along an edge a patch could slide anywhere. There, and only as far as the picture does not say otherwise, the
    /// `belief` decides.
    pub fn search(
        &self,
        i: usize,
        plane: &Plane,
        start: [f32; 2],
        belief: Option<&Belief>,
        reach: f32,
        scratch: &mut Scratch,
    ) -> Option<[f32; 2]> {
        let normal = *self.normal.get(i)?;
        if !(start[0].is_finite() && start[1].is_finite()) {
            return None;
        }
        // noise over the square of the belief's width: both as in the normal equations of a maximum a posteriori
        let (pull, believed) = belief.map_or((0.0, start), |b| {
            (b.noise.max(0.0) * self.window.share / (b.deviation * b.deviation).max(1e-9), b.at)
        });
        let [xx, xy, yy] = [normal.hessian[0] + pull, normal.hessian[1], normal.hessian[2] + pull];
        let held = pull > 0.0 || normal.stiffness > MIN_STRUCTURE;
        let determinant = xx * yy - xy * xy;
        if !(held && normal.strongest > MIN_STRUCTURE && determinant > 0.0) {
            return None;
        }
        let inverse = [yy / determinant, -xy / determinant, xx / determinant];
        let (n, m) = (self.window.size, self.window.size * self.window.size);
        let data = self.data.get(i * 3 * m..(i + 1) * 3 * m)?;
        let (gx, gy) = (&data[..m], &data[m..2 * m]);
        let middle = self.window.middle();
        let (mut x, mut y) = (start[0] - middle, start[1] - middle);
        let mut last = f32::INFINITY;
        for _ in 0..MAX_CELLS {
            let (cx, cy) = (x.floor(), y.floor());
            let taps = cell(plane, cx, cy, n, gx, gy, &mut scratch.around);
            for _ in 0..MAX_STEPS {
                let (fx, fy) = (x - cx, y - cy);
                let k = [(1.0 - fx) * (1.0 - fy), fx * (1.0 - fy), (1.0 - fx) * fy, fx * fy];
                let bx = k[0] * taps[0][0] + k[1] * taps[0][1] + k[2] * taps[0][2] + k[3] * taps[0][3] - normal.own[0];
                let by = k[0] * taps[1][0] + k[1] * taps[1][1] + k[2] * taps[1][2] + k[3] * taps[1][3] - normal.own[1];
                let (bx, by) = (bx + pull * (x + middle - believed[0]), by + pull * (y + middle - believed[1]));
                let dx = inverse[0] * bx + inverse[1] * by;
                let dy = inverse[1] * bx + inverse[2] * by;
                // a step longer than the linearisation holds would leap over the right place
                last = (dx * dx + dy * dy).sqrt();
                let shorten = (1.5 / last.max(1e-9)).min(1.0);
                (x, y) = (x - dx * shorten, y - dy * shorten);
                if last < CONVERGED {
                    break;
                }
                // a little outside of the cell its own polynomial still serves, which ends hopping at cell borders
                if !((-0.02..=1.02).contains(&(x - cx)) && (-0.02..=1.02).contains(&(y - cy))) {
                    break;
                }
            }
            let (ox, oy) = (x + middle - start[0], y + middle - start[1]);
            if !(ox * ox + oy * oy <= reach * reach) {
                return None;
            }
            if last < CONVERGED {
                break;
            }
        }
        (last < 0.05).then_some([x + middle, y + middle])
    }

    /// Where in its window template `i` looks: what moves there is what a search reads, each part by its share.
    pub fn cells(&self, i: usize) -> Cells {
        self.normal.get(i).map_or([Cell::default(); CELLS * CELLS], |n| n.cells)
    }

    /// How well template `i` agrees with `plane` at `place`.
    pub fn compare(&self, i: usize, plane: &Plane, place: [f32; 2], scratch: &mut Scratch) -> Match {
        let (n, m) = (self.window.size, self.window.size * self.window.size);
        let (Some(normal), Some(data)) = (self.normal.get(i), self.data.get(i * 3 * m..(i + 1) * 3 * m)) else {
            return Match::default();
        };
        scratch.patch.resize(m, 0.0);
        let middle = self.window.middle();
        patch::bilinear(plane, place[0] - middle, place[1] - middle, n, &mut scratch.patch);
        let (sum, squares) = sums(&scratch.patch, &self.window.weights);
        let common = dot(&scratch.patch, &data[2 * m..]) / self.window.total;
        let mean = sum / self.window.total;
        let variance = (squares / self.window.total - mean * mean).max(0.0);
        let residual = (variance + normal.variance - 2.0 * common).max(0.0);
        let deviation = if normal.stiffness > 0.0 {
            (residual * self.window.share / (self.window.total * normal.stiffness)).sqrt()
        } else {
            f32::INFINITY
        };
        Match { residual, deviation, correlation: common / (variance * normal.variance).sqrt().max(1e-9) }
    }

    /// The way back: takes the picture around `found` as the template and looks for it in the key patch `i`, beginning
    /// `start` pixels away from the right answer, with the same belief (its place does not matter). Returns how far
    /// from the right answer the search ends, in pixels, where a distance along an edge counts only as much as the
    /// edge has structure along itself: what no picture could tell is no error. `None` when the search runs away.
    pub fn backward(
        &self,
        i: usize,
        plane: &Plane,
        found: [f32; 2],
        start: [f32; 2],
        belief: Option<&Belief>,
        scratch: &mut Scratch,
    ) -> Option<f32> {
        let side = self.side();
        if self.margin < CONTEXT {
            return None;
        }
        let key = self.context.get(i * side * side..(i + 1) * side * side)?;
        let mut back = std::mem::take(&mut scratch.back);
        if back.window != self.window || back.normal.len() != 1 {
            back.window.copy(&self.window);
            back.data.resize(3 * self.window.size * self.window.size, 0.0);
            back.normal.resize(1, Normal::default());
            back.margin = RIM;
            back.context.resize(back.side() * back.side(), 0.0);
        }
        let (middle, own) = ((side as f32 - 1.0) / 2.0, (back.side() as f32 - 1.0) / 2.0);
        let own_side = back.side();
        patch::bilinear(plane, found[0] - own, found[1] - own, own_side, &mut back.context);
        back.prepare(0);
        let mut context = std::mem::take(&mut scratch.context);
        context.resize(side, side);
        context.values_mut().copy_from_slice(key);
        let start = [middle + start[0], middle + start[1]];
        let belief = belief.map(|b| Belief { at: [middle; 2], ..*b });
        let end = back.search(0, &context, start, belief.as_ref(), self.margin as f32, scratch);
        (scratch.back, scratch.context) = (back, context);
        let normal = self.normal.get(i)?;
        end.map(|[x, y]| {
            let ([xx, xy, yy], dx, dy) = (normal.hessian, x - middle, y - middle);
            let energy = xx * dx * dx + 2.0 * xy * dx * dy + yy * dy * dy;
            (energy.max(0.0) / (normal.strongest * self.window.total).max(1e-9)).sqrt()
        })
    }
}

#[cfg(test)]
mod tests;
