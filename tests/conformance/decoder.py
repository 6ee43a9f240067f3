"""The second decoder: reader, network and words put together, from a file and its weights to y. Nothing of fdeg."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np

from tests.conformance import reader
from tests.conformance.latents import Words, passes
from tests.conformance.network import Array, Network


def latents(file: reader.File, weights: Path) -> list[list[Array | None]]:
    """y (row, column, channel) of each plane of each tile; None where nothing is valid."""
    network = Network(weights, file.header["rate"])
    shapes = reader.tile_shapes(file.header)
    return [
        [None if plane is None else plane_latents(plane, network, -(-rows // 16), -(-columns // 16)) for plane in planes]
        for (rows, columns), planes in zip(shapes, file.planes, strict=True)
    ]


def plane_latents(plane: reader.Plane, network: Network, h: int, w: int) -> Array:
    words = Words(plane.words)
    down, across = -(-h // 4), -(-w // 4)
    z = words.z(down * across, network.z_rows)
    features = network.features(np.reshape(np.array(z, np.float64), (down, across, -1)), h, w)
    y = np.zeros((h, w, network.architecture["latent"]))
    speaking = words.speaking(y.shape[2])
    for cells in passes(network.architecture["context"], h, w):
        for number, part in enumerate(network.slices):
            channels = [channel for channel in speaking if part.start <= channel < part.stop]
            if not channels:
                continue
            values = words.latents(network.grid(features, y, cells, number, channels).tolist())
            for (row, column), some in zip(cells, np.reshape(values, (len(cells), -1)), strict=True):
                y[row, column, channels] = some
    assert words.used_up
    numbers = z + y.astype(int).ravel().tolist()
    assert zlib.crc32(struct.pack(f"<{len(numbers)}i", *numbers)) == plane.latents_crc
    return y
