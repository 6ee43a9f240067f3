"""What a training run is made of, read from TOML."""

from __future__ import annotations

import math
import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args

from fdeg_codec.container.header import MAX_LAMBDA, MIN_LAMBDA
from fdeg_codec.errors import FdegError
from fdeg_codec.networks.context import ContextKind
from fdeg_codec.networks.fdegcnet import HYPER_STRIDE, STRIDE, Architecture
from fdeg_codec.networks.heam import GROUPS
from fdeg_codec.weights import is_name

CROP_UNIT = STRIDE * HYPER_STRIDE  # pixels that a hyper-latent stands for, each way
CONFIGS = Path(__file__).parent / "configs"

Fall = Literal["cosine", "line", "drop"]
FALLS = get_args(Fall)


@dataclass(frozen=True)
class Stage:
    """A share of the steps, with its own crops."""

    until: float  # share of the run at which the stage ends
    crop: int
    batch: int


@dataclass(frozen=True)
class Config:
    """One training run. Rates are of Adam; `lambdas` bound a log-uniform draw per sample."""

    name: str
    architecture: Architecture
    stages: tuple[Stage, ...]
    steps: int = 2**31
    minutes: float = math.inf  # whichever of the two ends first
    learning_rate: float = 5e-4
    final_rate_share: float = 0.02
    hold: float = 0.0  # share of the run at the full rate, which then falls to its final share
    fall: Fall = "cosine"
    as_coded_from: float = 1.0  # share of the run from which latents are rounded as the default effort rounds them
    warm_up: int = 100
    gain_rate_factor: float = 10.0
    hyper_gain_rate_factor: float = 0.0
    hyper_gain: float = 6.0
    gradient_norm: float = 1.0
    ema: float = 0.998
    lambdas: tuple[float, float] = (119.0, 4400.0)
    sample_weight_power: float = 0.4
    natural_share: float = 0.8  # groups that stay natural RGB; the others are grayed, mixed, stretched or noisy
    validate_minutes: float = 15.0
    save_minutes: float = 10.0
    seed: int = 1

    def __post_init__(self) -> None:
        """Raise ValueError where a run would fail."""
        if not is_name(self.name):
            raise ValueError(f"name = {self.name!r}: letters, digits, and . _ - behind the first make one")
        for part in (self, self.architecture, *self.stages):
            _check_numbers(part)
        if self.steps < 1 or not self.minutes > 0 or self.seed < 0:
            raise ValueError("a run has at least a step, more than 0 minutes, and a seed of at least 0")
        if not self.stages or self.stages[-1].until < 1:
            raise ValueError("the last of its stages ends before the run")
        if any(stage.crop % CROP_UNIT or stage.crop < 1 or stage.batch < 1 for stage in self.stages):
            raise ValueError(f"crops are multiples of {CROP_UNIT}, and at least one is in a batch")
        if len(self.lambdas) != 2 or not 0 < self.lambdas[0] <= self.lambdas[1] < math.inf:
            raise ValueError("lambdas are a lower and an upper bound")
        if self.lambdas[0] > MAX_LAMBDA or self.lambdas[1] < MIN_LAMBDA:
            raise ValueError(f"lambdas lie outside {MIN_LAMBDA} to {MAX_LAMBDA}: no file could be made with such a model")
        _check_network(self.architecture)
        if self.warm_up < 1:
            raise ValueError("warm_up has a step at least")
        if min(self.learning_rate, self.hyper_gain, self.gradient_norm) <= 0 or not 0 <= self.ema < 1:
            raise ValueError("learning_rate, hyper_gain and gradient_norm are more than 0, ema is a share below 1")
        if not 0 <= self.natural_share <= 1 or min(self.gain_rate_factor, self.hyper_gain_rate_factor) < 0:
            raise ValueError("natural_share is a share, and no factor of a rate is below 0")
        if self.fall not in FALLS or not 0 <= self.hold < 1:
            raise ValueError(f"the rate is held for a share of the run below 1, then falls as {', '.join(FALLS)}")

    def progress(self, step: int, seconds: float) -> float:
        """The share of the run that is done."""
        return min(1.0, max(step / self.steps, seconds / (60 * self.minutes)))

    def rate(self, progress: float) -> float:
        """The learning rate, but for the warm-up, when that share of the run is done."""
        fallen = max(0.0, progress - self.hold) / (1 - self.hold)
        left = {"cosine": (1 + math.cos(math.pi * fallen)) / 2, "line": 1 - fallen, "drop": float(not fallen)}[self.fall]
        return self.learning_rate * (self.final_rate_share + (1 - self.final_rate_share) * left)

    def stage_at(self, progress: float) -> Stage:
        return next((s for s in self.stages if progress < s.until), self.stages[-1])


def _check_numbers(part: Any) -> None:
    """Raise ValueError where a field that is annotated as a number has something else."""
    for known in fields(part):
        value = getattr(part, known.name)
        if known.type in ("int", "float") and type(value) is not int and (known.type == "int" or type(value) is not float):
            raise ValueError(f"{known.name} = {value!r}: a {'whole ' if known.type == 'int' else ''}number")
        if (known.type == "float" and math.isnan(value)) or (known.name != "minutes" and value == math.inf):
            raise ValueError(f"{known.name} = {value!r}: a finite number")


def _check_network(a: Architecture) -> None:
    """Raise ValueError for one that cannot be built."""
    sizes = (*a.widths, a.shaped, a.hyper, a.fusion, *a.slices)
    if len(a.widths) != 3 or not all(type(n) is int and n > 0 for n in sizes) or a.context not in get_args(ContextKind):
        raise ValueError(f"a network has three widths, channels everywhere, and a context of {get_args(ContextKind)}")
    if min(a.widths) < 2 or a.linear_only < 0 or a.shaped % GROUPS or a.hyper % GROUPS:
        raise ValueError(f"widths are at least 2; hyper, and latent less linear_only, are multiples of {GROUPS}")
    if sum(a.slices or (a.latent,)) != a.latent:
        raise ValueError("slices hold all latents together")


def find_config(name: str) -> Config:
    """The configuration in a file, or the one of that name beside this module."""
    own = CONFIGS / f"{name}.toml"
    path = own if own.exists() else Path(name)
    try:
        return load_config(path)
    except OSError as error:
        raise FdegError(f"{name}: no such configuration") from error
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise FdegError(f"{path}: not a training configuration ({error})") from error


def load_config(path: Path) -> Config:
    table = tomllib.loads(path.read_text())
    architecture = Architecture.of(table.pop("architecture"))
    stages = tuple(Stage(**s) for s in table.pop("stages"))
    if "lambdas" in table:
        table["lambdas"] = tuple(table["lambdas"])
    return Config(architecture=architecture, stages=stages, **table)
