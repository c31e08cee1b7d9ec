"""Deployment form of the network, and its ONNX file.

Batch normalisation is folded into the weights and a constant bias, the temperature into the last layer, softmax is
inside. Features are flattened before they are sliced: slicing the node axis makes tract cut the last graph layer in
six (13-18 % more instructions).
"""

from __future__ import annotations

import io
import json
import warnings
from pathlib import Path

import onnx
import torch
from onnx import helper
from torch import Tensor, nn
from torch.nn.functional import relu

from .actions import CLASSES
from .face import COMPONENTS, FIRST_NODE, NODES
from .model import CHANNELS, PARTS, SLICES, DeReGrl, component_actions
from .quantise import tidy

#: Name and version of the input's meaning; mercam refuses a model with another one.
FEATURE_FORMAT = "onset-apex-iod-v1"
OUTPUTS = ("probs", "actions", "relations")
#: tract is tested with opsets 9 to 18.
OPSET = 17


class Deploy(nn.Module):
    """Inference form: raw features [B, 51, 4] -> probs [B, C], actions [B, 6], relations [B, Q, Q]."""

    def __init__(self, net: DeReGrl):
        super().__init__()
        if net.cfg.adm != "per_component" or net.cfg.rrm != "pairwise":
            raise ValueError("only the full network (adm = per_component, rrm = pairwise) is exported; ablations are for comparison")
        self.cfg, self.normalise = net.cfg, net.normalise
        for s, layers in enumerate(net.streams):
            for i, g in enumerate(layers):
                scale = g.bn.weight / torch.sqrt(g.bn.running_var + g.bn.eps)
                shift = g.bn.bias - g.bn.running_mean * scale
                a = g.adjacency()
                self.keep(f"adjacency_{s}{i}", a)
                self.keep(f"weight_{s}{i}", torch.cat([(g.lin.weight * scale[:, None]).t(), g.res.weight.t()], 1))
                self.keep(f"bias_{s}{i}", a.sum(1, keepdim=True) * (g.lin.bias * scale)[None] + shift[None])
        for k, m in enumerate(net.adm.maps):
            self.keep(f"map_{k}", m.weight.t())
            self.keep(f"map_bias_{k}", m.bias)
        d = net.cfg.action_dim**-0.5
        q, k, v = net.rrm.q, net.rrm.k, net.rrm.v
        self.keep("qkv", torch.cat([q.weight.t() * d, k.weight.t(), v.weight.t()], 1))
        self.keep("qkv_bias", torch.cat([q.bias * d, torch.zeros_like(q.bias), v.bias]))
        self.keep("head", (net.head.weight / net.temperature).t())
        self.keep("head_bias", net.head.bias / net.temperature)

    def keep(self, name: str, tensor: Tensor) -> None:
        self.register_buffer(name, tensor.detach().clone().contiguous())

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        cfg, streams = self.cfg, []
        for s, h in enumerate(self.normalise(x)):
            for i in range(len(cfg.widths)):
                z = torch.matmul(h, getattr(self, f"weight_{s}{i}"))
                c = cfg.widths[i]
                h = relu(torch.matmul(getattr(self, f"adjacency_{s}{i}"), z[..., :c]) + getattr(self, f"bias_{s}{i}") + z[..., c:])
            streams.append(h)
        width = 2 * cfg.widths[-1]
        flat = torch.cat(streams, -1).reshape(-1, 1, NODES * width)
        a = torch.cat(
            [torch.matmul(flat[..., s * width : e * width], getattr(self, f"map_{k}")) + getattr(self, f"map_bias_{k}")
             for k, (s, e) in enumerate(SLICES)], 2)  # fmt: skip
        a = relu(a).reshape(-1, PARTS * cfg.actions, cfg.action_dim)
        d = cfg.action_dim
        qkv = torch.matmul(a, self.qkv) + self.qkv_bias
        w = torch.softmax(torch.matmul(qkv[..., :d], qkv[..., d : 2 * d].transpose(1, 2)), -1)
        r = relu(a + torch.matmul(w, qkv[..., 2 * d :]))
        logits = torch.matmul(r.reshape(-1, 1, PARTS * cfg.actions * d), self.head).reshape(-1, cfg.classes) + self.head_bias
        return torch.softmax(logits, -1), component_actions(a), w


def export(net: DeReGrl) -> onnx.ModelProto:
    """The fp32 ONNX model of a trained network."""
    deploy = Deploy(net.cpu().eval()).eval()
    names = ["x", *OUTPUTS]
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            deploy, (torch.zeros(1, NODES, CHANNELS),), buffer, input_names=names[:1], output_names=names[1:], dynamo=False,
            opset_version=OPSET, dynamic_axes={n: {0: "batch"} for n in names})  # fmt: skip
    model = tidy(onnx.load_from_string(buffer.getvalue()))
    model.producer_name, model.producer_version = "mercam_training", ""
    return model


def describe(model: onnx.ModelProto, net: DeReGrl, model_id: str, precision: str, int8_matmuls: int) -> onnx.ModelProto:
    """Writes what mercam reads from the model: classes, components, input meaning, precision."""
    helper.set_model_props(model, {
        "model_id": model_id, "precision": precision, "int8_matmuls": str(int8_matmuls), "feature_format": FEATURE_FORMAT,
        "classes": json.dumps(list(CLASSES)), "components": json.dumps([c for c, _, _ in COMPONENTS]),
        "first_landmark": str(FIRST_NODE), "nodes": str(NODES), "actions_per_component": str(net.cfg.actions),
        "temperature": f"{net.temperature.item():.4f}", "parameters": str(net.parameter_count()),
        "training_data": "synthetic movements in landmark space; no face of a person",
    })  # fmt: skip
    return model


def save(model: onnx.ModelProto, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model.SerializeToString(deterministic=True))
