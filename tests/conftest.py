"""Shared by all tests: tiny models with seeded weights."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import settings

from fdeg_codec.networks.context import ContextKind
from fdeg_codec.networks.fdegcnet import Architecture, FDEGCNet
from fdeg_codec.training import start
from fdeg_codec.training.config import Config, Stage
from fdeg_codec.training.data import Crops
from fdeg_codec.training.export import export
from fdeg_codec.training.start import initialise
from fdeg_codec.weights import SEARCH_VARIABLE
from tests.pictures import landscape

start.KLT_CROPS = 20  # enough for the tiny model's twenty components
SCENES = Path(__file__).parents[2] / "shared" / "data" / "scenes"

# The same examples every time; `bin/test --hypothesis-profile default` looks for new ones.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")

torch.set_num_threads(1)  # beside pytest's own processes more would only wait for each other


def tiny(context: ContextKind = "checkerboard", seed: int = 0) -> FDEGCNet:
    """A network that takes milliseconds and still uses every block."""
    torch.manual_seed(seed)
    net = FDEGCNet(Architecture((8, 8, 16), 20, 8, 24, 1, context, slices=(4, 12, 4), linear_only=4))
    config = Config("tiny", net.architecture, (Stage(1, 64, 2),))
    picture = landscape(512, 512, seed=seed).transpose(1, 2, 0).copy()
    initialise(net, config, Crops([picture], 1.0, seed))
    # No part may be silent.
    torch.nn.init.normal_(net.analysis[-2].weight, std=0.05)
    torch.nn.init.normal_(net.synthesis[-1].weight, std=0.003)
    torch.nn.init.normal_(net.entropy.head.weight, std=0.05)
    for p in net.entropy.from_slices.parameters():
        torch.nn.init.normal_(p, std=0.05)
    if net.entropy.context is not None:
        torch.nn.init.normal_(net.entropy.context.bias, std=0.3)
    for part in (net.hyper_analysis[-1], net.entropy.hyper_synthesis[0]):
        torch.nn.init.normal_(part.mix_in, std=0.1)
    return net


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with the models tiny, tiny-none, tiny-quarters and tiny-serial, where fdeg finds it, also in child processes."""
    folder = tmp_path_factory.mktemp("weights")
    contexts: tuple[ContextKind, ...] = ("none", "quarters", "serial")
    for name, context in {"tiny": "checkerboard", **{f"tiny-{context}": context for context in contexts}}.items():
        export(tiny(context), folder, name, {})  # type: ignore[arg-type]
    before = os.environ.get(SEARCH_VARIABLE)
    os.environ[SEARCH_VARIABLE] = str(folder)
    yield folder
    if before is None:
        del os.environ[SEARCH_VARIABLE]
    else:
        os.environ[SEARCH_VARIABLE] = before


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 300 KiB, where one may be mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    try:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", folder], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no file system may be mounted here")
    yield folder
    subprocess.run(["umount", folder], check=True)
