//! The plan that tract runs, with its reused state.

use super::features::{CHANNELS, Features, NODES};
use super::kernels::Kernels;
use super::metadata::{Metadata, pairs};
use super::{DereGrlError, Precision};
use crate::landmarks::Component;
use std::sync::Arc;
use tract_onnx::prelude::*;

const OUTPUTS: [&str; 3] = ["probs", "actions", "relations"];

/// A loaded network. One per thread.
pub(super) struct Network {
    state: TypedSimpleState,
    /// Refilled for every movement; free again after `reset_turn`.
    input: Arc<Tensor>,
    pub metadata: Metadata,
    pub kernels: Kernels,
}

impl Network {
    /// Loads and optimises an ONNX model; `file` is named in errors.
    pub fn load(bytes: &[u8], file: &str, precision: Precision) -> Result<Self, DereGrlError> {
        let broken = |e: TractError| DereGrlError::Load { file: file.into(), reason: format!("{e:#}") };
        let mut model = onnx().model_for_read(&mut &*bytes).map_err(broken)?;
        let metadata = Metadata::new(&pairs(&model), file, precision)?;
        // The batch is set to a number before optimisation: left open it costs 1.4 (fp32) to 4 times (int8) the time.
        let shape = [1, NODES, CHANNELS];
        model.set_input_fact(0, f32::fact(shape).into()).map_err(broken)?;
        let plan = model.into_optimized().map_err(broken)?.into_runnable().map_err(broken)?;
        check_outputs(plan.model(), &metadata, file)?;
        let kernels = Kernels::of(plan.model());
        let input = Arc::new(Tensor::zero::<f32>(&shape).map_err(broken)?);
        Ok(Self { state: plan.spawn().map_err(broken)?, input, metadata, kernels })
    }

    /// Runs the network and hands its three outputs to `read`: probabilities [C], actions [6], relations [Q Q].
    pub fn run(
        &mut self,
        features: &Features,
        read: impl FnOnce(&[f32], &[f32], &[f32]) -> Result<(), DereGrlError>,
    ) -> Result<(), DereGrlError> {
        let failed = |e: TractError| DereGrlError::Run(format!("{e:#}"));
        match Arc::get_mut(&mut self.input) {
            Some(t) => t
                .try_as_plain_ram_mut()
                .and_then(|mut p| p.as_slice_mut::<f32>().map(|s| s.copy_from_slice(features.as_slice())))
                .map_err(failed)?,
            // An earlier run ended with an error and left a hand on the tensor.
            None => {
                let shape = [1, NODES, CHANNELS];
                self.input = Arc::new(Tensor::from_shape(&shape, features.as_slice()).map_err(failed)?);
            }
        }
        let result = self.turn(read);
        self.state.reset_turn().map_err(failed)?;
        result
    }

    fn turn(
        &mut self,
        read: impl FnOnce(&[f32], &[f32], &[f32]) -> Result<(), DereGrlError>,
    ) -> Result<(), DereGrlError> {
        let failed = |e: TractError| DereGrlError::Run(format!("{e:#}"));
        self.state.set_input(0, self.input.clone().into_tvalue()).map_err(failed)?;
        self.state.exec().map_err(failed)?;
        let ram = |k| self.state.output(k).and_then(|t| t.try_as_plain_ram()).map_err(failed);
        let (probs, actions, relations) = (ram(0)?, ram(1)?, ram(2)?);
        read(
            probs.as_slice::<f32>().map_err(failed)?,
            actions.as_slice::<f32>().map_err(failed)?,
            relations.as_slice::<f32>().map_err(failed)?,
        )
    }
}

/// The outputs have the names, types and shapes that the metadata promises.
fn check_outputs(model: &TypedModel, metadata: &Metadata, file: &str) -> Result<(), DereGrlError> {
    let wrong = |key: &str, reason: String| DereGrlError::Metadata { file: file.into(), key: key.into(), reason };
    let load = |e: TractError| DereGrlError::Load { file: file.into(), reason: format!("{e:#}") };
    let outlets = model.output_outlets().map_err(load)?;
    if outlets.len() != OUTPUTS.len() {
        return Err(wrong("outputs", format!("are {}, not the three {OUTPUTS:?}", outlets.len())));
    }
    let q = Component::ALL.len() * metadata.actions_per_component;
    let shapes = [vec![1, metadata.classes.len()], vec![1, Component::ALL.len()], vec![1, q, q]];
    for ((name, want), outlet) in OUTPUTS.iter().zip(shapes).zip(outlets) {
        let fact = model.outlet_fact(*outlet).map_err(load)?;
        if fact.shape.as_concrete() != Some(want.as_slice()) || fact.datum_type != DatumType::F32 {
            return Err(wrong(name, format!("is {fact:?}, not f32 of shape {want:?}")));
        }
    }
    Ok(())
}
