"""Faces for a network that is told what is hidden, and that it learns from them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from synthetic import FLOAT32, age_recipe, use_tiny_backbones, write_faces

from spiralage.mean_face import mean_landmarks
from spiralage.occlusion.occluders import OCCLUDERS, OccluderName
from spiralage.training.augment import augment_told, make_augmentation
from spiralage.training.fabric import make_fabric
from spiralage.training.recipes import Augmentation, Telling
from spiralage.training.tasks.age import load_age_network, train_age, validation_mae
from spiralage.training.telling import Told, blanked, disturbed, tell_faces, told_for_validation

EXACT = Telling(missing=0, as_it_looks=0, edge_px=0, shift_px=0)
GRAY = 128


def tell(kind: OccluderName, share: float, telling: Telling = EXACT, count: int = 100) -> Told:
    """Gray faces whose left quarter lies beyond the photo, some under an occluder."""
    inside = np.ones((count, 256, 256), np.bool_)
    inside[:, :, :64] = False
    pictures, points = np.full((count, 256, 256, 3), GRAY, np.uint8), np.stack([mean_landmarks()] * count)
    told = tell_faces(pictures, inside, points, {kind: share}, telling, np.random.default_rng(0))
    assert (pictures == GRAY).all()  # the caller's stay as they were
    assert told.masks[:, :, :64].all()
    assert (told.faces[:, :, :64] == 0).all()
    return told


def test_what_is_told_is_what_was_drawn_and_what_lies_beyond() -> None:
    told = tell("surgical-mask", 1.0, count=4)
    mouth, forehead = mean_landmarks()[51].round().astype(int), (slice(None), slice(0, 40), slice(64, None))
    assert told.masks[:, mouth[1], mouth[0]].all()
    assert not told.masks[forehead].any()
    assert (told.faces[forehead] == GRAY).all()
    assert told.blank.all()


def test_shares_leave_faces_as_they_are() -> None:
    told = tell("paper", 0.3)
    assert 0.2 < told.masks[:, 250, 250].mean() < 0.4


def test_some_occluders_are_not_told_of_and_some_stay_in_sight() -> None:
    told = tell("paper", 1.0, Telling(missing=0.5, as_it_looks=0.25, edge_px=0, shift_px=0))
    assert 0.35 < told.masks[:, 250, 250].mean() < 0.65
    assert (told.faces[:, 250, 250] != GRAY).all()  # there they all are
    assert 0.1 < 1 - told.blank.mean() < 0.4


def test_a_disturbed_mask_stays_near() -> None:
    mask = np.zeros((256, 256), np.bool_)
    mask[100:200, 60:200] = True
    areas = []
    for seed in range(40):
        found = disturbed(mask, Telling(edge_px=6, shift_px=4), np.random.default_rng(seed))
        assert found[111:189, 71:189].all()
        assert not found[:89].any()
        assert not found[:, :49].any()
        areas.append(found.sum())
    assert min(areas) < mask.sum() < max(areas)


def test_pictures_and_masks_are_moved_alike() -> None:
    torch.manual_seed(3)
    hidden = torch.zeros(8, 1, 64, 64)
    hidden[:, :, 20:50, 10:30] = 1
    pictures = torch.cat([(1 - hidden).expand(-1, 3, -1, -1), hidden], dim=1)
    varied = augment_told(make_augmentation(Augmentation(colour=0, gray=0, blur=0)), pictures)
    assert varied.shape == (8, 4, 64, 64)
    assert (varied[:, 3:] - hidden).abs().mean() > 0.01
    assert ((varied[:, :1] + varied[:, 3:] - 1).abs() > 0.51).float().mean() < 0.01


def test_hidden_pixels_are_0_however_colours_were_varied() -> None:
    pictures = torch.ones(2, 4, 8, 8)
    pictures[:, 3, :4] = 0
    found = blanked(pictures, np.array([True, False]))
    assert found[0, :3, 4:].eq(0).all()
    assert found[0, :3, :4].eq(1).all()
    assert found[1, :3].eq(1).all()
    assert torch.equal(found[:, 3], pictures[:, 3])


def test_validation_faces_are_the_same_each_time(tmp_path: Path) -> None:
    crops = write_faces(tmp_path / "crops")
    indices = crops.indices("val")
    (pictures, masks), again = (told_for_validation(crops, indices, ["paper", "bar"]) for _ in range(2))
    assert np.array_equal(pictures, again[0])
    assert np.array_equal(masks, again[1])
    assert (pictures[masks] == 0).all()
    assert (pictures[~masks] == crops.take(indices)[~masks]).all()
    paper = OCCLUDERS["paper"](mean_landmarks(), np.random.default_rng(0)).mask
    assert [bool((mask == paper).all()) for mask in masks] == [index % 2 == 0 for index in indices]


def test_it_is_trained_from_one_that_was_not_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_tiny_backbones(monkeypatch)
    crops = write_faces(tmp_path / "crops")
    plain = age_recipe(name="first")
    train_age(plain, crops, tmp_path / "first", **FLOAT32)
    network = plain.network.model_copy(update={"told_mask": True}).model_dump()
    shares = {"paper": 0.4, "surgical-mask": 0.4}
    recipe = age_recipe(start="first", teaching={"teacher": "first"}, network=network, occluders=shares)
    train_age(recipe, crops, tmp_path / "told", **FLOAT32)
    assert "val_mae_hidden" in (tmp_path / "told" / "log.csv").read_text().splitlines()[0]
    pictures = torch.from_numpy(crops.take(crops.indices("val")[:2]))
    mask = torch.zeros(2, 256, 256, dtype=torch.bool)
    mask[:, 128:] = True
    told = load_age_network(tmp_path / "told")[1]
    with torch.no_grad():
        assert (told(pictures, mask) - told(pictures)).abs().max() > 1e-6  # its fourth channel has learned


@pytest.mark.parametrize("masked", [False, True])
def test_in_validation_it_is_told_what_it_is_told_in_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, masked: bool
) -> None:
    class Spy(torch.nn.Module):
        told_mask = True

        def forward(self, pictures: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
            asked.append((pictures, masks))
            return torch.full((len(pictures), 101), 1 / 101)

    asked: list[tuple[torch.Tensor, torch.Tensor]] = []
    crops = write_faces(tmp_path / "crops")
    inside = np.ones((4, 256, 256), np.bool_)
    inside[:, :, 250:] = False
    monkeypatch.setattr(type(crops), "inside", lambda _, indices: inside[: len(indices)])
    validation_mae(Spy(), crops, "val", make_fabric("cpu", 1, "32-true"), masked=masked)
    ((pictures, masks),) = asked
    paper = OCCLUDERS["paper"](mean_landmarks(), np.random.default_rng(0)).mask
    assert np.array_equal(masks.numpy(), ~inside | (paper & masked))
    assert (pictures[masks] == 0).all()
    assert (pictures[~masks].numpy() == crops.take(crops.indices("val"))[~masks.numpy()]).all()


def test_published_weights_are_no_start() -> None:
    network = {"backbone": "mobilenet", "crop": 224, "pool": 7, "told_mask": True}
    with pytest.raises(ValueError, match="published weights know no mask"):
        age_recipe(network=network, pretrained="faceres-deep")
