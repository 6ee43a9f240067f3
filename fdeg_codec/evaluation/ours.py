"""fdeg's own models as codecs of an evaluation: real files, without alpha like others', at the qualities each was made for."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from fdeg_codec import __version__
from fdeg_codec.choices import DEFAULT_EFFORT, EFFORTS
from fdeg_codec.codec.encode import encode as encode_file
from fdeg_codec.codec.goal import presets
from fdeg_codec.container.header import CODES
from fdeg_codec.errors import UsageError
from fdeg_codec.evaluation import payload
from fdeg_codec.evaluation.codec import Codec, listed
from fdeg_codec.evaluation.pictures import Kind, Picture
from fdeg_codec.scene import Scene
from fdeg_codec.weights import by_name, installed


def models(names: tuple[str, ...] | None = None) -> list[Codec]:
    """The models of these names, or all that are installed. NAME@9 is one at effort 9."""
    chosen = [m.name for m in installed()] if names is None else names
    return [_codec(name) for name in dict.fromkeys(chosen)]


def _codec(name: str) -> Codec:
    plain, at, text = name.partition("@")
    if at and text not in map(str, EFFORTS):
        raise UsageError(f"--models {name}: after the @ comes an effort, {EFFORTS[0]} to {EFFORTS[-1]}, as in {plain}@9")
    effort = int(text) if at else DEFAULT_EFFORT
    model = by_name(plain)
    lambdas = presets(model)
    about = f"fdeg {__version__}, weights {model.fingerprint.hex()}, effort {effort}: lambda {listed(lambdas)}"
    encode = partial(_encode, plain, effort)
    label = f"fdeg ({plain}{f', effort {effort}' if at else ''})"
    return Codec(name, label, about, ".fdg", lambdas, model.lambdas, encode, _decode, payload.of_fdg, _takes, ours=True)


def _takes(kind: Kind) -> bool:
    return kind.dtype in CODES


def _encode(model: str, effort: int, picture: Picture, target: Path, quality: float) -> None:
    encode_file(picture.path, target, model=model, lambda_=quality, effort=effort, bands=picture.bands, overwrite=True)


def _decode(path: Path) -> NDArray[Any]:
    with Scene(path) as scene:
        return scene.read()
