//! Writes ONNX: nodes and constants of a float network, in the protobuf types that tract reads them with.

use prost::Message;
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, TensorShapeProto, TypeProto,
    ValueInfoProto, attribute_proto::AttributeType, tensor_proto::DataType, tensor_shape_proto, type_proto,
};

/// Operator set; 13 has everything the face networks use, in the form that tract and onnxruntime run.
const OPSET: i64 = 13;
/// File format version that belongs to operator set 13's time, so that older tools read it as well.
const IR_VERSION: i64 = 8;

/// An attribute of a node.
#[derive(Debug, Clone)]
pub enum Attribute {
    /// One integer.
    Int(i64),
    /// Several integers.
    Ints(Vec<i64>),
    /// Text.
    Text(&'static str),
}

/// A network being written. The order of calls is the order in the file, so equal calls give equal bytes.
#[derive(Debug, Default)]
pub struct Graph {
    nodes: Vec<NodeProto>,
    constants: Vec<TensorProto>,
    count: usize,
}

impl Graph {
    /// Adds a float constant; returns its name.
    pub fn floats(&mut self, hint: &str, shape: &[usize], values: &[f32]) -> String {
        let raw = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.constant(hint, shape, DataType::Float, raw)
    }

    /// Adds an integer constant of one dimension; returns its name.
    pub fn ints(&mut self, hint: &str, values: &[i64]) -> String {
        let raw = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.constant(hint, &[values.len()], DataType::Int64, raw)
    }

    fn constant(&mut self, hint: &str, shape: &[usize], data_type: DataType, raw_data: Vec<u8>) -> String {
        self.count += 1;
        let name = format!("{hint}_{}", self.count);
        self.constants.push(TensorProto {
            dims: shape.iter().map(|d| *d as i64).collect(),
            data_type: data_type as i32,
            name: name.clone(),
            raw_data,
            ..TensorProto::default()
        });
        name
    }

    /// Adds a node that writes `output`; returns that name.
    pub fn node(&mut self, op: &str, inputs: &[&str], output: &str, attributes: &[(&str, Attribute)]) -> String {
        self.count += 1;
        self.nodes.push(NodeProto {
            input: inputs.iter().map(|s| (*s).to_owned()).collect(),
            output: vec![output.to_owned()],
            name: format!("{op}_{}", self.count),
            op_type: op.to_owned(),
            attribute: attributes.iter().map(|(name, value)| attribute(name, value)).collect(),
            ..NodeProto::default()
        });
        output.to_owned()
    }

    /// The file's bytes.
    pub fn finish(self, name: &str, inputs: &[(&str, &[usize])], outputs: &[(String, Vec<usize>)]) -> Vec<u8> {
        let graph = GraphProto {
            node: self.nodes,
            name: name.to_owned(),
            initializer: self.constants,
            input: inputs.iter().map(|(name, shape)| value(name, shape)).collect(),
            output: outputs.iter().map(|(name, shape)| value(name, shape)).collect(),
            ..GraphProto::default()
        };
        ModelProto {
            ir_version: IR_VERSION,
            opset_import: vec![OperatorSetIdProto { domain: String::new(), version: OPSET }],
            producer_name: "mercam".to_owned(),
            graph: Some(graph),
            ..ModelProto::default()
        }
        .encode_to_vec()
    }
}

fn attribute(name: &str, value: &Attribute) -> AttributeProto {
    let base = AttributeProto { name: name.to_owned(), ..AttributeProto::default() };
    match value {
        Attribute::Int(i) => AttributeProto { r#type: AttributeType::Int as i32, i: *i, ..base },
        Attribute::Ints(v) => AttributeProto { r#type: AttributeType::Ints as i32, ints: v.clone(), ..base },
        Attribute::Text(s) => AttributeProto { r#type: AttributeType::String as i32, s: s.as_bytes().to_vec(), ..base },
    }
}

fn value(name: &str, shape: &[usize]) -> ValueInfoProto {
    let dim = shape
        .iter()
        .map(|d| tensor_shape_proto::Dimension {
            value: Some(tensor_shape_proto::dimension::Value::DimValue(*d as i64)),
            ..tensor_shape_proto::Dimension::default()
        })
        .collect();
    let tensor = type_proto::Tensor { elem_type: DataType::Float as i32, shape: Some(TensorShapeProto { dim }) };
    ValueInfoProto {
        name: name.to_owned(),
        r#type: Some(TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..TypeProto::default() }),
        ..ValueInfoProto::default()
    }
}
