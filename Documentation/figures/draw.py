#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Draw the figures of Documentation/: reads.svg from measurements/placement.json, sizes.svg from
measurements/io-sizes-opt-6.7b.json, tokens.svg from measurements/generalise-*.json, strangers.svg
from measurements/strangers.json, and pipeline.svg. Standard library only. (layer.svg is drawn by
colink place: placement.rst.)

usage: Documentation/figures/draw.py
"""
import json
import math
import os
from xml.sax.saxutils import escape

HERE = os.path.dirname(os.path.abspath(__file__))
COLOURS = {"identity": "#b0b7c3", "random": "#d9c8a9", "frequency": "#6b9bd1", "linked": "#1f5fa8",
           "best": "#c0392b"}


class Drawing:
    def __init__(self, width, height):
        self.width, self.height = width, height
        self.parts = []

    def rect(self, x, y, width, height, fill, stroke="none"):
        self.parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" '
                          f'height="{height:.1f}" fill="{fill}" stroke="{stroke}"/>')

    def line(self, x1, y1, x2, y2, stroke="#444", dash="", arrow=False):
        extra = (f' stroke-dasharray="{dash}"' if dash else "")
        extra += ' marker-end="url(#arrow)"' if arrow else ""
        self.parts.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" '
                          f'stroke="{stroke}"{extra}/>')

    def text(self, x, y, text, size=12, anchor="middle", weight="normal", fill="#222"):
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{fill}" '
                          f'text-anchor="{anchor}" font-weight="{weight}">{escape(text)}</text>')

    def save(self, name):
        with open(os.path.join(HERE, name), "w", encoding="utf-8") as out:
            out.write(f'<svg xmlns="http://www.w3.org/2000/svg" width="{self.width}" '
                      f'height="{self.height}" viewBox="0 0 {self.width} {self.height}" '
                      'font-family="sans-serif">\n'
                      '<defs><marker id="arrow" markerWidth="8" markerHeight="8" refX="7" refY="3" '
                      'orient="auto"><path d="M0,0 L7,3 L0,6 z" fill="#444"/></marker></defs>\n'
                      f'<rect width="{self.width}" height="{self.height}" fill="white"/>\n')
            out.write("\n".join(self.parts) + "\n</svg>\n")


def reads_by_order():
    with open(os.path.join(HERE, "../measurements/placement.json"), encoding="utf-8") as file:
        runs = json.load(file)["runs"]
    result = next(run["result"] for run in runs if "--unseen" in run["command"])
    orders = result["results"]
    n_layers = len(orders[0]["layers"])
    drawing = Drawing(760, 360)
    left, bottom, top, bar, space = 60, 300, 50, 22, 24
    highest = max(layer["reads_per_token"] for order in orders for layer in order["layers"])
    scale = (bottom - top) / highest

    drawing.text(left, 24, f"Reads per token and layer, {result['unseen_tokens']} tokens of held-out "
                 "text, no collapse, no cache", 13, "start", "bold")
    for tick in range(0, int(highest) + 1, 20):
        y = bottom - tick * scale
        drawing.line(left, y, drawing.width - 20, y, "#ddd")
        drawing.text(left - 8, y + 4, str(tick), 11, "end")
    for layer in range(n_layers):
        x = left + space / 2 + layer * (len(orders) * bar + space)
        for i, order in enumerate(orders):
            reads = order["layers"][layer]["reads_per_token"]
            drawing.rect(x + i * bar, bottom - reads * scale, bar - 2, reads * scale,
                         COLOURS[order["name"]])
            drawing.text(x + i * bar + bar / 2 - 1, bottom - reads * scale - 4, f"{reads:.0f}", 9)
        drawing.text(x + len(orders) * bar / 2, bottom + 16, f"layer {layer}", 11)
    for i, order in enumerate(orders):
        x = left + 20 + i * 165
        drawing.rect(x, bottom + 32, 12, 12, COLOURS[order["name"]])
        drawing.text(x + 18, bottom + 42, f"{order['name']} ({order['reads_per_token']:.0f} in all)",
                     11, "start")
    drawing.save("reads.svg")


def pipeline():
    drawing = Drawing(760, 270)
    step, left, attention, ffn, middle = 200, 110, 80, 84, 4
    drawing.text(20, 24, "One token: layer L computes while the bundles of layer L+1 are read", 13,
                 "start", "bold")
    drawing.text(20, 82, "CPU", 12, "start")
    drawing.text(20, 182, "flash", 12, "start")
    for i, layer in enumerate(("L-1", "L", "L+1")):
        x = left + i * step
        drawing.rect(x, 60, attention, 34, "#e6e9ee", "#999")
        drawing.text(x + attention / 2, 81, f"attention {layer}", 11)
        drawing.rect(x + attention + middle, 60, 14, 34, "#f0c36d", "#999")
        drawing.rect(x + attention + middle + 18, 60, ffn, 34, "#9dc08b", "#999")
        drawing.text(x + attention + middle + 18 + ffn / 2, 81, f"FFN {layer}", 11)
        predict = x + attention + middle + 7
        if i < 2:
            following = ("L", "L+1")[i]
            drawing.line(predict, 94, predict, 158, arrow=True)
            drawing.rect(predict, 160, step - 45, 34, "#6b9bd1", "#557")
            drawing.text(predict + (step - 45) / 2, 181, f"read bundles of {following}", 11,
                         fill="white")
            drawing.line(predict + step - 45, 160, x + step + attention + middle + 22, 97,
                         arrow=True)
    drawing.rect(left, 216, 14, 14, "#f0c36d", "#999")
    drawing.text(left + 20, 228, "predict the next layer's neurons from this layer's FFN input, drop what "
                 "the cache has, plan, submit", 11, "start")
    drawing.text(left + 20, 248, "Layer 0 has no layer before it: it predicts from its own FFN input and "
                 "waits.", 11, "start")
    drawing.save("pipeline.svg")


def gain_by_size():
    """How many times less the full engine takes, against the bytes of a bundle."""
    with open(os.path.join(HERE, "../measurements/io-sizes-opt-6.7b.json"),
              encoding="utf-8") as file:
        measured = json.load(file)
    runs = measured["runs"]
    drawing = Drawing(760, 380)
    left, right, bottom, top = 60, 720, 290, 50

    def predicted(run, method):
        by_name = {r["name"]: r["predicted_ms_per_token"] for r in run["results"]}
        return by_name[method] / by_name["full"]

    def timed(entry, method):
        return entry["times_less_than_" + method.replace("-", "_")]

    highest = 1 + int(max(max(timed(size, "llm-in-a-flash-bounded"),
                              predicted(run, "llm-in-a-flash-bounded"))
                          for size, run in zip(measured["sizes"], runs)))
    scale = (bottom - top) / highest
    step = (right - left) / len(runs)
    gap = measured["device_bench"]["gap_bytes"]

    drawing.text(left, 24, "How many times less the engine takes per token, by the size of a "
                 f"bundle (an I/O costs as much as {gap} bytes)", 13, "start", "bold")
    for tick in range(highest + 1):
        drawing.line(left, bottom - tick * scale, right, bottom - tick * scale, "#ddd")
        drawing.text(left - 8, bottom - tick * scale + 4, str(tick), 11, "end")
    rows = [("llm-in-a-flash-bounded", "#b0b7c3", 0), ("frequency", COLOURS["frequency"], 50)]
    for i, (size, run) in enumerate(zip(measured["sizes"], runs)):
        x = left + i * step + 15
        for method, colour, offset in rows:
            times = timed(size, method)
            y = bottom - predicted(run, method) * scale
            drawing.rect(x + offset, bottom - times * scale, 44, times * scale, colour)
            drawing.text(x + offset + 22, bottom - times * scale - 5, f"{times:.2f}", 10)
            drawing.line(x + offset - 2, y, x + offset + 46, y, "#c0392b")
        drawing.text(x + 47, bottom + 16, f"{size['bundle_bytes'] / 1024:g} KiB", 11)
    for i, (method, colour, _) in enumerate(rows):
        drawing.rect(left + 10 + i * 260, bottom + 34, 12, 12, colour)
        drawing.text(left + 28 + i * 260, bottom + 44, f"than {method}", 11, "start")
    drawing.line(left + 460, bottom + 40, left + 490, bottom + 40, "#c0392b")
    drawing.text(left + 496, bottom + 44, "by the device cost", 11, "start")
    drawing.save("sizes.svg")


def tokens_panel(drawing, left, name):
    """Reads of each method, in per cent of identity order's, by the tokens that it was made from."""
    width, bottom, top, lowest, highest = 232, 300, 70, 2, 5
    with open(os.path.join(HERE, f"../measurements/generalise-{name}.json"), encoding="utf-8") as file:
        runs = json.load(file)["runs"]

    def x_of(tokens):
        return left + (math.log10(tokens) - lowest) / (highest - lowest) * width

    drawing.text(left, 52, f"{runs[0]['text']}, {runs[0]['result']['unseen_tokens']} other tokens", 12,
                 "start", "bold")
    for percent in range(0, 101, 20):
        y = bottom - percent / 100 * (bottom - top)
        drawing.line(left, y, left + width, y, "#ddd")
        drawing.text(left - 8, y + 4, str(percent), 11, "end")
    for decade in range(lowest, highest + 1):
        drawing.line(x_of(10 ** decade), bottom, x_of(10 ** decade), bottom + 5)
        drawing.text(x_of(10 ** decade), bottom + 18, f"{10 ** decade:,}", 11)
    labels = []
    for i, method in enumerate(runs[0]["result"]["results"]):
        if method["name"] in ("identity", "random"):
            continue
        colour, before = COLOURS[method["name"]], None
        for run in runs:
            results = run["result"]["results"]
            share = results[i]["reads_per_token"] / results[0]["reads_per_token"]
            point = (x_of(run["result"]["tokens"]), bottom - share * (bottom - top))
            if before:
                drawing.line(*before, *point, colour)
            drawing.rect(point[0] - 3, point[1] - 3, 6, 6, colour)
            before = point
        labels.append((before[1], f"{method['name']} {100 * share:.0f} %", colour))
    lowest_free = top
    for y, text, colour in sorted(labels):
        y = max(y, lowest_free)
        drawing.text(left + width + 6, y + 4, text, 11, "start", fill=colour)
        lowest_free = y + 14


def tokens_curve():
    drawing = Drawing(760, 350)
    drawing.text(50, 24, "Reads per token, in % of identity order's, by the tokens of trace that were "
                 "placed from", 13, "start", "bold")
    tokens_panel(drawing, 50, "tokens")
    tokens_panel(drawing, 410, "opt-350m")
    drawing.text(390, 340, "tokens placed from", 11)
    drawing.save("tokens.svg")


def strangers_panel(drawing, left, top, title, measured, model, memory):
    """What a mapped file costs the disk, against the share of pages read along that nobody used."""
    points = [run for run in measured["curve"] if run["program"] == "mapped" and
              run["model"] == model and run["memory"] == memory and run["way"] != "always"]
    plain = next(way for way in measured["results"] if way["way"] == "plain" and
                 way["program"] == "mapped" and way["model"] == model and way["memory"] == memory)
    width, height, widest = 280, 170, 80
    bottom = top + height
    costs = [run["device_ms_per_token"] for run in points]
    highest = 10 * math.ceil(max(costs) / 10)

    def y_of(cost):
        return bottom - cost * height / highest

    drawing.text(left, top - 12, f"{title}; by itself {plain['device_ms_per_token']:.0f} ms", 12,
                 "start", "bold")
    for percent in range(0, widest + 1, 20):
        x = left + width * percent / widest
        drawing.line(x, top, x, bottom, "#ddd")
        drawing.text(x, bottom + 15, f"{percent} %", 10)
    drawing.line(left + width * 25 / widest, top, left + width * 25 / widest, bottom, "#888", "4 3")
    for tick in range(0, highest + 1, 10):
        drawing.line(left, y_of(tick), left + width, y_of(tick), "#ddd")
        drawing.text(left - 6, y_of(tick) + 4, str(tick), 10, "end")
    labels = {}
    for run, cost in zip(points, costs):
        x = left + width * 100 * (run["unused_share"] or 0) / widest
        default = run["way"] in ("default", "never")
        colour = COLOURS["best" if default else "linked"]
        drawing.rect(x - 3, y_of(cost) - 3, 6, 6, colour)
        label = "never" if run["way"] == "never" else f"{run['policy']['threshold']:.2g}"
        labels.setdefault((round(x / 12), round(y_of(cost) / 12), default), []).append(
            (x, y_of(cost), label, colour))
    for number, ((_, _, default), near) in enumerate(labels.items()):
        x, y, first, colour = near[0]
        label = first if len(near) == 1 else f"{first} to {near[-1][2]}"
        drawing.text(x, y + (-8 if default else 14 + 10 * (number % 2)), label, 9, "start",
                     fill=colour)


def strangers_curve():
    with open(os.path.join(HERE, "../measurements/strangers.json"), encoding="utf-8") as file:
        measured = json.load(file)
    drawing = Drawing(760, 560)
    drawing.text(20, 24, f"Disk's ms per token, against pages read along that nobody used: mapped file, "
                 f"{measured['tokens']} tokens", 13, "start", "bold")
    drawing.rect(20, 36, 10, 10, COLOURS["linked"])
    drawing.text(36, 45, "--threshold", 11, "start")
    drawing.rect(130, 36, 10, 10, COLOURS["best"])
    drawing.text(146, 45, "the default, and it with --read-around never", 11, "start")
    for row, (model, size) in enumerate((("demo", "1 KiB"), ("wide", "4 KiB"))):
        for column, (memory, text) in enumerate((("half", "half in memory"), ("all", "all"))):
            strangers_panel(drawing, 60 + 370 * column, 90 + 240 * row, f"{size}, {text}",
                            measured, model, memory)
    drawing.save("strangers.svg")


if __name__ == "__main__":
    reads_by_order()
    tokens_curve()
    gain_by_size()
    strangers_curve()
    pipeline()
