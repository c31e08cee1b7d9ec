//! Lists of pairs as JSON objects, in their own order: `{"happiness": 0.7, "other": 0.3}`.
//!
//! For `#[serde(with = "crate::wire::map")]` on a `Vec<(K, V)>`. The order survives the way there and back; a
//! key that comes twice is an error.

use serde::de::{Error, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::marker::PhantomData;

/// Whether no name comes twice, as a map wants it.
pub fn each_once<K: PartialEq, V>(pairs: &[(K, V)]) -> bool {
    pairs.iter().enumerate().all(|(i, (key, _))| pairs.iter().skip(i + 1).all(|(other, _)| other != key))
}

/// Writes the pairs as a map.
///
/// # Errors
/// Those of the serialiser.
pub fn serialize<K: Serialize, V: Serialize, S: Serializer>(pairs: &[(K, V)], to: S) -> Result<S::Ok, S::Error> {
    let mut map = to.serialize_map(Some(pairs.len()))?;
    for (key, value) in pairs {
        map.serialize_entry(key, value)?;
    }
    map.end()
}

/// Reads the pairs of a map.
///
/// # Errors
/// When it is no map, a key or value does not fit, or a key comes twice.
pub fn deserialize<'de, K, V, D>(from: D) -> Result<Vec<(K, V)>, D::Error>
where
    K: Deserialize<'de> + PartialEq,
    V: Deserialize<'de>,
    D: Deserializer<'de>,
{
    from.deserialize_map(Pairs(PhantomData))
}

struct Pairs<K, V>(PhantomData<(K, V)>);

impl<'de, K: Deserialize<'de> + PartialEq, V: Deserialize<'de>> Visitor<'de> for Pairs<K, V> {
    type Value = Vec<(K, V)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map from names to numbers")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut pairs: Vec<(K, V)> = Vec::new();
        while let Some(key) = map.next_key::<K>()? {
            if pairs.iter().any(|(k, _)| *k == key) {
                return Err(A::Error::custom("a name comes twice"));
            }
            pairs.push((key, map.next_value()?));
        }
        Ok(pairs)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use crate::landmarks::Component;

    #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    struct Holder {
        #[serde(with = "super")]
        a: Vec<(Component, f32)>,
    }

    #[test]
    fn order_is_kept_and_doubles_are_refused() {
        let h = Holder { a: vec![(Component::Mouth, 0.5), (Component::LeftBrow, 0.25)] };
        let json = serde_json::to_string(&h).unwrap();
        assert_eq!(json, r#"{"a":{"mouth":0.5,"left_brow":0.25}}"#);
        assert_eq!(serde_json::from_str::<Holder>(&json).unwrap(), h);
        let e = serde_json::from_str::<Holder>(r#"{"a":{"mouth":1,"mouth":1}}"#).unwrap_err();
        assert!(e.to_string().contains("twice"), "{e}");
        let e = serde_json::from_str::<Holder>(r#"{"a":{"ear":1}}"#).unwrap_err();
        assert!(e.to_string().contains("ear"), "{e}");
        assert!(serde_json::from_str::<Holder>(r#"{"a":[]}"#).is_err());
    }

    #[test]
    fn the_same_helper_serves_a_binary_form() {
        let h = Holder { a: vec![(Component::Mouth, 0.5), (Component::LeftBrow, 0.25)] };
        let bytes = postcard::to_stdvec(&h).unwrap();
        assert_eq!(postcard::from_bytes::<Holder>(&bytes).unwrap(), h);
    }
}
