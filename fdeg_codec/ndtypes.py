"""What the arrays that pass through the codec hold."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[Any]  # of a raster, of whatever type it has
Flags = NDArray[np.bool_]
Integers = NDArray[np.int32]
Longs = NDArray[np.int64]
Floats = NDArray[np.float64]
