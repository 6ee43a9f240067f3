"""Files of this version of the format, decoded for ever: by fdeg and by the second decoder, to the digests on record."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import fdeg_codec
from fdeg_codec.codec import exact
from fdeg_codec.codec.decode import Decoder
from fdeg_codec.codec.engine import load_engine
from fdeg_codec.codec.tiles import Grid
from fdeg_codec.container.file import Reader
from fdeg_codec.errors import FdegError
from fdeg_codec.raster.masks import Far, Layer8
from fdeg_codec.weights import SEARCH_VARIABLE
from tests.conformance import golden, reader

TABLE = json.loads(golden.TABLE.read_text())
FILES = [name for name in TABLE if not name.startswith("faulty/")]
BOUNDED = [name for name in FILES if "bounded" in name or "lossless" in name]
FAULTY = [name for name in TABLE if name.startswith("faulty/")]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("models")
    golden.unpack_weights(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(SEARCH_VARIABLE, os.pathsep.join([str(folder), os.environ.get(SEARCH_VARIABLE, "")]))
        yield folder


def path(name: str) -> Path:
    return golden.FOLDER / f"{name}.fdg"


def of_fdeg(file: Path) -> golden.Content:
    with file.open("rb") as stream:
        read = Reader(stream)
        h = read.header
        entries = Decoder(read, load_engine(h.fingerprint, "cpu", "float32")).entries
        tiles = list(Grid.of(h))
        latents = [[entries.latents(tile, plane) for plane in range(h.planes)] for tile in tiles]
        return golden.Content(latents, [list(map(shown, entries.layers(tile, set(range(h.bands))).values())) for tile in tiles])


def shown(layer: Layer8 | Far) -> np.ndarray:
    """A layer as a picture, that of "far" nan where no sample is given."""
    if not isinstance(layer, Far):
        return layer
    out = np.full(layer.flags.shape, np.nan)
    out[layer.flags] = layer.samples
    return out


def test_every_file_has_its_digests_and_every_digest_its_file() -> None:
    assert {str(p.relative_to(golden.FOLDER))[:-4] for p in golden.FOLDER.glob("*/*.fdg")} == set(TABLE)
    assert len(TABLE) >= 40


@pytest.mark.parametrize("name", FILES)
def test_fdeg_decodes_what_is_on_record(models: Path, name: str) -> None:
    assert golden.digests(of_fdeg(path(name))) == TABLE[name]
    with fdeg_codec.open(path(name), device="cpu") as scene:
        assert scene.read().shape == scene.shape


@pytest.mark.parametrize("name", FILES)
def test_the_second_decoder_decodes_what_is_on_record(models: Path, name: str) -> None:
    assert golden.digests(golden.independent(path(name), models)) == TABLE[name]


@pytest.mark.parametrize("name", BOUNDED)
def test_the_second_decoder_finds_every_sample_of_bounded_files(models: Path, name: str) -> None:
    """Layers are applied, too; only the pictures of real numbers come from fdeg."""
    file = reader.read(path(name))
    with path(name).open("rb") as stream:
        read = Reader(stream)
        h = read.header
        engine = load_engine(h.fingerprint, "cpu", "float32")
        entries, tiles = Decoder(read, engine).entries, list(Grid.of(h))

        def picture(number: int, plane: int, bands: int) -> np.ndarray:
            tile = tiles[number]
            y = entries.latents(tile, plane)
            return exact.picture(engine, y, h.log2_lambda, (bands, tile.rows.size, tile.columns.size))

        found = golden.bounded(file, picture)
    assert golden.crcs(found) == [[one.latents_crc for one in tile if one] for tile in file.residuals]
    assert any(map(any, golden.crcs(found)))
    with fdeg_codec.open(path(name), device="cpu") as scene:
        np.testing.assert_array_equal(scene.read(), golden.raster(file, found))


@pytest.mark.parametrize("name", FAULTY)
def test_faulty_files_are_refused_for_what_they_are(models: Path, name: str, tmp_path: Path) -> None:
    with pytest.raises(FdegError) as caught:
        fdeg_codec.decode(path(name), tmp_path / "x.tif")
    assert TABLE[name] in str(caught.value)
    assert str(path(name)) in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", FAULTY)
def test_the_second_decoder_takes_no_faulty_file(models: Path, name: str) -> None:
    with pytest.raises((AssertionError, LookupError, ValueError)):
        golden.independent(path(name), models)


def test_layers_and_latents_differ_from_file_to_file() -> None:
    """Golden files that are all alike would prove nothing."""
    seen = {json.dumps(TABLE[name]["latents"]) for name in FILES if name.startswith("good/")}
    assert len(seen) > 0.5 * len([name for name in FILES if name.startswith("good/")])
    assert any(np.any([tile == [None] for tile in TABLE[name]["latents"]]) for name in FILES)
