"""The three functions of the package, with the words of the command line."""

from __future__ import annotations

from pathlib import Path

from fdeg_codec.codec.encode import Progress, encode
from fdeg_codec.devices import DeviceName, Precision
from fdeg_codec.scene import Scene

__all__ = ["decode", "encode", "open"]

open = Scene  # noqa: A001


def decode(
    source: Path | str,
    target: Path | str,
    *,
    window: tuple[int, int, int, int] | None = None,
    device: DeviceName = "auto",
    precision: Precision = "auto",
    preview: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> None:
    """Decode an .fdg file, or a window (column, row, width, height) of it, into a raster file."""
    with Scene(source, device=device, precision=precision, preview=preview) as scene:
        scene.save(target, window, overwrite=overwrite, progress=progress)
