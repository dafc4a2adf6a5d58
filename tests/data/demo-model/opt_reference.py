#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""A plain float32 implementation of the OPT forward pass, for checking others against.

It reads config.json and model.safetensors and needs only numpy and torch.
Given a list of token ids it returns the logits of every position and, for
every layer, which feed-forward neurons were active (fc1 output > 0).
"""
import json
import os
import struct

import numpy as np
import torch


def write_safetensors(path, tensors, metadata=None):
    """tensors: {name: numpy array}; float16 and float32 are supported."""
    names = {np.dtype(np.float16): "F16", np.dtype(np.float32): "F32"}
    header, offset = {}, 0
    if metadata:
        header["__metadata__"] = metadata
    for name in sorted(tensors):
        t = tensors[name]
        header[name] = {"dtype": names[t.dtype], "shape": list(t.shape), "data_offsets": [offset, offset + t.nbytes]}
        offset += t.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)))
        f.write(text)
        for name in sorted(tensors):
            f.write(np.ascontiguousarray(tensors[name]).tobytes())


def read_safetensors(path):
    dtypes = {"F16": np.float16, "F32": np.float32}
    with open(path, "rb") as f:
        (size,) = struct.unpack("<Q", f.read(8))
        header = json.loads(f.read(size))
        data = f.read()
    header.pop("__metadata__", None)
    out = {}
    for name, info in header.items():
        a, b = info["data_offsets"]
        out[name] = np.frombuffer(data[a:b], dtypes[info["dtype"]]).reshape(info["shape"])
    return out


class Model:
    def __init__(self, folder):
        with open(os.path.join(folder, "config.json"), encoding="utf-8") as f:
            self.config = json.load(f)
        tensors = read_safetensors(os.path.join(folder, "model.safetensors"))
        self.w = {n: torch.from_numpy(t.astype(np.float32)) for n, t in tensors.items()}

    def linear(self, x, name):
        return x @ self.w[name + ".weight"].t() + self.w[name + ".bias"]

    def norm(self, x, name):
        mean = x.mean(-1, keepdim=True)
        var = ((x - mean) ** 2).mean(-1, keepdim=True)
        return (x - mean) / torch.sqrt(var + 1e-5) * self.w[name + ".weight"] + self.w[name + ".bias"]

    @torch.no_grad()
    def forward(self, ids, trace=None):
        """ids: list of int (starting with </s>).  Returns (logits [T, V], [active [T, F] per layer]).

        If `trace` is a list, it receives (residual stream [T, d], fc1 output [T, F]) of every layer.
        """
        c, p = self.config, "model.decoder."
        t, d, heads = len(ids), c["hidden_size"], c["num_attention_heads"]
        hd = d // heads
        assert t <= c["max_position_embeddings"]
        emb = self.w[p + "embed_tokens.weight"]
        x = emb[torch.tensor(ids)] + self.w[p + "embed_positions.weight"][2:2 + t]
        mask = torch.full((t, t), float("-inf")).triu(1)
        active = []
        for i in range(c["num_hidden_layers"]):
            q = p + "layers.%d." % i
            y = self.norm(x, q + "self_attn_layer_norm")
            qs, ks, vs = (self.linear(y, q + "self_attn.%s_proj" % n).view(t, heads, hd).transpose(0, 1)
                          for n in "qkv")
            att = torch.softmax(qs @ ks.transpose(1, 2) * hd ** -0.5 + mask, -1)
            y = (att @ vs).transpose(0, 1).reshape(t, d)
            x = x + self.linear(y, q + "self_attn.out_proj")
            y = self.linear(self.norm(x, q + "final_layer_norm"), q + "fc1")
            active.append(y > 0)
            x = x + self.linear(torch.relu(y), q + "fc2")
            if trace is not None:
                trace.append((x, y))
        return self.norm(x, p + "final_layer_norm") @ emb.t(), active

    def greedy(self, ids, count):
        """`count` most likely tokens, one after the other, never stopping early; also the lead of each."""
        ids, leads = list(ids), []
        for _ in range(count):
            best = torch.topk(self.forward(ids)[0][-1], 2)
            ids.append(int(best.indices[0]))
            leads.append(float(best.values[0] - best.values[1]))
        return ids[-count:], leads


def perplexity(model, ids, context):
    """Windows [</s>] + up to context-1 tokens, no overlap; every token of `ids` is predicted exactly once.

    Returns ([nll of each window], [active count of each neuron] per layer).
    """
    nll, counts = [], None
    for s in range(0, len(ids), context - 1):
        target = ids[s:s + context - 1]
        logits, active = model.forward([2] + target[:-1])
        logp = torch.log_softmax(logits.double(), -1)
        nll.append(-float(logp[torch.arange(len(target)), torch.tensor(target)].sum()))
        now = [a.sum(0) for a in active]
        counts = now if counts is None else [x + y for x, y in zip(counts, now)]
    return nll, counts
