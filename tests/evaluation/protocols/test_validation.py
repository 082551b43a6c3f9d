"""Validation of restorers in training: always the same faces and masks; rows that a killed run does not double."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from synthetic import age_network, drawn_crop, small_perception, write_shard

from spiralage.datasets.crops import Crops
from spiralage.datasets.manifest import Row, Split
from spiralage.errors import DatasetError, InputError
from spiralage.evaluation.image_metrics import MOST_PSNR
from spiralage.evaluation.protocols.validation import HIDDEN_BY, TABLE, ValidationFaces, Validator, validation_faces
from spiralage.evaluation.results import ValidationRow, read_rows
from spiralage.networks.backbones import make_backbone
from spiralage.networks.features import age_features
from spiralage.occlusion.occluders import FOLLOWING
from spiralage.restoration.baselines import Blank
from spiralage.types import Mask, Pixels


def crops_of(folder: Path, data: str, validated: int) -> Crops:
    rng = np.random.default_rng(len(data))
    splits: list[Split] = ["val"] * (validated + 1)
    splits[0] = "train"
    rows = [Row(f"{n}.jpg", f"{data}-{n}", None, None, None, split) for n, split in enumerate(splits)]
    inside = np.ones((len(rows), 256, 256), np.bool_)
    inside[:, :, :9] = False
    return write_shard(folder / data, rows, [drawn_crop(50, rng) for _ in rows], data, inside=inside)


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> list[Crops]:
    folder = tmp_path_factory.mktemp("validated")
    return [crops_of(folder, "aaf", 9), crops_of(folder, "celeba-hq", 3)]


@pytest.fixture
def validator(sets: list[Crops], tmp_path: Path) -> Validator:
    torch.manual_seed(0)
    features = age_features(age_network(make_backbone("vgg16", 0.5, 4), crop=256, pool=8), 64)
    return Validator(validation_faces(sets, count=12), features, "tiny", "imagine", tmp_path)


class Knowing:
    name = "knowing"
    networks: tuple[str, ...] = ()

    def __init__(self, faces: ValidationFaces) -> None:
        self.waiting = [*faces.pictures]

    def fill(self, crops: Pixels, masks: Mask) -> Pixels:
        return np.stack([self.waiting.pop(0) for _ in crops])


def test_faces_are_the_validation_splits_spread_and_always_the_same(sets: list[Crops]) -> None:
    faces, again = validation_faces(sets, count=12), validation_faces(sets, count=12)
    expected = [sets[0].take(np.array([1, 3, 4, 6, 7, 9])), sets[1].take(np.array([1, 2, 3]))]
    np.testing.assert_array_equal(faces.pictures, np.concatenate(expected))
    for name in ("pictures", "masks", "inside"):
        np.testing.assert_array_equal(getattr(faces, name), getattr(again, name))
    other = validation_faces(sets, count=12, seed=1)
    np.testing.assert_array_equal(faces.pictures, other.pictures)
    assert not np.array_equal(faces.masks, other.masks)


def test_half_of_the_masks_are_windows_and_half_follow_the_face(sets: list[Crops]) -> None:
    assert [name in FOLLOWING for name in HIDDEN_BY] == [False, True] * 3
    faces = validation_faces(sets, count=12)
    assert faces.masks[~faces.inside].all()
    for number, mask in enumerate(faces.masks[:6]):
        visible = (~mask).sum()
        assert visible <= 128**2 if number % 2 == 0 else visible > 128**2


def test_a_perfect_restorer_is_perfect_and_one_that_leaves_it_blank_is_not(validator: Validator) -> None:
    perfect = validator(Knowing(validator.faces), 10, 1.0)
    assert perfect.psnr == pytest.approx(MOST_PSNR, abs=1e-9)
    assert perfect.ssim == pytest.approx(1)
    assert perfect.feature_fid == pytest.approx(0, abs=1e-4)
    assert (perfect.images, perfect.features, perfect.recipe) == (9, "tiny", "imagine")
    blank = validator(Blank(), 20, 2.0)
    assert blank.psnr < 25
    assert blank.feature_fid > perfect.feature_fid + 1e-3


def test_lpips_is_measured_where_imagenets_networks_are_there(validator: Validator) -> None:
    assert validator(Blank(), 10, 1.0).lpips is None
    seeing = replace(validator, perception=small_perception())
    assert seeing(Knowing(validator.faces), 10, 1.0).lpips == 0
    blank = seeing(Blank(), 20, 2.0).lpips
    assert blank is not None
    assert blank > 1e-3


def test_a_row_takes_the_place_of_steps_that_are_done_again(validator: Validator) -> None:
    for step, minutes in ((100, 30.04), (200, 60.0), (300, 90.0), (200, 61.0)):
        validator(Blank(), step, minutes)
    rows = read_rows(validator.folder / TABLE, ValidationRow)
    assert [(row.step, row.minutes) for row in rows] == [(100, 30.0), (200, 61.0)]
    assert rows[0].commit
    assert rows[0].hardware


def test_a_damaged_table_is_not_lost(validator: Validator) -> None:
    (validator.folder / TABLE).write_text("step\nmany\n")
    with pytest.raises(InputError, match="line 2"):
        validator(Blank(), 1, 1.0)
    assert (validator.folder / TABLE).read_text() == "step\nmany\n"


def test_too_few_faces_are_told(tmp_path: Path, sets: list[Crops]) -> None:
    with pytest.raises(DatasetError, match=r"fewer than two faces to validate on; build the crops of aaf"):
        validation_faces([])
    with pytest.raises(DatasetError, match="fewer than two faces"):
        validation_faces([crops_of(tmp_path, "celeba-hq", 0)])
