"""A short run of the fuzzers from a fixed seed, and all that they ever found. The long run: `python -m tests.fuzz`."""

from __future__ import annotations

import io
import json
import random
import struct
import time
import tracemalloc
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fdeg_codec.codec.tile import encode_plane
from fdeg_codec.container.file import Reader, Writer
from fdeg_codec.container.header import Header
from fdeg_codec.container.sections import Kind, Sections, pack_numbers, pack_text
from fdeg_codec.container.summary import summary
from fdeg_codec.entropy.guard import round_guarded
from fdeg_codec.entropy.mixture import mixtures
from fdeg_codec.entropy.silence import EIGHT
from fdeg_codec.errors import FdegError
from fdeg_codec.raster import metadata
from fdeg_codec.raster.masks import pack_layer
from tests.fuzz import forge, targets

FOUND = sorted((Path(__file__).parent / "found").iterdir())
RUNS = {"container": 120, "entropy": 60}
SECONDS, MEBIBYTES = 2, 512  # that any input may take

HEADER = Header(bytes(8), "uint8", 3, 70, 40, 64, 9 * 2048, planes=1, layers=1)
SECTIONS: Sections = {
    Kind.MAPPING: pack_text([[3, 250, 0, 255]] * 3),
    Kind.NODATA: pack_text(0.0),
    Kind.LAYERS: pack_text([["nodata", None]]),
    Kind.ORDER: struct.pack("<3H", 2, 1, 0),
    Kind.CRS: pack_text("EPSG:32633"),
    Kind.TRANSFORM: pack_numbers([0.5, 0, 399960, 0, -0.5, 5700000]),
    Kind.GCPS: pack_text({"crs": "EPSG:4326", "points": [[1, 2, 3.5, 4, 5, "p", "i"], [9, 2, 3, 4, None, "q", ""]]}),
    Kind.RPCS: pack_text(
        {f"{axis}_{what}": "1" for axis in ("LINE", "SAMP", "LAT", "LONG", "HEIGHT") for what in ("OFF", "SCALE")}
        | {f"{axis}_{what}_COEFF": " ".join("1" * 20) for axis in ("LINE", "SAMP") for what in ("NUM", "DEN")}
        | {"ERR_BIAS": "1", "ERR_RAND": "1"}
    ),
    Kind.TAGS: pack_text({"tags": {"": {"A": "b"}, "ours": {"K": "v"}}, "bands": [{}, {"": {"W": "0.8"}}, {}]}),
    Kind.BANDS: pack_text({"descriptions": ["a", None, "c"], "units": ["m", "", ""], "scales": [0.1, 1, 1]}),
}


def file(sections: Sections) -> bytes:
    """A small file with these sections; its planes hold anything."""
    valid = np.arange(70 * 40).reshape(70, 40) % 7 > 0
    stream = io.BytesIO()
    writer = Writer(stream, HEADER, sections)
    for rows in (valid[:64], valid[64:]):
        writer.add(bytes(24))
        writer.add(pack_layer(rows.astype(np.uint8) * np.uint8(255)))
    writer.finish()
    return stream.getvalue()


def plane(kind: int, size: int, seed: int) -> bytes:
    """An input of the entropy target that is as it should be."""
    predictor = targets.Stub(targets.KINDS[kind], seed)
    height, width = size % 5 + 1, size // 5 % 5 + 1
    rng = np.random.default_rng(seed)
    z = np.rint(3 * rng.standard_cauchy((-(-height // 4), -(-width // 4), targets.HYPER))).astype(np.int32)
    y = np.zeros((height, width, targets.LATENT), np.int32)
    speaking = np.repeat(rng.random(3) < 0.7, EIGHT)[: targets.LATENT]
    predictor.begin(z, height, width, speaking)
    spoken = y[..., speaking]
    for rows, columns in predictor.passes(height, width):
        predictor.turn_to((rows, columns))
        for number, part in enumerate(predictor.slices):
            centres = mixtures(round_guarded(predictor.grid(number))[0]).centres.reshape(len(rows), -1)
            noise = np.rint(np.clip(2 * rng.standard_cauchy(centres.shape), -1e6, 1e6))
            spoken[rows, columns, part] = centres + noise.astype(np.int32)
    y[..., speaking] = spoken
    return bytes([kind, size, seed]) + encode_plane(predictor, z, y)[0]  # type: ignore[arg-type]


def scrambler(rng: random.Random) -> Callable[[bytes], bytes]:
    def scramble(data: bytes) -> bytes:
        out = bytearray(data)
        for _ in range(rng.choice((1, 1, 2, 5))):
            k = rng.randrange(len(out) + 1)
            match rng.randrange(4):
                case 0 if k < len(out):
                    out[k] ^= 1 << rng.randrange(8)
                case 1:
                    out[k:k] = rng.randbytes(rng.randrange(1, 5))
                case 2:
                    del out[k : k + rng.randrange(1, 9)]
                case _:
                    out[k : k + 4] = rng.choice(forge.EDGES).to_bytes(4, "little")
        return bytes(out)

    return scramble


def inputs(name: str) -> list[bytes]:
    rng = random.Random(name)
    scramble = scrambler(rng)
    if name == "entropy":
        whole = [plane(kind, size, seed) for kind in range(3) for size in (0, 7, 24) for seed in range(3)]
        return whole + [scramble(rng.choice(whole)) for _ in range(RUNS[name])]
    whole = [file({}), file(SECTIONS)]
    return whole + [forge.mutate(rng.choice(whole), rng, scramble) for _ in range(RUNS[name])]


@pytest.mark.parametrize("name", targets.TARGETS)
def test_nothing_but_errors_of_ours(name: str) -> None:
    """In processor's time and memory that an input of some kilobytes deserves."""
    tracemalloc.start()
    try:
        for data in inputs(name):
            tracemalloc.reset_peak()
            begin = time.process_time()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of rasterio
                targets.TARGETS[name](data)
            assert time.process_time() - begin < SECONDS
            assert tracemalloc.get_traced_memory()[1] < MEBIBYTES << 20
    finally:
        tracemalloc.stop()


def test_whole_inputs_are_taken() -> None:
    """So that the others are not refused for something else."""
    reader = Reader(io.BytesIO(file(SECTIONS)))
    described = metadata.from_sections(reader.sections, 3)
    assert len(described.gcps) == 2
    assert described.rpcs is not None
    assert forge.apart(file(SECTIONS)) is not None


@pytest.mark.parametrize("path", FOUND, ids=lambda path: path.name)
def test_what_was_found_stays_mended(path: Path) -> None:
    """The file's name begins with the number of a section, its bytes are that section."""
    kind = Kind(int(path.name.split("-")[0]))
    data = file(SECTIONS | {kind: path.read_bytes()})
    targets.container(data)
    with pytest.raises(FdegError):
        refused(Reader(io.BytesIO(data)))


def refused(reader: Reader) -> None:
    json.dumps(summary(reader))
    metadata.from_sections(reader.sections, 3)
