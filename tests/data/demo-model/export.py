#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Write the trained weights as a Hugging Face OPT model: config.json and float16 model.safetensors.

    python3 export.py --data build --out model
"""
import argparse
import json
import os

import numpy as np
import torch

from opt_reference import write_safetensors
from train import CONFIG


def main():
    ap = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    ap.add_argument("--data", default="build")
    ap.add_argument("--out", default="model")
    args = ap.parse_args()
    os.makedirs(args.out, exist_ok=True)
    config = {
        "architectures": ["OPTForCausalLM"], "model_type": "opt", "activation_function": "relu",
        "activation_dropout": 0.0, "attention_dropout": 0.0, "dropout": 0.0, "layerdrop": 0.0, "init_std": 0.02,
        "hidden_size": CONFIG["hidden_size"], "ffn_dim": CONFIG["ffn_dim"],
        "num_hidden_layers": CONFIG["num_hidden_layers"], "num_attention_heads": CONFIG["num_attention_heads"],
        "max_position_embeddings": CONFIG["max_position_embeddings"], "vocab_size": CONFIG["vocab_size"],
        "word_embed_proj_dim": CONFIG["hidden_size"], "do_layer_norm_before": True, "enable_bias": True,
        "layer_norm_elementwise_affine": True, "_remove_final_layer_norm": False, "tie_word_embeddings": True,
        "bos_token_id": 2, "eos_token_id": 2, "pad_token_id": 1, "prefix": "</s>", "torch_dtype": "float16",
        "use_cache": True,
    }
    with open(os.path.join(args.out, "config.json"), "w") as f:
        json.dump(config, f, indent=2)
        f.write("\n")
    state = torch.load(os.path.join(args.data, "model.pt"), map_location="cpu")
    out, worst = {}, 0.0
    for name, t in state.items():
        t = t.float().numpy()
        h = t.astype(np.float16)
        assert np.isfinite(h).all()
        worst = max(worst, float(np.abs(h.astype(np.float32) - t).max()))
        out[name] = h
    path = os.path.join(args.out, "model.safetensors")
    write_safetensors(path, out, {"format": "pt"})
    print("%d tensors, %d parameters, %d bytes, largest rounding error %.2e" % (
        len(out), sum(t.size for t in out.values()), os.path.getsize(path), worst))


if __name__ == "__main__":
    main()
