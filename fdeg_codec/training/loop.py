"""The training loop: draw, step, average, and now and then validate and save."""

from __future__ import annotations

import json
import math
import os
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

import numpy as np
import torch
from torch import Tensor

from fdeg_codec.devices import multiplies_bfloat16
from fdeg_codec.errors import FdegError, reason
from fdeg_codec.ndtypes import Floats
from fdeg_codec.networks.fdegcnet import FDEGCNet
from fdeg_codec.networks.layers import lay_out
from fdeg_codec.training.config import CROP_UNIT, Config
from fdeg_codec.training.data import Ahead, Crops, Picture, as_unit
from fdeg_codec.training.loss import forward, objective
from fdeg_codec.training.start import initialise
from fdeg_codec.training.widen import begin_with

VALIDATION_LEVELS = (0.0, 2.0, 5.0)
EXACT = 1e-10  # an error that counts as none: 100 dB
CHECKPOINT, LOG = "checkpoint.pt", "log.jsonl"


def refuse_to_replace(out: Path, name: str) -> None:
    """Raise if the folder holds a training already, or a model of the name that this one's will have."""
    there = next((path for path in (out / CHECKPOINT, out / LOG, out / f"{name}.json") if path.exists()), None)
    if there:
        resumable = "--resume goes on with it, " if (out / CHECKPOINT).exists() else ""
        raise FdegError(f"{there}: exists already ({resumable}--overwrite begins anew)")


def find_checkpoint(out: Path) -> Path:
    """That of the training in a folder."""
    path = out / CHECKPOINT
    if not path.exists():
        raise FdegError(f"{path}: no such checkpoint; fdeg train makes one in its --out")
    return path


class Trainer:
    """A network, its optimiser and its averaged twin, in a folder that a later run can resume from."""

    def __init__(self, config: Config, pictures: list[Picture], out: Path, device: torch.device) -> None:
        self.config = config
        self.out = out
        try:
            out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise FdegError(f"{out}: no folder can be made there ({reason(error)})") from error
        if not os.access(out, os.W_OK | os.X_OK):
            raise FdegError(f"{out}: cannot be written into")
        self.device = device
        torch.manual_seed(config.seed)
        self.crops = Crops(pictures, config.natural_share, config.seed)
        self.batches = Ahead(self.crops, 0 if device.type == "cpu" else (os.cpu_count() or 1))
        self.net = FDEGCNet(config.architecture)
        initialise(self.net, config, self.crops)
        lay_out(self.net.to(self.device))
        self.average = [p.detach().clone() for p in self.net.parameters()]
        self.optimiser = torch.optim.Adam(self._groups(), fused=True)
        self.seed = config.seed
        self.step = 0
        self.seconds = 0.0

    def _groups(self) -> list[dict[str, Any]]:
        config, net = self.config, self.net
        hyper_gain = list(net.entropy.z_gain.parameters())
        fast = [*net.entropy.y_gain.parameters(), *net.y_ungain.parameters(), *net.prior.parameters()]
        special = {id(p) for p in hyper_gain + fast}
        plain = [p for p in net.parameters() if id(p) not in special]
        factors = (1.0, config.gain_rate_factor, config.hyper_gain_rate_factor)
        groups = zip((plain, fast, hyper_gain), factors, strict=True)
        return [{"params": list(p), "lr": 0.0, "factor": factor} for p, factor in groups]

    def start_from(self, weights: Path) -> None:
        """Begin with the weights of an exported model, or with those of its tensors that fit, widened where ours are.

        Their bytes are part of the seed, or every run that goes on would see the crops of the one before again.
        """
        if not begin_with(self.net, *load_weights(weights), self.crops):
            raise FdegError(f"{weights}: holds no tensor of {self.config.name}")
        for mean, p in zip(self.average, self.net.parameters(), strict=True):
            mean.copy_(p.detach())
        self._sow(zlib.crc32(weights.read_bytes(), self.config.seed))
        torch.manual_seed(self.seed)

    def _sow(self, seed: int) -> None:
        self.seed = self.crops.seed = seed

    def progress(self) -> float:
        return self.config.progress(self.step, self.seconds)

    def rate(self) -> float:
        """That of the configuration, after a linear warm-up."""
        return self.config.rate(self.progress()) * min(1.0, (self.step + 1) / self.config.warm_up)

    def advance(self) -> dict[str, float]:
        """One step; returns what is worth plotting."""
        c = self.config
        stage = c.stage_at(self.progress())
        batch = torch.from_numpy(self.batches.batch(self.step, stage.batch, stage.crop))
        x = batch.to(self.device, memory_format=torch.channels_last)
        level = torch.from_numpy(self._levels(stage.batch)).float().to(self.device)
        for group in self.optimiser.param_groups:
            group["lr"] = self.rate() * group["factor"]
        with torch.autocast(self.device.type, torch.bfloat16, enabled=multiplies_bfloat16(self.device)):
            outcome = forward(self.net, x, level, as_coded=self.progress() >= c.as_coded_from)
        loss = objective(outcome, level, c.sample_weight_power)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.net.parameters(), c.gradient_norm)
        if torch.isfinite(norm):
            self.optimiser.step()
        self.step += 1
        decay = min(c.ema, (1 + self.step) / (10 + self.step))
        torch._foreach_lerp_(self.average, [p.detach() for p in self.net.parameters()], 1 - decay)
        z = outcome.z_hat.round()
        return {
            "loss": loss.item(),
            "y_bpp": outcome.y_bpp.mean().item(),
            "z_bpp": outcome.z_bpp.mean().item(),
            "psnr": (-10 * torch.log10(outcome.mse)).mean().item(),
            "norm": norm.item(),
            "y_std": outcome.y.std().item(),
            "z_alive": (z.amax((0, 2, 3)) > z.amin((0, 2, 3))).float().mean().item(),  # channels that say something
        }

    def _levels(self, count: int) -> Floats:
        """Levels of a batch, each from a part of its own of all there are."""
        low, high = (math.log2(bound) - 7 for bound in self.config.lambdas)
        rng = np.random.default_rng((self.seed, self.step, 1))
        return low + (high - low) * (rng.permutation(count) + rng.random(count)) / count

    def averaged(self) -> FDEGCNet:
        """A copy of the network with the averaged weights."""
        twin = FDEGCNet(self.config.architecture).to(self.device)
        for p, mean in zip(twin.parameters(), self.average, strict=True):
            p.data.copy_(mean)
        lay_out(twin)
        return twin.eval()

    def save(self) -> None:
        state = {
            "step": self.step,
            "seed": self.seed,
            "seconds": self.seconds,
            "net": self.net.state_dict(),
            "average": dict(zip((n for n, _ in self.net.named_parameters()), self.average, strict=True)),
            "optimiser": self.optimiser.state_dict(),
            "torch_rng": torch.get_rng_state(),
            **_purpose(self.config),
        }
        path, partial = self.out / CHECKPOINT, self.out / f"{CHECKPOINT}.part"
        try:
            torch.save(state, partial)
        except (OSError, RuntimeError) as error:  # torch names no reason
            raise FdegError(f"{path}: cannot be written; its disk may be full") from error
        else:
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)

    def resume(self) -> None:
        with _checkpoint(self.config, self.out, self.device) as state:
            self.step, self.seconds = state["step"], state["seconds"]
            self.net.load_state_dict(state["net"])
            for mean, saved in zip(self.average, state["average"].values(), strict=True):
                mean.copy_(saved)
            self.optimiser.load_state_dict(state["optimiser"])
            for group, fresh in zip(self.optimiser.param_groups, self._groups(), strict=True):
                group["factor"] = fresh["factor"]
            torch.set_rng_state(state["torch_rng"].cpu())
            self._sow(state.get("seed", self.seed))
        self._forget_later_rows()

    def _forget_later_rows(self) -> None:
        """Rows of the log from after the checkpoint: those steps come again."""
        log = self.out / LOG
        kept = [row for row in rows_of(log) if row["step"] <= self.step] if log.exists() else []
        partial = self.out / f"{LOG}.part"
        partial.write_text("".join(json.dumps(row) + "\n" for row in kept))
        partial.replace(log)

    def run(self, validation: list[Picture], max_minutes: float = math.inf) -> None:
        """Train to the last step or the time limit; log, validate and save on the way. Step 0 begins the folder anew."""
        c = self.config
        if not self.step:
            for name in (CHECKPOINT, LOG):
                (self.out / name).unlink(missing_ok=True)
        begin = clock = time.monotonic()
        saved = validated = begin
        gathered: list[dict[str, float]] = []
        while self.progress() < 1 and time.monotonic() - begin < 60 * max_minutes:
            gathered.append(self.advance())
            now = time.monotonic()
            self.seconds += now - clock
            clock = now
            if self.step % 20 == 0:
                means = {k: round(float(np.mean([g[k] for g in gathered])), 5) for k in gathered[0]}
                self.log({"step": self.step, "seconds": round(self.seconds, 1), "rate": round(self.rate(), 8), **means})
                gathered.clear()
            if now - saved > 60 * c.save_minutes:
                self.save()
                saved = now
            if now - validated > 60 * c.validate_minutes:
                self.log({"step": self.step, "validation": validate(self.averaged(), validation)})
                validated = clock = time.monotonic()
        self.save()
        self.log({"step": self.step, "validation": validate(self.averaged(), validation)})

    def log(self, row: dict[str, Any]) -> None:
        with (self.out / LOG).open("a") as log:
            log.write(json.dumps(row) + "\n")


def rows_of(log: Path) -> list[dict[str, Any]]:
    """The rows of a log, but for one that was cut off or damaged."""
    rows = []
    for line in log.read_text(errors="replace").splitlines():
        with suppress(ValueError):
            row = json.loads(line)
            if isinstance(row, dict) and isinstance(row.get("step"), int):
                rows.append(row)
    return rows


def averaged_from(config: Config, out: Path) -> tuple[FDEGCNet, dict[str, Any]]:
    """The averaged network of a checkpoint, and how far it was trained."""
    net = FDEGCNet(config.architecture)
    with _checkpoint(config, out, torch.device("cpu")) as state:
        net.load_state_dict(state["average"])
        return net, {"config": config.name, "steps": state["step"], "minutes": round(state["seconds"] / 60)}


@contextmanager
def _checkpoint(config: Config, out: Path, device: torch.device) -> Iterator[dict[str, Any]]:
    """The checkpoint in a folder. What fails in the block does so because it is of another network."""
    path = find_checkpoint(out)
    try:
        with ZipFile(path) as archive:
            if archive.testzip():
                raise BadZipFile("a checksum is wrong")
        state = torch.load(path, map_location=device, weights_only=True)
    except Exception as error:  # whatever reading a damaged pickle comes to
        raise FdegError(f"{path}: cannot be read as a checkpoint; fdeg train --overwrite begins anew") from error
    try:
        if not isinstance(state, dict) or not isinstance(state["step"], int) or not isinstance(state["seconds"], float | int):
            raise ValueError("no state of a training")
        if any(state.get(name, value) != value for name, value in _purpose(config).items()):
            raise ValueError("another network, or other lambdas")
        yield state
    except (AttributeError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise FdegError(f"{path}: not of the network of --config {config.name}; name the one it was trained with") from error


def _purpose(config: Config) -> dict[str, Any]:
    """What a run cannot change on its way; networks may differ in it whose tensors are alike."""
    return {"architecture": json.dumps(asdict(config.architecture)), "lambdas": json.dumps(config.lambdas)}


def load_weights(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The architecture, as far as it is told, and the tensors of a safetensors file."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            architecture = json.loads((file.metadata() or {}).get("architecture", "{}"))
            return architecture, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, ValueError, SafetensorError) as error:
        raise FdegError(f"{path}: cannot be read as weights ({error})") from error


@torch.no_grad()
def validate(net: FDEGCNet, pictures: list[Picture]) -> list[dict[str, float]]:
    """Mean estimated rate and PSNR at a few levels, of the pictures cut to whole hyper-latents; smaller ones do not count."""
    device = next(net.parameters()).device
    pictures = [p for p in pictures if min(p.shape[:2]) >= CROP_UNIT]
    table = []
    for level in VALIDATION_LEVELS:
        rows = []
        for picture in pictures:
            x = torch.from_numpy(as_unit(picture)).permute(2, 0, 1)[None].to(device)
            x = x[:, :, : x.shape[2] // CROP_UNIT * CROP_UNIT, : x.shape[3] // CROP_UNIT * CROP_UNIT]
            level_here = torch.tensor([level], device=device)
            outcome = forward(net, x, level_here, noisy=False, eight_bit=picture.dtype == np.uint8)
            rows.append((outcome.y_bpp.item(), outcome.z_bpp.item(), -10 * math.log10(max(outcome.mse.item(), EXACT))))
        y_bpp, z_bpp, psnr = (float(m) for m in np.mean(rows or [(0, 0, 0)], 0))
        table.append(
            {"lambda": 2 ** (level + 7), "bpp": round(y_bpp + z_bpp, 4), "z_bpp": round(z_bpp, 5), "psnr": round(psnr, 3)}
        )
    return table
