//! A face network in tract: loaded, optimised with mercam's own operators, its memory kept between runs.

use std::path::Path;
use std::sync::Arc;

use tract_core::internal::DimLike;
use tract_onnx::prelude::*;

use super::FaceError;
use super::models::NetId;
use super::ops;

/// A loaded network. One thread runs it; load it again for another.
pub struct Network {
    id: NetId,
    state: TypedSimpleState,
    input: Arc<Tensor>,
    outputs: TVec<TValue>,
}

impl std::fmt::Debug for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Network").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Network {
    /// Loads the converted file of a network (see [`super::models::Store`]).
    ///
    /// # Errors
    /// When the file cannot be read or is not that network.
    pub fn load(id: NetId, path: &Path) -> Result<Self, FaceError> {
        let bytes = std::fs::read(path).map_err(|e| FaceError::Model(format!("{}: {e}", path.display())))?;
        Self::from_bytes(id, &bytes).map_err(|e| FaceError::Model(format!("{}: {e}", path.display())))
    }

    /// The same for a converted file in memory.
    ///
    /// # Errors
    /// When it is not that network.
    pub fn from_bytes(id: NetId, onnx: &[u8]) -> Result<Self, FaceError> {
        let description = id.description();
        let size = description.input[3];
        let input = [1, 1, size, size];
        let model = ops::grey(onnx)
            .and_then(|onnx| ops::optimised(&onnx, input))
            .map_err(|e| FaceError::Model(format!("not a network that can be run: {e:#}")))?;
        let mut sizes = Vec::new();
        for i in 0..model.outputs.len() {
            let fact = model.output_fact(i).map_err(|e| FaceError::Model(format!("{e:#}")))?;
            sizes.push(fact.shape.volume().to_usize().unwrap_or(0));
        }
        if !sizes.starts_with(description.outputs) {
            return Err(FaceError::Model(format!(
                "not {id}: its outputs have {sizes:?} elements, those of {id} have {:?}",
                description.outputs
            )));
        }
        let input = Tensor::zero::<f32>(&input);
        let state = model.into_runnable().and_then(|plan| plan.spawn());
        match (state, input) {
            (Ok(state), Ok(input)) => Ok(Self { id, state, input: Arc::new(input), outputs: TVec::new() }),
            (Err(e), _) | (_, Err(e)) => Err(FaceError::Model(format!("not a network that can be run: {e:#}"))),
        }
    }

    /// Which network it is.
    pub const fn id(&self) -> NetId {
        self.id
    }

    /// Height and width of the input picture.
    pub const fn size(&self) -> usize {
        self.id.description().input[3]
    }

    /// Lets `fill` write the input, a grey picture of `size * size` elements in the network's own range, and runs
    /// the network.
    ///
    /// # Errors
    /// When tract fails.
    pub fn run(&mut self, fill: impl FnOnce(&mut [f32])) -> Result<(), FaceError> {
        let failed = |id: NetId, e: TractError| FaceError::Inference(format!("{id}: {e:#}"));
        // The last results may still share memory with the input's readers.
        self.outputs.clear();
        if Arc::get_mut(&mut self.input).is_none() {
            self.input = Arc::new((*self.input).clone());
        }
        if let Some(input) = Arc::get_mut(&mut self.input) {
            let mut view = input.try_as_plain_ram_mut().map_err(|e| failed(self.id, e))?;
            fill(view.as_slice_mut::<f32>().map_err(|e| failed(self.id, e))?);
        }
        self.outputs = self.state.run(tvec!(TValue::from_const(self.input.clone()))).map_err(|e| failed(self.id, e))?;
        Ok(())
    }

    /// Output `i` of the last run.
    ///
    /// # Errors
    /// When there was no run or there is no such output.
    pub fn output(&self, i: usize) -> Result<&[f32], FaceError> {
        self.outputs
            .get(i)
            .and_then(|t| t.as_plain_ram())
            .and_then(|view| view.as_slice::<f32>().ok())
            .ok_or_else(|| FaceError::Inference(format!("{}: there is no output {i}", self.id)))
    }
}
