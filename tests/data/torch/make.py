# SPDX-License-Identifier: CC0-1.0
# Makes state_dict.bin and data.pkl with PyTorch 1.13: python3 make.py
import collections
import zipfile

import torch

torch.manual_seed(1)
embed = torch.nn.Parameter(torch.randn(6, 4))
wide = torch.arange(24, dtype=torch.float32).reshape(6, 4) / 8
state = collections.OrderedDict(
    [
        ("bias", torch.nn.Parameter(torch.linspace(-1, 1, 5).half())),
        ("embed.weight", embed),
        ("head.weight", embed),  # tied: the same storage
        ("ids", torch.arange(3)),
        ("norm.weight", torch.tensor([1.0, -2.5, 0.15625]).bfloat16()),
        ("scale", torch.tensor(0.75)),
        ("wide", wide),
        ("wide.rows", wide[2:4]),  # a part of the storage
    ]
)
state._metadata = collections.OrderedDict([("", {"version": 1})])
torch.save(state, "state_dict.bin")
with zipfile.ZipFile("state_dict.bin") as archive:
    with open("data.pkl", "wb") as pickle:
        pickle.write(archive.read("state_dict/data.pkl"))
print(embed.detach().flatten().tolist()[:4], embed.detach().double().sum().item())
