//! PReLU with one slope per channel, in place.

use tract_onnx::prelude::*;
use tract_onnx::tract_hir::internal::*;

use super::slice;

/// `x > 0 ? x : slope * x`; the slope is that of the element's place along `axis`.
#[derive(Debug, Clone, Hash, PartialEq, Eq)]
struct PReluChannels {
    axis: usize,
}

impl Op for PReluChannels {
    fn name(&self) -> StaticName {
        "PReluChannels".into()
    }
    op_as_typed_op!();
}

impl EvalOp for PReluChannels {
    op_out_of_plan!();

    fn eval(&self, _: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let mut inputs = inputs.into_iter();
        let (Some(x), Some(slopes)) = (inputs.next(), inputs.next()) else { bail!("two inputs expected") };
        // Takes the memory over when nobody else reads it, which is the rule in these networks.
        let mut x = x.into_tensor();
        let inner: usize = x.shape().iter().skip(self.axis + 1).product();
        let slopes = slice(&slopes)?;
        ensure!(x.shape().get(self.axis) == Some(&slopes.len()), "{} slopes for {:?}", slopes.len(), x.shape());
        let mut view = x.try_as_plain_ram_mut()?;
        let elements = view.as_slice_mut::<f32>()?;
        if inner == 1 {
            for point in elements.chunks_exact_mut(slopes.len()) {
                for (v, slope) in point.iter_mut().zip(slopes) {
                    *v = prelu(*v, *slope);
                }
            }
        } else if inner > 0 {
            for (plane, slope) in elements.chunks_exact_mut(inner).zip(slopes.iter().cycle()) {
                for v in plane {
                    *v = prelu(*v, *slope);
                }
            }
        }
        Ok(tvec!(x.into_tvalue()))
    }
}

#[inline(always)]
fn prelu(x: f32, slope: f32) -> f32 {
    if x > 0.0 { x } else { x * slope }
}

impl TypedOp for PReluChannels {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        let Some(x) = inputs.first() else { bail!("two inputs expected") };
        Ok(tvec!(x.without_value()))
    }

    /// Lets tract move and drop axes through, as long as the channels stay one axis.
    fn change_axes(
        &self,
        _: &TypedModel,
        _: &TypedNode,
        io: InOut,
        change: &AxisOp,
    ) -> TractResult<Option<AxisChangeConsequence>> {
        if io == InOut::In(1) {
            return Ok(None);
        }
        let Some(axis) = change.transform_axis(self.axis) else { return Ok(None) };
        Ok(Some(AxisChangeConsequence {
            substitute_op: Some(Box::new(Self { axis })),
            wire_changes: tvec!((InOut::In(0), change.clone()), (InOut::Out(0), change.clone())),
        }))
    }

    as_op!();
}

/// What the ONNX reader makes of a PRelu node.
#[derive(Debug, Clone, Hash, PartialEq, Eq)]
struct PReluNode;

impl Expansion for PReluNode {
    fn name(&self) -> StaticName {
        "PRelu".into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        solver: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        check_input_arity(inputs, 2)?;
        check_output_arity(outputs, 1)?;
        solver.equals(&inputs[0].datum_type, &outputs[0].datum_type)?;
        solver.equals(&inputs[0].shape, &outputs[0].shape)
    }

    fn wire(&self, name: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let &[x, slopes] = inputs else { bail!("PRelu has {} inputs, not two", inputs.len()) };
        let shape = model.outlet_fact(x)?.shape.clone();
        let slopes = model.outlet_fact(slopes)?.konst.clone().context("the slopes of a PRelu are no constant")?;
        // The converter writes [1, C, 1, 1]; other broadcasts do not occur in the face networks.
        ensure!(
            slopes.rank() == 4 && slopes.shape()[1] == slopes.len() && shape.rank() == 4,
            "slopes of shape {:?} for {shape:?}",
            slopes.shape()
        );
        let slopes = model.add_const(format!("{name}.slopes"), tensor1(slice(&slopes)?))?;
        model.wire_node(name, PReluChannels { axis: 1 }, &[x, slopes])
    }
}

/// Lets `reader` make [`PReluChannels`] of PRelu nodes.
pub(super) fn register(reader: &mut tract_onnx::Onnx) {
    reader.op_register.insert("PRelu", |_, _| Ok((expand(PReluNode), vec![])));
}
