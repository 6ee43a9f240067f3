"""Training pictures: folders of any scenes in memory, random crops, and groups of bands that are not natural RGB."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from fdeg_codec.errors import FdegError

EIGHT_BIT = {"1", "L", "P", "RGB"}
SUFFIXES = {".png", ".webp", ".tif", ".tiff", ".jpg", ".jpeg"}

Picture = NDArray[Any]  # uint8, or float32 around [0, 1]


def load_folder(folder: Path, without: Path | None = None) -> list[Picture]:
    """Every picture of `pictures_in` as (row, column, 3), several of a scene with more than three bands."""
    return [picture for path in pictures_in(folder, without) for picture in load(path)]


def load(path: Path) -> list[Picture]:
    """What Pillow knows as 8-bit gray or RGB (whole machines train without rasterio), else a scene."""
    try:
        with Image.open(path) as picture:
            if picture.mode in EIGHT_BIT:
                return [np.asarray(picture.convert("RGB"))]
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError):  # a bomb is more than it trusts
        pass
    from fdeg_codec.training.scenes import load_scene

    return list(load_scene(path))


def as_unit(picture: Picture) -> NDArray[np.float32]:
    """Around [0, 1]."""
    x: NDArray[np.float32] = picture.astype(np.float32)
    return x / np.float32(255) if picture.dtype == np.uint8 else x


def pictures_in(folder: Path, without: Path | None = None) -> list[Path]:
    """The pictures below `folder`, but for the folder `without`, in the order of their names."""
    if not folder.is_dir():
        raise FdegError(f"{folder}: {'is no folder' if folder.exists() else 'no such folder'}")
    paths = sorted(files_below(folder, SUFFIXES, without))
    if not paths:
        raise FdegError(f"{folder}: holds no pictures ({', '.join(sorted(SUFFIXES))})")
    return paths


def files_below(folder: Path, suffixes: Iterable[str], without: Path | None = None) -> list[Path]:
    """The files of these suffixes, but for hidden ones and those in the folder `without`, where a run puts its own pictures."""
    found = (p for p in folder.rglob("*") if p.suffix.lower() in suffixes and p.is_file())
    visible = (p for p in found if not any(part.startswith(".") for part in p.relative_to(folder).parts))
    return [p for p in visible if without is None or without.resolve() not in p.resolve().parents]


class Crops:
    """An endless draw of crops, pictures weighted by the square root of their area."""

    def __init__(self, pictures: list[Picture], natural_share: float, seed: int) -> None:
        self.pictures = pictures
        self.natural_share = natural_share
        self.seed = seed
        weights = np.sqrt([p.shape[0] * p.shape[1] for p in pictures])
        self.weights = weights / weights.sum()

    def batch(self, step: int, size: int, crop: int) -> NDArray[np.float32]:
        """(sample, band, row, column): the same for a step whoever asks, so that batches may be made ahead elsewhere."""
        rng = np.random.default_rng((self.seed, step))
        return np.stack([self._one(crop, rng) for _ in range(size)])

    def _one(self, crop: int, rng: np.random.Generator) -> NDArray[np.float32]:
        picture = self.pictures[rng.choice(len(self.pictures), p=self.weights)]
        # Large pictures are drawn at full or half resolution: two ground sampling distances for one.
        shrink = 2 if min(picture.shape[:2]) >= 4 * crop and rng.random() < 0.3 else 1
        side = crop * shrink
        short = [max(side - n, 0) for n in picture.shape[:2]]
        if any(short):
            picture = np.pad(picture, ((0, short[0]), (0, short[1]), (0, 0)), mode="reflect")
        top, left = (int(rng.integers(0, n - side + 1)) for n in picture.shape[:2])
        x = as_unit(picture[top : top + side, left : left + side])
        if shrink > 1:
            x = x.reshape(crop, shrink, crop, shrink, 3).mean((1, 3)).astype(np.float32)
        x = np.rot90(x, int(rng.integers(4)))
        if rng.random() < 0.5:
            x = x[:, ::-1]
        if rng.random() > self.natural_share:
            x = disguise(x, rng)
        return np.ascontiguousarray(x.transpose(2, 0, 1), np.float32)


class Ahead:
    """Batches made by other processes while the network steps: a GPU would wait for one that makes its own."""

    def __init__(self, crops: Crops, workers: int) -> None:
        self._crops = crops
        self._workers = workers
        self._pool: ProcessPoolExecutor | None = None
        self._known: dict[tuple[int, int, int], Future[NDArray[np.float32]]] = {}

    def batch(self, step: int, size: int, crop: int) -> NDArray[np.float32]:
        if not self._workers:
            return self._crops.batch(step, size, crop)
        if self._pool is None:  # forked, they share the pictures
            context = get_context("fork")
            self._pool = ProcessPoolExecutor(self._workers, context, initializer=_adopt, initargs=(self._crops,))
        wanted = [(step + k, size, crop) for k in range(2 * self._workers)]
        self._known = {key: self._known.get(key) or self._pool.submit(_made, *key) for key in wanted}
        return self._known.pop(wanted[0]).result()


_adopted: list[Crops] = []


def _adopt(crops: Crops) -> None:
    _adopted[:] = [crops]


def _made(step: int, size: int, crop: int) -> NDArray[np.float32]:
    return _adopted[0].batch(step, size, crop)


def disguise(x: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """A group a codec meets besides RGB: one or two bands repeated, random mixes, other tone curves, sensor noise."""
    x = np.clip(x, 0, 1)
    kind = rng.integers(4)
    if kind == 0:
        x = np.repeat(x.mean(2, keepdims=True), 3, 2)
    elif kind == 1:
        x = x[:, :, [0, int(rng.integers(1, 3)), 0]]
    else:
        mix = rng.dirichlet(np.ones(3), 3) if kind == 2 else rng.permutation(np.eye(3))
        x = x @ mix.T.astype(np.float32)
    if rng.random() < 0.5:
        x = x ** np.float32(rng.uniform(0.5, 2.0))
    if rng.random() < 0.5:
        low, high = np.sort(rng.uniform(0, 1, 2)).astype(np.float32)
        x = low + x * (high - low)
    if rng.random() < 0.3:
        x = x + rng.normal(0, rng.uniform(0, 0.03), x.shape).astype(np.float32)
    return np.clip(x, 0, 1)
