"""Video codecs as still-picture codecs, HEVC (x265, as in BPG and HEIC) and VVC (VVenC), through the ffmpeg of imageio-ffmpeg.

Bare streams of one intra picture in 10 bits, BT.709 at full range; without adaptive quantisation, which costs PSNR.
"""

from __future__ import annotations

import importlib.util
import io
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fdeg_codec.errors import FdegError
from fdeg_codec.evaluation import payload
from fdeg_codec.evaluation.codec import Codec, listed
from fdeg_codec.evaluation.pictures import Picture, is_rgb

SCALING = "flags=accurate_rnd+full_chroma_int+full_chroma_inp+bicubic"
QPS = (44.0, 39.0, 35.0, 31.0, 27.0, 22.0)

Maker = Callable[[float], list[str]]


def hevc() -> Codec | dict[str, str]:
    def options(qp: float) -> list[str]:
        rate = f"qp={qp:g}:keyint=1:aq-mode=0:pools=none:frame-threads=1:info=0:log-level=error"
        return ["-c:v", "libx265", "-preset", "veryslow", "-tune", "psnr", "-x265-params", rate]

    about = "x265 preset veryslow, tune psnr, aq-mode 0, 4:4:4 in 10 bits"
    return _codec("hevc", "HEVC intra", "libx265", about, options, ("hevc", "yuv444p10le"), payload.of_hevc)


def vvc() -> Codec | dict[str, str]:
    def options(qp: float) -> list[str]:
        return ["-c:v", "libvvenc", "-preset", "medium", "-qpa", "0", "-qp", f"{qp:g}"]

    about = "VVenC preset medium, qpa 0, 4:2:0 in 10 bits (ffmpeg gives VVenC nothing else)"
    return _codec("vvc", "VVC intra", "libvvenc", about, options, ("vvc", "yuv420p10le"), payload.of_vvc)


def _codec(
    name: str, label: str, encoder: str, about: str, options: Maker, form: tuple[str, str], size: Callable[[Path], int]
) -> Codec | dict[str, str]:
    if not importlib.util.find_spec("imageio_ffmpeg"):
        return {name: "needs the package imageio-ffmpeg: pip install 'fdeg[eval]'"}
    import imageio_ffmpeg

    ffmpeg = imageio_ffmpeg.get_ffmpeg_exe()
    if encoder not in _run([ffmpeg, "-hide_banner", "-encoders"]).decode():
        return {name: f"this ffmpeg has no {encoder}: {ffmpeg}"}
    stream, layout = form

    def encode(picture: Picture, target: Path, quality: float) -> None:
        _, height, width = picture.samples.shape
        if height % 2 or width % 2:
            raise FdegError(f"{picture.path}: {width} x {height}; {label} through ffmpeg takes even sides only")
        raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-i", "-", "-frames:v", "1"]
        colours = ["-vf", f"scale=out_color_matrix=bt709:out_range=pc:{SCALING}", "-pix_fmt", layout]
        files = ["-threads", "1", "-f", stream, "-y", str(target)]
        pixels = np.ascontiguousarray(picture.filled.transpose(1, 2, 0)).tobytes()
        _run([ffmpeg, "-v", "error", *raw, *colours, *options(quality), *files], pixels)

    def decode(path: Path) -> NDArray[Any]:
        colours = ["-vf", f"scale=in_color_matrix=bt709:in_range=pc:{SCALING}", "-pix_fmt", "rgb24"]
        picture = _run(
            [ffmpeg, "-v", "error", "-threads", "1", "-i", str(path), *colours, "-f", "image2pipe", "-c:v", "ppm", "-"]
        )
        return np.asarray(Image.open(io.BytesIO(picture))).transpose(2, 0, 1)

    full = f"{about}; ffmpeg {imageio_ffmpeg.get_ffmpeg_version()}, qp {listed(QPS)}"
    return Codec(name, label, full, f".{stream}", QPS, (51, 5), encode, decode, size, is_rgb, whole=True, slow=True)


def _run(words: list[str], given: bytes | None = None) -> bytes:
    done = subprocess.run(words, input=given, capture_output=True, check=False)
    if done.returncode:
        raise FdegError(f"ffmpeg failed: {done.stderr.decode(errors='replace').strip().splitlines()[-1:]}")
    return done.stdout
