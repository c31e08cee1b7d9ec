"""Deployment form of the network, and its ONNX file.

Batch normalisation is folded into the weights and a constant bias, the temperature into the last layer, softmax is
inside. Features are flattened before they are sliced: slicing the node axis makes tract cut the last graph layer in
as many pieces as there are components (13-18 % more instructions).
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
from .layout import CHANNELS
from .model import DeReGrl
from .quantise import tidy

#: Name and version of the input's meaning; mercam refuses a model with another one.
FEATURE_FORMAT = "onset-apex-iod-v1"
#: What the features mean, in words that mercam compares too.
NORMALISATION = "face frame, IOD, rigid similarity removed; the rest is inside the model"
WINDOW = "onset,apex"
OUTPUTS = ("probs", "actions", "relations")
#: tract is tested with opsets 9 to 18.
OPSET = 17


class Deploy(nn.Module):
    """Inference form: raw features [B, N, C] -> probs [B, classes], actions [B, P], relations [B, Q, Q]."""

    def __init__(self, net: DeReGrl):
        super().__init__()
        self.cfg, self.normalise, self.layout, self.kind = net.cfg, net.normalise, net.layout, net.adm.kind
        self.shape = net.adm.shape
        for s, layers in enumerate(net.streams):
            for i, g in enumerate(layers):
                scale = g.bn.weight / torch.sqrt(g.bn.running_var + g.bn.eps)
                shift = g.bn.bias - g.bn.running_mean * scale
                a = g.adjacency()
                self.keep(f"adjacency_{s}{i}", a)
                self.keep(f"weight_{s}{i}", torch.cat([(g.lin.weight * scale[:, None]).t(), g.res.weight.t()], 1))
                self.keep(f"bias_{s}{i}", a.sum(1, keepdim=True) * (g.lin.bias * scale)[None] + shift[None])
        for k, m in enumerate(getattr(net.adm, "maps", getattr(net.adm, "pool", []))):
            self.keep(f"map_{k}", m.weight.t())
            self.keep(f"map_bias_{k}", m.bias)
        if self.kind == "mixing":
            self.keep("mix", net.adm.mix)
            self.keep("share", net.adm.mix.abs() / net.adm.mix.abs().sum(1, keepdim=True).clamp_min(1e-6) / net.cfg.actions)
        rrm, d = net.rrm, net.cfg.action_dim**-0.5
        if rrm.kind == "pairwise":
            self.keep("qkv", torch.cat([rrm.q.weight.t() * d, rrm.k.weight.t(), rrm.v.weight.t()], 1))
            self.keep("qkv_bias", torch.cat([rrm.q.bias * d, torch.zeros_like(rrm.q.bias), rrm.v.bias]))
        elif rrm.kind == "gate":
            self.keep("squeeze", rrm.squeeze.weight.t())
            self.keep("squeeze_bias", rrm.squeeze.bias)
            self.keep("excite", rrm.excite.weight.t())
            self.keep("excite_bias", rrm.excite.bias)
        elif rrm.kind == "static":
            self.keep("gain", torch.sigmoid(rrm.weight))
        self.keep("unit", torch.eye(self.shape[0]))
        self.keep("head", (net.head.weight / net.temperature).t())
        self.keep("head_bias", net.head.bias / net.temperature)

    def keep(self, name: str, tensor: Tensor) -> None:
        self.register_buffer(name, tensor.detach().clone().contiguous())

    def features(self, x: Tensor) -> Tensor:
        """[B, N, C] -> [B, N, 2W]."""
        streams = []
        for s, h in enumerate(self.normalise(x)):
            for i, c in enumerate(self.cfg.widths):
                z = torch.matmul(h, getattr(self, f"weight_{s}{i}"))
                h = relu(torch.matmul(getattr(self, f"adjacency_{s}{i}"), z[..., :c]) + getattr(self, f"bias_{s}{i}") + z[..., c:])
            streams.append(h)
        return torch.cat(streams, -1)

    def decompose(self, f: Tensor) -> tuple[Tensor, Tensor]:
        """[B, N, 2W] -> action features [B, Q, D], component actions [B, P]."""
        cfg, layout, width = self.cfg, self.layout, 2 * self.cfg.widths[-1]
        parts, flat = len(layout.spans), f.reshape(-1, 1, layout.nodes * width)
        if self.kind in ("flatten", "gap"):
            actions = torch.cat([flat[..., s * width : e * width].mean(-1) for s, e in layout.spans], 1)
            return flat if self.kind == "flatten" else f.mean(1, keepdim=True), actions
        a = torch.cat(
            [torch.matmul(flat[..., s * width : e * width], getattr(self, f"map_{k}")) + getattr(self, f"map_bias_{k}")
             for k, (s, e) in enumerate(layout.spans)], 2)  # fmt: skip
        if self.kind == "mixing":
            a = relu(torch.matmul(self.mix, a.reshape(-1, parts, cfg.action_dim)))
            return a, torch.matmul(a.mean(-1), self.share)
        a = relu(a).reshape(-1, *self.shape)
        return a, a.reshape(-1, parts, cfg.actions * cfg.action_dim).mean(-1)

    def relate(self, a: Tensor) -> tuple[Tensor, Tensor]:
        """[B, Q, D] -> reconstructed actions [B, Q, D], relations [B, Q, Q]."""
        d, kind = self.cfg.action_dim, self.cfg.rrm
        if kind == "pairwise":
            qkv = torch.matmul(a, self.qkv) + self.qkv_bias
            w = torch.softmax(torch.matmul(qkv[..., :d], qkv[..., d : 2 * d].transpose(1, 2)), -1)
            return relu(a + torch.matmul(w, qkv[..., 2 * d :])), w
        every = torch.zeros_like(a[..., :1]) + self.unit  # the batch's size, without asking for it
        if kind == "off":
            return a, every
        if kind == "static":
            return a * self.gain[:, None], every * self.gain[:, None]
        z = relu(torch.matmul(a.reshape(-1, 1, self.shape[0] * self.shape[1]), self.squeeze) + self.squeeze_bias)
        w = torch.sigmoid(torch.matmul(z, self.excite) + self.excite_bias).reshape(-1, self.shape[0], 1)
        return a * w, every * w

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        a, actions = self.decompose(self.features(x))
        r, w = self.relate(a)
        q, d = self.shape
        r = r.sum(1, keepdim=True) if self.cfg.reconstruct == "sum" else r.reshape(-1, 1, q * d)
        logits = torch.matmul(r, self.head).reshape(-1, self.cfg.classes) + self.head_bias
        return torch.softmax(logits, -1), actions, w


def export(net: DeReGrl) -> onnx.ModelProto:
    """The fp32 ONNX model of a trained network."""
    deploy = Deploy(net.cpu().eval()).eval()
    names = ["x", *OUTPUTS]
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            deploy, (torch.zeros(1, net.layout.nodes, len(net.layout.channels)),), buffer, input_names=names[:1], output_names=names[1:],
            dynamo=False, opset_version=OPSET, dynamic_axes={n: {0: "batch"} for n in names})  # fmt: skip
    model = tidy(onnx.load_from_string(buffer.getvalue()))
    model.producer_name, model.producer_version = "mercam_training", ""
    return model


def feature_format(net: DeReGrl) -> str:
    """mercam's format when nodes and channels are mercam's, otherwise a name that mercam refuses."""
    return FEATURE_FORMAT if net.layout.channels == CHANNELS else "table:" + ",".join(net.layout.channels)


def describe(
    model: onnx.ModelProto, net: DeReGrl, model_id: str, precision: str, int8_matmuls: int,
    *, classes: tuple[str, ...] = CLASSES, data: str = "synthetic movements in landmark space; no face of a person",
) -> onnx.ModelProto:  # fmt: skip
    """Writes what mercam reads from the model and checks: classes, components, nodes, input meaning, precision."""
    layout = net.layout
    helper.set_model_props(model, {
        "model_id": model_id, "precision": precision, "int8_matmuls": str(int8_matmuls), "feature_format": feature_format(net),
        "features": json.dumps(list(layout.channels)), "normalisation": NORMALISATION, "window": WINDOW,
        "classes": json.dumps(list(classes)), "components": json.dumps([c for c, _ in layout.components]),
        "first_landmark": str(layout.landmarks[0]), "nodes": str(layout.nodes), "landmarks": json.dumps(list(layout.landmarks)),
        "actions_per_component": str(net.cfg.actions), "adm": net.cfg.adm, "rrm": net.cfg.rrm,
        "temperature": f"{net.temperature.item():.4f}", "parameters": str(net.parameter_count()), "training_data": data,
    })  # fmt: skip
    return model


def save(model: onnx.ModelProto, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model.SerializeToString(deterministic=True))
