//! Scenes of moving faces, in light: inverse warp of the portraits before a still background.

mod room;

use super::au::{Activation, Displacements};
use super::field::{Fields, Heights};
use super::lids::Eye;
use super::motion::{Pose, Projection};
use super::portrait::Portrait;
use super::texture::{Plane, Texture, Weights};
use crate::geometry::{Iod, Px};
use crate::landmarks::PerLandmark;
use room::background;

/// Spacing of the nodes at which the warp is inverted, in output pixels.
const STEP: usize = 4;
/// Steps of the fixed-point inversion at the first node of a row and at its successors; each step leaves less than
/// a quarter of the error.
const FIRST_STEPS: usize = 7;
const STEPS: usize = 3;
/// Below this closure the lids are as good as open.
const OPEN: f32 = 1e-3;

/// A face in the picture: its portrait, its place and what is behind it.
#[derive(Debug, Clone)]
struct Puppet {
    portrait: Portrait,
    texture: Texture,
    fields: Fields,
    eyes: [Eye; 2],
    depth: Heights,
    /// Place at rest.
    rest: Projection,
    /// Place now.
    now: Projection,
    centre: Px,
    iod: f32,
    /// Moving region: first column and row, columns and rows.
    region: [usize; 4],
    /// The picture without this face in the region.
    behind: Vec<f32>,
    /// Texture places of the nodes.
    nodes: Vec<[f32; 2]>,
    /// Nodes of one row, interpolated.
    line: Vec<[f32; 2]>,
}

impl Puppet {
    /// Texture pixel seen at every node.
    fn invert(&mut self) {
        let now = self.now;
        let [x0, y0, width, height] = self.region;
        let (columns, rows) = (width / STEP + 2, height / STEP + 2);
        let mut nodes = std::mem::take(&mut self.nodes);
        nodes.clear();
        let scale = 1.0 / self.iod;
        for j in 0..rows {
            // Beside a solved node the warp is nearly the same: its correction starts the next one.
            let mut correction = Iod::default();
            for i in 0..columns {
                let q = Px::new((x0 + i * STEP) as f32, (y0 + j * STEP) as f32);
                let guess = self.rest.unproject(q);
                let mut p = guess + correction;
                for _ in 0..if i == 0 { FIRST_STEPS } else { STEPS } {
                    let error = q - self.forward(&now, p);
                    p += Iod::new(error.x * scale, error.y * scale);
                }
                correction = p - guess;
                nodes.push(self.texture.place(p));
            }
        }
        self.nodes = nodes;
    }

    /// The pixel at which the point `p` of the neutral portrait is seen, lids aside.
    fn forward(&self, now: &Projection, p: Iod) -> Px {
        let moved = p + self.fields.at(p);
        let w = self.portrait.follows(p);
        if w <= 0.0 {
            return self.rest.apply(moved, 0.0);
        }
        let head = now.apply(moved, self.depth.at(p));
        if w >= 1.0 { head } else { head * w + self.rest.apply(moved, 0.0) * (1.0 - w) }
    }

    /// The point of the neutral portrait that is seen at the pixel `q`, lids aside.
    fn skin(&self, q: Px) -> Iod {
        let scale = 1.0 / self.iod;
        let mut p = self.rest.unproject(q);
        for _ in 0..2 * FIRST_STEPS {
            let error = q - self.forward(&self.now, p);
            p += Iod::new(error.x * scale, error.y * scale);
        }
        p
    }

    fn landmarks(&self, closure: f32) -> PerLandmark<Px> {
        let mut points = *self.portrait.landmarks();
        if closure > OPEN {
            self.eyes.iter().for_each(|e| e.close(closure, &mut points));
        }
        points.map(|p| self.forward(&self.now, p))
    }

    /// Draws the region into `canvas`.
    fn draw(&mut self, weights: &Weights, closure: f32, canvas: &mut Plane) {
        let [x0, y0, width, height] = self.region;
        let columns = width / STEP + 2;
        let shut = closure > OPEN;
        let soft = 0.25 / self.iod;
        let boxes = self.eyes.each_ref().map(|e| {
            let [l, t, r, b] = e.bounds();
            let (p, q) = (self.texture.place(Iod::new(l, t)), self.texture.place(Iod::new(r, b)));
            [p[0], p[1], q[0], q[1]]
        });
        for j in 0..height {
            let f = (j % STEP) as f32 / STEP as f32;
            let (Some(above), Some(below)) =
                (self.nodes.chunks_exact(columns).nth(j / STEP), self.nodes.chunks_exact(columns).nth(j / STEP + 1))
            else {
                return;
            };
            self.line.clear();
            self.line
                .extend(above.iter().zip(below).map(|(a, b)| [a[0] + (b[0] - a[0]) * f, a[1] + (b[1] - a[1]) * f]));
            let start = (y0 + j) * canvas.width + x0;
            let (Some(row), Some(behind)) =
                (canvas.data.get_mut(start..start + width), self.behind.get(j * width..(j + 1) * width))
            else {
                return;
            };
            for ((cells, out), back) in self.line.windows(2).zip(row.chunks_mut(STEP)).zip(behind.chunks(STEP)) {
                let &[a, b] = cells else { continue };
                for (i, (v, &bg)) in out.iter_mut().zip(back).enumerate() {
                    let g = i as f32 / STEP as f32;
                    let at = [a[0] + (b[0] - a[0]) * g, a[1] + (b[1] - a[1]) * g];
                    let inside = |b: &[f32; 4]| at[0] >= b[0] && at[0] <= b[2] && at[1] >= b[1] && at[1] <= b[3];
                    let eye = if shut { boxes.iter().position(inside) } else { None };
                    let seen =
                        eye.and_then(|k| self.eyes.get(k)).and_then(|e| e.seen(self.texture.point(at), closure, soft));
                    *v = match seen {
                        None => self.texture.over(weights, at, bg),
                        Some(seen) => {
                            let first = self.texture.over(weights, self.texture.place(seen.point), bg);
                            seen.other.map_or(first, |(p, share)| {
                                let second = self.texture.over(weights, self.texture.place(p), bg);
                                first + (second - first) * share
                            })
                        }
                    };
                }
            }
        }
    }
}

/// Renders faces into scenes of light.
#[derive(Debug, Clone)]
pub(crate) struct Renderer {
    canvas: Plane,
    puppets: Vec<Puppet>,
    weights: Weights,
    /// Mean of several scenes: motion blur.
    sum: Plane,
}

/// Where a portrait stands and moves: its displacements, the middle of its eyes, and the pixels between them.
pub(crate) type Placement = (Portrait, Displacements, Px, f32);

impl Renderer {
    /// Places portraits in a picture. `motion` scales the room that is kept for head motion.
    pub(crate) fn new(width: usize, height: usize, placements: Vec<Placement>, motion: f32, seed: u64) -> Self {
        let weights = Weights::new();
        let background = background(width, height, seed);
        let mut puppets: Vec<Puppet> = placements
            .into_iter()
            .map(|(portrait, displacements, centre, iod)| {
                let view = [
                    -centre.x / iod - 0.3,
                    -centre.y / iod - 0.3,
                    (width as f32 - centre.x) / iod + 0.3,
                    (height as f32 - centre.y) / iod + 0.3,
                ];
                let room = 0.08 + 0.22 * motion;
                let [l, t, r, b] = portrait.moving();
                let clip = |v: f32, most: usize| v.clamp(0.0, most as f32) as usize;
                let (x0, x1) = (
                    clip(centre.x + (l - room) * iod, width.saturating_sub(1)),
                    clip(centre.x + (r + room) * iod, width),
                );
                let (y0, y1) =
                    (clip(centre.y + (t - room) * iod, height.saturating_sub(1)), clip(centre.y + b * iod, height));
                Puppet {
                    texture: portrait.texture(iod, view, &weights),
                    fields: Fields::new(portrait.landmarks(), &displacements),
                    eyes: Eye::both(portrait.landmarks()),
                    depth: Heights::new(),
                    portrait,
                    rest: Projection::new(&Pose::default(), centre, iod),
                    now: Projection::new(&Pose::default(), centre, iod),
                    centre,
                    iod,
                    region: [x0, y0, x1.saturating_sub(x0), y1.saturating_sub(y0)],
                    behind: Vec::new(),
                    nodes: Vec::new(),
                    line: Vec::new(),
                }
            })
            .collect();
        for k in 0..puppets.len() {
            let scene =
                still(&background, puppets.iter().enumerate().filter(|(i, _)| *i != k).map(|(_, p)| p), &weights);
            if let Some(p) = puppets.get_mut(k) {
                let [x0, y0, w, h] = p.region;
                p.behind = (0..h).flat_map(|j| scene.data[(y0 + j) * width + x0..][..w].iter().copied()).collect();
            }
        }
        let canvas = still(&background, puppets.iter(), &weights);
        Self { canvas, puppets, weights, sum: Plane::default() }
    }

    /// Draws the scene, and the true landmarks of every face into `truth`.
    pub(crate) fn draw(&mut self, faces: &[(Pose, Activation)], truth: &mut Vec<PerLandmark<Px>>) {
        truth.clear();
        self.pose(faces);
        for (puppet, (_, activation)) in self.puppets.iter_mut().zip(faces) {
            puppet.invert();
            puppet.draw(&self.weights, activation.lids, &mut self.canvas);
            truth.push(puppet.landmarks(activation.lids));
        }
    }

    /// Poses the faces without drawing them, for [`Self::skin`] and [`Self::seen`].
    pub(crate) fn pose(&mut self, faces: &[(Pose, Activation)]) {
        for (puppet, (pose, activation)) in self.puppets.iter_mut().zip(faces) {
            puppet.now = Projection::new(pose, puppet.centre, puppet.iod);
            puppet.fields.set(activation);
        }
    }

    /// The point of face number `face` that is seen at the pixel `q`, as it lies in the neutral face at rest.
    pub(crate) fn skin(&self, face: usize, q: Px) -> Option<Iod> {
        Some(self.puppets.get(face)?.skin(q))
    }

    /// The pixel at which a point of a face is seen.
    pub(crate) fn seen(&self, face: usize, p: Iod) -> Option<Px> {
        let puppet = self.puppets.get(face)?;
        Some(puppet.forward(&puppet.now, p))
    }

    /// Adds the drawn scene to the exposure as number `k` (from 0) of `n`.
    pub(crate) fn add_to_exposure(&mut self, k: usize, n: usize) {
        if k == 0 {
            (self.sum.width, self.sum.height) = (self.canvas.width, self.canvas.height);
            self.sum.data.clear();
            self.sum.data.resize(self.canvas.data.len(), 0.0);
        }
        let share = 1.0 / n.max(1) as f32;
        self.sum.data.iter_mut().zip(&self.canvas.data).for_each(|(s, v)| *s += share * v);
    }

    /// The scene drawn last.
    pub(crate) const fn scene(&self) -> &Plane {
        &self.canvas
    }

    /// The mean of the scenes of the exposure.
    pub(crate) const fn exposure(&self) -> &Plane {
        &self.sum
    }
}

/// The scene with some faces at rest.
fn still<'a>(background: &Plane, puppets: impl Iterator<Item = &'a Puppet>, weights: &Weights) -> Plane {
    let mut scene = background.clone();
    for p in puppets {
        for (k, v) in scene.data.iter_mut().enumerate() {
            let q = Px::new((k % background.width) as f32, (k / background.width) as f32);
            *v = p.texture.over(weights, p.texture.place(p.rest.unproject(q)), *v);
        }
    }
    scene
}

#[cfg(test)]
mod tests;
