//! Light on the height field: a key light from the upper left, a fill light, shadowed hollows and a soft shine.

use super::relief;
use crate::geometry::Iod;

/// Light and shade of the height field over a grid: one factor per sample.
pub(super) fn shading(width: usize, height: usize, step: f32, at: impl Fn(usize, usize) -> Iod) -> Vec<f32> {
    let mut z = vec![0.0f32; width * height];
    for j in 0..height {
        for i in 0..width {
            let p = at(i, j);
            z[j * width + i] = relief::height(p.x, p.y);
        }
    }
    let wide = blur(&z, width, height, (0.13 / step) as usize);
    let near = blur(&z, width, height, (0.05 / step) as usize);
    let light = normal([-0.42, -0.55, 0.90]);
    let fill = normal([0.75, -0.1, 0.55]);
    let half = normal([light[0], light[1], light[2] + 1.0]);
    let mut out = vec![1.0f32; width * height];
    for j in 1..height.saturating_sub(1) {
        for i in 1..width.saturating_sub(1) {
            let k = j * width + i;
            let dx = (z[k + 1] - z[k - 1]) / (2.0 * step);
            let dy = (z[k + width] - z[k - width]) / (2.0 * step);
            let n = normal([-dx, -dy, 1.0]);
            let dot = |l: [f32; 3]| n[0] * l[0] + n[1] * l[1] + n[2] * l[2];
            let key = ((dot(light) + 0.25) / 1.25).max(0.0);
            let open = (1.0 + 2.2 * (z[k] - wide[k]).clamp(-0.2, 0.05) + 3.0 * (z[k] - near[k]).clamp(-0.1, 0.02))
                .clamp(0.3, 1.15);
            let shine = dot(half).max(0.0).powi(24);
            out[k] = ((0.40 + 0.62 * key + 0.22 * dot(fill).max(0.0)) * open + 0.10 * shine).max(0.46);
        }
    }
    out
}

fn normal(v: [f32; 3]) -> [f32; 3] {
    let n = (v[0] * v[0] + v[1] * v[1] + v[2] * v[2]).sqrt().max(1e-9);
    [v[0] / n, v[1] / n, v[2] / n]
}

/// Three box blurs of radius `r`: nearly a Gaussian.
fn blur(z: &[f32], width: usize, height: usize, r: usize) -> Vec<f32> {
    let mut out = z.to_vec();
    let mut line = Vec::new();
    for _ in 0..3 {
        for j in 0..height {
            line.clear();
            line.extend_from_slice(&out[j * width..(j + 1) * width]);
            box_line(&line, r, |i, v| out[j * width + i] = v);
        }
        for i in 0..width {
            line.clear();
            line.extend((0..height).map(|j| out[j * width + i]));
            box_line(&line, r, |j, v| out[j * width + i] = v);
        }
    }
    out
}

fn box_line(line: &[f32], r: usize, mut put: impl FnMut(usize, f32)) {
    let n = line.len();
    let mut sum = 0.0;
    for v in line.iter().take(r) {
        sum += v;
    }
    let mut count = r.min(n);
    for i in 0..n {
        if let Some(v) = line.get(i + r) {
            sum += v;
            count += 1;
        }
        if i > r {
            sum -= line[i - r - 1];
            count -= 1;
        }
        put(i, sum / count.max(1) as f32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_box_blur_keeps_a_constant_and_spreads_a_spike() {
        assert!(blur(&[2.0; 20], 5, 4, 3).iter().all(|v| (v - 2.0).abs() < 1e-5));
        let mut spike = vec![0.0; 21 * 21];
        spike[10 * 21 + 10] = 1.0;
        let out = blur(&spike, 21, 21, 2);
        assert!(out[10 * 21 + 10] < 0.2 && out[10 * 21 + 12] > 0.005);
    }

    #[test]
    fn the_side_towards_the_light_is_brighter() {
        let at = |i: usize, j: usize| Iod::new(-1.2 + i as f32 * 0.05, -1.0 + j as f32 * 0.05);
        let shade = shading(49, 56, 0.05, at);
        let (left, right) = (shade[28 * 49 + 10], shade[28 * 49 + 38]);
        assert!(left > right, "{left} {right}");
    }
}
