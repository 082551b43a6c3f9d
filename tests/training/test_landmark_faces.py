"""What a landmark network is shown: points stay on the pixels that they mark, and the same seed shows the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from synthetic import landmark_recipe, write_shard

from spiralage.datasets.crops import Crops
from spiralage.datasets.manifest import Row
from spiralage.faces.heatmap import FRAME
from spiralage.mean_face import mean_landmarks
from spiralage.occlusion.occluders import OCCLUDERS, Cover, Occluder
from spiralage.training import covers, landmark_faces
from spiralage.training.landmark_faces import draw_cut, draw_faces, draw_square, fixed_faces, seen_in, with_points
from spiralage.training.recipes import LandmarkRecipe
from spiralage.training.recipes.landmarks import Boxes
from spiralage.types import Doubles

MARKED = (36, 45, 30, 48, 54)
QUIET: dict[str, Any] = {"occluders": {}, "cut": 0.0, "weather": 0.0}


@pytest.fixture
def crops(tmp_path: Path) -> Crops:
    """Four faces: grey, with a white square round each of five points; two of them lack points."""
    rng = np.random.default_rng(0)
    points = np.stack([mean_landmarks() + rng.normal(0, 3, (68, 2)) for _ in range(4)])
    pictures = []
    for face in points:
        picture = np.full((256, 256, 3), 60, np.uint8)
        for x, y in face[list(MARKED)].round().astype(int):
            picture[y - 3 : y + 4, x - 3 : x + 4] = 255
        pictures.append(picture)
    points[2, 5:] = np.nan
    points[3] = np.nan
    rows = [Row(f"{n}.jpg", f"{n}.jpg", 30, None, None, "train") for n in range(4)]
    return write_shard(tmp_path / "crops", rows, pictures, landmarks=points)


def spot(picture: np.ndarray, at: Doubles) -> Doubles:
    """The middle of what is white within 12 pixels of a place."""
    y, x = np.mgrid[:256, :256]
    near = (np.abs(x - at[0]) < 12) & (np.abs(y - at[1]) < 12)
    weight = np.where(near, np.clip(picture[..., 0].astype(float) - 60, 0, None), 0)
    return np.array([(x * weight).sum() / weight.sum(), (y * weight).sum() / weight.sum()])


def test_faces_without_all_points_are_left_out(crops: Crops) -> None:
    assert with_points(crops, np.arange(4)).tolist() == [0, 1]
    assert with_points(crops, np.array([3, 1])).tolist() == [1]


def test_points_stay_on_what_they_mark(crops: Crops) -> None:
    recipe = landmark_recipe(**QUIET, boxes={"turn_degrees": 40, "near": 0.5})
    for seed in range(4):
        faces = draw_faces(crops, np.array([0, 1, 1, 0]), recipe, np.random.default_rng(seed))
        assert faces.pictures.shape == (4, 256, 256, 3)
        for picture, points in zip(faces.pictures, faces.points, strict=True):
            for index in MARKED:
                assert np.hypot(*(spot(picture, points[index]) - points[index])) < 1.5
    # In a mirrored face the left eye is still the left one.
    assert (faces.points[:, 36, 0] < faces.points[:, 45, 0]).all()


def test_the_same_seed_shows_the_same(crops: Crops) -> None:
    recipe = landmark_recipe(occluders={"surgical-mask": 0.5, "hand": 0.3}, cut=0.5, weather=1.0)
    first, second, other = (
        draw_faces(crops, np.array([0, 1]), recipe, np.random.default_rng(seed)) for seed in (5, 5, 6)
    )
    assert (first.pictures == second.pictures).all()
    assert (first.points == second.points).all()
    assert (first.pictures != other.pictures).any()


def test_only_the_recipes_occluders_are_drawn(crops: Crops, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str] = []

    def noting(name: str) -> Occluder:
        def draw(points: Doubles, rng: np.random.Generator) -> Cover:
            drawn.append(name)
            return OCCLUDERS["bar"](points, rng)

        return draw

    monkeypatch.setattr(covers, "OCCLUDERS", {name: noting(name) for name in OCCLUDERS})
    recipe = landmark_recipe(occluders={"scarf": 0.4, "sunglasses": 0.4})
    for seed in range(10):
        draw_faces(crops, np.array([0, 1]), recipe, np.random.default_rng(seed))
    assert set(drawn) == {"scarf", "sunglasses"}
    assert 8 < len(drawn) < 20  # four of five faces
    drawn.clear()
    fixed_faces(crops, np.array([0, 1]), recipe, occluded=True)
    assert len(drawn) == 2


def test_faces_to_measure_by_are_always_the_same(crops: Crops) -> None:
    recipe = landmark_recipe()
    both = fixed_faces(crops, np.array([0, 1]), recipe, occluded=False)
    second = fixed_faces(crops, np.array([1]), recipe, occluded=False)
    assert (both.pictures[1] == second.pictures[0]).all()
    hidden = fixed_faces(crops, np.array([0, 1]), recipe, occluded=True)
    assert (hidden.points == both.points).all()
    assert (hidden.pictures != both.pictures).any(axis=(1, 2, 3)).all()


def test_squares_are_as_far_off_as_the_recipe_says() -> None:
    boxes = Boxes(turn_degrees=45, shift=0.1, scale=0.2)
    rng = np.random.default_rng(0)
    for near, part in ((False, 1.0), (True, 0.25)):
        matrices = np.stack([draw_square(boxes, rng, near=near) for _ in range(300)])
        turns = np.rad2deg(np.arctan2(matrices[:, 1, 0], matrices[:, 0, 0]))
        scales = np.hypot(matrices[:, 0, 0], matrices[:, 1, 0]) / FRAME[0, 0]
        assert 0.9 * 45 * part < np.abs(turns).max() <= 45 * part + 1e-9
        assert 0.9 * part < np.log(scales.max()) / np.log(1.2) <= part + 1e-9
        middle = np.linalg.inv(FRAME[:, :2]) @ (127.5 - FRAME[:, 2])
        shifts = matrices[:, :, :2] @ middle + matrices[:, :, 2] - 127.5
        assert 0.9 * 25.6 * part < np.abs(shifts).max() <= 25.6 * part + 1e-9
    straight = draw_square(Boxes(turn_degrees=0, shift=0, scale=0), rng, near=False)
    np.testing.assert_allclose(straight, FRAME)


def test_beyond_what_is_shown_lies_something_else() -> None:
    rng = np.random.default_rng(0)
    picture, other = np.full((256, 256, 3), 200, np.uint8), np.full((256, 256, 3), 10, np.uint8)
    shown = np.zeros((256, 256), np.bool_)
    shown[:, :128] = True
    seen = [seen_in(picture, shown, FRAME, other, rng) for _ in range(40)]
    assert all((one[40:200, 20:115] == 200).all() for one in seen)
    beyond = [one[100, 200].tolist() for one in seen]
    assert {tuple(colour) for colour in beyond} >= {(0, 0, 0), (200, 200, 200), (10, 10, 10)}
    assert len({tuple(colour) for colour in beyond}) > 5


def test_cuts_leave_the_middle() -> None:
    rng = np.random.default_rng(1)
    cuts = np.stack([draw_cut(rng) for _ in range(20)])
    assert not cuts[:, 100:156, 100:156].any()
    assert 0.02 < cuts.mean() < 0.3


def test_a_recipe_covers_each_face_once() -> None:
    with pytest.raises(ValueError, match="together 1 at most"):
        landmark_recipe(occluders={"scarf": 0.7, "hand": 0.4})
    assert isinstance(landmark_recipe(), LandmarkRecipe)
    assert landmark_faces.NEAR < 1
