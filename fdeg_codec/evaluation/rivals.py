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
from fdeg_codec.evaluation.pictures import Kind, Picture, is_rgb
from fdeg_codec.evaluation.wide import JXL_EFFORT

Missing = dict[str, str]  # what cannot be had here, and why


def rivals(kind: Kind, names: tuple[str, ...] | None = None) -> tuple[list[Codec], Missing]:
    """All codecs for pictures of this kind, or those named; and those that are not to be had."""
    makers = [jpeg, jpeg2000, webp, avif, jpegxl, video.hevc, video.vvc, wide.jpeg2000, wide.jpegxl, wide.lerc]
    fitting, unfit, absent = dict[str, Codec](), Missing(), Missing()
    for codec in (*(maker() for maker in makers), *baselines.baselines()):
        if not isinstance(codec, Codec):
            absent |= codec
        elif codec.takes(kind):
            fitting[codec.name] = codec
        else:
            unfit[codec.name] = f"takes no pictures with {kind}"
    missing = unfit | absent  # one name may stand for several: what it needs is the better reason
    known = [*dict.fromkeys([*fitting, *missing])]
    for name in names or ():
        if name not in known:
            raise UsageError(f"--codecs {name}: codecs are {', '.join(known)}")
    wanted = known if names is None else names
    chosen = [codec for name, codec in fitting.items() if name in wanted]
    return chosen, {n: reason for n, reason in missing.items() if n in wanted and n not in fitting}


def pillow(
    name: str,
    label: str,
    suffix: str,
    library: str,
    size: Callable[[Path], int],
    qualities: tuple[float, ...],
    bounds: tuple[float, float],
    settings: dict[str, Any],
    parameter: str = "quality",
) -> Codec:
    """A codec of Pillow's; `parameter` makes the quality."""
    whole = parameter == "quality"

    def encode(picture: Picture, target: Path, quality: float) -> None:
        value = round(quality) if whole else [quality]
        kind = label.replace(" ", "").upper()
        Image.fromarray(interleaved(picture.filled)).save(target, kind, **settings, **{parameter: value})

    words = ", ".join(f"{k}={v}" for k, v in settings.items())
    about = f"{library} {features.version(library)} in Pillow {PIL.__version__}: {words}, {parameter} {listed(qualities)}"
    return Codec(name, label, about, suffix, qualities, bounds, encode, decode, size, is_rgb, whole)


def interleaved(samples: NDArray[Any]) -> NDArray[Any]:
    return np.ascontiguousarray(samples.transpose(1, 2, 0))


def decode(path: Path) -> NDArray[Any]:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).transpose(2, 0, 1)


def jpeg() -> Codec:
    """4:4:4 as all others; Huffman tables made for the picture, progressive, which is smaller."""
    qualities = (10, 20, 35, 50, 70, 85, 93)
    settings = {"subsampling": 0, "optimize": True, "progressive": True}
    return pillow("jpeg", "JPEG", ".jpg", "libjpeg_turbo", payload.of_jpeg, qualities, (1, 100), settings)


def jpeg2000() -> Codec:
    """The irreversible wavelet and colour transform, no container, one layer of the wanted compression ratio."""
    ratios = (80, 60, 40, 30, 20, 15, 10, 7)
    settings = {"irreversible": True, "no_jp2": True}
    return pillow(
        "jpeg2000", "JPEG 2000", ".j2k", "jpg_2000", payload.of_jpeg2000, ratios, (400, 2), settings, "quality_layers"
    )


def webp() -> Codec:
    return pillow("webp", "WebP", ".webp", "webp", payload.of_webp, (5, 15, 25, 50, 75, 90, 96), (1, 100), {"method": 6})


def avif() -> Codec:
    qualities = (20, 30, 45, 55, 65, 75, 85)
    settings = {"speed": 4, "subsampling": "4:4:4", "max_threads": 1}
    return pillow("avif", "AVIF", ".avif", "avif", payload.of_isobmff, qualities, (1, 100), settings)


def jpegxl() -> Codec | Missing:
    if not importlib.util.find_spec("imagecodecs"):
        return {"jxl": "needs the package imagecodecs: pip install 'fdeg[eval]'"}
    import imagecodecs

    def encode(picture: Picture, target: Path, quality: float) -> None:
        pixels = interleaved(picture.filled)
        lossless = quality == 0
        data = imagecodecs.jpegxl_encode(pixels, distance=quality, lossless=lossless, effort=JXL_EFFORT, numthreads=1)
        target.write_bytes(data)

    def decode(path: Path) -> NDArray[Any]:
        return np.asarray(imagecodecs.jpegxl_decode(path.read_bytes(), numthreads=1)).transpose(2, 0, 1)

    qualities = (14.0, 9.0, 6.0, 4.0, 2.5, 1.5, 0.8)
    about = f"{imagecodecs.jpegxl_version()}: effort={JXL_EFFORT}, bare codestream, distance {listed(qualities)}"
    return Codec("jxl", "JPEG XL", about, ".jxl", qualities, (25, 0.05), encode, decode, payload.all_of, is_rgb)
