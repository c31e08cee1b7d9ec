//! The cast of a recipe: people that a take is made with one after the other.
//!
//! ```toml
//! [[cast]]
//! face = "photo:me.jpg"
//! iod = 90
//!
//! [[take]]
//! name = "still head"
//! face = "cast"
//! synthetic = { duration = 3, width = 360, height = 400, iod = 80 }
//! ```
//! The take becomes one for each of the cast, of the same name. Pictures grow with the inter-ocular distance, and every
//! person has seeds of their own: the take's, plus their place in the cast.

use super::recipe::{FaceSpec, Take};
use serde::{Deserialize, Serialize};

/// One of the cast.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Actor {
    /// Whose face it is.
    pub face: FaceSpec,
    /// Inter-ocular distance in the films in pixels; that of the take when absent.
    pub iod: Option<f32>,
}

/// The take itself, or one for each of the cast.
pub(super) fn each(take: Take, cast: &[Actor]) -> Vec<Take> {
    if take.face != FaceSpec::Cast {
        return vec![take];
    }
    let made = |(k, actor): (usize, &Actor)| {
        let mut own = take.clone();
        own.face = actor.face.clone();
        own.seeds.iter_mut().for_each(|s| *s = s.wrapping_add(k as u64));
        if let Some(iod) = actor.iod {
            let grown = |side: u32| ((side as f32 * iod / own.synthetic.iod / 2.0).round() * 2.0) as u32;
            (own.synthetic.width, own.synthetic.height) = (grown(take.synthetic.width), grown(take.synthetic.height));
            own.synthetic.iod = iod;
        }
        own
    };
    cast.iter().enumerate().map(made).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::recipe::Recipe;

    #[test]
    fn a_take_is_made_with_each_of_the_cast() {
        let recipe = Recipe::from_toml(
            r#"
            cast = [{ face = "photo:a.png", iod = 50 }, { face = "photo:b.png#2", iod = 100 }, { face = "drawn" }]
            [[take]]
            name = "still"
            face = "cast"
            seeds = [10, 20]
            synthetic = { width = 320, height = 400, iod = 80 }
            [[take]]
            name = "alone"
            "#,
        )
        .unwrap();
        let seen: Vec<_> = recipe
            .takes
            .iter()
            .map(|t| {
                let s = &t.synthetic;
                (t.name.as_str(), t.face.to_string(), t.seeds.clone(), s.width, s.height, s.iod)
            })
            .collect();
        assert_eq!(seen[0], ("still", "photo:a.png".into(), vec![10, 20], 200, 250, 50.0));
        assert_eq!(seen[1], ("still", "photo:b.png#2".into(), vec![11, 21], 400, 500, 100.0));
        assert_eq!(seen[2], ("still", "drawn".into(), vec![12, 22], 320, 400, 80.0));
        assert_eq!((seen.len(), seen[3].0), (4, "alone"));
        let error = |text: &str| Recipe::from_toml(text).unwrap_err().to_string();
        assert!(error("[[take]]\nname = \"x\"\nface = \"cast\"").contains("no [[cast]]"));
    }
}
