#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Train a small OPT-architecture language model with sparse ReLU feed-forward layers.

    python3 train.py --data build --steps 2600     (deterministic schedule)
    python3 train.py --data build --minutes 60     (schedule follows the clock)

Parameter names are those of Hugging Face OPTForCausalLM.  Matrix products run
in bfloat16, everything else and all master weights in float32.  An L1 penalty
on the post-ReLU activations is faded in; its weight is adjusted per layer so
that the share of active neurons follows a falling target curve.
"""
import argparse
import json
import math
import os
import random
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

from bpe import BOS, Tokenizer

CONFIG = dict(vocab_size=4096, hidden_size=256, ffn_dim=2048, num_hidden_layers=6,
              num_attention_heads=4, max_position_embeddings=512)


# ------------------------------------------------------------------ model --
class L1ReLU(torch.autograd.Function):
    """ReLU whose backward pass adds the gradient of  weight * sum(output)."""

    @staticmethod
    def forward(ctx, x, weight):
        y = x.clamp_min(0)
        ctx.save_for_backward(y)
        ctx.weight = weight
        return y

    @staticmethod
    def backward(ctx, grad):
        (y,) = ctx.saved_tensors
        return torch.ops.aten.threshold_backward(grad + ctx.weight, y, 0), None


class TiedHeadLoss(torch.autograd.Function):
    """Mean cross entropy of  softmax(h @ w.T); gradients are formed in the forward pass."""

    @staticmethod
    def forward(ctx, h, w, target):
        logits = (h @ w.t()).float()
        lse = torch.logsumexp(logits, 1, keepdim=True)
        loss = (lse.squeeze(1) - logits.gather(1, target[:, None]).squeeze(1)).mean()
        grad = logits.sub_(lse).exp_()
        grad.scatter_add_(1, target[:, None], torch.full((len(target), 1), -1.0))
        grad = grad.div_(len(target)).to(h.dtype)
        ctx.save_for_backward(grad @ w, grad.t() @ h)
        return loss

    @staticmethod
    def backward(ctx, g):
        gh, gw = ctx.saved_tensors
        return gh * g.to(gh.dtype), gw * g.to(gw.dtype), None


class Attention(nn.Module):
    def __init__(self, d):
        super().__init__()
        for n in ("k_proj", "v_proj", "q_proj", "out_proj"):
            setattr(self, n, nn.Linear(d, d))


class Layer(nn.Module):
    def __init__(self, d, f):
        super().__init__()
        self.self_attn = Attention(d)
        self.self_attn_layer_norm = nn.LayerNorm(d)
        self.fc1 = nn.Linear(d, f)
        self.fc2 = nn.Linear(f, d)
        self.final_layer_norm = nn.LayerNorm(d)


class Decoder(nn.Module):
    def __init__(self, c):
        super().__init__()
        d = c["hidden_size"]
        self.embed_tokens = nn.Embedding(c["vocab_size"], d)
        self.embed_positions = nn.Embedding(c["max_position_embeddings"] + 2, d)
        self.layers = nn.ModuleList(Layer(d, c["ffn_dim"]) for _ in range(c["num_hidden_layers"]))
        self.final_layer_norm = nn.LayerNorm(d)


class OPT(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c = c
        self.model = nn.Module()
        self.model.decoder = Decoder(c)
        n_res = 2 * c["num_hidden_layers"]
        for name, p in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(p)
            elif "layer_norm" not in name:
                std = 0.02 if "embed" in name else 0.5 / math.sqrt(p.shape[1])
                if "out_proj" in name or "fc2" in name:
                    std /= math.sqrt(n_res) * 0.5
                nn.init.normal_(p, 0.0, std)

    def hidden(self, ids, pos, l1, dtype, rates=None, rate_stride=1):
        """Final hidden states [B*T, d].  l1[i]: gradient weight of layer i's penalty."""
        dec, heads = self.model.decoder, self.c["num_attention_heads"]
        b, t = ids.shape
        d = self.c["hidden_size"]
        mask = torch.full((t, t), float("-inf"), dtype=dtype).triu(1)

        def lin(x, m):
            return F.linear(x.to(dtype), m.weight.to(dtype), m.bias.to(dtype))

        x = (dec.embed_tokens(ids) + dec.embed_positions(pos + 2)).view(b * t, d)
        for i, layer in enumerate(dec.layers):
            a = layer.self_attn
            y = layer.self_attn_layer_norm(x).to(dtype)
            w = torch.cat([a.q_proj.weight * (d // heads) ** -0.5, a.k_proj.weight, a.v_proj.weight])
            z = torch.cat([a.q_proj.bias * (d // heads) ** -0.5, a.k_proj.bias, a.v_proj.bias])
            qkv = F.linear(y, w.to(dtype), z.to(dtype)).view(b, t, 3, heads, d // heads)
            q, k, v = (s.reshape(b * heads, t, d // heads)
                       for s in qkv.permute(2, 0, 3, 1, 4))
            att = torch.softmax(torch.baddbmm(mask, q, k.transpose(1, 2)), -1)
            y = torch.bmm(att, v).view(b, heads, t, d // heads).transpose(1, 2).reshape(b * t, d)
            x = x + lin(y, a.out_proj)
            y = lin(layer.final_layer_norm(x), layer.fc1)
            y = L1ReLU.apply(y, l1[i]) if l1 is not None else F.relu(y)
            if rates is not None:
                rates.append((y.detach()[::rate_stride] > 0).float().mean(0))
            x = x + lin(y, layer.fc2)
        return dec.final_layer_norm(x)

    def loss(self, ids, pos, target, l1=None, dtype=torch.bfloat16, rates=None, rate_stride=1):
        h = self.hidden(ids, pos, l1, dtype, rates, rate_stride).to(dtype)
        return TiedHeadLoss.apply(h, self.model.decoder.embed_tokens.weight.to(dtype), target.view(-1))


# ------------------------------------------------------------------- data --
def load_stream(data, tok, seed):
    """Concatenate all documents; a separator is </s> (3 in 5) or an empty line."""
    rng, newline = random.Random(seed), tok.vocab["\u010a"]
    ids, starts = [], []
    with open(os.path.join(data, "train.jsonl"), encoding="utf-8") as f:
        for line in f:
            starts.append(len(ids))
            ids += tok.encode(json.loads(line)["text"], bos=False)
            ids += [BOS] if rng.random() < 0.6 else [newline, newline]
    return torch.tensor(ids, dtype=torch.long), starts


class Windows:
    """Windows </s> + tokens that walk through the stream; some start over at a document start."""

    def __init__(self, stream, starts, seed):
        self.stream, self.starts, self.at, self.doc = stream, starts, 0, 0
        self.rng = random.Random(seed)

    def next(self, length):
        if self.at + length > len(self.stream):
            self.at = self.doc = 0
        while self.doc + 1 < len(self.starts) and self.starts[self.doc + 1] <= self.at:
            self.doc += 1
        if self.at - self.starts[self.doc] < 160 and self.rng.random() < 0.5:
            self.at = self.starts[self.doc]
        target = self.stream[self.at:self.at + length]
        self.at += length
        return torch.cat([torch.tensor([BOS]), target[:-1]]), target

    def batch(self, count, length, max_pos):
        pairs = [self.next(length) for _ in range(count)]
        offset = torch.tensor([[self.rng.randint(0, max_pos - length)] for _ in range(count)])
        if self.rng.random() < 0.5:
            offset.zero_()
        return (torch.stack([p[0] for p in pairs]), offset + torch.arange(length),
                torch.stack([p[1] for p in pairs]))


@torch.no_grad()
def evaluate(model, ids, context, dtype=torch.bfloat16):
    """(mean nll, per-layer share of active neurons, per-layer share of never-active neurons)."""
    step, nll, rates, tokens = context - 1, 0.0, None, 0
    for s in range(0, len(ids), step):
        target = torch.tensor(ids[s:s + step])
        inp = torch.cat([torch.tensor([BOS]), target[:-1]])[None]
        r = []
        loss = model.loss(inp, torch.arange(len(target))[None], target, None, dtype, r)
        nll += loss.item() * len(target)
        r = torch.stack(r) * len(target)
        rates = r if rates is None else rates + r
        tokens += len(target)
    rates /= tokens
    return nll / tokens, rates.mean(1).tolist(), (rates == 0).float().mean(1).tolist()


# --------------------------------------------------------------- training --
def main():
    ap = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    ap.add_argument("--data", default="build")
    ap.add_argument("--steps", type=int, default=2600, help="length of the run; ignored with --minutes")
    ap.add_argument("--minutes", type=float, default=0.0, help="length of the run as wall-clock time")
    ap.add_argument("--tokens-per-step", type=int, default=2048)
    ap.add_argument("--long-from", type=float, default=0.75, help="share of the run after which windows are 512 long")
    ap.add_argument("--lr", type=float, default=1.5e-3)
    ap.add_argument("--warmup", type=float, default=0.04, help="share of the run")
    ap.add_argument("--weight-decay", type=float, default=0.05)
    ap.add_argument("--target-rate", type=float, default=0.055, help="final share of active neurons")
    ap.add_argument("--eval-every", type=int, default=200)
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--threads", type=int, default=2)
    ap.add_argument("--stop-after", type=int, default=0, help="leave the loop early (timing only)")
    args = ap.parse_args()
    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads)
    torch.set_flush_denormal(True)

    tok = Tokenizer(args.data)
    stream, starts = load_stream(args.data, tok, args.seed)
    with open(os.path.join(args.data, "heldout.txt"), encoding="utf-8") as f:
        held = tok.encode(f.read(), bos=False)
    print("%d training tokens, %d held-out tokens" % (len(stream), len(held)), flush=True)

    model = OPT(CONFIG)
    print("%d parameters" % sum(p.numel() for p in model.parameters()), flush=True)
    decay = [p for n, p in model.named_parameters() if p.ndim == 2 and "embed" not in n]
    rest = [p for n, p in model.named_parameters() if not (p.ndim == 2 and "embed" not in n)]
    opt = torch.optim.AdamW([{"params": decay, "weight_decay": args.weight_decay},
                             {"params": rest, "weight_decay": 0.0}], lr=args.lr, betas=(0.9, 0.97), eps=1e-8)
    windows = Windows(stream, starts, args.seed)
    n_layers, max_pos = CONFIG["num_hidden_layers"], CONFIG["max_position_embeddings"]
    l1_on, l1_full, first_rate = 0.08, 0.60, 0.30
    l1 = [0.0] * n_layers            # penalty weight per layer, in units of 1e-3 per token
    smooth, log, began, step = None, [], time.time(), 0

    while True:
        done = (time.time() - began) / (60 * args.minutes) if args.minutes else step / args.steps
        if done < args.warmup:
            lr = args.lr * max(0.01, done / args.warmup)
        else:
            x = min(1.0, (done - args.warmup) / (1 - args.warmup))
            lr = args.lr * (0.03 + 0.97 * 0.5 * (1 + math.cos(math.pi * x)))
        for g in opt.param_groups:
            g["lr"] = lr
        length = 256 if done < args.long_from else 512
        count = args.tokens_per_step // length
        ids, pos, target = windows.batch(count, length, max_pos)
        rates = [] if step % 5 == 0 else None
        scale = 1e-3 / (count * length)
        loss = model.loss(ids, pos, target, [w * scale for w in l1], torch.bfloat16, rates, 8)
        opt.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        opt.step()

        if rates is not None:
            now = [r.mean().item() for r in rates]
            smooth = now if smooth is None else [0.7 * s + 0.3 * n for s, n in zip(smooth, now)]
            if done >= l1_on:
                x = min(1.0, (done - l1_on) / (l1_full - l1_on))
                goal = first_rate * (args.target_rate / first_rate) ** x
                for i in range(n_layers):
                    if l1[i] == 0.0:
                        l1[i] = 0.05
                    err = max(-1.0, min(1.0, math.log(max(smooth[i], 1e-4) / goal)))
                    l1[i] = min(50.0, max(1e-3, l1[i] * math.exp(0.12 * err)))
        if step % 20 == 0:
            print("step %5d  %.3f  loss %.4f  lr %.2e  active %s  l1 %s  %.0f s" % (
                step, done, loss.item(), lr, " ".join("%.3f" % s for s in smooth),
                " ".join("%.3f" % w for w in l1), time.time() - began), flush=True)
        step += 1
        if args.stop_after and step >= args.stop_after:
            return
        last = time.time() - began >= 60 * args.minutes if args.minutes else step >= args.steps
        if step % args.eval_every == 0 or last:
            nll, act, dead = evaluate(model, held, max_pos)
            entry = dict(step=step, progress=min(1.0, done), tokens=step * args.tokens_per_step, train_loss=loss.item(),
                         heldout_nll=nll, heldout_ppl=math.exp(nll), active=act, never_active=dead, l1=list(l1),
                         lr=lr, seconds=time.time() - began)
            log.append(entry)
            print("== %s" % json.dumps(entry), flush=True)
            with open(os.path.join(args.data, "train_log.json"), "w") as f:
                json.dump(log, f, indent=1)
            torch.save(model.state_dict(), os.path.join(args.data, "model.pt"))
        if last:
            break


if __name__ == "__main__":
    main()
