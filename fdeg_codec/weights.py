"""Installed models: a safetensors file and a JSON manifest each. Found by name or fingerprint, verified, loaded.

Only `Model.load` imports torch, so that listing models is quick.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fdeg_codec.errors import ModelError

if TYPE_CHECKING:
    from torch import Tensor

DEFAULT_MODEL = "fdegcnet-lite"
FINGERPRINT_BYTES = 8
EXPECTED = {"name", "sha256", "parameters", "lambda"}  # in every manifest
SEARCH_VARIABLE = "FDEG_WEIGHTS"  # more folders to look into, before the installed one


def is_name(name: object) -> bool:
    """Whether a model could be called that, and its files: letters, digits, and . _ - behind the first."""
    return isinstance(name, str) and bool(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name))


@dataclass(frozen=True)
class Model:
    """One installed model."""

    path: Path
    manifest: dict[str, Any]

    @property
    def name(self) -> str:
        return str(self.manifest["name"])

    @property
    def fingerprint(self) -> bytes:
        return bytes.fromhex(self.manifest["sha256"])[:FINGERPRINT_BYTES]

    @property
    def lambdas(self) -> tuple[float, float]:
        """The trade-offs it was trained for, from and to."""
        low, high = self.manifest["lambda"]
        return float(low), float(high)

    def load(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """The architecture and the weights, once the hash over both is that of the manifest."""
        from safetensors.torch import load

        try:
            data = self.path.read_bytes()
        except OSError as error:
            raise ModelError(f"{self.path}: the weights of {self.name} are missing; install fdeg again") from error
        if hashlib.sha256(data).hexdigest() != self.manifest["sha256"]:
            raise ModelError(f"{self.path}: these are not the weights its manifest describes (SHA-256); install fdeg again")
        if len(data) < 8:
            raise ModelError(f"{self.path}: holds no weights")
        (length,) = struct.unpack_from("<Q", data)
        architecture = json.loads(data[8 : 8 + length])["__metadata__"]["architecture"]
        return json.loads(architecture), load(data)


_ALSO: list[Path] = []


@contextmanager
def also_in(folder: Path) -> Iterator[None]:
    """Look for models in `folder`, too, and there first."""
    _ALSO.append(folder)
    try:
        yield
    finally:
        _ALSO.remove(folder)


def folders() -> list[Path]:
    here = Path(__file__).parent
    named = [Path(p) for p in os.environ.get(SEARCH_VARIABLE, "").split(os.pathsep) if p]
    ours = here / "_weights"
    return [*_ALSO, *named, ours if ours.exists() else here.parent / "weights"]


def installed() -> Iterator[Model]:
    """Those in the folders; JSON without weights beside it that is no manifest is somebody else's."""
    for folder in folders():
        for path in sorted(folder.glob("*.json")):
            try:
                manifest = json.loads(path.read_text())
                model = Model(path.with_suffix(".safetensors"), manifest)
                if not is_name(model.name) or len(model.fingerprint) != FINGERPRINT_BYTES or not manifest.keys() >= EXPECTED:
                    raise ValueError("something is missing")
                _ = model.lambdas, int(manifest["parameters"])
            except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
                if not path.with_suffix(".safetensors").exists():
                    continue
                raise ModelError(f"{path}: not a model's manifest") from error
            yield model


def by_name(name: str) -> Model:
    for model in installed():
        if model.name == name:
            return model
    raise ModelError(f"{name}: no such model; installed are: {_names()}")


def by_fingerprint(fingerprint: bytes) -> Model:
    for model in installed():
        if model.fingerprint == fingerprint:
            return model
    raise ModelError(f"made with weights {fingerprint.hex()}, which are not installed (installed are: {_names()})")


def _names() -> str:
    return ", ".join(f"{m.name} {m.fingerprint.hex()}" for m in installed()) or "none"
