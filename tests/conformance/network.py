"""What FORMAT.md says of the network between z and the grid, in plain numpy: the weights file and nothing of fdeg.

Arrays are (channel, row, column). Slow, and meant to be read beside the text.
"""

from __future__ import annotations

import json
import math
import struct
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from tests.conformance.latents import QUARTERS

Array = np.ndarray[Any, np.dtype[np.float64]]
TYPES = {"F16": "<f2", "F32": "<f4", "F64": "<f8", "I32": "<i4", "I64": "<i8"}
SCALE_STEP = math.log(2000) / 63


def load(path: Path) -> tuple[dict[str, Any], dict[str, Array]]:
    """The architecture and the tensors, in float64, of a safetensors file."""
    data = path.read_bytes()
    (length,) = struct.unpack_from("<Q", data)
    table = json.loads(data[8 : 8 + length])
    architecture = json.loads(table.pop("__metadata__")["architecture"])
    tensors = {}
    for name, entry in table.items():
        start, stop = (8 + length + k for k in entry["data_offsets"])
        tensors[name] = np.frombuffer(data[start:stop], TYPES[entry["dtype"]]).reshape(entry["shape"]).astype(np.float64)
    return architecture, tensors


class Network:
    """From z, and the latents decoded so far, to the grid of a pass: `rate` is that of the header."""

    def __init__(self, path: Path, rate: int) -> None:
        self.architecture, self._tensors = load(path)
        self._level = (rate - 14336) / 2048
        nearest = math.floor(self._level + 0.5)
        self.z_rows = self._tensors["z_frequencies"][nearest].astype(int).tolist()
        self._z_gain = self._tensors["entropy.z_gain.table"][nearest]
        self.y_gain, self._at_level = (self._at(name) for name in ("y_gain", "at_level"))

    def _at(self, name: str) -> Array:
        """A table per level, between two of its rows."""
        table = self._tensors[f"entropy.{name}.table"]
        low = min(math.floor(self._level), 4)
        return table[low] + (self._level - low) * (table[low + 1] - table[low])

    def weights(self, name: str) -> tuple[Array, Array]:
        return self._tensors[f"entropy.{name}.weight"], self._tensors[f"entropy.{name}.bias"]

    def features(self, z: Array, h: int, w: int) -> Array:
        """Of z (row, column, channel): the first h x w cells of the hyper-synthesis."""
        x = np.moveaxis(z * np.exp(-self._z_gain), 2, 0)
        x = self._mcam(x, "hyper_synthesis.0")
        x = leaky(conv(self._heam(x, "hyper_synthesis.1"), *self.weights("hyper_synthesis.2")))
        x = leaky(up(x, *self.weights("hyper_synthesis.4")))
        x = leaky(conv(self._heam(x, "hyper_synthesis.6"), *self.weights("hyper_synthesis.7")))
        x = leaky(up(x, *self.weights("hyper_synthesis.9")))
        return conv(x, *self.weights("hyper_synthesis.11"))[:, :h, :w]

    @property
    def slices(self) -> list[slice]:
        """The channels of a cell that are decoded together."""
        sizes = self.architecture.get("slices") or [self.architecture["latent"]]
        ends = [sum(sizes[:k]) for k in range(len(sizes) + 1)]
        return [slice(*pair) for pair in pairwise(ends)]

    def grid(self, features: Array, y: Array, cells: list[tuple[int, int]], number: int, channels: list[int]) -> Array:
        """Eight rows of numbers for `channels` of a slice of `cells`; y (row, column, channel) is 0 where not yet decoded."""
        found = [self._cell(features[:, r, c], y, r, c, number, channels) for r, c in cells]
        return np.stack(found, 1).reshape(8, -1)

    def _cell(self, features: Array, y: Array, row: int, column: int, number: int, channels: list[int]) -> Array:
        """The eight numbers (number, channel) of `channels` of one slice of a cell."""
        hidden = linear(features, *self.weights("from_features")) + self._at_level
        context = self._context(y, row, column)
        if context is not None:
            hidden = hidden + self._tensors["entropy.from_context.weight"] @ context
        if number > 0:
            earlier = (y[row, column] * np.exp(-self.y_gain))[: self.slices[number].start]
            hidden = hidden + linear(earlier, *self.weights(f"from_slices.{number - 1}"))
        raw = linear(linear(leaky(hidden), *self.weights("body.1"), leaky), *self.weights("head"))
        logits, means, log_scales = raw.reshape(3, 3, -1)[..., channels]
        gain = self.y_gain[channels]
        shares = np.exp(logits - logits.max(0))
        shares /= shares.sum(0)
        means = np.clip(16 * means * np.exp(gain), -32767, 32767)
        scales = np.clip((log_scales + gain - math.log(0.05)) / SCALE_STEP, 0, 63)
        return np.concatenate((means, scales, 64 * shares[:2]))

    def _context(self, y: Array, row: int, column: int) -> Array | None:
        kind, turn, odd = self.architecture["context"], QUARTERS[row % 2][column % 2], (row + column) % 2
        window = [(r, c) for r in range(-2, 3) for c in range(-2, 3)]
        before = [place for place in window if place < (0, 0)]
        sides, corners = [(r, c) for r, c in window if (r + c) % 2], [(r, c) for r, c in window if r % 2 and c % 2]
        parts = {
            "none": [],
            "checkerboard": [(sides, odd)],
            "quarters": [(corners, turn == 1), (sides, odd), (corners, turn == 3)],
            "serial": [(before, True)],
        }[kind]
        if not any(sees for _, sees in parts):
            return None
        kernel, bias = self.weights("context")
        out, at = np.zeros(bias.size // len(parts)), 0
        for (places, sees), offset in zip(parts, np.split(bias, len(parts)), strict=True):
            taps = kernel[at : at + len(places)]
            at += len(places)
            if not sees:
                continue
            out = out + offset
            for (r, c), tap in zip(places, taps, strict=True):
                r, c = row + r, column + c  # noqa: PLW2901
                if 0 <= r < y.shape[0] and 0 <= c < y.shape[1]:
                    out = out + y[r, c] * np.exp(-self.y_gain) @ tap
        return out

    def _heam(self, x: Array, name: str) -> Array:
        """Eight groups of channels, each gated by two views of itself."""
        return np.concatenate([self._gated(group, name) for group in np.split(x, 8)])

    def _gated(self, x: Array, name: str) -> Array:
        rows = sigmoid(conv(x.mean(2, keepdims=True), *self.weights(f"{name}.directions")))
        columns = sigmoid(conv(x.mean(1, keepdims=True), *self.weights(f"{name}.directions")))
        seen = x * rows * columns
        mean, variance = seen.mean((1, 2), keepdims=True), seen.var((1, 2), keepdims=True)
        scale, offset = (v[:, None, None] for v in self.weights(f"{name}.norm"))
        directional = (seen - mean) / np.sqrt(variance + 1e-5) * scale + offset
        local = conv(x, *self.weights(f"{name}.local"))
        return x * sigmoid(weighed(directional, local) + weighed(local, directional))

    def _mcam(self, x: Array, name: str) -> Array:
        def point(part: str, of: Array) -> Array:
            return conv(of, *self.weights(f"{name}.{part}"))

        o = gelu(point("enter", x))
        a = filtered(o, point("frequency_gate", pooled(o)))
        a = a * point("channel_gate", pooled(a))
        own = filtered(point("spectral", a), point("spatial", a))
        views = x + own * self._tensors[f"entropy.{name}.mix_in"] + a * self._tensors[f"entropy.{name}.keep"]
        for k in range(4):
            views = views + depthwise(o, *self.weights(f"{name}.local.{k}"))
        return point("leave", np.maximum(views, 0))


def linear(x: Array, weight: Array, bias: Array, then: Any = None) -> Array:
    out = weight @ x + bias
    return then(out) if then else out


def leaky(x: Array) -> Array:
    return np.where(x > 0, x, 0.01 * x)


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def gelu(x: Array) -> Array:
    return x * (1 + np.vectorize(math.erf, otypes=[float])(x / math.sqrt(2))) / 2


def pooled(x: Array) -> Array:
    return x.mean((1, 2), keepdims=True)


def weighed(means_of: Array, other: Array) -> Array:
    """Channels of one view, added with the softmax of the other's means."""
    means = means_of.mean((1, 2))
    shares = np.exp(means - means.max())
    return np.tensordot(shares / shares.sum(), other, 1)


def filtered(x: Array, gain: Array) -> Array:
    return np.abs(np.fft.ifft2(gain * np.fft.fft2(x)))


def conv(x: Array, weight: Array, bias: Array) -> Array:
    """Weights (out, in, row, column), odd sides, zeros around."""
    tall, wide = weight.shape[2:]
    padded = np.pad(x, ((0, 0), (tall // 2, tall // 2), (wide // 2, wide // 2)))
    out = np.zeros((len(weight), *x.shape[1:]))
    for r in range(tall):
        for c in range(wide):
            out += np.tensordot(weight[:, :, r, c], padded[:, r : r + x.shape[1], c : c + x.shape[2]], 1)
    return out + bias[:, None, None]


def depthwise(x: Array, weight: Array, bias: Array) -> Array:
    return np.concatenate([conv(x[k : k + 1], weight[k : k + 1], bias[k : k + 1]) for k in range(len(x))])


def up(x: Array, weight: Array, bias: Array) -> Array:
    """Transposed, of stride 2, weights (in, out, 3, 3): input cell (i, j) adds to the output cells (2i + r - 1, 2j + c - 1)."""
    _, h, w = x.shape
    out = np.zeros((weight.shape[1], 2 * h + 2, 2 * w + 2))
    for r in range(3):
        for c in range(3):
            out[:, r : r + 2 * h : 2, c : c + 2 * w : 2] += np.tensordot(weight[:, :, r, c].T, x, 1)
    return out[:, 1 : 2 * h + 1, 1 : 2 * w + 1] + bias[:, None, None]
