"""What ImageNet's networks say of restored pictures; here they are small and untrained."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from synthetic import small_perception

from spiralage.evaluation.perception import load_perception


def test_what_is_blurred_or_another_looks_different() -> None:
    rng, perception = np.random.default_rng(0), small_perception()
    pictures = rng.integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    restored = pictures.copy()
    restored[1, :16] = 128
    restored[2] = pictures[0]
    distances = perception.lpips(restored, pictures)
    assert distances.dtype == np.float64
    assert distances[0] == 0
    assert (distances[1:] > 1e-4).all()
    one_by_one = [perception.lpips(restored[i : i + 1], pictures[i : i + 1])[0] for i in range(3)]
    np.testing.assert_allclose(distances, one_by_one, rtol=1e-3, atol=1e-7)
    assert perception.activations(pictures).shape == (3, 16)


def test_without_weights_it_is_told_how_to_get_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPIRALAGE_MODELS", str(tmp_path))
    told: list[str] = []
    assert load_perception(told.append) is None
    (line,) = told
    assert line.startswith("no LPIPS and no ImageNet FID: alex_shift_tolerant.pth")
    assert f"run: pip download --no-deps -d {tmp_path} stlpips-pytorch==0.0.2" in line
