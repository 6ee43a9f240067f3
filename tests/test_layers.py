"""The house: imports go downwards only, and what should be quick imports nothing heavy."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import fdeg_codec

PACKAGE = Path(fdeg_codec.__file__).parent
HEAVY = ("torch", "rasterio", "numpy", "constriction")

# From the ground up. A floor may import those below it; floors of one line do not know each other.
FLOORS = [
    ("blas", "choices", "errors", "grid", "ndtypes", "plain"),
    ("container", "networks", "devices", "psnr", "weights"),
    ("entropy", "raster"),
    ("codec",),
    ("scene",),
    ("arrays",),
    ("api",),
    ("batches",),
    ("training",),
    ("evaluation",),
    ("cli",),
]
LEVEL = {name: level for level, names in enumerate(FLOORS) for name in names}

# What a floor must not know of the world outside.
STRANGERS = {
    "container": {"torch", "rasterio", "numpy", "constriction", "click"},
    "entropy": {"torch", "rasterio", "click"},
    "networks": {"rasterio", "constriction", "click"},
    "raster": {"torch", "constriction", "click"},
    "codec": {"click"},
    "blas": {"torch", "rasterio", "numpy", "click"},
    "choices": {"torch", "rasterio", "numpy", "click"},
    "errors": {"torch", "rasterio", "numpy", "click"},
    "grid": {"torch", "rasterio", "numpy", "click"},
    "ndtypes": {"torch", "rasterio", "click"},
    "plain": {"torch", "rasterio", "numpy", "click"},
    "cli": {"numpy", "rasterio"},
}


def imports(path: Path) -> Iterator[str]:
    """Every module that a file imports, at its top or inside a function."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: a relative import"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def floor(module: str) -> str:
    """The floor of a module of ours, "" for the package itself and its names."""
    parts = module.split(".")
    return parts[1] if parts[0] == "fdeg_codec" and len(parts) > 1 and parts[1] in LEVEL else ""


def files() -> list[Path]:
    return [path for path in sorted(PACKAGE.rglob("*.py")) if path != PACKAGE / "__init__.py"]


def test_every_module_has_its_floor() -> None:
    unknown = {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in files()} - set(LEVEL)
    assert not unknown


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_downwards(path: Path) -> None:
    own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    for module in imports(path):
        other = floor(module)
        assert not other or other == own or LEVEL[other] < LEVEL[own], f"{own} imports {module}"
        assert module.split(".")[0] not in STRANGERS.get(own, ()), f"{own} imports {module}"


def test_the_decoder_knows_nothing_of_training() -> None:
    users = {
        path.relative_to(PACKAGE).parts[0] for path in files() for m in imports(path) if floor(m) in ("training", "evaluation")
    }
    assert users <= {"training", "evaluation", "cli"}


def test_the_package_imports_compressai_for_training_alone() -> None:
    for path in files():
        if path.relative_to(PACKAGE).parts[0] not in ("training", "evaluation"):
            assert not any(
                module.split(".")[0] in ("compressai", "torchvision", "skimage", "scipy") for module in imports(path)
            )


def loaded(code: str) -> set[str]:
    """Which heavy modules a fresh interpreter has after `code`."""
    program = f"import sys\n{code}\nprint(*[m for m in {HEAVY!r} if m in sys.modules], file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=True)
    return set(done.stderr.split())


def command(*arguments: str) -> str:
    return (
        f"from fdeg_codec.cli.main import main\nsys.argv = {['fdeg', *arguments]!r}\n"
        "try:\n    main()\nexcept SystemExit as leave:\n    assert not leave.code"
    )


def test_training_needs_neither_coder_nor_rasters() -> None:
    """So that it runs on a lent machine that has little more than torch."""
    assert loaded("import fdeg_codec.training.loop, fdeg_codec.training.data") == {"torch", "numpy"}


def test_what_should_be_quick_imports_nothing_heavy(weights: Path, tmp_path: Path) -> None:
    from tests.raster.rasters import samples, write

    write(tmp_path / "a.tif", samples(1))
    fdeg_codec.encode(tmp_path / "a.tif", tmp_path / "a.fdg", model="tiny")
    for code in ("import fdeg_codec", command("--help"), command("encode", "--help"), command("decode", "--help")):
        assert loaded(code) == set()
    assert loaded(command("info", str(tmp_path / "a.fdg"))) == set()
    assert loaded(command("models")) == set()
