//! From the dense mesh of MediaPipe to the 68 landmarks of iBUG.

use crate::geometry::Px;
use crate::landmarks::{COUNT, PerLandmark};

/// For each iBUG landmark the mesh vertex on it, or the two vertices that it lies between.
///
/// The first 468 vertices are numbered alike in Face Mesh V1 and V2 (MediaPipe, `canonical_face_model.obj`).
/// The choice starts from the correspondence in common use for MediaPipe and dlib. It was moved where the mesh
/// of six real faces, turned and scaled by the eyes, lay further than 0.09 IOD from the mean of the iBUG
/// annotations (the template that OpenFace publishes): on the brows, whose upper edge that correspondence
/// takes, and on the lower lip. Eyes and nose lie within 0.09 IOD; lips differ with the expression.
const VERTICES: PerLandmark<(u16, u16)> = [
    // contour, from the subject's right ear over the chin to the left ear
    (127, 127),
    (234, 234),
    (93, 93),
    (132, 58),
    (58, 172),
    (136, 136),
    (150, 150),
    (176, 176),
    (152, 152),
    (400, 400),
    (379, 379),
    (365, 365),
    (288, 397),
    (361, 288),
    (323, 323),
    (454, 454),
    (356, 356),
    // right brow, left brow
    (70, 70),
    (63, 53),
    (66, 52),
    (107, 65),
    (107, 55),
    (336, 285),
    (336, 295),
    (296, 282),
    (293, 283),
    (300, 300),
    // nose bridge, nostril base
    (168, 6),
    (197, 197),
    (195, 5),
    (4, 4),
    (75, 75),
    (97, 97),
    (2, 2),
    (326, 326),
    (305, 305),
    // right eye, left eye
    (33, 33),
    (160, 160),
    (158, 158),
    (133, 133),
    (153, 153),
    (144, 144),
    (362, 362),
    (385, 385),
    (387, 387),
    (263, 263),
    (373, 373),
    (380, 380),
    // outer lip
    (61, 61),
    (40, 39),
    (37, 37),
    (0, 0),
    (267, 267),
    (270, 269),
    (291, 291),
    (321, 405),
    (314, 314),
    (17, 17),
    (84, 84),
    (91, 181),
    // inner lip
    (78, 78),
    (82, 82),
    (13, 13),
    (312, 312),
    (308, 308),
    (317, 317),
    (14, 14),
    (87, 87),
];

/// The 68 landmarks of a mesh of at least 468 vertices, each given by `vertex`.
pub fn landmarks(vertex: impl Fn(usize) -> Px) -> PerLandmark<Px> {
    let mut points = [Px::default(); COUNT];
    for (point, (a, b)) in points.iter_mut().zip(VERTICES) {
        let first = vertex(usize::from(a));
        *point = if a == b { first } else { (first + vertex(usize::from(b))) * 0.5 };
    }
    points
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::landmarks::MIRROR;

    /// Vertices of the mesh that are each other's mirror image, as far as iBUG uses them
    /// (`canonical_face_model.obj`: same y and z, opposite x).
    const MIRRORED: [(u16, u16); 43] = [
        (127, 356),
        (234, 454),
        (93, 323),
        (132, 361),
        (58, 288),
        (172, 397),
        (136, 365),
        (150, 379),
        (176, 400),
        (70, 300),
        (63, 293),
        (53, 283),
        (52, 282),
        (65, 295),
        (55, 285),
        (181, 405),
        (66, 296),
        (107, 336),
        (75, 305),
        (97, 326),
        (33, 263),
        (160, 387),
        (158, 385),
        (133, 362),
        (153, 380),
        (144, 373),
        (61, 291),
        (40, 270),
        (39, 269),
        (37, 267),
        (91, 321),
        (84, 314),
        (78, 308),
        (82, 312),
        (87, 317),
        (152, 152),
        (0, 0),
        (17, 17),
        (13, 13),
        (14, 14),
        (2, 2),
        (4, 4),
        (197, 197),
    ];

    fn mirrored(v: u16) -> u16 {
        let pair = MIRRORED.iter().find(|(a, b)| *a == v || *b == v);
        pair.map_or(v, |(a, b)| if *a == v { *b } else { *a })
    }

    #[test]
    fn the_map_is_as_symmetric_as_the_face() {
        for (i, (a, b)) in VERTICES.iter().enumerate() {
            let there = VERTICES[MIRROR[i]];
            let here = (mirrored(*a), mirrored(*b));
            assert!(there == here || there == (here.1, here.0), "landmark {i}: {here:?} {there:?}");
        }
    }

    #[test]
    fn a_landmark_between_two_vertices_is_their_mean() {
        let points = landmarks(|v| Px::new(v as f32, 0.0));
        assert_eq!((points[8].x, points[27].x, points[67].x), (152.0, 87.0, 87.0));
    }
}
