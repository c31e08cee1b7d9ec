//! Frames of moving faces: inverse warp of the portraits before a still background, then camera noise.

use super::au::Activation;
use super::field::{Fields, Heights};
use super::lids::Eye;
use super::motion::{Pose, Projection};
use super::portrait::Portrait;
use super::random::{Rng, hash, value_noise};
use super::texture::{Plane, Texture, Weights};
use crate::frame::Luma;
use crate::geometry::{Iod, Px};
use crate::landmarks::PerLandmark;

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
    /// Texture pixel seen at every node under `now`.
    fn invert(&mut self, now: &Projection) {
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
                    let error = q - self.forward(now, p);
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

    fn landmarks(&self, now: &Projection, closure: f32) -> PerLandmark<Px> {
        let mut points = *self.portrait.landmarks();
        if closure > OPEN {
            self.eyes.iter().for_each(|e| e.close(closure, &mut points));
        }
        points.map(|p| self.forward(now, p))
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

/// Renders faces into luma frames.
#[derive(Debug, Clone)]
pub(crate) struct Renderer {
    canvas: Plane,
    puppets: Vec<Puppet>,
    weights: Weights,
    noise: CameraNoise,
}

/// Where a portrait stands: middle of the eyes, and pixels between them.
pub(crate) type Placement = (Portrait, Px, f32);

impl Renderer {
    /// Places portraits in a picture. `motion` scales the room that is kept for head motion; `noise` is the standard
    /// deviation of the camera noise at middle grey, in grey levels.
    pub(crate) fn new(
        width: usize,
        height: usize,
        placements: Vec<Placement>,
        motion: f32,
        noise: f32,
        seed: u64,
    ) -> Self {
        let weights = Weights::new();
        let background = background(width, height, seed);
        let mut puppets: Vec<Puppet> = placements
            .into_iter()
            .map(|(portrait, centre, iod)| {
                let view = [
                    -centre.x / iod - 1.0,
                    -centre.y / iod - 1.0,
                    (width as f32 - centre.x) / iod + 1.0,
                    (height as f32 - centre.y) / iod + 1.0,
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
                    fields: Fields::new(portrait.landmarks()),
                    eyes: Eye::both(portrait.landmarks()),
                    depth: Heights::new(),
                    portrait,
                    rest: Projection::new(&Pose::default(), centre, iod),
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
        Self { canvas, puppets, weights, noise: CameraNoise::new(noise, seed, width) }
    }

    /// Renders frame number `frame` into `out` and the true landmarks of every face into `truth`.
    pub(crate) fn render(
        &mut self,
        frame: u64,
        faces: &[(Pose, Activation)],
        out: &mut Luma,
        truth: &mut Vec<PerLandmark<Px>>,
    ) {
        truth.clear();
        for (puppet, (pose, activation)) in self.puppets.iter_mut().zip(faces) {
            let now = Projection::new(pose, puppet.centre, puppet.iod);
            puppet.fields.set(activation);
            puppet.invert(&now);
            puppet.draw(&self.weights, activation.lids, &mut self.canvas);
            truth.push(puppet.landmarks(&now, activation.lids));
        }
        out.resize(self.canvas.width as u32, self.canvas.height as u32);
        self.noise.expose(frame, &self.canvas, out);
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

/// A room out of focus, with the grain of a wall.
fn background(width: usize, height: usize, seed: u64) -> Plane {
    let mut plane = Plane::filled(width, height, 0.0);
    for (k, v) in plane.data.iter_mut().enumerate() {
        let (x, y) = ((k % width) as f32 / 640.0, (k / width) as f32 / 640.0);
        let n = |purpose: u64, f: f32| value_noise(hash(seed, 0xbac6, purpose), x * f, y * f);
        let shelf = 0.5 + 0.5 * (y * 14.0 + 2.0 * n(4, 1.5)).sin();
        *v = 118.0 - 22.0 * y + 22.0 * n(1, 3.0) + 9.0 * n(2, 9.0) + 4.0 * n(3, 60.0) + 8.0 * shelf;
    }
    plane
}

/// Read noise and shot noise: the variance grows with the light.
#[derive(Debug, Clone)]
struct CameraNoise {
    table: Vec<f32>,
    seed: u64,
    sigma: f32,
}

impl CameraNoise {
    fn new(sigma: f32, seed: u64, width: usize) -> Self {
        let mut rng = Rng::new(seed, 0xca3e);
        Self { table: (0..(1 << 16) + width).map(|_| rng.normal()).collect(), seed, sigma }
    }

    fn expose(&self, frame: u64, canvas: &Plane, out: &mut Luma) {
        let (fixed, per_grey) = (0.4 * self.sigma * self.sigma, 0.6 * self.sigma * self.sigma / 128.0);
        let rows = canvas.data.chunks_exact(canvas.width).zip(out.pixels_mut().chunks_exact_mut(canvas.width));
        for (j, (from, to)) in rows.enumerate() {
            let start = (hash(self.seed, frame, j as u64) & 0xffff) as usize;
            let noise = self.table.get(start..start + from.len()).unwrap_or(&[]);
            for ((o, &v), &n) in to.iter_mut().zip(from).zip(noise) {
                *o = (v + n * (fixed + per_grey * v.max(0.0)).sqrt() + 0.5) as u8;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::synth::au::Au;

    const SIZE: usize = 260;
    const IOD: f32 = 60.0;

    fn stage(noise: f32) -> Renderer {
        Renderer::new(SIZE, SIZE, vec![(Portrait::drawn(1), Px::new(130.0, 110.0), IOD)], 1.0, noise, 1)
    }

    fn moved_pose() -> Pose {
        Pose { x: 0.083, y: -0.047, roll: 0.03, yaw: 0.05, pitch: -0.04, scale: 1.015 }
    }

    fn frown() -> Activation {
        let units = vec![(Au::BrowLowerer, 0.3, 0.25), (Au::LipCornerPuller, 0.2, 0.3), (Au::ChinRaiser, 0.2, 0.2)];
        Activation { units, lids: 0.0 }
    }

    fn render(stage: &mut Renderer, pose: Pose, activation: Activation) -> (Luma, PerLandmark<Px>) {
        let (mut luma, mut truth) = (Luma::default(), Vec::new());
        stage.render(0, &[(pose, activation)], &mut luma, &mut truth);
        (luma, truth[0])
    }

    /// Brightness-weighted middle of the marks around `at`, on the difference of two pictures.
    fn centroid(with: &Luma, without: &Luma, at: Px) -> Option<Px> {
        let (mut sum, mut x, mut y) = (0.0, 0.0, 0.0);
        for j in at.y as i32 - 6..=at.y as i32 + 7 {
            for i in at.x as i32 - 6..=at.x as i32 + 7 {
                let value = |l: &Luma| l.row(j as u32).get(i as usize).copied().unwrap_or(0);
                let d = (f32::from(value(with)) - f32::from(value(without))).max(0.0);
                (sum, x, y) = (sum + d, x + d * i as f32, y + d * j as f32);
            }
        }
        (sum > 50.0).then(|| Px::new(x / sum, y / sum))
    }

    #[test]
    fn a_mark_drawn_at_a_landmark_is_seen_where_the_truth_says() {
        // One landmark at a time, so that marks do not run into each other.
        let mut plain = stage(0.0);
        for landmark in [17, 19, 21, 24, 30, 31, 36, 39, 48, 51, 54, 57, 8] {
            let mut marked = plain.clone();
            let p = plain.puppets[0].portrait.landmarks()[landmark];
            let texture = &mut marked.puppets[0].texture;
            let [u, v] = texture.place(p);
            let plane = texture.luma_mut();
            for j in 0..plane.height {
                for i in 0..plane.width {
                    let d = (i as f32 - u).hypot(j as f32 - v) / 2.0;
                    if d < 4.0 {
                        plane.data[j * plane.width + i] += 110.0 * (-0.5 * d * d).exp();
                    }
                }
            }
            for (pose, activation) in [
                (Pose::default(), Activation::default()),
                (moved_pose(), Activation::default()),
                (Pose::default(), frown()),
                (moved_pose(), frown()),
            ] {
                let (with, truth) = render(&mut marked, pose, activation.clone());
                let (without, same) = render(&mut plain, pose, activation);
                assert_eq!(truth, same);
                let seen = centroid(&with, &without, truth[landmark]).unwrap();
                let error = seen.distance(truth[landmark]);
                assert!(error < 0.1, "landmark {landmark}: {error} px at {:?}, truth {:?}", seen, truth[landmark]);
            }
        }
    }

    #[test]
    fn the_truth_moves_as_the_action_units_say() {
        let mut stage = stage(0.0);
        let (_, rest) = render(&mut stage, Pose::default(), Activation::default());
        let (_, smile) =
            render(&mut stage, Pose::default(), Activation { units: vec![(Au::LipCornerPuller, 0.3, 0.3)], lids: 0.0 });
        let (dx, dy) = ((smile[48].x - rest[48].x) / IOD, (smile[48].y - rest[48].y) / IOD);
        assert!((dx + 0.3 * 0.098).abs() < 0.006 && (dy + 0.3 * 0.112).abs() < 0.006, "{dx} {dy}");
        assert!(smile[19].distance(rest[19]) < 0.05);
    }

    /// Energy of the second differences inside the face: what blur takes away first.
    fn sharpness(luma: &Luma, centre: Px) -> f32 {
        let (mut sum, mut n) = (0.0, 0);
        for y in (centre.y - 30.0) as u32..(centre.y + 75.0) as u32 {
            let row = luma.row(y);
            for w in row[(centre.x - 50.0) as usize..(centre.x + 50.0) as usize].windows(3) {
                let d = f32::from(w[0]) - 2.0 * f32::from(w[1]) + f32::from(w[2]);
                sum += d * d;
                n += 1;
            }
        }
        sum / n as f32
    }

    #[test]
    fn a_neutral_frame_is_as_sharp_as_an_apex() {
        // Over many sub-pixel positions neither the movement nor the neutral face may be told by its blur.
        let mut stage = stage(0.0);
        let mut mean = [0.0f32; 2];
        let mut least = f32::MAX;
        for k in 0..12 {
            let pose = Pose { x: k as f32 * 0.0061, y: k as f32 * 0.0043, ..Pose::default() };
            for (which, activation) in [Activation::default(), frown()].into_iter().enumerate() {
                let (luma, truth) = render(&mut stage, pose, activation);
                let s = sharpness(&luma, truth[27]);
                mean[which] += s / 12.0;
                least = least.min(s);
            }
        }
        assert!((mean[0] / mean[1] - 1.0).abs() < 0.05, "{mean:?}");
        assert!(least > 0.9 * mean[0], "{least} {mean:?}");
    }

    #[test]
    fn the_background_stands_still_while_the_head_moves() {
        let mut stage = stage(0.0);
        let (a, _) = render(&mut stage, Pose::default(), Activation::default());
        let (b, _) = render(&mut stage, moved_pose(), frown());
        let column = |l: &Luma, x: usize| (0..SIZE as u32).map(|y| l.row(y)[x]).collect::<Vec<u8>>();
        assert_eq!(column(&a, 3)[..200], column(&b, 3)[..200]);
        let (c, _) = render(&mut stage, Pose::default(), Activation::default());
        assert_eq!(a, c, "nothing is left of an earlier frame");
    }

    #[test]
    fn camera_noise_has_its_size_and_changes_from_frame_to_frame() {
        let (mut noisy, mut clean) = (stage(2.0), stage(0.0));
        let (a, _) = render(&mut noisy, Pose::default(), Activation::default());
        let (b, _) = render(&mut clean, Pose::default(), Activation::default());
        let n = a.pixels().len() as f32;
        let variance =
            a.pixels().iter().zip(b.pixels()).map(|(&p, &q)| (f32::from(p) - f32::from(q)).powi(2)).sum::<f32>();
        assert!(((variance / n).sqrt() - 2.0).abs() < 0.3, "{}", (variance / n).sqrt());
        let (mut other, mut truth) = (Luma::default(), Vec::new());
        noisy.render(1, &[(Pose::default(), Activation::default())], &mut other, &mut truth);
        assert_ne!(a, other);
    }

    #[test]
    fn a_photo_moves_too() {
        let photo = {
            let mut stage = stage(0.0);
            let (luma, truth) = render(&mut stage, Pose::default(), Activation::default());
            Portrait::from_photo(&luma, &truth).unwrap()
        };
        let mut stage = Renderer::new(160, 160, vec![(photo, Px::new(80.0, 60.0), 30.0)], 1.0, 0.0, 1);
        let (a, rest) = render(&mut stage, Pose::default(), Activation::default());
        let (b, apex) = render(&mut stage, Pose::default(), frown());
        assert!(apex[19].distance(rest[19]) > 0.3 && a != b);
        assert!(rest[36].distance(Px::new(80.0 - 0.74 * 30.0, 60.0)) < 0.5);
    }
}
