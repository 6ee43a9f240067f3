"""CompressAI's networks as rivals, where its package and its pretrained weights are.

It has no files: the strings that it makes are written one behind the other, each after its length. They can be decoded on the
machine that made them only.
"""

from __future__ import annotations

import importlib.util
import struct
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from fdeg_codec.errors import reason
from fdeg_codec.evaluation.codec import Codec, listed
from fdeg_codec.evaluation.pictures import Picture, is_rgb

NAMES = ("bmshj2018-hyperprior", "mbt2018", "cheng2020-anchor")
STRIDE = 64
HEAD, LENGTH = struct.Struct("<HHB"), struct.Struct("<I")  # rows, columns, quality; before each string


def baselines() -> list[Codec | dict[str, str]]:
    """Each network, trained for squared error, or why it is not to be had."""
    return [_codec(name) for name in NAMES]


def _codec(name: str) -> Codec | dict[str, str]:
    if not importlib.util.find_spec("compressai"):
        return {name: "needs the package compressai: pip install 'fdeg[baselines]'"}
    try:
        import compressai
        from compressai.zoo.image import model_urls
    except Exception as error:  # of whatever it imports in turn: its parts must fit each other's versions
        return {name: f"cannot be imported ({reason(error)})"}

    files = {q: Path(torch.hub.get_dir(), "checkpoints", Path(url).name) for q, url in model_urls[name]["mse"].items()}
    here = tuple(float(q) for q, file in files.items() if file.exists())
    if not here:
        return {name: f"its pretrained weights are not in {next(iter(files.values())).parent}"}
    about = f"CompressAI {compressai.__version__}, pretrained for squared error, quality {listed(here)}"
    bounds = here[0], here[-1]
    return Codec(
        name,
        name,
        about,
        ".bin",
        here,
        bounds,
        partial(_encode, name),
        partial(_decode, name),
        _payload,
        is_rgb,
        whole=True,
        slow=True,
    )


@lru_cache(maxsize=8)
def _network(name: str, quality: int) -> Any:
    from compressai.zoo import models

    return models[name](quality, metric="mse", pretrained=True).eval()


@torch.inference_mode()
def _encode(name: str, picture: Picture, target: Path, quality: float) -> None:
    x = torch.from_numpy(picture.filled.astype(np.float32) / 255)[None]
    height, width = x.shape[2:]
    padded = F.pad(x, (0, -width % STRIDE, 0, -height % STRIDE), mode="replicate")
    made = _network(name, int(quality)).compress(padded)
    strings = [string for (string,) in made["strings"]]
    parts = [HEAD.pack(height, width, int(quality)), *(LENGTH.pack(len(s)) + s for s in strings)]
    target.write_bytes(b"".join(parts))


@torch.inference_mode()
def _decode(name: str, path: Path) -> NDArray[Any]:
    height, width, quality = HEAD.unpack_from(path.read_bytes())
    size = [-(-side // STRIDE) for side in (height, width)]
    x = _network(name, quality).decompress([[s] for s in _strings(path)], size)["x_hat"]
    pixels: NDArray[Any] = (x[0, :, :height, :width].clamp(0, 1) * 255).round().to(torch.uint8).numpy()
    return pixels


def _strings(path: Path) -> list[bytes]:
    data, found = path.read_bytes()[HEAD.size :], []
    while data:
        end = LENGTH.size + LENGTH.unpack_from(data)[0]
        found.append(data[LENGTH.size : end])
        data = data[end:]
    return found


def _payload(path: Path) -> int:
    return sum(map(len, _strings(path)))
