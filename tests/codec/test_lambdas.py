"""Models that were made for some lambdas only: no other is tried."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import fdeg_codec
from fdeg_codec import weights
from fdeg_codec.errors import FdegError
from fdeg_codec.evaluation import report, run, table
from fdeg_codec.evaluation.run import Plan
from fdeg_codec.training.export import export
from tests.conftest import tiny
from tests.raster.rasters import samples, write


@pytest.fixture(scope="module", autouse=True)
def models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """`single` for lambda 1024, as the paper's are for one each, and `narrow` for 600 to 1500."""
    folder = tmp_path_factory.mktemp("narrow")
    export(tiny(seed=1), folder, "single", {}, (1024, 1024))
    export(tiny(seed=2), folder, "narrow", {}, (600, 1500))
    with weights.also_in(folder):
        yield


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    return write(tmp_path / "in.tif", samples(3, height=64, width=96))


def test_targets_are_sought_within_them(scene: Path, tmp_path: Path) -> None:
    sizes = {}
    for value in (600, 1024, 1500):
        sizes[value] = fdeg_codec.encode(scene, tmp_path / f"{value}.fdg", model="narrow", lambda_=value).bytes
    found = fdeg_codec.encode(scene, tmp_path / "a.fdg", model="narrow", size=sizes[1024])
    assert 600 < found.lambda_ < 1500
    assert sizes[600] < found.bytes <= sizes[1024]
    most = fdeg_codec.encode(scene, tmp_path / "b.fdg", model="narrow", size=2 * sizes[1500])
    assert (most.met, most.lambda_) == (False, pytest.approx(1500, rel=1e-3))
    with pytest.raises(FdegError, match="lambda 600 to 1500 reach"):
        fdeg_codec.encode(scene, tmp_path / "c.fdg", model="narrow", size=sizes[600] // 2)


def test_a_model_for_one_lambda_meets_a_target_or_says_that_it_cannot(scene: Path, tmp_path: Path) -> None:
    alone = fdeg_codec.encode(scene, tmp_path / "a.fdg", model="single", lambda_=1024)
    for choice in ({"size": alone.bytes}, {"bpp": alone.bpp + 0.001}, {"psnr": 5}):
        fdeg_codec.encode(scene, tmp_path / "b.fdg", model="single", overwrite=True, **choice)
        assert (tmp_path / "b.fdg").read_bytes() == (tmp_path / "a.fdg").read_bytes()
    with pytest.raises(FdegError, match="lambda 1024 to 1024 reach"):
        fdeg_codec.encode(scene, tmp_path / "c.fdg", model="single", size=alone.bytes // 2)


@pytest.mark.parametrize("bound", [0, 4, 40])
def test_the_preview_under_a_bound_is_of_one_of_them(scene: Path, tmp_path: Path, bound: int) -> None:
    found = fdeg_codec.encode(scene, tmp_path / "a.fdg", model="narrow", max_error=bound)
    assert 600 <= found.lambda_ <= 1500


def test_an_evaluation_has_their_qualities(scene: Path, tmp_path: Path) -> None:
    plan = Plan((scene,), tmp_path / "out", ("jpeg",), ("single", "narrow"), ("psnr",), jobs=1)
    points = table.read(run.run(plan))
    ours = [(p.codec, p.quality) for p in points if p.codec != "jpeg"]
    assert ours == [("single", 1024), ("narrow", 1024)]
    assert run.describe(plan.out)["problems"] == {}
    assert report.write(plan.out, "jpeg", (scene,)).exists()
