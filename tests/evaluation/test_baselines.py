"""CompressAI's networks as rivals; with weights that are not trained, since its own are downloads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from fdeg_codec.evaluation import baselines
from fdeg_codec.evaluation.codec import Codec
from fdeg_codec.evaluation.pictures import Kind, Picture
from fdeg_codec.evaluation.rivals import rivals
from tests.pictures import landscape

NAME = "bmshj2018-hyperprior"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of downloaded weights."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    return tmp_path / "hub" / "checkpoints"


def test_what_is_not_here_is_left_out_with_its_reason(hub: Path) -> None:
    found, missing = rivals(Kind(3, "uint8"), (NAME,))
    assert found == []
    assert "pretrained weights are not in" in missing[NAME] or "pip install" in missing[NAME]


def test_files_hold_what_the_network_makes(hub: Path, tmp_path: Path) -> None:
    pytest.importorskip("compressai", reason="the extra 'baselines' wants another numpy than the rest")
    from compressai.zoo import models
    from compressai.zoo.image import model_urls

    torch.manual_seed(1)
    network = models[NAME](2, metric="mse", pretrained=False)
    network.update(force=True)
    hub.mkdir(parents=True)
    torch.save(network.state_dict(), hub / Path(model_urls[NAME]["mse"][2]).name)
    baselines._network.cache_clear()

    (codec,), _ = rivals(Kind(3, "uint8"), (NAME,))
    assert isinstance(codec, Codec)
    assert codec.qualities == (2,)
    Image.fromarray(landscape(70, 90).transpose(1, 2, 0)).save(tmp_path / "a.png")
    picture = Picture(tmp_path / "a.png", "a.png")
    codec.encode(picture, tmp_path / "a.bin", 2)
    assert codec.payload(tmp_path / "a.bin") == (tmp_path / "a.bin").stat().st_size - 5 - 2 * 4

    x = np.pad(picture.samples, ((0, 0), (0, 128 - 70), (0, 128 - 90)), mode="edge").astype(np.float32)
    with torch.inference_mode():
        whole = network.eval()(torch.from_numpy(x / 255)[None])["x_hat"][0].clamp(0, 1).numpy() * 255
    np.testing.assert_allclose(codec.decode(tmp_path / "a.bin"), whole[:, :70, :90], atol=0.51)
