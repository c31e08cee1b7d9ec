//! Which number format tract really multiplies in, read from the optimised plan.

use std::collections::BTreeSet;
use tract_core::ops::matmul::optimized::{OptMatMul, ProtoFusedSpec};
use tract_core::tract_linalg::WeightType;
use tract_onnx::prelude::*;

/// Matrix products of the plan that tract runs. An ONNX file may look quantised and still run in float: this tells.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Kernels {
    /// Products of the plan (tract may split one of the ONNX file's).
    pub all: usize,
    /// Those with 8-bit operands on both sides and a 32-bit integer accumulator.
    pub int8: usize,
    /// Products of the ONNX file that the quantiser made int8 and that run as int8.
    pub quantised: usize,
    /// Plan nodes that the quantiser made int8 but that run in float, or that were not lowered to a kernel at all.
    pub float: Vec<String>,
}

/// The quantiser ends the name of each product it made int8 with this.
const MARK: &str = "_mmi";

impl Kernels {
    /// Reads an optimised model.
    pub(super) fn of(model: &TypedModel) -> Self {
        let int8 = WeightType::Plain(DatumType::I8);
        let (mut found, mut quantised) = (Self::default(), BTreeSet::new());
        for node in model.nodes() {
            let Some(product) = node.op_as::<OptMatMul>() else {
                if ["EinSum", "MatMul"].contains(&&*node.op.name()) {
                    found.all += 1;
                    found.float.push(node.name.clone());
                }
                continue;
            };
            for (mode, kernel) in product.mmm.iter().enumerate() {
                for op in &product.micro_ops {
                    let ProtoFusedSpec::AddMatMul { packings, .. } = op else { continue };
                    let sides = packings.get(mode).and_then(|p| kernel.packings().get(p.0));
                    let narrow = sides.is_some_and(|(a, b)| a.precursor() == int8 && b.precursor() == int8)
                        && kernel.internal_type() == DatumType::I32;
                    found.all += 1;
                    found.int8 += usize::from(narrow);
                    if let Some((name, _)) = node.name.split_once(MARK) {
                        if narrow {
                            quantised.insert(name);
                        } else {
                            found.float.push(node.name.clone());
                        }
                    }
                }
            }
        }
        found.quantised = quantised.len();
        found
    }
}
