"""The codecs that a user would otherwise pick, each at the settings its own experts would use.

8-bit RGB goes to Pillow, imagecodecs, ffmpeg and CompressAI; everything else to GDAL and imagecodecs.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import Image, features

from fdeg_codec.errors import UsageError
from fdeg_codec.evaluation import baselines, payload, video, wide
from fdeg_codec.evaluation.codec import Codec, listed
from fdeg_codec.evaluation.pictures import RGB, Kind, Picture
from fdeg_codec.evaluation.wide import JXL_EFFORT

Missing = dict[str, str]  # what cannot be had here, and why


def is_rgb(kind: Kind) -> bool:
    return kind == RGB


def rivals(kind: Kind, names: tuple[str, ...] | None = None) -> tuple[list[Codec], Missing]:
    """All codecs for pictures of this kind, or those named; and those that are not to be had."""
    makers = [jpeg, jpeg2000, webp, avif, jpegxl, video.hevc, video.vvc, wide.jpeg2000, wide.jpegxl, wide.lerc]
    known, missing = [], dict[str, str]()
    for codec in (*(maker() for maker in makers), *baselines.baselines()):
        if isinstance(codec, Codec):
            known.append(codec)
        else:
            missing |= codec
    everything = dict.fromkeys([c.name for c in known] + [*missing])
    for name in names or ():
        if name not in everything:
            raise UsageError(f"--codecs {name}: codecs are {', '.join(everything)}")
    fitting = {c.name: c for c in known if c.takes(kind) and (names is None or c.name in names)}
    missing |= {c.name: f"takes no pictures with {kind}" for c in known if c.name not in fitting and not names}
    for name in names or ():
        if name not in fitting:
            missing.setdefault(name, f"takes no pictures with {kind}")
    return list(fitting.values()), {n: r for n, r in missing.items() if n not in fitting and (names is None or n in names)}


def pillow(
    name: str, label: str, kind: str, suffix: str, library: str, size: Callable[[Path], int], **settings: Any
) -> Callable[[str, tuple[float, ...], tuple[float, float]], Codec]:
    """A codec of Pillow's; the parameter that makes the quality comes with the qualities."""

    def encode_with(parameter: str) -> Callable[[Picture, Path, float], None]:
        def encode(picture: Picture, target: Path, quality: float) -> None:
            value = [quality] if parameter == "quality_layers" else round(quality)
            Image.fromarray(interleaved(picture.samples)).save(target, kind, **settings, **{parameter: value})

        return encode

    def finish(parameter: str, qualities: tuple[float, ...], bounds: tuple[float, float]) -> Codec:
        words = ", ".join(f"{k}={v}" for k, v in settings.items())
        version = features.version(library)
        about = (
            f"{library} {version} in Pillow {PIL.__version__}: {words}, {parameter} {', '.join(f'{q:g}' for q in qualities)}"
        )
        whole = parameter == "quality"
        return Codec(name, label, about, suffix, qualities, bounds, encode_with(parameter), decode, size, is_rgb, whole)

    return finish


def interleaved(samples: NDArray[Any]) -> NDArray[Any]:
    return np.ascontiguousarray(samples.transpose(1, 2, 0))


def decode(path: Path) -> NDArray[Any]:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).transpose(2, 0, 1)


def jpeg() -> Codec:
    """4:4:4 as all others; Huffman tables made for the picture, progressive, which is smaller."""
    make = pillow(
        "jpeg", "JPEG", "JPEG", ".jpg", "libjpeg_turbo", payload.of_jpeg, subsampling=0, optimize=True, progressive=True
    )
    return make("quality", (10, 20, 35, 50, 70, 85, 93), (1, 100))


def jpeg2000() -> Codec:
    """The irreversible wavelet and colour transform, no container, one layer of the wanted compression ratio."""
    make = pillow("jpeg2000", "JPEG 2000", "JPEG2000", ".j2k", "jpg_2000", payload.of_jpeg2000, irreversible=True, no_jp2=True)
    return make("quality_layers", (80, 60, 40, 30, 20, 15, 10, 7), (400, 2))


def webp() -> Codec:
    return pillow("webp", "WebP", "WEBP", ".webp", "webp", payload.of_webp, method=6)(
        "quality", (5, 15, 25, 50, 75, 90, 96), (1, 100)
    )


def avif() -> Codec:
    make = pillow("avif", "AVIF", "AVIF", ".avif", "avif", payload.of_isobmff, speed=4, subsampling="4:4:4", max_threads=1)
    return make("quality", (20, 30, 45, 55, 65, 75, 85), (1, 100))


def jpegxl() -> Codec | Missing:
    if not importlib.util.find_spec("imagecodecs"):
        return {"jxl": "needs the package imagecodecs: pip install 'fdeg[eval]'"}
    import imagecodecs

    def encode(picture: Picture, target: Path, quality: float) -> None:
        pixels = interleaved(picture.samples)
        lossless = quality == 0
        data = imagecodecs.jpegxl_encode(pixels, distance=quality, lossless=lossless, effort=JXL_EFFORT, numthreads=1)
        target.write_bytes(data)

    def decode(path: Path) -> NDArray[Any]:
        return np.asarray(imagecodecs.jpegxl_decode(path.read_bytes(), numthreads=1)).transpose(2, 0, 1)

    qualities = (14.0, 9.0, 6.0, 4.0, 2.5, 1.5, 0.8)
    about = f"{imagecodecs.jpegxl_version()}: effort={JXL_EFFORT}, bare codestream, distance {listed(qualities)}"
    return Codec("jxl", "JPEG XL", about, ".jxl", qualities, (25, 0.05), encode, decode, payload.all_of, is_rgb)
