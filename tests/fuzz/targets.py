"""What strangers' bytes reach. Each takes any bytes and lets nothing but FdegError happen, which it swallows."""

from __future__ import annotations

import io
import json
import tempfile
from contextlib import suppress
from functools import cache, lru_cache
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from numpy.typing import NDArray

from fdeg_codec.codec import decode, entries
from fdeg_codec.codec.damage import Damage
from fdeg_codec.codec.tile import decode_plane
from fdeg_codec.codec.tiles import Span
from fdeg_codec.container.file import Reader
from fdeg_codec.container.salvage import Salvager
from fdeg_codec.container.sections import SKIPPABLE, Kind
from fdeg_codec.container.summary import summary
from fdeg_codec.entropy.tables import TOTAL
from fdeg_codec.errors import BadFileError, FdegError
from fdeg_codec.networks.context import Cells, passes
from fdeg_codec.raster import metadata
from fdeg_codec.raster.atomic import replacing
from fdeg_codec.raster.sink import Sink
from fdeg_codec.raster.stac import stac

KINDS = ("none", "checkerboard", "quarters", "serial")
LATENT, HYPER = 18, 2
MEMORY = Path("/dev/shm")  # where a file system in memory has its place
SMALL = 1 << 14  # samples of a picture that is worth writing


class Silent:
    """An engine without a network, whose pictures are black."""

    device = torch.device("cpu")
    latent, hyper = LATENT, HYPER

    def predictor(self, log2_lambda: int) -> Any:
        return Stub("checkerboard", 0)

    def work_bytes(self, pixels: int, exactly: bool) -> int:
        return 0

    def synthesise(self, y: NDArray[np.int32], log2_lambda: int) -> NDArray[np.float32]:
        return np.zeros((3, 16 * y.shape[0], 16 * y.shape[1]), np.float32)

    def synthesise_exactly(self, y: NDArray[np.int32], log2_lambda: int) -> NDArray[np.float64]:
        return self.synthesise(y, log2_lambda).astype(np.float64)


def container(data: bytes) -> None:
    """All of a file but network and entropy decoder, the other target's; then once more what can be salvaged of it."""
    for kind, damage in ((Reader, None), (Salvager, Damage())):
        with suppress(FdegError), mock.patch.object(entries, "decode_plane", black):
            reader = kind(io.BytesIO(data))
            json.dumps(summary(reader) | stac(reader))
            decoder = decode.Decoder(reader, Silent(), damage)  # type: ignore[arg-type]
            h = reader.header
            carried = tuple((k, v) for k, v in reader.sections.items() if k & SKIPPABLE)
            metadata.from_sections(dict(carried), h.bands)
            if h.bands * h.height * h.width <= SMALL:
                save(carried, h.bands, h.dtype)
                for piece in decoder.pieces(Span(0, h.height), Span(0, h.width)):
                    assert piece.samples.shape[0] == h.bands


def black(predictor: Any, entry: bytes, height: int, width: int) -> NDArray[np.int32]:
    """The latents of any plane, some planes being broken."""
    if len(entry) < 4 or entry[0] % 4 == 3:
        raise BadFileError("broken")
    return np.zeros((height, width, LATENT), np.int32)


@lru_cache(maxsize=1 << 12)
def save(carried: tuple[tuple[Kind, bytes], ...], bands: int, dtype: str) -> None:
    """The metadata in a GeoTIFF of a few pixels, which takes longer than all the rest."""
    described = metadata.from_sections(dict(carried), bands)
    shape = bands, 2, 3
    with (
        tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder,
        replacing(Path(folder) / "x.tif", False) as draft,
        Sink(draft, "GTiff", shape, dtype, None, metadata.within(described, 3, 5)) as sink,
    ):
        sink.write(np.zeros(shape, dtype), 0, 0, None)


class Stub:
    """A predictor without a network: grids of every kind, the same whenever they are asked for again."""

    def __init__(self, kind: str, seed: int) -> None:
        self._kind, self._seed = kind, seed
        self.latent = LATENT
        self.z_rows = rows(seed)

    def passes(self, height: int, width: int) -> tuple[Cells, ...]:
        return passes(self._kind, height, width)  # type: ignore[arg-type]

    def begin(self, z: NDArray[np.int32], height: int, width: int, speaking: NDArray[np.bool_]) -> None:
        ends = (0, 9, LATENT) if self._seed % 3 else (0, LATENT)
        counts = [speaking[a:b].sum() for a, b in pairwise(ends)]
        self.slices = [slice(*pair) for pair in pairwise(accumulate(filter(None, counts), initial=0))]

    def turn_to(self, cells: Cells) -> None:
        self._count = len(cells[0])

    def grid(self, number: int) -> NDArray[np.float64]:
        part = self.slices[number]
        return grid(self._seed, self._count * (part.stop - part.start))

    def learn(self, number: int, values: NDArray[np.int32]) -> None:
        pass


@cache
def rows(seed: int) -> NDArray[np.float64]:
    """Frequencies of hyper-latents that sum to 2^22."""
    shares = np.random.default_rng(seed).dirichlet(np.full(64, 10 ** (seed % 5 - 3.0)), HYPER)
    table = np.floor(np.nan_to_num(shares) * (TOTAL - 64)) + 1
    table[:, 31] += TOTAL - table.sum(1)
    return table


@cache
def grid(seed: int, count: int) -> NDArray[np.float64]:
    """A grid of real numbers, some of which lie as near to a boundary as exceptions do."""
    rng = np.random.default_rng(seed)
    spread = 10 ** rng.uniform(0, 4.5)
    numbers = np.concatenate(
        (rng.normal(0, spread, (3, count)), rng.uniform(0, 63 * rng.random() ** 2, (3, count)), rng.uniform(0, 32, (2, count)))
    )
    near = rng.random(numbers.shape) < 0.1 * (seed % 2)
    numbers[near] = np.floor(numbers[near]) + 0.5 + 2.0**-22 * rng.uniform(-1.9, 1.9, near.sum())
    limits = np.array([32767] * 3 + [63] * 3 + [64] * 2)[:, None]
    return np.clip(numbers, np.where(limits == 32767, -limits, 0), limits)


def entropy(data: bytes) -> None:
    """The words of a plane: three bytes say the context, the size of the tile, and the grids; the rest is the body."""
    if len(data) < 3:
        return
    height, width = data[1] % 5 + 1, data[1] // 5 % 5 + 1
    predictor: Any = Stub(KINDS[data[0] % len(KINDS)], data[2] % 32)
    with suppress(FdegError):
        decode_plane(predictor, data[3:], height, width)


TARGETS = {"container": container, "entropy": entropy}
