"""What a picture is for: a small land-use classifier, trained on originals only, that looks at decoded pictures.

Features of k-means (Coates, Lee and Ng, AISTATS 2011) over whitened patches at three sizes of the picture, its colours, and a
linear classifier on top: minutes on one core, and fine texture matters to it, which is what codecs take away.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import BadZipFile

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from fdeg_codec.errors import FdegError
from fdeg_codec.evaluation.pictures import Picture
from fdeg_codec.raster.atomic import replacing

PATCH = 6
STRIDE = 3
WORDS = 400
PATCHES_PER_PICTURE = 60
SIZES = (1, 2, 4)  # the picture is shrunk by these
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
WHITENING = 0.1  # added to the variances of patches of unit variance
CONTRAST = 10.0  # added to a patch's variance (samples in 0..255), so that flat patches stay flat
SIDE = 256
STRENGTH = 0.01  # of the linear classifier (C)
SEED = 3

Floats = NDArray[np.float32]


def class_of(path: Path) -> str:
    """The word that the file's name begins with: airplane04 is an airplane."""
    return re.match(r"[^\d]*", path.stem).group().rstrip("_-. ")  # type: ignore[union-attr]


class Classifier(NamedTuple):
    """Arrays that `train` finds; asked of a decoded picture, it says which class is still seen."""

    centre: Floats  # of patches
    whiten: Floats
    words: Floats
    mean: Floats  # of features
    spread: Floats
    weights: Floats  # class by feature
    offsets: Floats
    names: NDArray[np.str_]

    def __call__(self, samples: NDArray[Any]) -> str:
        """The class of a picture (band, row, column)."""
        features = (_features(samples, self.centre, self.whiten, self.words) - self.mean) / self.spread
        return str(self.names[np.argmax(self.weights @ features + self.offsets)])


def train(pictures: list[Picture]) -> Classifier:
    """A classifier of pictures by the words that their names begin with."""
    from sklearn.linear_model import LogisticRegression

    names = [class_of(p.path) for p in pictures]
    if len({*names}) < 2:
        raise FdegError(f"{pictures[0].path.parent}: names of its pictures tell no classes (airplane04.png is an airplane)")
    vocabulary = _learn_words(pictures)
    features = np.stack([_features(p.samples, *vocabulary) for p in pictures])
    mean, spread = features.mean(0), features.std(0) + np.float32(1e-6)
    linear = LogisticRegression(C=STRENGTH, max_iter=500).fit((features - mean) / spread, names)
    weights, offsets = linear.coef_, linear.intercept_
    if len(linear.classes_) == 2:  # told apart by one sum
        weights, offsets = np.concatenate([-weights, weights]), np.concatenate([-offsets, offsets])
    return Classifier(*vocabulary, mean, spread, weights, offsets, np.array(linear.classes_, np.str_))


def _learn_words(pictures: list[Picture]) -> tuple[Floats, Floats, Floats]:
    """Whiten patches drawn from the pictures, and find the centres of their clusters."""
    from sklearn.cluster import MiniBatchKMeans

    rng = np.random.default_rng(SEED)
    drawn = []
    for picture in pictures:
        patches = _patches(_resized(picture.samples))[0]
        drawn.append(patches[torch.from_numpy(rng.choice(len(patches), PATCHES_PER_PICTURE))])
    flat = _normal(torch.cat(drawn))
    centre = flat.mean(0)
    values, vectors = torch.linalg.eigh(torch.cov((flat - centre).T))
    whiten = vectors @ torch.diag((values + WHITENING).rsqrt()) @ vectors.T
    white = ((flat - centre) @ whiten).numpy()
    found = MiniBatchKMeans(min(WORDS, len(white)), random_state=SEED, n_init=1, batch_size=4096, max_iter=30).fit(white)
    return centre.numpy(), whiten.numpy(), found.cluster_centers_.astype(np.float32)


@torch.inference_mode()
def _features(samples: NDArray[Any], *vocabulary: Floats) -> Floats:
    """Which words the picture has, at three sizes of it, and its colours."""
    x, known = _resized(samples), [torch.from_numpy(part) for part in vocabulary]
    seen = [_words_in(x if size == 1 else F.avg_pool2d(x, size), *known) for size in SIZES]
    return torch.cat([*seen, _colours(x[0].flatten(1))]).numpy()


def _words_in(x: Tensor, centre: Tensor, whiten: Tensor, words: Tensor) -> Tensor:
    """How near the patches come to each word ('triangle' of the paper), over the picture, and how unevenly."""
    patches, height, width = _patches(x)
    distance = torch.cdist((_normal(patches) - centre) @ whiten, words)
    activity = (distance.mean(1, keepdim=True) - distance).clamp_min(0).reshape(height, width, len(words))
    top, left = height // 2, width // 2
    quarters = torch.stack(
        [q.mean((0, 1)) for rows in (activity[:top], activity[top:]) for q in (rows[:, :left], rows[:, left:])]
    )
    return torch.cat([quarters.mean(0), quarters.std(0), activity.std((0, 1))])


def _resized(samples: NDArray[Any]) -> Tensor:
    x = torch.from_numpy(samples.astype(np.float32))[None]
    return x if x.shape[2:] == (SIDE, SIDE) else F.interpolate(x, (SIDE, SIDE), mode="bilinear", antialias=True)


def _patches(x: Tensor) -> tuple[Tensor, int, int]:
    """(patch, content) of a picture, and how many there are down and across."""
    down, across = ((n - PATCH) // STRIDE + 1 for n in x.shape[2:])
    return F.unfold(x, PATCH, stride=STRIDE)[0].T, down, across


def _normal(patches: Tensor) -> Tensor:
    """Patches without their mean, at unit contrast."""
    return (patches - patches.mean(1, keepdim=True)) / (patches.var(1, keepdim=True) + CONTRAST).sqrt()


def _colours(pixels: Tensor) -> Tensor:
    """Quantiles of brightness and of differences between bands, over some of the pixels (band, pixel)."""
    mean = pixels.mean(0, keepdim=True)
    parts = torch.cat([mean, pixels[:-1] - pixels[1:]])
    return torch.cat([parts[:, ::5].quantile(torch.tensor(QUANTILES), dim=1).flatten(), parts.std(1)])


def save(classifier: Classifier, path: Path) -> None:
    """For the processes of a run, and for going on with one."""
    with replacing(path, overwrite=True) as draft, draft.open("wb") as stream:
        np.savez(stream, **classifier._asdict())


def load(path: Path) -> Classifier:
    """What `save` wrote."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return Classifier(**arrays)
    except (OSError, TypeError, ValueError, BadZipFile) as error:
        raise FdegError(f"{path}: cannot be read as a classifier ({error}); --overwrite makes it anew") from error
