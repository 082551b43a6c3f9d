from __future__ import annotations

import dataclasses
from typing import get_args

import cv2
import numpy as np
import pytest
from hypothesis import given, settings, strategies

from spiralage.occlusion import mean_shape
from spiralage.occlusion.mean_shape import full_landmarks
from spiralage.occlusion.occluders import (
    DISTRACTORS,
    FOLLOWING,
    OCCLUDERS,
    Occluder,
    OccluderName,
    cover_face,
    hidden_by,
    occluder_named,
)
from spiralage.occlusion.occluders.cover import EDGE, SHADOW_REACH
from spiralage.occlusion.window import CENTRE_WINDOW, PAPER_WINDOW, Window, largest_window, margin_mask, random_window
from spiralage.types import CROP_SIZE, AlignedFace, Doubles, Landmarks, Mask

NAMES = list(OCCLUDERS)
FIXED: dict[OccluderName, Window] = {"paper": PAPER_WINDOW, "centre-window": CENTRE_WINDOW}
BY_CHANCE = [name for name in NAMES if name not in FIXED]
DRAWN = [name for name in NAMES if name in FOLLOWING]
HARD = [*FIXED, "random-window", "edge"]
SEEDS = range(5)
BROWS, NOSE_TIP, EYES, MOUTH = slice(17, 27), slice(30, 31), slice(36, 48), slice(48, 68)


@pytest.fixture(scope="module")
def landmarks(portrait_crop: AlignedFace) -> Doubles:
    assert portrait_crop.landmarks is not None
    return portrait_crop.landmarks.points


def share(hidden: Mask, points: Doubles) -> float:
    """How many of the points are hidden, in [0, 1]; those beyond the crop count at its edge."""
    columns, rows = np.rint(points).astype(int).clip(0, CROP_SIZE - 1).T
    return float(hidden[rows, columns].mean())


def drawn_by(name: str) -> Occluder:
    """An occluder, or what looks like one."""
    known = occluder_named(name)
    return DISTRACTORS[name] if known is None else OCCLUDERS[known]


def test_every_kind_of_occlusion_is_in_the_one_registry() -> None:
    assert set(OCCLUDERS) == set(get_args(OccluderName))
    assert set(OCCLUDERS).isdisjoint(DISTRACTORS)


def test_a_new_kind_comes_last() -> None:
    """A training that is resumed draws kinds by their place in the registry."""
    assert NAMES[:11] == [
        *("random-window", "paper", "edge", "surgical-mask", "scarf", "sunglasses", "centre-window"),
        *("slipped-mask", "n95-mask", "cloth-mask", "veil"),
    ]


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
    softened, shaded = within(hidden, EDGE), within(hidden, SHADOW_REACH)
    np.testing.assert_array_equal(drawn[~shaded], portrait_crop.pixels[~shaded])
    in_shadow = shaded & ~softened
    assert (drawn[in_shadow] <= portrait_crop.pixels[in_shadow]).all()
    if drawing.coverage is not None:
        np.testing.assert_array_equal(drawing.coverage[~softened], 0)
        np.testing.assert_array_equal(hidden, drawing.coverage >= 128)
    if drawing.shadow is None:
        np.testing.assert_array_equal(drawn[~softened], portrait_crop.pixels[~softened])
    if name in HARD:
        np.testing.assert_array_equal(drawn[~hidden], portrait_crop.pixels[~hidden])
        np.testing.assert_array_equal(drawn[hidden], drawing.picture[hidden])
    assert 0.02 < hidden.mean() <= 0.9


def within(mask: Mask, reach: int) -> Mask:
    """The mask and all pixels up to so many rows and columns from it."""
    grown = cv2.dilate(mask.astype(np.uint8), np.ones((2 * reach + 1, 2 * reach + 1), np.uint8))
    return grown.astype(np.bool_)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_hidden_does_not_show(name: OccluderName, landmarks: Doubles) -> None:
    """Two faces that differ only where they are hidden look alike, but for lenses, which let a sixth through."""
    if name == "mosaic":
        pytest.skip("a mosaic is made of what it hides")
    drawing = OCCLUDERS[name](landmarks, np.random.default_rng(2))._replace(look=None)
    inner = ~within(~drawing.mask, EDGE)
    black, white = (drawing.over(np.full((CROP_SIZE, CROP_SIZE, 3), value, np.uint8)) for value in (0, 255))
    through = (white.astype(int) - black)[inner] / 255
    assert through.mean() < (0.17 if name == "sunglasses" else 0.005)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_surgical_mask_hides_mouth_and_nose_tip_but_no_eye(seed: int, landmarks: Doubles) -> None:
    hidden = OCCLUDERS["surgical-mask"](landmarks, np.random.default_rng(seed)).mask
    assert share(hidden, landmarks[MOUTH]) == 1
    assert share(hidden, landmarks[NOSE_TIP]) == 1
    assert share(hidden, landmarks[EYES]) == 0
    assert share(hidden, landmarks[BROWS]) == 0


@pytest.mark.parametrize("seed", SEEDS)
def test_a_scarf_hides_the_lower_lip_and_chin_but_neither_nose_tip_nor_eye(seed: int, landmarks: Doubles) -> None:
    hidden = OCCLUDERS["scarf"](landmarks, np.random.default_rng(seed)).mask
    assert share(hidden, landmarks[55:60]) == 1
    assert share(hidden, landmarks[65:68]) == 1
    assert share(hidden, landmarks[MOUTH]) >= 0.4  # the upper lip may show
    assert share(hidden, landmarks[6:11]) == 1
    assert hidden[-1].all()
    assert share(hidden, landmarks[NOSE_TIP]) == 0
    assert share(hidden, landmarks[EYES]) == 0


@pytest.mark.parametrize("seed", SEEDS)
def test_sunglasses_hide_the_eyes_but_no_mouth(seed: int, landmarks: Doubles) -> None:
    hidden = OCCLUDERS["sunglasses"](landmarks, np.random.default_rng(seed)).mask
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
    mask = OCCLUDERS["sunglasses"](landmarks, np.random.default_rng(seed)).mask
    left, right = landmarks[36:42].mean(axis=0), landmarks[42:48].mean(axis=0)
    distance = float(np.hypot(*(right - left)))
    below = (left + right) / 2 + (0, 0.08 * distance)  # the bridge is thinner than that
    assert share(mask, below[None]) == 0
    assert share(mask, np.array([left, right]) + (0, 0.08 * distance)) == 1


@pytest.mark.parametrize("seed", SEEDS)
def test_an_edge_hides_one_side_whatever_the_face(seed: int, landmarks: Doubles) -> None:
    drawing = OCCLUDERS["edge"](landmarks, np.random.default_rng(seed))
    hidden = drawing.mask
    assert sum(side.all() for side in (hidden[0], hidden[-1], hidden[:, 0], hidden[:, -1])) == 1
    assert hidden.mean() <= 0.5
    assert not drawing.picture.any()
    elsewhere = OCCLUDERS["edge"](landmarks + 50, np.random.default_rng(seed)).mask
    np.testing.assert_array_equal(hidden, elsewhere)


@pytest.mark.parametrize(("name", "window"), FIXED.items())
def test_the_published_windows_are_among_them(name: OccluderName, window: Window, landmarks: Doubles) -> None:
    picture, mask, *_ = OCCLUDERS[name](landmarks, np.random.default_rng(0))
    np.testing.assert_array_equal(mask, margin_mask(window))
    assert not picture.any()
    np.testing.assert_array_equal(mask, OCCLUDERS[name](landmarks + 9, np.random.default_rng(1)).mask)


def test_the_centred_window_is_as_far_from_every_side() -> None:
    mask = margin_mask(CENTRE_WINDOW)
    np.testing.assert_array_equal(mask, mask[::-1, ::-1])
    assert mask.mean() == 0.75


@pytest.mark.parametrize("seed", SEEDS)
def test_a_random_window_is_all_that_stays(seed: int, landmarks: Doubles) -> None:
    picture, mask, *_ = OCCLUDERS["random-window"](landmarks, np.random.default_rng(seed))
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
        np.testing.assert_array_equal(occlusion.mask, expected.mask | ~portrait_crop.inside)
    np.testing.assert_array_equal(cover.picture, expected.picture)
    np.testing.assert_array_equal(cover.mask, expected.mask)


def test_what_lies_beyond_the_photo_is_hidden_under_an_occluder_too(portrait_crop: AlignedFace) -> None:
    inside = np.ones((CROP_SIZE, CROP_SIZE), np.bool_)
    inside[:, :9] = False
    cut = dataclasses.replace(portrait_crop, inside=inside)
    found, whole = (hidden_by("sunglasses")(face).mask for face in (cut, portrait_crop))
    np.testing.assert_array_equal(found, whole | ~inside)
    assert not whole[:, :9].all()


@pytest.mark.parametrize("name", DRAWN)
def test_a_drawing_follows_the_face(name: OccluderName, landmarks: Doubles) -> None:
    here = OCCLUDERS[name](landmarks, np.random.default_rng(2)).mask
    there = OCCLUDERS[name](landmarks + (0, -20), np.random.default_rng(2)).mask
    # Points are drawn at 16ths of a pixel: rounding may move an edge. What reaches the frame stays.
    assert (here[60:180, 40:216] != there[40:160, 40:216]).mean() < 0.01
    assert here.any()


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
        assert differing.mean() < 0.01


@pytest.mark.parametrize("name", [*NAMES, *DISTRACTORS])
@settings(max_examples=8, deadline=None, derandomize=True)
@given(data=strategies.data())
def test_absurd_landmarks_are_drawn_on(name: str, data: strategies.DataObject) -> None:
    """Points on one spot, on a line, at random, far away, in the smallest numbers."""
    rng = np.random.default_rng(data.draw(strategies.integers(0, 1000)))
    scale = data.draw(strategies.sampled_from([0, 1e-300, 1e-3, 1, 40, 300, 1e6, 1e300]))
    flat = data.draw(strategies.sampled_from([(0, 0), (0, 1), (1, 0), (1, 1)]))
    centre = data.draw(strategies.sampled_from([0, 128, -400, 1e12, -1e300]))
    points = centre + scale * rng.normal(size=(68, 2)) * flat
    drawing = drawn_by(name)(points, rng)
    crop = rng.integers(0, 256, (CROP_SIZE, CROP_SIZE, 3), np.uint8)
    assert drawing.over(crop).shape == crop.shape
    assert drawing.mask.shape == (CROP_SIZE, CROP_SIZE)


@pytest.mark.parametrize("name", DRAWN)
@pytest.mark.parametrize("degrees", [-45, 45])
def test_a_turned_face_wears_it_turned(name: OccluderName, degrees: float, landmarks: Doubles) -> None:
    turn = np.radians(degrees)
    matrix = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    centre = landmarks[27:36].mean(axis=0)
    turned = (landmarks - centre) @ matrix + centre
    upright, rolled = (OCCLUDERS[name](points, np.random.default_rng(1)).mask for points in (landmarks, turned))
    inner = landmarks[27:68]  # within the crop, whichever way it is turned
    if name not in ("bar", "phone"):  # these may stay level
        agree = [share(upright, a[None]) == share(rolled, b[None]) for a, b in zip(inner, turned[27:68], strict=True)]
        assert np.mean(agree) > 0.9


@pytest.mark.parametrize("name", [*NAMES, *DISTRACTORS])
def test_drawing_needs_no_global_state(name: str, landmarks: Doubles) -> None:
    draw = drawn_by(name)
    covers = []
    for seed in (1, 2):
        np.random.seed(seed)
        cv2.setRNGSeed(seed)
        covers.append(draw(landmarks, np.random.default_rng(9)))
    np.testing.assert_array_equal(covers[0].picture, covers[1].picture)
    np.testing.assert_array_equal(covers[0].mask, covers[1].mask)


@pytest.mark.parametrize("name", ["slipped-mask", "n95-mask", "cloth-mask", "veil"])
@pytest.mark.parametrize("seed", SEEDS)
def test_what_covers_the_lower_face_leaves_the_eyes(name: OccluderName, seed: int, landmarks: Doubles) -> None:
    hidden = OCCLUDERS[name](landmarks, np.random.default_rng(seed)).mask
    assert share(hidden, landmarks[EYES]) == 0
    assert share(hidden, landmarks[8:9]) == 1
    if name == "slipped-mask":
        assert share(hidden, landmarks[NOSE_TIP]) == 0
    else:
        assert share(hidden, landmarks[MOUTH]) == 1
        assert share(hidden, landmarks[NOSE_TIP]) == 1


def test_a_slipped_mask_leaves_the_mouth_at_times(landmarks: Doubles) -> None:
    bare = [
        share(OCCLUDERS["slipped-mask"](landmarks, np.random.default_rng(s)).mask, landmarks[48:60]) for s in range(40)
    ]
    assert 0.15 < np.mean(np.array(bare) < 0.5) < 0.6


def test_clear_glasses_are_seen_but_hide_nothing(landmarks: Doubles, portrait_crop: AlignedFace) -> None:
    cover = DISTRACTORS["glasses"](landmarks, np.random.default_rng(0))
    changed = (cover.over(portrait_crop.pixels) != portrait_crop.pixels).any(axis=2)
    assert not cover.mask.any()
    assert 0.005 < changed.mean() < 0.12


def test_on_a_grey_photo_all_but_flat_colours_are_grey(landmarks: Doubles) -> None:
    grey = np.repeat(np.random.default_rng(0).integers(60, 200, (CROP_SIZE, CROP_SIZE, 1), np.uint8), 3, axis=2)
    for name in ("surgical-mask", "cloth-mask", "scarf", "veil", "sunglasses", "hair", "cup", "phone", "n95-mask"):
        worn = drawn_by(name)(landmarks, np.random.default_rng(4)).over(grey)
        assert np.ptp(worn.astype(int), axis=2).max() <= 1


def test_a_mask_is_darker_in_a_dark_photo(landmarks: Doubles) -> None:
    cover = OCCLUDERS["surgical-mask"](landmarks, np.random.default_rng(4))
    dark, bright = (
        cover.over(np.full((CROP_SIZE, CROP_SIZE, 3), value, np.uint8))[cover.mask].mean() for value in (30, 160)
    )
    assert dark < 0.75 * bright


@pytest.mark.parametrize("tone", [(90, 60, 45), (235, 200, 180), (128, 128, 128)])
def test_a_hand_has_the_tone_of_the_face(tone: tuple[int, int, int], landmarks: Doubles) -> None:
    face = np.empty((CROP_SIZE, CROP_SIZE, 3), np.uint8)
    face[:] = tone
    cover = OCCLUDERS["hand"](landmarks, np.random.default_rng(4))
    ratio = np.median(cover.over(face)[cover.mask], axis=0) / tone
    assert ratio.min() > 0.7
    assert ratio.max() < 1.15
    assert np.ptp(ratio) < 0.06


def test_a_mosaic_is_made_of_the_face(landmarks: Doubles, portrait_crop: AlignedFace) -> None:
    for seed in SEEDS:
        cover = OCCLUDERS["mosaic"](landmarks, np.random.default_rng(seed))
        drawn, inner = cover.over(portrait_crop.pixels), ~within(~cover.mask, EDGE)
        expected, got = (picture[inner].mean(axis=0) for picture in (portrait_crop.pixels, drawn))
        np.testing.assert_allclose(got, expected, atol=30)
        assert drawn[inner].std() < portrait_crop.pixels[inner].std()
