from __future__ import annotations

import numpy as np
import pytest

from spiralage.occlusion import mean_shape, occluders
from spiralage.occlusion.mean_shape import full_landmarks
from spiralage.occlusion.occluders import OCCLUDERS, OccluderName, cover_face, hidden_by
from spiralage.occlusion.window import CENTRE_WINDOW, PAPER_WINDOW, Window, largest_window, margin_mask, random_window
from spiralage.types import CROP_SIZE, AlignedFace, Doubles, Landmarks, Mask

NAMES = list(OCCLUDERS)
FIXED: dict[OccluderName, Window] = {"paper": PAPER_WINDOW, "centre-window": CENTRE_WINDOW}
BY_CHANCE = [name for name in NAMES if name not in FIXED]
DRAWN = ["surgical-mask", "scarf", "sunglasses"]
SEEDS = range(12)
BROWS, NOSE_TIP, EYES, MOUTH = slice(17, 27), slice(30, 31), slice(36, 48), slice(48, 68)


@pytest.fixture(scope="module")
def landmarks(portrait_crop: AlignedFace) -> Doubles:
    assert portrait_crop.landmarks is not None
    return portrait_crop.landmarks.points


def share(hidden: Mask, points: Doubles) -> float:
    """How many of the points are hidden, in [0, 1]; those beyond the crop count at its edge."""
    columns, rows = np.rint(points).astype(int).clip(0, CROP_SIZE - 1).T
    return float(hidden[rows, columns].mean())


def test_every_kind_of_occlusion_is_in_the_one_registry() -> None:
    kinds = {"paper", "random-window", "edge", "surgical-mask", "scarf", "sunglasses", "centre-window"}
    assert set(OCCLUDERS) == kinds


@pytest.mark.parametrize("name", BY_CHANCE)
def test_the_same_seed_gives_the_same_drawing(name: OccluderName, landmarks: Doubles) -> None:
    first, again, other = (OCCLUDERS[name](landmarks, np.random.default_rng(seed)) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first.mask, again.mask)
    np.testing.assert_array_equal(first.picture, again.picture)
    assert (first.mask != other.mask).any()


@pytest.mark.parametrize("name", NAMES)
def test_inputs_stay_as_they_are(name: OccluderName, landmarks: Doubles, portrait_crop: AlignedFace) -> None:
    points, pixels = landmarks.copy(), portrait_crop.pixels.copy()
    drawing = OCCLUDERS[name](landmarks, np.random.default_rng(0))
    drawing.over(portrait_crop.pixels)[:] = 0
    np.testing.assert_array_equal(landmarks, points)
    np.testing.assert_array_equal(portrait_crop.pixels, pixels)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", SEEDS)
def test_a_drawing_covers_what_it_hides_and_nothing_else(
    name: OccluderName, seed: int, landmarks: Doubles, portrait_crop: AlignedFace
) -> None:
    drawing = OCCLUDERS[name](landmarks, np.random.default_rng(seed))
    hidden, drawn = drawing.mask, drawing.over(portrait_crop.pixels)
    assert drawing.picture.dtype == np.uint8
    assert drawing.picture.shape == (CROP_SIZE, CROP_SIZE, 3)
    assert hidden.dtype == np.bool_
    assert hidden.shape == (CROP_SIZE, CROP_SIZE)
    assert drawn.dtype == np.uint8
    assert drawn.shape == (CROP_SIZE, CROP_SIZE, 3)
    np.testing.assert_array_equal(drawn[~hidden], portrait_crop.pixels[~hidden])
    np.testing.assert_array_equal(drawn[hidden], drawing.picture[hidden])
    assert 0.02 < hidden.mean() <= 0.75


@pytest.mark.parametrize("seed", SEEDS)
def test_a_surgical_mask_hides_mouth_and_nose_tip_but_no_eye(seed: int, landmarks: Doubles) -> None:
    hidden = occluders.surgical_mask(landmarks, np.random.default_rng(seed)).mask
    assert share(hidden, landmarks[MOUTH]) == 1
    assert share(hidden, landmarks[NOSE_TIP]) == 1
    assert share(hidden, landmarks[EYES]) == 0
    assert share(hidden, landmarks[BROWS]) == 0


@pytest.mark.parametrize("seed", SEEDS)
def test_a_scarf_hides_the_lower_lip_and_chin_but_neither_nose_tip_nor_eye(seed: int, landmarks: Doubles) -> None:
    hidden = occluders.scarf(landmarks, np.random.default_rng(seed)).mask
    assert share(hidden, landmarks[55:60]) == 1
    assert share(hidden, landmarks[65:68]) == 1
    assert share(hidden, landmarks[MOUTH]) >= 0.4  # the upper lip may show
    assert share(hidden, landmarks[6:11]) == 1
    assert hidden[-1].all()
    assert share(hidden, landmarks[NOSE_TIP]) == 0
    assert share(hidden, landmarks[EYES]) == 0


@pytest.mark.parametrize("seed", SEEDS)
def test_sunglasses_hide_the_eyes_but_no_mouth(seed: int, landmarks: Doubles) -> None:
    hidden = occluders.sunglasses(landmarks, np.random.default_rng(seed)).mask
    assert share(hidden, landmarks[EYES]) == 1
    assert share(hidden, landmarks[MOUTH]) == 0
    assert share(hidden, landmarks[NOSE_TIP]) == 0
    assert share(hidden, landmarks[6:11]) == 0
    # Two lenses, a bridge between them and something towards each ear.
    (left, right), bridge = (landmarks[36:42].mean(axis=0), landmarks[42:48].mean(axis=0)), landmarks[27]
    assert share(hidden, np.array([left, right, (left + right) / 2])) == 1
    assert hidden[:, : int(left[0]) - 40].any()
    assert hidden[:, int(right[0]) + 40 :].any()
    assert abs(float(np.nonzero(hidden[:, round(bridge[0])])[0].mean()) - (left + right)[1] / 2) < 4


@pytest.mark.parametrize("seed", SEEDS)
def test_sunglasses_have_two_lenses(seed: int, landmarks: Doubles) -> None:
    mask = occluders.sunglasses(landmarks, np.random.default_rng(seed)).mask
    left, right = landmarks[36:42].mean(axis=0), landmarks[42:48].mean(axis=0)
    distance = float(np.hypot(*(right - left)))
    below = (left + right) / 2 + (0, 0.08 * distance)  # the bridge is thinner than that
    assert share(mask, below[None]) == 0
    assert share(mask, np.array([left, right]) + (0, 0.08 * distance)) == 1


@pytest.mark.parametrize("name", ["surgical-mask", "scarf"])
def test_pleats_and_folds_are_darker_than_the_cloth(name: OccluderName, landmarks: Doubles) -> None:
    picture, mask = OCCLUDERS[name](landmarks, np.random.default_rng(3))
    red = picture[..., 0][mask].astype(float)
    assert (red < 0.88 * np.median(red)).mean() > 0.01
    assert not (picture[mask] == 0).all(axis=1).any()  # as coloured as the cloth, not black


@pytest.mark.parametrize("seed", SEEDS)
def test_an_edge_hides_one_side_whatever_the_face(seed: int, landmarks: Doubles) -> None:
    drawing = occluders.edge(landmarks, np.random.default_rng(seed))
    hidden = drawing.mask
    assert sum(side.all() for side in (hidden[0], hidden[-1], hidden[:, 0], hidden[:, -1])) == 1
    assert hidden.mean() <= 0.5
    assert not drawing.picture.any()
    elsewhere = occluders.edge(landmarks + 50, np.random.default_rng(seed)).mask
    np.testing.assert_array_equal(hidden, elsewhere)


@pytest.mark.parametrize(("name", "window"), FIXED.items())
def test_the_published_windows_are_among_them(name: OccluderName, window: Window, landmarks: Doubles) -> None:
    picture, mask = OCCLUDERS[name](landmarks, np.random.default_rng(0))
    np.testing.assert_array_equal(mask, margin_mask(window))
    assert not picture.any()
    np.testing.assert_array_equal(mask, OCCLUDERS[name](landmarks + 9, np.random.default_rng(1)).mask)


def test_the_centred_window_is_as_far_from_every_side() -> None:
    mask = margin_mask(CENTRE_WINDOW)
    np.testing.assert_array_equal(mask, mask[::-1, ::-1])
    assert mask.mean() == 0.75


@pytest.mark.parametrize("seed", SEEDS)
def test_a_random_window_is_all_that_stays(seed: int, landmarks: Doubles) -> None:
    picture, mask = OCCLUDERS["random-window"](landmarks, np.random.default_rng(seed))
    window = largest_window(mask)
    assert window == random_window(np.random.default_rng(seed))
    assert window is not None
    assert (window.width, window.height) == (128, 128)
    np.testing.assert_array_equal(mask, margin_mask(window))
    assert not picture.any()


@pytest.mark.parametrize("name", NAMES)
def test_a_face_gets_the_same_cover_whatever_came_before(name: OccluderName, portrait_crop: AlignedFace) -> None:
    cover = cover_face(portrait_crop, name, seed=3)
    expected = OCCLUDERS[name](full_landmarks(portrait_crop), np.random.default_rng(3))
    find = hidden_by(name, seed=3)
    for _ in range(2):
        occlusion = find(portrait_crop)
        assert occlusion.kind == name
        np.testing.assert_array_equal(occlusion.mask, expected.mask)
    np.testing.assert_array_equal(cover.picture, expected.picture)
    np.testing.assert_array_equal(cover.mask, expected.mask)


@pytest.mark.parametrize("name", DRAWN)
def test_a_drawing_follows_the_face(name: OccluderName, landmarks: Doubles) -> None:
    here = OCCLUDERS[name](landmarks, np.random.default_rng(2)).mask
    there = OCCLUDERS[name](landmarks + (0, -20), np.random.default_rng(2)).mask
    # Only the scarf's hem, and what reaches the frame, stays.
    np.testing.assert_array_equal(here[60:180, 40:216], there[40:160, 40:216])


@pytest.mark.parametrize("name", NAMES)
def test_a_face_at_the_edge_of_the_crop_can_be_drawn_on(name: OccluderName, landmarks: Doubles) -> None:
    for shift in ((-150, 0), (150, 90), (0, -200), (900, 900), (1e12, -1e12)):
        drawing = OCCLUDERS[name](landmarks + shift, np.random.default_rng(1))
        assert drawing.mask.shape == (CROP_SIZE, CROP_SIZE)


def with_points(face: AlignedFace, landmarks: Landmarks | None) -> AlignedFace:
    return AlignedFace(face.pixels, face.matrix, face.inside, landmarks)


@pytest.mark.parametrize("name", NAMES)
def test_occluders_take_what_full_landmarks_gives(
    name: OccluderName, portrait_crop: AlignedFace, landmarks: Doubles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mean_shape, "mean_landmarks", lambda: landmarks)
    for found in (None, Landmarks(Landmarks(landmarks, "dlib").five(), "yunet"), Landmarks(landmarks, "dlib")):
        points = full_landmarks(with_points(portrait_crop, found))
        drawing = OCCLUDERS[name](points, np.random.default_rng(4))
        expected = OCCLUDERS[name](landmarks, np.random.default_rng(4))
        differing = drawing.mask != expected.mask
        assert differing.mean() < 0.002
