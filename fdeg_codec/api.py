"""What the package offers for single files, with the words of the command line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fdeg_codec.choices import DeviceName, Precision
from fdeg_codec.codec.damage import Damage
from fdeg_codec.codec.encode import encode
from fdeg_codec.codec.progress import Progress
from fdeg_codec.codec.windows import AnyWindow
from fdeg_codec.container.header import MAX_PIXELS
from fdeg_codec.scene import Scene

__all__ = ["decode", "encode", "open"]

open = Scene  # noqa: A001


def decode(
    source: Path | str,
    target: Path | str,
    *,
    window: AnyWindow | None = None,
    bands: Sequence[int] | None = None,
    scale: int = 1,
    cog: bool = False,
    device: DeviceName = "auto",
    precision: Precision = "auto",
    preview: bool = False,
    salvage: bool = False,
    max_pixels: int = MAX_PIXELS,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Damage:
    """Decode an .fdg file, or a window (column, row, width, height) of it, or some `bands` (from 1), into a raster file,
    2, 4, 8 or 16 times smaller with `scale`, a GeoTIFF cloud-optimized with `cog`.

    With `salvage`, what is damaged is no error: lost tiles become nodata, or masked, and are in the list that is returned.
    """
    with Scene(source, device=device, precision=precision, preview=preview, salvage=salvage, max_pixels=max_pixels) as scene:
        scene.save(target, window, bands=bands, scale=scale, cog=cog, overwrite=overwrite, progress=progress)
        return scene.damage
