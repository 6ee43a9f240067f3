"""What `encode` and `decode` let one choose from, and what they take unasked: said here for functions and options alike."""

from __future__ import annotations

from typing import Literal

DeviceName = Literal["auto", "cpu", "cuda"]
Precision = Literal["auto", "float32", "bfloat16"]
Format = Literal["tif", "png", "jp2", "webp"]  # of what a batch decodes

QUALITIES = range(1, 7)  # each is a lambda (codec/goal.py)
DEFAULT_QUALITY = 4
EFFORTS = range(10)
DEFAULT_EFFORT = 1
SCALES = (1, 2, 4, 8, 16)
DEFAULT_TILE = 512  # pixels each way
