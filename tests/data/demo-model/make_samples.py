#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Sample texts and the overlap of active neurons between domains.

    python3 make_samples.py --model model --data build --out reference

writes samples.json and overlap.json.
"""
import argparse
import glob
import json
import os

import torch

from bpe import BOS, Tokenizer
from opt_reference import Model, perplexity

PROMPTS = [
    "Once upon a time, there was a curious boy named Leo.",
    "One rainy day, Nora found a small key at the beach.",
    "The greedy fox lived near the river.",
    "And the LORD spake unto Moses, saying,",
    "Weather report for Friday, evening edition.",
    "Recipe: Simple carrots soup\n",
    "Question: Anna has 12 coins and gets 7 more.",
    "/* Find the maximum of values. */\n",
]


def main():
    ap = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    ap.add_argument("--model", default="model")
    ap.add_argument("--data", default="build")
    ap.add_argument("--out", default="reference")
    ap.add_argument("--tokens", type=int, default=110)
    ap.add_argument("--trace-tokens", type=int, default=5110, help="tokens of each domain used for the overlap")
    args = ap.parse_args()
    model, tok = Model(args.model), Tokenizer(args.model)
    samples = []
    for prompt in PROMPTS:
        ids = tok.encode(prompt)
        start = len(ids)
        while len(ids) - start < args.tokens:
            new = int(model.forward(ids)[0][-1].argmax())
            if new == BOS:
                break
            ids.append(new)
        samples.append({"prompt": prompt, "text": tok.decode(ids[start:], False)})
        print(samples[-1], flush=True)
    with open(os.path.join(args.out, "samples.json"), "w", encoding="utf-8") as f:
        json.dump(samples, f, ensure_ascii=False, indent=1)
        f.write("\n")

    freq = {}
    for path in sorted(glob.glob(os.path.join(args.data, "corpus", "*.txt"))):
        with open(path, encoding="utf-8") as f:
            ids = tok.encode(f.read(), bos=False)[:args.trace_tokens]
        _, counts = perplexity(model, ids, model.config["max_position_embeddings"])
        freq[os.path.basename(path)[:-4]] = torch.cat(counts).double() / len(ids)
    rows = {a: [round(float(torch.cosine_similarity(freq[a], freq[b], 0)), 4) for b in freq] for a in freq}
    with open(os.path.join(args.out, "overlap.json"), "w") as f:
        json.dump({"tokens_per_domain": args.trace_tokens, "rows": rows}, f, indent=1)
        f.write("\n")
    print(rows)


if __name__ == "__main__":
    main()
