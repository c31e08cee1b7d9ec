//! Operators that make the face networks fast in tract.

use tract_onnx::prelude::*;

/// The optimised plan of a converted network.
pub fn optimised(onnx: &[u8], input: [usize; 4]) -> TractResult<TypedModel> {
    tract_onnx::onnx().model_for_read(&mut &onnx[..])?.with_input_fact(0, f32::fact(input).into())?.into_optimized()
}
