"""Makes the golden files anew: `python -m tests.conformance.make_golden`. To be run when the format changes, before a release.

After a release, files of that version stay as they are. The weights are made once and kept: seeds give other numbers in other
releases of torch.
"""

from __future__ import annotations

import json
import lzma
import os
import shutil
import struct
import tempfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import torch
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.enums import ColorInterp
from rasterio.rpc import RPC
from rasterio.transform import Affine

import fdeg_codec
from fdeg_codec.codec.engine import Engine, load_engine
from fdeg_codec.codec.tile import encode_plane
from fdeg_codec.container.file import Reader, Writer
from fdeg_codec.container.header import CODES, fixed_point
from fdeg_codec.container.sections import Kind, pack_text
from fdeg_codec.entropy.coder import Encoder
from fdeg_codec.entropy.mixture import code_rows
from fdeg_codec.networks.fdegcnet import Architecture, FDEGCNet
from fdeg_codec.training.export import export
from fdeg_codec.weights import SEARCH_VARIABLE
from tests.conformance import golden
from tests.pictures import landscape

MODELS: dict[str, dict[str, Any]] = {context: {"context": context} for context in ("checkerboard", "none", "serial")}
MODELS["slices"] = {"slices": (1, 2, 5)}
MODELS["quarters"] = {"context": "quarters", "latent": 32, "slices": (1, 9, 22)}
Setup = Callable[[Any], None]


def make_weights() -> None:
    """Networks in numbers of few bits, so that they pack well."""
    for seed, (model, fields) in enumerate(MODELS.items()):
        packed = golden.FOLDER / f"{model}.safetensors.xz"
        if packed.exists():
            continue
        torch.manual_seed(seed)
        net = FDEGCNet(Architecture(**{"widths": (8, 8, 8), "latent": 8, "hyper": 8, "fusion": 8, "odam_depth": 1, **fields}))
        for name, tensor in net.state_dict().items():
            if name == "entropy.y_gain.table":
                tensor[:] = torch.linspace(0.5, 3, 6)[:, None]
            elif name == "y_ungain.table":
                tensor[:] = -torch.linspace(0.5, 3, 6)[:, None]
            elif "mix_in" in name or "from_slices" in name or name in ("entropy.head.bias", "entropy.context.bias"):
                torch.nn.init.normal_(tensor, std=0.3)
            tensor[:] = tensor.to(torch.float8_e4m3fn).float()
        with tempfile.TemporaryDirectory() as folder:
            manifest = export(net.half().float(), Path(folder), model, {})
            packed.write_bytes(lzma.compress(manifest.with_suffix(".safetensors").read_bytes(), preset=9))
            shutil.copy(manifest, golden.FOLDER)


def picture(bands: int, dtype: str = "uint8", height: int = 20, width: int = 24) -> np.ndarray:
    data = landscape(height, width, bands)
    scaled = {"uint8": data, "uint16": data.astype(np.uint16) * 37 + 501, "int16": data.astype(np.int16) * 37 - 4000}
    scaled["float32"] = data.astype(np.float32) / 64 - 1
    return scaled.get(dtype, (data / 7 - 5).astype(dtype))


def holes(data: np.ndarray, value: float, apart: bool = False) -> np.ndarray:
    """The picture with `value` in a corner; in other places of each band, or everywhere in its second tile."""
    data = np.where(data == value, data + data.dtype.type(1), data)
    for band in range(len(data)):
        data[band, 3 + (band if apart else 0) : 9, 5:15] = value
    return data


def encoded(data: np.ndarray, setup: Setup | None = None, mask: np.ndarray | None = None, **options: Any) -> bytes:
    """The picture in a GeoTIFF, encoded; options of encode are told from those of the raster by their names."""
    ours = {"quality": 3, "tile": 64, "model": "checkerboard", "precision": "float32"}
    ours |= {name: options.pop(name) for name in ("quality", "lambda_", "tile", "model", "max_error") if name in options}
    if "lambda_" in ours:
        del ours["quality"]
    shape = {"count": len(data), "height": data.shape[1], "width": data.shape[2], "dtype": data.dtype}
    if len(data) not in (1, 3) and "photometric" not in options:
        options |= {"photometric": "minisblack", "alpha": "no"}
    with tempfile.TemporaryDirectory() as folder, rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        with rasterio.open(Path(folder, "in.tif"), "w", driver="GTiff", **shape, **options) as target:
            if setup:
                setup(target)
            target.write(data)
            if mask is not None:
                target.write_mask(mask)
        fdeg_codec.encode(Path(folder, "in.tif"), Path(folder, "x.fdg"), **ours)
        return Path(folder, "x.fdg").read_bytes()


def good() -> Iterator[tuple[str, bytes]]:
    """What an encoder writes."""
    for model in MODELS:
        for dtype in CODES:
            yield f"{model}-{dtype}", encoded(picture(3, dtype, 40, 36), model=model)
    for bands in (1, 2, 4, 5):
        if bands < 5 or len(CODES) > 2:
            yield f"bands-{bands}", encoded(picture(bands))
    for quality in (1, 6):
        yield f"quality-{quality}", encoded(picture(3), quality=quality)
    yield "lambda-between", encoded(picture(3), lambda_=777)
    yield "one-pixel", encoded(picture(3, height=1, width=1))
    yield "many-tiles", encoded(picture(3, height=70, width=130))
    for dtype in CODES:
        yield f"nodata-{dtype}", encoded(holes(picture(3, dtype), 7), nodata=7)
    wild = picture(3, "float32")
    wild[0, 4:7, 5:9], wild[1, 12], wild[2, 3, :4], wild[0, 15, 2] = np.nan, np.nan, np.inf, -1e30
    yield "nan-and-far", encoded(wild)
    yield "nodata-of-each-band", encoded(holes(picture(3, "uint16"), 65535, apart=True), nodata=65535)
    yield "nodata-in-a-whole-tile", encoded(np.where(np.arange(80) > 60, 0, np.maximum(picture(3, width=80), 1)), nodata=0)
    mask = np.zeros((20, 80), np.uint8)
    mask[3:9, 4:40] = 255
    yield "mask", encoded(picture(3, width=80), mask=mask)
    yield "alpha", encoded(picture(4), photometric="rgb", alpha="yes")
    sheer = picture(2, "uint16")
    sheer[1] = np.where(sheer[1] > np.median(sheer[1]), 65535, 0)
    yield "alpha-uint16", encoded(sheer, lambda d: setattr(d, "colorinterp", [ColorInterp.gray, ColorInterp.alpha]))
    yield "alpha-and-mask", encoded(picture(4), mask=mask[:, :24], photometric="rgb", alpha="yes")
    backwards = [ColorInterp.undefined, ColorInterp.blue, ColorInterp.green, ColorInterp.red]
    for dtype, error in (("uint8", 3), ("uint16", 90), ("int16", 90), ("float32", 0.03)):
        yield f"bounded-{dtype}", encoded(holes(picture(4, dtype), 7), nodata=7, max_error=error)
        yield f"lossless-{dtype}", encoded(picture(4, dtype), max_error=0)
    yield "lossless-nan-and-far", encoded(wild, max_error=0)
    yield "bounded-loosely", encoded(picture(3), max_error=60)
    yield "bounded-tiles-and-mask", encoded(picture(3, width=80), mask=np.where(np.arange(80) < 64, mask, 0), max_error=2)
    yield "order", encoded(picture(4), lambda d: setattr(d, "colorinterp", backwards))
    grid = Affine(0.5, 0.01, 399960.25, -0.02, -0.5, 5700000.75)
    yield "crs-and-transform", encoded(picture(1), crs="EPSG:32633", transform=grid)
    yield "crs-wkt", encoded(picture(1), crs=CRS.from_proj4("+proj=laea +lat_0=47.125 +lon_0=9.5 +ellps=bessel +units=m"))
    yield "gcps-and-rpcs", encoded(picture(1), points)
    yield "tags-and-bands", encoded(picture(2), describe)


def points(target: Any) -> None:
    corners = [(0, 0), (0, 23), (19, 0)]
    points = [GroundControlPoint(r, c, 10 + c / 7, 50 - r / 3, 100.5, f"p{r}", "") for r, c in corners]
    target.gcps = points, CRS.from_epsg(4326)
    numbers = [k / 10 for k in range(20)]
    target.rpcs = RPC(120.0, 50.0, 45.5, 0.1, numbers, numbers[::-1], 10.0, 8.0, 11.25, 0.2, numbers, numbers, 15.0, 14.0)


def describe(target: Any) -> None:
    target.update_tags(SATELLITE="Ö" * 300, AREA_OR_POINT="Point")
    target.update_tags(2, ns="ours", SENSOR="B8A")
    target.descriptions, target.units = ("red", None), ("m", "")
    target.scales, target.offsets = (1e-4, 0.1), (0, -3)


class Parts:
    """A file to be changed: header, sections, bodies of its entries."""

    def __init__(self, data: bytes) -> None:
        with tempfile.TemporaryFile() as stream:
            stream.write(data)
            reader = Reader(stream)
            self.header = reader.header
            self.sections: dict[Any, bytes] = dict(reader.sections)
            self.bodies = [reader.entry(*divmod(n, self.header.per_tile)) for n in range(self.header.entries)]

    def file(self) -> bytes:
        with tempfile.TemporaryFile() as stream:
            writer = Writer(stream, self.header, self.sections)
            for body in self.bodies:
                writer.add(body)
            writer.finish()
            stream.seek(0)
            return stream.read()

    def with_layers(self, *layers: tuple[str, int | None, bytes]) -> bytes:
        """With these layers (kind, band, body) of the only tile instead of its own."""
        self.bodies = self.bodies[: self.header.planes] + [body for _, _, body in layers]
        self.header = replace(self.header, layers=len(layers))
        self.sections[Kind.LAYERS] = pack_text([layer[:2] for layer in layers])
        return self.file()

    def with_section(self, kind: int, data: bytes) -> bytes:
        self.sections[kind] = data
        return self.file()

    def with_plane(self, body: bytes) -> bytes:
        self.bodies[0] = body
        return self.file()


def stored_bits(valid: np.ndarray) -> bytes:
    """A layer of one bit per pixel, its zlib stream without compression."""
    return b"\1" + zlib.compress(np.packbits(valid, axis=1).tobytes(), 0)


def wild_plane(engine: Engine, parts: Parts, reach: int, channels: slice = slice(None)) -> bytes:
    """A plane of latents that no picture has, which are zero but for `channels`."""
    rng = np.random.default_rng(reach)
    h, w = -(-parts.header.height // 16), -(-parts.header.width // 16)
    z = rng.integers(-40, 41, (-(-h // 4), -(-w // 4), engine.net.architecture.hyper)).astype(np.int32)
    y = np.zeros((h, w, engine.latent), np.int32)
    y[..., channels] = rng.integers(-reach, reach + 1, y[..., channels].shape)
    return encode_plane(engine.predictor(parts.header.log2_lambda), z, y)[0]


def uncommon() -> Iterator[tuple[str, bytes]]:
    """What a reader takes, though no encoder of ours writes it."""
    plain = encoded(picture(3))
    valid = np.arange(20 * 24).reshape(20, 24) % 5 > 0
    engine = load_engine("checkerboard", "cpu", "float32")
    for reach in (3000, 2**29):
        yield f"escapes-{reach}", Parts(plain).with_plane(wild_plane(engine, Parts(plain), reach))
    quarters, sliced = load_engine("quarters", "cpu", "float32"), Parts(encoded(picture(3), model="quarters"))
    for name, channels in (("middle", slice(11, 13)), ("last", slice(29, 30)), ("no", slice(0))):
        yield f"{name}-channels-speak", sliced.with_plane(wild_plane(quarters, sliced, 9, channels))
    yield "unknown-section-to-skip", Parts(plain).with_section(255, b"of the future")
    yield "text-plain-though-longer", Parts(plain).with_section(129, b"\0" + json.dumps(f"{CRS.from_epsg(4326).wkt}").encode())
    yield "nodata-without-layer", Parts(plain).with_section(2, pack_text(9.0))
    several = Parts(plain)
    several.sections[Kind.NODATA] = pack_text(7)
    yield (
        "mask-before-nodata",
        several.with_layers(("mask", None, stored_bits(valid)), ("nodata", None, stored_bits(valid.T.reshape(20, 24)))),
    )
    grey = b"\2" + zlib.compress(np.diff(np.where(valid, 255, 0), axis=1, prepend=0).astype(np.uint8).tobytes())
    yield "mask-in-bytes", Parts(plain).with_layers(("mask", None, grey))
    yield "mask-of-255", Parts(plain).with_layers(("mask", None, b""))
    yield "hidden-though-planes-speak", Parts(plain).with_layers(("mask", None, b"\0"))
    alone = Parts(encoded(picture(1)))
    alone.header = replace(alone.header, planes=0)
    yield "alpha-alone", alone.with_layers(("alpha", 0, stored_bits(valid)))


def sealed(data: bytes) -> bytes:
    return data[:-4] + struct.pack("<I", zlib.crc32(data[:-4]))


def faulty() -> Iterator[tuple[str, bytes, str]]:
    """What is refused, and what is said of it."""
    plain = encoded(picture(3))
    tiles = encoded(picture(3, height=20, width=80))
    size = Parts(plain).header.size
    head, rest = plain[:size], plain[size:]
    masked = Parts(plain).with_layers(("mask", None, b""))
    yield "empty", b"", "not an .fdg file"
    yield "newer-version", sealed(head[:4] + b"\x02" + head[5:]) + rest, "format version 2"
    yield "unknown-type", sealed(head[:5] + b"\x7f" + head[6:]) + rest, "newer release"
    yield "no-tile", sealed(head[:6] + b"\0" + head[7:]) + rest, "contradicts itself"
    yield "unknown-weights", sealed(head[:7] + bytes(8) + head[15:]) + rest, "not installed"
    yield "no-rows", sealed(head[:18] + b"\0" + head[19:]) + rest, "contradicts itself"
    yield "rows-longer-than-need-be", sealed(head[:18] + bytes([head[18] | 128, 0]) + head[19:]) + rest, "header is damaged"
    yield "larger-than-its-index", sealed(head[:18] + b"\xff\xff\xff\xff\x07" * 2 + head[20:]) + rest, "cut off"
    yield "header-damaged", head[:20] + b"\x55" + head[21:] + rest, "header is damaged"
    yield "index-damaged", tiles[: len(head) + 1] + b"\x55" + tiles[len(head) + 2 :], "index is damaged"
    yield "copy-damaged", tiles[:-1] + b"\x55", "copy"
    yield "entry-damaged", plain[:-9] + bytes(9), "tile 0"
    yield "cut-off", plain[:-1], "tile 0"
    yield "cut-off-behind-its-header", head, "tile 0"
    yield "cut-off-with-an-index", masked[:-1], "cut off"
    yield "something-behind", plain + b"\0", "tile 0"
    yield "something-behind-an-index", masked + b"\0", "do not belong"
    yield "needs-a-section", Parts(plain).with_section(6, b"of the future"), "section 6"
    yield "text-not-json", Parts(plain).with_section(129, b"\0{"), "cannot be read"
    yield "text-too-deep", Parts(plain).with_section(133, b"\0" + b"[" * 20 + b"]" * 20), "nested too deep"
    yield "mapping-upside-down", Parts(plain).with_section(1, pack_text([[9, 8, 0, 255]] * 3)), "mapping"
    yield "nodata-no-number", Parts(plain).with_section(2, pack_text("x")), "nodata"
    yield "layer-unknown", Parts(plain).with_layers(("veil", None, b"")), "layers do not fit"
    yield "layer-too-short", Parts(plain).with_layers(("mask", None, b"\1" + zlib.compress(b"x"))), "layer 0"
    yield "plane-empty", Parts(plain).with_plane(b""), "tile 0"
    body = Parts(plain).bodies[0]
    yield "latents-of-another-machine", Parts(plain).with_plane(bytes(4) + body[4:]), "computes differently"
    bounded = Parts(encoded(picture(1), max_error=0))
    bounded.bodies[1] = b""
    yield "residual-empty", bounded.file(), "residual 0"
    del bounded.sections[Kind.BOUND]
    yield "bound-missing", bounded.file(), "bounds do not fit"
    for name, runs in (("runs", (0, 0)), ("channels", (1,))):
        yield f"more-{name}-than-channels", Parts(plain).with_plane(outspoken(*runs)), "more"
    yield "words-too-many", Parts(plain).with_plane(body + bytes(12)), "computes differently"


def outspoken(*runs: int) -> bytes:
    """A plane of one hyper-latent a channel whose channels go in these runs of eights, less one."""
    coder = Encoder()
    engine = load_engine("checkerboard", "cpu", "float32")
    code_rows(coder, engine.z_rows(fixed_point(1024)), np.zeros(engine.net.architecture.hyper, np.int32))
    coder.numbers(1, np.array([len(runs)], np.int32))
    coder.numbers(len(runs), np.array(runs, np.int32))
    return bytes(4) + coder.finish()


def main() -> None:
    golden.FOLDER.mkdir(exist_ok=True)
    make_weights()
    with tempfile.TemporaryDirectory() as folder:
        golden.unpack_weights(Path(folder))
        os.environ[SEARCH_VARIABLE] = folder
        for old in golden.FOLDER.glob("*/*.fdg"):
            old.unlink()
        table: dict[str, Any] = {}
        for kind, files in (("good", good()), ("uncommon", uncommon())):
            for name, data in files:
                path = golden.keep(kind, name, data)
                table[f"{kind}/{name}"] = golden.digests(golden.independent(path, Path(folder)))
        for name, data, message in faulty():
            golden.keep("faulty", name, data)
            table[f"faulty/{name}"] = message
    golden.TABLE.write_text(json.dumps(table, indent=1) + "\n")
    size = sum(path.stat().st_size for path in golden.FOLDER.rglob("*") if path.is_file())
    print(f"{len(table)} files, {size} bytes in all")  # noqa: T201


if __name__ == "__main__":
    main()
