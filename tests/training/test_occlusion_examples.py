"""What is drawn is hidden, what is a person's is not, what is beyond the photo is black; all moves together."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from occlusion_faces import face_crops, joined_crops, occlusion_recipe

from spiralage.datasets.hidden_labels import Known
from spiralage.mean_face import mean_landmarks
from spiralage.occlusion.occluders import OCCLUDERS
from spiralage.training.occlusion_examples import (
    as_in_use,
    distractor,
    put_on,
    training_examples,
    training_indices,
    with_cover,
)
from spiralage.training.recipes import DistractorName

STILL = {"rotation_degrees": 0, "shift": 0, "scale": 0, "weather": 0}
GRAY = np.full((256, 256, 3), 128, np.uint8)
VISIBLE = np.full((256, 256), Known.VISIBLE, np.uint8)


def test_a_drawn_occluder_hides_just_what_its_mask_says() -> None:
    known = VISIBLE.copy()
    known[:, :80] = Known.BEYOND
    picture, after = with_cover(GRAY, known, mean_landmarks(), "surgical-mask", 5)
    cover = OCCLUDERS["surgical-mask"](mean_landmarks(), np.random.default_rng(5))
    np.testing.assert_array_equal(after[:, 80:] == Known.HIDDEN, cover.mask[:, 80:])
    assert (after[:, :80] == Known.BEYOND).all()
    assert not picture[:, :80].any()
    np.testing.assert_array_equal(picture[:, 80:], cover.over(GRAY)[:, 80:])


@pytest.mark.parametrize("name", ["glasses", "hair"])
def test_what_belongs_to_a_person_is_marked_and_hides_nothing(name: DistractorName) -> None:
    cover = distractor(name, mean_landmarks(), np.random.default_rng(0))
    picture, known = put_on(GRAY, VISIBLE, cover, Known.PERSON)
    assert 0.003 < (known == Known.PERSON).mean() < 0.5
    assert not (known == Known.HIDDEN).any()
    changed = np.abs(picture.astype(int) - GRAY).max(axis=-1) > 40
    assert (known[changed] == Known.PERSON).mean() > 0.8


def test_a_sets_pictures_come_as_often_as_the_recipe_says(tmp_path: Path) -> None:
    crops = joined_crops(tmp_path)
    indices = training_indices(crops, occlusion_recipe(times={"maskedface": 3}))
    assert indices.tolist() == [0, 1, 2, 3, 4, 5, *np.repeat(np.arange(11, 17), 3).tolist()]
    (part, _) = crops.parts
    assert training_indices(part, occlusion_recipe(also=[], times={})).tolist() == [0, 1, 2, 3, 4, 5]


def test_shares_are_kept_and_nothing_is_drawn_over_a_real_mask(tmp_path: Path) -> None:
    crops = joined_crops(tmp_path)
    recipe = occlusion_recipe(disorder=STILL, distractors={}, occluders={"sunglasses": 0.5})
    chosen = np.repeat(np.array([0, 11]), 40)  # a face of AAF, one of MaskedFace-Net
    shown = training_examples(crops, chosen, recipe, np.random.default_rng(0))
    hidden = (shown.known == Known.HIDDEN).mean(axis=(1, 2))
    assert (hidden[:40] > 0).mean() == pytest.approx(0.5, abs=0.25)
    outlined = 90 * 120 / 256**2
    np.testing.assert_allclose(hidden[40:], outlined)
    assert (shown.known[:, :, -1] == Known.ASSUMED).sum() + (shown.known[:, :, 0] == Known.ASSUMED).sum() == 80 * 256


def test_picture_and_labels_move_together(tmp_path: Path) -> None:
    """A black bar on light faces: after turning and mirroring what is black is what is hidden or beyond."""
    crops = face_crops(tmp_path, "aaf")
    np.save(crops.folder / "shard-0000.npy", np.full((11, 256, 256, 3), 200, np.uint8))
    settings = STILL | {"rotation_degrees": 30, "shift": 0.1, "scale": 0.2}
    recipe = occlusion_recipe(also=[], disorder=settings, distractors={}, occluders={"edge": 1.0})
    shown = training_examples(crops, np.arange(6), recipe, np.random.default_rng(1))
    for picture, known in zip(shown.pictures, shown.known, strict=True):
        black = picture.max(axis=-1) < 100
        hidden = (known == Known.HIDDEN) | (known == Known.BEYOND)
        away = cv2.dilate(cv2.Laplacian(hidden.astype(np.uint8), cv2.CV_8U), np.ones((5, 5), np.uint8)) == 0
        np.testing.assert_array_equal(black[away], hidden[away])
        assert not picture[known == Known.BEYOND].any()
    assert (shown.known == Known.HIDDEN).any(axis=(1, 2)).sum() >= 3  # others are cut where their photos end


def test_weather_leaves_labels_and_black_borders(tmp_path: Path) -> None:
    crops = face_crops(tmp_path, "aaf")
    recipe = occlusion_recipe(also=[], disorder=STILL | {"weather": 1.0}, distractors={}, occluders={"cup": 0.01})
    shown = training_examples(crops, np.arange(6), recipe, np.random.default_rng(1))
    assert not shown.pictures[shown.known == Known.BEYOND].any()
    assert (shown.known == Known.BEYOND).mean() == pytest.approx(50 / 256)
    plain = crops.take(np.arange(6))
    changed = [not np.array_equal(one[:, 50:], other[:, 50:]) for one, other in zip(shown.pictures, plain, strict=True)]
    assert any(changed)


def test_the_same_generator_gives_the_same_examples(tmp_path: Path) -> None:
    crops = joined_crops(tmp_path)
    one, other = (
        training_examples(crops, np.array([0, 11, 3]), occlusion_recipe(), np.random.default_rng((1, 2)))
        for _ in range(2)
    )
    np.testing.assert_array_equal(one.pictures, other.pictures)
    np.testing.assert_array_equal(one.known, other.known)


def test_as_in_use() -> None:
    known = VISIBLE.copy()
    known[:9] = Known.BEYOND
    shown = as_in_use(GRAY, known)
    assert not shown[:9].any()
    np.testing.assert_array_equal(shown[9:], GRAY[9:])
