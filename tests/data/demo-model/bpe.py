#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Byte-level BPE in the GPT-2 file format: trainer, encoder and decoder.

    python3 bpe.py --corpus build/train.jsonl --out build --vocab-size 4096

writes vocab.json, merges.txt, tokenizer_config.json and
special_tokens_map.json.  Ids 0..3 are <s>, <pad>, </s>, <unk>; ids 4..259 are
the 256 byte symbols; every later id is one merge, in merge order.
"""
import argparse
import collections
import heapq
import json
import os

import regex

PRETOKEN = regex.compile(r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+")
SPECIALS = ["<s>", "<pad>", "</s>", "<unk>"]
BOS = 2


def byte_symbols():
    """Map each byte to a printable character: itself if printable in Latin-1, else U+0100 onwards."""
    keep = list(range(0x21, 0x7F)) + list(range(0xA1, 0xAD)) + list(range(0xAE, 0x100))
    table = {b: chr(b) for b in keep}
    extra = 0
    for b in range(256):
        if b not in table:
            table[b] = chr(0x100 + extra)
            extra += 1
    return keep + [b for b in range(256) if b not in keep], table


ORDER, TO_SYMBOL = byte_symbols()
FROM_SYMBOL = {c: b for b, c in TO_SYMBOL.items()}


def symbols(piece):
    return "".join(TO_SYMBOL[b] for b in piece.encode("utf-8"))


def train(word_counts, n_merges):
    """Learn merges from {symbol string: count}.  Ties are broken by the pair itself."""
    words = [list(w) for w in word_counts]
    freqs = list(word_counts.values())
    pairs, where = collections.Counter(), collections.defaultdict(set)
    for i, w in enumerate(words):
        for p in zip(w, w[1:]):
            pairs[p] += freqs[i]
            where[p].add(i)
    heap = [(-c, p) for p, c in pairs.items()]
    heapq.heapify(heap)
    merges = []
    while len(merges) < n_merges and heap:
        negc, pair = heapq.heappop(heap)
        if pairs[pair] != -negc:
            if pairs[pair] > 0:
                heapq.heappush(heap, (-pairs[pair], pair))
            continue
        merges.append(pair)
        joined, touched = pair[0] + pair[1], set()
        for i in where.pop(pair):
            w, f = words[i], freqs[i]
            for p in zip(w, w[1:]):
                pairs[p] -= f
                touched.add(p)
            new, j = [], 0
            while j < len(w):
                if j + 1 < len(w) and w[j] == pair[0] and w[j + 1] == pair[1]:
                    new.append(joined)
                    j += 2
                else:
                    new.append(w[j])
                    j += 1
            words[i] = new
            for p in zip(new, new[1:]):
                pairs[p] += f
                where[p].add(i)
                touched.add(p)
        for p in touched:
            if pairs[p] > 0:
                heapq.heappush(heap, (-pairs[p], p))
    return merges


class Tokenizer:
    def __init__(self, folder):
        with open(os.path.join(folder, "vocab.json"), encoding="utf-8") as f:
            self.vocab = json.load(f)
        with open(os.path.join(folder, "merges.txt"), encoding="utf-8") as f:
            lines = f.read().split("\n")[1:]
        self.rank = {tuple(line.split(" ")): i for i, line in enumerate(l for l in lines if l)}
        self.names = {i: s for s, i in self.vocab.items()}
        self.cache = {}

    def _piece(self, piece):
        ids = self.cache.get(piece)
        if ids is not None:
            return ids
        parts = list(symbols(piece))
        while len(parts) > 1:
            best = min(zip(parts, parts[1:]), key=lambda p: self.rank.get(p, 1 << 30))
            if best not in self.rank:
                break
            new, j = [], 0
            while j < len(parts):
                if j + 1 < len(parts) and (parts[j], parts[j + 1]) == best:
                    new.append(parts[j] + parts[j + 1])
                    j += 2
                else:
                    new.append(parts[j])
                    j += 1
            parts = new
        ids = [self.vocab[p] for p in parts]
        self.cache[piece] = ids
        return ids

    def encode(self, text, bos=True):
        """Token ids of `text`; special-token strings inside the text are not treated specially."""
        ids = [BOS] if bos else []
        for piece in PRETOKEN.findall(text):
            ids.extend(self._piece(piece))
        return ids

    def decode(self, ids, skip_special=True):
        out = bytearray()
        for i in ids:
            name = self.names[i]
            if i < len(SPECIALS):
                if not skip_special:
                    out += name.encode()
            else:
                out += bytes(FROM_SYMBOL[c] for c in name)
        return out.decode("utf-8", "replace")


def main():
    ap = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    ap.add_argument("--corpus", default="build/train.jsonl")
    ap.add_argument("--out", default="build")
    ap.add_argument("--vocab-size", type=int, default=4096)
    args = ap.parse_args()
    counts = collections.Counter()
    with open(args.corpus, encoding="utf-8") as f:
        for line in f:
            counts.update(PRETOKEN.findall(json.loads(line)["text"]))
    counts = {symbols(w): c for w, c in sorted(counts.items())}
    base = SPECIALS + [TO_SYMBOL[b] for b in ORDER]
    merges = train(counts, args.vocab_size - len(base))
    vocab = {s: i for i, s in enumerate(base)}
    for a, b in merges:
        assert a + b not in vocab
        vocab[a + b] = len(vocab)
    with open(os.path.join(args.out, "vocab.json"), "w", encoding="utf-8") as f:
        json.dump(vocab, f, ensure_ascii=False)
    with open(os.path.join(args.out, "merges.txt"), "w", encoding="utf-8") as f:
        f.write("#version: 0.2\n" + "".join("%s %s\n" % m for m in merges))
    special = {"bos_token": "</s>", "eos_token": "</s>", "unk_token": "</s>", "pad_token": "<pad>"}
    config = dict(special, tokenizer_class="GPT2Tokenizer", add_bos_token=True, add_prefix_space=False,
                  errors="replace", model_max_length=512)
    for name, obj in (("tokenizer_config.json", config), ("special_tokens_map.json", special)):
        with open(os.path.join(args.out, name), "w", encoding="utf-8") as f:
            json.dump(obj, f, indent=2)
            f.write("\n")
    print("%d distinct words, %d merges, vocabulary %d" % (len(counts), len(merges), len(vocab)))


if __name__ == "__main__":
    main()
