//! A network for colour pictures, made into one for grey pictures.
//!
//! The face networks see luma only. Three equal channels through a convolution give the same sums as one channel
//! through the sum of the three kernels, so the first convolution shrinks to a third.

use prost::Message;
use tract_onnx::pb::{ModelProto, NodeProto, TensorProto, tensor_shape_proto::dimension::Value, type_proto};
use tract_onnx::prelude::*;
use tract_onnx::tract_hir::internal::*;

const CHANNELS: i64 = 3;

/// The network with one input channel in place of three equal ones.
///
/// # Errors
/// When the bytes are no ONNX network whose input `[1, 3, height, width]` goes into convolutions only.
pub fn grey(onnx: &[u8]) -> TractResult<Vec<u8>> {
    let mut model = ModelProto::decode(onnx).context("not an ONNX file")?;
    let graph = model.graph.as_mut().context("the file holds no network")?;
    let input = graph.input.first_mut().context("the network has no input")?;
    let shape = match input.r#type.as_mut().and_then(|t| t.value.as_mut()) {
        Some(type_proto::Value::TensorType(tensor)) => tensor.shape.as_mut(),
        None => None,
    };
    let channels = shape.and_then(|s| s.dim.get_mut(1)).and_then(|d| d.value.as_mut());
    let Some(Value::DimValue(channels)) = channels else { bail!("the network's input has no channels") };
    ensure!(*channels == CHANNELS, "the network's input has {channels} channels, not {CHANNELS}");
    *channels = 1;
    let name = input.name.clone();
    let readers: Vec<&NodeProto> = graph.node.iter().filter(|n| n.input.contains(&name)).collect();
    for reader in readers {
        ensure!(
            reader.op_type == "Conv" && reader.input.first() == Some(&name),
            "a {} reads the input",
            reader.op_type
        );
        let weights = reader.input.get(1).context("a convolution has no weights")?;
        let users = graph.node.iter().filter(|n| n.input.contains(weights)).count();
        ensure!(users == 1, "the first convolution shares its weights");
        let weights = graph.initializer.iter_mut().find(|t| t.name == *weights);
        sum_channels(weights.context("the first convolution's weights are no constant")?)?;
    }
    Ok(model.encode_to_vec())
}

/// Sums kernels `[out, 3, height, width]` over the channels.
fn sum_channels(weights: &mut TensorProto) -> TractResult<()> {
    let [outputs, CHANNELS, h, w] = weights.dims[..] else {
        bail!("the first convolution's weights have shape {:?}", weights.dims)
    };
    let floats: Vec<f32> = weights.raw_data.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
    let plane = usize::try_from(h)?.checked_mul(usize::try_from(w)?).filter(|n| *n > 0).context("an empty kernel")?;
    let kernels = floats.chunks_exact(CHANNELS as usize * plane);
    ensure!(kernels.len() == usize::try_from(outputs)? && kernels.remainder().is_empty(), "weights are missing");
    weights.raw_data = kernels
        .flat_map(|kernel| (0..plane).map(|i| kernel.iter().skip(i).step_by(plane).sum::<f32>()))
        .flat_map(f32::to_le_bytes)
        .collect();
    weights.dims = vec![outputs, 1, h, w];
    Ok(())
}
