"""fp32 ONNX -> static int8 ONNX that tract runs with integer kernels.

Each MatMul with one constant side becomes QuantizeLinear -> MatMulInteger -> Cast -> Mul: int8 on both sides,
symmetric (zero point 0), one scale per tensor for activations (largest absolute value over the calibration samples),
one per output channel for weights. Neither QDQ (tract runs it in float) nor QLinearMatMul (requantises its outputs).
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

#: Products on raw features, before the z-score: their inputs differ in scale by 50, they stay in fp32.
KEEP_FP32 = ("bones",)


def session(model: onnx.ModelProto) -> ort.InferenceSession:
    """onnxruntime on one thread, without graph optimisation: fused rounding differs from the graph as written."""
    o = ort.SessionOptions()
    o.intra_op_num_threads, o.log_severity_level = 1, 3
    o.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    return ort.InferenceSession(model.SerializeToString(), o, providers=["CPUExecutionProvider"])


def run(model: onnx.ModelProto, x: np.ndarray) -> list[np.ndarray]:
    """The model's outputs for samples [n, 51, 4], one at a time, as mercam runs it."""
    s = session(model)
    rows = [s.run(None, {"x": x[i : i + 1]}) for i in range(len(x))]
    return [np.concatenate(o) for o in zip(*rows, strict=True)]


def tidy(model: onnx.ModelProto) -> onnx.ModelProto:
    """Constants become initialisers; value_info goes (tract checks it and fails on the symbolic batch)."""
    g = model.graph
    for n in [n for n in g.node if n.op_type == "Constant"]:
        t = onnx.TensorProto()
        t.CopyFrom(next(a.t for a in n.attribute if a.name == "value"))
        t.name = n.output[0]
        g.initializer.append(t)
        g.node.remove(n)
    used = {i for n in g.node for i in n.input}
    keep = [i for i in g.initializer if i.name in used]
    del g.initializer[:]
    g.initializer.extend(keep)
    del g.value_info[:]
    onnx.checker.check_model(model)
    return model


def ranges(model: onnx.ModelProto, names: Iterable[str], calibration: np.ndarray) -> dict[str, float]:
    """Largest absolute value of each named tensor over the calibration samples."""
    m = onnx.ModelProto()
    m.CopyFrom(model)
    entry = m.graph.input[0].name
    have = {o.name for o in m.graph.output} | {entry}
    names = list(names)
    m.graph.output.extend(helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in names if n not in have)
    s, ask = session(m), [n for n in names if n != entry]
    top = dict.fromkeys(names, 1e-6)
    for row in calibration:
        got = dict(zip(ask, s.run(ask, {entry: row[None]}), strict=True)) | {entry: row}
        for n in names:
            top[n] = max(top[n], float(np.abs(got[n]).max()))
    return top


def quantise(model: onnx.ModelProto, calibration: np.ndarray) -> tuple[onnx.ModelProto, int]:
    """The int8 model, and how many products became int8."""
    m = onnx.ModelProto()
    m.CopyFrom(model)
    g = tidy(m).graph
    init = {i.name: numpy_helper.to_array(i) for i in g.initializer}

    def wanted(n: onnx.NodeProto) -> bool:
        const = [i for i in n.input if i in init]
        return n.op_type == "MatMul" and len(const) == 1 and init[const[0]].ndim == 2 and not any(const[0].endswith(k) for k in KEEP_FP32)

    picked = {n.output[0] for n in g.node if wanted(n)}
    top = ranges(m, sorted({i for n in g.node if n.output[0] in picked for i in n.input if i not in init}), calibration)
    nodes: list[onnx.NodeProto] = []
    quantised: set[str] = set()

    def const(name: str, a: np.ndarray) -> str:
        if name not in init:
            init[name] = a
            g.initializer.append(numpy_helper.from_array(np.ascontiguousarray(a), name))
        return name

    def activation(n: str) -> tuple[str, np.float32]:
        scale = np.float32(top[n] / 127)
        if n not in quantised:
            zero = const("zero_i8", np.array(0, np.int8))
            nodes.append(helper.make_node("QuantizeLinear", [n, const(n + "_scale", scale), zero], [n + "_i8"], name=n + "_quant"))
            quantised.add(n)
        return n + "_i8", scale

    def weight(n: str, axis: int) -> tuple[str, np.ndarray]:
        w = init[n].astype(np.float32)
        s = np.maximum(np.abs(w).max(axis=1 - axis, keepdims=True) / 127, 1e-12).astype(np.float32)
        return const(n + "_i8", np.clip(np.rint(w / s), -127, 127).astype(np.int8)), s

    for n in list(g.node):
        if n.output[0] not in picked:
            nodes.append(n)
            continue
        (a, b), y = n.input, n.output[0]
        if b in init:  # X W: a scale per column of W
            (qa, sa), (qb, sb) = activation(a), weight(b, 1)
        else:  # A X: a scale per row of A
            (qa, sa), (qb, sb) = weight(a, 0), activation(b)
        nodes += [
            helper.make_node("MatMulInteger", [qa, qb], [y + "_i32"], name=n.name + "_mmi"),
            helper.make_node("Cast", [y + "_i32"], [y + "_f32"], to=TensorProto.FLOAT, name=n.name + "_cast"),
            helper.make_node("Mul", [y + "_f32", const(y + "_rescale", (sa * sb).astype(np.float32))], [y], name=n.name + "_rescale"),
        ]
    del g.node[:]
    g.node.extend(nodes)
    return tidy(m), len(picked)
