"""A model, loaded: pictures to integers and back, and what the entropy coder must know."""

from __future__ import annotations

from copy import deepcopy
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fdeg_codec.choices import DeviceName, Precision
from fdeg_codec.container.header import LEVEL_STEPS, MIN_LAMBDA, fixed_point
from fdeg_codec.devices import pick_device, pick_dtype
from fdeg_codec.errors import ModelError
from fdeg_codec.ndtypes import Flags, Floats, Integers
from fdeg_codec.networks.context import REACH, Cells, passes
from fdeg_codec.networks.entropy_model import EntropyModel, Spoken
from fdeg_codec.networks.fdegcnet import HYPER_STRIDE, Architecture, FDEGCNet
from fdeg_codec.networks.layers import lay_out
from fdeg_codec.weights import Model, by_fingerprint, by_name

Picture = NDArray[np.float32]

Z_TABLE = "z_frequencies"  # (level, channel, value): integers that sum to 2^22
# About the bytes that a pixel takes while its plane is worked on: some, and more for every channel of the first stage.
PLAINLY, WITH_GRADIENTS, EXACTLY = (450, 3), (1400, 12), (450, 9)


class Engine:
    """One model on one device."""

    def __init__(self, model: Model, device: DeviceName = "auto", precision: Precision = "auto") -> None:
        self.model = model
        self.device = pick_device(device)
        self.dtype = pick_dtype(precision, self.device)
        try:
            table, tensors = model.load()
            self._z_tables = tensors.pop(Z_TABLE).numpy().astype(np.float64)
            self.net = FDEGCNet(Architecture.of(table))
            self.net.load_state_dict({name: t.float() for name, t in tensors.items()})
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise ModelError(f"{model.path}: its tensors do not fit the network its manifest describes") from error
        lay_out(self.net.to(self.device).eval().requires_grad_(False))
        lay_out(self.net.entropy.double(), torch.contiguous_format)
        self.spoken = lru_cache(maxsize=2)(self._spoken)

    @cached_property
    def draft_entropy(self) -> EntropyModel:
        """The entropy model in float32, for estimates with a gradient."""
        return deepcopy(self.net.entropy).float()

    @property
    def latent(self) -> int:
        return self.net.architecture.latent

    def work_bytes(self, pixels: int, exactly: bool, gradients: bool = False) -> int:
        """About the memory that it takes to work on one tile."""
        ways = [PLAINLY] + [WITH_GRADIENTS] * gradients + [EXACTLY] * exactly
        return pixels * max(some + more * self.net.architecture.widths[0] for some, more in ways)

    @torch.inference_mode()
    def analyse(self, x: Picture) -> Tensor:
        """y (1, latent, row, column) of a picture (3, row, column), in natural units."""
        picture = self.tensor(x)[None].contiguous(memory_format=torch.channels_last)
        with self.autocast():
            return self.net.analyse(picture).float()

    @torch.inference_mode()
    def scale(self, y: Tensor, log2_lambda: int) -> tuple[Integers, Floats]:
        """z, and y in units of its quantiser but not yet rounded (row, column, channel)."""
        level = self.level(log2_lambda)
        z = self.net.summarise(y) * self.net.entropy.z_units(level)
        y_gained = y * self.net.entropy.y_gain.gain(level)
        return integers(z), y_gained[0].permute(1, 2, 0).cpu().numpy()

    @torch.inference_mode()
    def synthesise(self, y_hat: Integers, log2_lambda: int) -> Picture:
        """The picture (3, row, column) of latents (row, column, latent)."""
        y = self.latents(y_hat).float()
        level = self.level(log2_lambda).float()
        with self.autocast():
            x: Picture = self.net.synthesise(y, level)[0].cpu().numpy()
        return x

    @torch.inference_mode()
    def synthesise_exactly(self, y_hat: Integers, log2_lambda: int) -> Floats:
        """The same in float64, in which machines differ by so little that rounding can be told."""
        y = self.latents(y_hat).double()
        x: Floats = self._double.synthesise(y, self.level(log2_lambda))[0].cpu().numpy()
        return x

    @cached_property
    def _double(self) -> FDEGCNet:
        net = deepcopy(self.net).double()
        lay_out(net, torch.contiguous_format)
        return net

    @property
    def has_linear_path(self) -> bool:
        return self.net.architecture.linear_path

    @torch.inference_mode()
    def preview(self, y_hat: Integers, log2_lambda: int, scale: int) -> Picture:
        """Means of `scale` x `scale` pixels of what the linear path makes of latents (row, column, latent)."""
        y = self.latents(y_hat).float()
        x: Picture = self.net.preview(y, self.level(log2_lambda).float(), scale)[0].cpu().numpy()
        return x

    def level(self, log2_lambda: int) -> Tensor:
        return torch.tensor([(log2_lambda - fixed_point(MIN_LAMBDA)) / LEVEL_STEPS], dtype=torch.float64, device=self.device)

    def predictor(self, log2_lambda: int) -> Predictor:
        return Predictor(self, log2_lambda)

    @torch.inference_mode()
    def _spoken(self, log2_lambda: int, speaking: bytes) -> Spoken:
        return self.net.entropy.spoken(self.level(log2_lambda), self.tensor(np.frombuffer(speaking, np.bool_).copy()))

    def z_rows(self, log2_lambda: int) -> Floats:
        """The frequencies of each hyper-channel, from the table of the nearest level."""
        nearest = (log2_lambda - fixed_point(MIN_LAMBDA) + LEVEL_STEPS // 2) // LEVEL_STEPS
        rows: Floats = self._z_tables[nearest]
        return rows

    def latents(self, array: NDArray[Any]) -> Tensor:
        """Latents (row, column, channel) as networks take them: (1, channel, row, column)."""
        return self.tensor(array).permute(2, 0, 1)[None]

    def tensor(self, array: NDArray[Any]) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self.device)

    def autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.dtype is torch.bfloat16)


class Predictor:
    """The entropy model at one lambda, in float64: what codec/tile.py asks on either side of the channel."""

    _parts: Spoken
    _padded: Tensor  # y (1, row, column, speaking) and what the context sees around it, in natural units; 0 where not yet known
    _known: Tensor  # that of the cells that are next (1, cell, speaking)

    def __init__(self, engine: Engine, log2_lambda: int) -> None:
        self._engine = engine
        self._model = engine.net.entropy
        self._log2_lambda = log2_lambda
        self._level = engine.level(log2_lambda)
        self.z_rows = engine.z_rows(log2_lambda)
        self.latent = engine.latent

    @property
    def slices(self) -> list[slice]:
        """Channels that are decoded together, of those that speak."""
        return [part.channels for part in self._parts.slices]

    def passes(self, height: int, width: int) -> tuple[Cells, ...]:
        return passes(self._model.kind, height, width)

    @torch.inference_mode()
    def begin(self, z: Integers, height: int, width: int, speaking: Flags) -> None:
        """Take z (row, column, hyper) of a tile of `height` x `width` latents, none of them known yet, and who speaks."""
        self._parts = self._engine.spoken(self._log2_lambda, speaking.tobytes())
        features = self._model.features(self._engine.latents(z).double(), self._level)[:, :, :height, :width]
        self._features = features.permute(0, 2, 3, 1).contiguous()
        self._padded = features.new_zeros(1, height + 2 * REACH, width + 2 * REACH, int(speaking.sum()))
        self._cells: Cells | None = None

    @torch.inference_mode()
    def turn_to(self, cells: Cells) -> None:
        """The cells that are next; what was learned of those before is part of the picture now."""
        if self._cells is not None:
            self._padded[:, self._cells[0] + REACH, self._cells[1] + REACH] = self._known
        self._cells = cells
        model, weight = self._model.context, self._parts.context
        context = model.at(self._padded, cells, weight) if model is not None and weight is not None else None
        self._hidden = self._model.hidden(self._features[:, cells[0], cells[1]], context, self._level)
        self._known = self._hidden.new_zeros(*self._hidden.shape[:2], self._padded.shape[-1])

    @torch.inference_mode()
    def grid(self, number: int) -> Floats:
        """The mixtures of a slice of these cells (8, cell * channel), not yet rounded."""
        grid: Floats = self._model.grid(self._hidden, self._parts.slices[number], self._known).flatten(1).cpu().numpy()
        return grid

    @torch.inference_mode()
    def learn(self, number: int, values: Integers) -> None:
        """Take the latents (cell, channel) of a slice of these cells."""
        part = self._parts.slices[number].channels
        self._known[:, :, part] = self._engine.tensor(values).double() * self._parts.ungain[part]


def hyper_side(latents: int) -> int:
    return -(-latents // HYPER_STRIDE)


def load_engine(name_or_print: str | bytes, device: DeviceName, precision: Precision) -> Engine:
    """The engine of a model's name or fingerprint; loaded once per process."""
    pick_dtype(precision, pick_device(device))  # whatever is said for a name, which a cache may not be able to hold
    fingerprint = name_or_print if isinstance(name_or_print, bytes) else by_name(name_or_print).fingerprint
    return engine_of(fingerprint, device, precision)


@lru_cache(maxsize=2)
def engine_of(fingerprint: bytes, device: DeviceName, precision: Precision) -> Engine:
    return Engine(by_fingerprint(fingerprint), device, precision)


def integers(x: Tensor) -> Integers:
    """Latents (1, channel, row, column) rounded half up, as (row, column, channel)."""
    return torch.floor(x[0].permute(1, 2, 0) + 0.5).to(torch.int32).cpu().numpy()
