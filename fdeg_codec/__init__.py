"""fdeg: a learned codec for remote-sensing imagery.

>>> import fdeg_codec
>>> fdeg_codec.encode("scene.tif", "scene.fdg", quality=4)          # doctest: +SKIP
>>> fdeg_codec.decode("scene.fdg", "scene.png")                     # doctest: +SKIP
>>> with fdeg_codec.open("scene.fdg") as scene:                     # doctest: +SKIP
...     pixels = scene.read(window=(0, 0, 256, 256))

Importing this module imports nothing heavy; torch and rasterio come with the first call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fdeg_codec.api import decode, encode, open  # noqa: A004
    from fdeg_codec.batches.run import batch

from fdeg_codec.errors import FdegError

__all__ = ["FdegError", "__version__", "batch", "decode", "encode", "open"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name in ("decode", "encode", "open"):
        from fdeg_codec import api

        return getattr(api, name)
    if name == "batch":
        from fdeg_codec.batches.run import batch

        return batch
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
