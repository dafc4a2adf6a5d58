#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Write the files that another implementation can be checked against.

    python3 make_reference.py --model model --data build --out reference

All values are computed in float32 from the float16 weights.
"""
import argparse
import json
import math
import os

import numpy as np
import torch

from bpe import Tokenizer
from opt_reference import Model, perplexity

LONG = (
    "One windy morning, Mia went to the forest. She had a small dog named Biscuit. Biscuit ran ahead. At the "
    "forest, Mia heard a strange sound. It came from the tall grass. She walked slowly and saw a little hedgehog. "
    "It was stuck in the mud. \"Do not be afraid,\" whispered Mia. She used a long stick. Very carefully, they "
    "pulled it out. The hedgehog ate a pear and closed its eyes and slept. After a few days, it felt much better. "
    "Mia took it back to the forest and said goodbye. The hedgehog looked back once and ran home to its family.\n"
    "The next day, her friend Oscar came to the house. \"Where is the hedgehog?\" asked Oscar. \"It went home,\" "
    "said Mia. \"It was well again, and its family was waiting.\" Oscar felt sad, because he wanted to see it. "
    "\"We can walk to the forest and look for it,\" said Mia. So they packed two sandwiches and an apple, and "
    "Grandma gave them a warm scarf. They walked past the old mill, over the bridge and up the hill. They counted "
    "the trees: one, two, three, four, five. They looked under a bush and behind a rock. They waited for a long "
    "time, and nothing happened. Then something small and brown came out of the tall grass. It was the hedgehog! "
    "Behind it were three tiny hedgehogs, all in a row. \"Wow!\" said Oscar. \"It has a big family.\" Mia smiled. "
    "\"I think it wanted to say thank you,\" she said. They put the apple down in the grass and")

PROMPTS = [
    ("story", "Once upon a time, there was a little girl named Lily."),
    ("scripture", "And it came to pass in those days, that the king of"),
    ("code", "int count_item(const int *values, int n)\n{\n    int total = 0;\n    for ("),
    ("weather_non_ascii", "Weather report for Monday, morning edition.\nIn São Miguel, expect snow at first and "
                          "clear skies later. Temperatures between -3 and 4 °C"),
    ("recipe", "Recipe: Quick tomatoes soup\nServes 4.\nIngredients:\n- ½ cup tomatoes\n- 200 g"),
    ("arithmetic", "Question: Tom had 14 apples and gave 5 to José. How many apples are left?\nAnswer:"),
    ("spaces_punctuation", "Hello,   world!  \"Well...\"   said Tom --  isn't   it?   They'll (maybe) come;  I'd say "
                           "so:  100%  "),
    ("emoji_scripts", "Zoë laughed 😀🎉 and said: «C'est déjà l'été!» Привет, 世界 – \u00a0ok\t\tend\r\n\n  \n"),
    ("long", LONG),
    ("empty", ""),
]


def main():
    ap = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    ap.add_argument("--model", default="model")
    ap.add_argument("--data", default="build")
    ap.add_argument("--out", default="reference")
    ap.add_argument("--tokens", type=int, default=48)
    args = ap.parse_args()
    os.makedirs(args.out, exist_ok=True)
    model, tok = Model(args.model), Tokenizer(args.model)
    ctx = model.config["max_position_embeddings"]

    entries, logits_last, hidden_last = [], [], []
    for name, prompt in PROMPTS:
        ids = tok.encode(prompt)
        assert tok.decode(ids) == prompt and len(ids) + args.tokens <= ctx
        trace = []
        logits, active = model.forward(ids, trace)
        last = logits[-1]
        logits_last.append(last.numpy())
        hidden_last.append(torch.stack([x[-1] for x, _ in trace]).numpy())
        top = torch.topk(last, 10)
        new, leads = model.greedy(ids, args.tokens)
        entries.append({
            "name": name, "prompt": prompt, "ids": ids,
            "top10": [{"id": int(i), "logit": round(float(v), 5), "text": tok.decode([int(i)], False)}
                      for v, i in zip(top.values, top.indices)],
            "greedy_ids": new, "greedy_text": tok.decode(new, False),
            "greedy_lead": [round(x, 5) for x in leads],
            "active_per_layer_and_position": [a.sum(1).tolist() for a in active],
            "active_last_position": [torch.nonzero(a[-1]).squeeze(1).tolist() for a in active],
            "near_zero_last_position": [int((y[-1].abs() < 1e-4).sum()) for _, y in trace],
        })
        print("%-20s %3d ids -> %r" % (name, len(ids), entries[-1]["greedy_text"][:70]), flush=True)
    with open(os.path.join(args.out, "prompts.json"), "w", encoding="utf-8") as f:
        f.write("[\n" + ",\n".join(json.dumps(e, ensure_ascii=False) for e in entries) + "\n]\n")
    np.save(os.path.join(args.out, "logits_last.npy"), np.stack(logits_last))
    np.save(os.path.join(args.out, "hidden_last.npy"), np.stack(hidden_last))

    with open(os.path.join(args.data, "heldout.txt"), encoding="utf-8") as f:
        ids = tok.encode(f.read(), bos=False)
    np.save(os.path.join(args.out, "heldout_ids.npy"), np.array(ids, np.int32))
    nll, counts = perplexity(model, ids, ctx)
    ffn = model.config["ffn_dim"]
    result = {
        "file": "heldout.txt", "context": ctx, "stride": ctx - 1, "tokens": len(ids), "nll_total": sum(nll),
        "perplexity": math.exp(sum(nll) / len(ids)), "nll_per_window": nll,
        "active_share_per_layer": [float(c.sum()) / (len(ids) * ffn) for c in counts],
        "active_share_mean": sum(float(c.sum()) for c in counts) / (len(ids) * ffn * len(counts)),
        "never_active_share_per_layer": [float((c == 0).float().mean()) for c in counts],
    }
    print("perplexity %.4f over %d tokens" % (result["perplexity"], len(ids)), flush=True)

    groups = {}
    with open(os.path.join(args.data, "heldout.jsonl"), encoding="utf-8") as f:
        for line in f:
            doc = json.loads(line)
            groups.setdefault(doc["domain"], []).append(tok.encode(doc["text"], bos=False))
    result["per_domain"] = {}
    for dom in sorted(groups):
        total, n, act = 0.0, 0, None
        for doc in groups[dom]:
            part, c = perplexity(model, doc, ctx)
            total, n = total + sum(part), n + len(doc)
            act = c if act is None else [x + y for x, y in zip(act, c)]
        result["per_domain"][dom] = {
            "documents": len(groups[dom]), "tokens": n, "perplexity": math.exp(total / n),
            "active_share_per_layer": [float(c.sum()) / (n * ffn) for c in act]}
        print("%-11s %6.3f" % (dom, result["per_domain"][dom]["perplexity"]), flush=True)

    unrounded = os.path.join(args.data, "model.pt")
    if os.path.exists(unrounded):
        half = model.w
        model.w = {n: t.float() for n, t in torch.load(unrounded, map_location="cpu").items()}
        full, counts32 = perplexity(model, ids, ctx)
        result["before_float16_rounding"] = {
            "perplexity": math.exp(sum(full) / len(ids)),
            "active_share_per_layer": [float(c.sum()) / (len(ids) * ffn) for c in counts32]}
        model.w = half
        print("without rounding %.4f" % result["before_float16_rounding"]["perplexity"])
    with open(os.path.join(args.out, "perplexity.json"), "w") as f:
        json.dump(result, f, indent=1)
        f.write("\n")


if __name__ == "__main__":
    main()
