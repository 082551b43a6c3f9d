from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spiralage.faces.align import ANCHORS, align, invert, similarity, transform
from spiralage.types import CROP_SIZE, AlignedFace, Box, Doubles, Face, Landmarks, Photo

angles = st.floats(-np.pi, np.pi)
scales = st.floats(0.05, 20)
shifts = st.tuples(st.floats(-500, 500), st.floats(-500, 500))


def turned(angle: float, scale: float, shift: tuple[float, float]) -> Doubles:
    """The (2, 3) matrix of a turn, a scale and a shift."""
    cosine, sine = scale * np.cos(angle), scale * np.sin(angle)
    return np.array([[cosine, -sine, shift[0]], [sine, cosine, shift[1]]])


def face_at(three: Doubles) -> Face:
    """A face with these eye centres and mouth centre, as five points."""
    left_eye, right_eye, mouth = three
    half = 0.4 * (right_eye - left_eye)
    five = np.stack([left_eye, right_eye, three.mean(axis=0), mouth - half, mouth + half])
    return Face(Box(0, 0, 10, 10), landmarks=Landmarks(five, "given"))


@given(angles, scales, shifts, st.integers(2, 68), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_similarity_recovers_a_turn_scale_and_shift(
    angle: float, scale: float, shift: tuple[float, float], count: int, seed: int
) -> None:
    points = np.random.default_rng(seed).uniform(0, 300, (count, 2))
    matrix = turned(angle, scale, shift)
    np.testing.assert_allclose(similarity(points, transform(points, matrix)), matrix, atol=1e-6)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_similarity_is_the_best_in_least_squares(seed: int) -> None:
    rng = np.random.default_rng(seed)
    source, target = rng.uniform(0, 100, (2, 6, 2))
    best = similarity(source, target)
    assert best[0, 0] == pytest.approx(best[1, 1])
    assert best[0, 1] == pytest.approx(-best[1, 0])

    def error(matrix: Doubles) -> float:
        return float(((transform(source, matrix) - target) ** 2).sum())

    for a, b, x, y in rng.normal(0, 0.05, (20, 4)):
        other = best + np.array([[a, -b, 100 * x], [b, a, 100 * y]])
        assert error(best) <= error(other) + 1e-9


def test_similarity_does_not_mirror() -> None:
    points = np.array([[0.0, 0], [10, 0], [5, 20]])
    matrix = similarity(points, points * (-1, 1))
    assert np.linalg.det(matrix[:, :2]) > 0


def test_similarity_of_one_point_is_an_error() -> None:
    with pytest.raises(ValueError, match="two different"):
        similarity(np.ones((3, 2)), ANCHORS)


@given(angles, scales, shifts)
@settings(max_examples=60, deadline=None)
def test_invert_undoes_transform(angle: float, scale: float, shift: tuple[float, float]) -> None:
    matrix = turned(angle, scale, shift)
    points = np.array([[0.0, 0], [255, 0], [3, 250], [-40, 17]])
    np.testing.assert_allclose(transform(transform(points, matrix), invert(matrix)), points, atol=1e-6)
    np.testing.assert_allclose(transform(transform(points, invert(matrix)), matrix), points, atol=1e-6)


def test_transform_moves_points() -> None:
    matrix = np.array([[0.0, -2, 5], [2, 0, 7]])
    assert transform(np.array([[0.0, 0], [1, 0], [0, 1]]), matrix).tolist() == [[5, 7], [5, 9], [3, 7]]


@given(angles, st.floats(0.2, 8), shifts)
@settings(max_examples=40, deadline=None)
def test_eyes_and_mouth_land_on_the_anchors(angle: float, scale: float, shift: tuple[float, float]) -> None:
    to_photo = turned(angle, scale, shift)
    aligned = align(Photo(np.zeros((40, 60, 3), np.uint8)), face_at(transform(ANCHORS, to_photo)))
    assert aligned.landmarks is not None
    left_eye, right_eye, _, left_mouth, right_mouth = aligned.landmarks.points
    np.testing.assert_allclose([left_eye, right_eye, (left_mouth + right_mouth) / 2], ANCHORS, atol=1e-6)
    np.testing.assert_allclose(aligned.matrix, invert(to_photo), atol=1e-4)


def test_anchors_are_in_pixels_of_an_upright_crop() -> None:
    left_eye, right_eye, mouth = ANCHORS
    assert left_eye[0] + right_eye[0] == 2 * mouth[0] == CROP_SIZE
    assert left_eye[1] == right_eye[1] < mouth[1]


@pytest.mark.parametrize("scale", [0.4, 1.0, 1.7, 2.5, 4.0, 6.3])
@pytest.mark.parametrize("angle", [0.0, 0.3, -2.0])
def test_a_dot_lands_where_the_matrix_says(scale: float, angle: float) -> None:
    # The face's crop is `scale` times as wide in the photo, so from 2 on the photo is halved first.
    side = int(CROP_SIZE * scale * 1.5)
    matrix = turned(angle, scale, (0, 0))
    matrix[:, 2] = side / 2 - matrix[:, :2] @ (128, 128)
    for target in ((128.0, 128.0), (60.0, 200.0), (215.0, 70.0)):
        x, y = np.rint(transform(np.array([target]), matrix)[0]).astype(int)
        pixels = np.zeros((side, side, 3), np.uint8)
        cv2.circle(pixels, (int(x), int(y)), max(1, round(1.5 * scale)), (255, 255, 255), -1)
        aligned = align(Photo(pixels), face_at(transform(ANCHORS, matrix)))
        weight = aligned.pixels[..., 0].astype(float)
        rows, columns = np.mgrid[0:CROP_SIZE, 0:CROP_SIZE]
        centre = np.array([(weight * columns).sum(), (weight * rows).sum()]) / weight.sum()
        expected = transform(np.array([[float(x), float(y)]]), aligned.matrix)[0]
        assert np.abs(centre - expected).max() < (0.25 if scale > 1 else 0.5)


def test_a_large_face_is_averaged_not_sampled() -> None:
    # A checkerboard of single pixels, four times as large as the crop: an average is gray all over.
    board = np.indices((1024, 1024)).sum(axis=0) % 2 * 255
    photo = Photo(np.repeat(board[..., None], 3, axis=2).astype(np.uint8))
    aligned = align(photo, Face(Box(0, 0, 1024, 1024)))
    np.testing.assert_allclose(aligned.pixels[8:-8, 8:-8], 128, atol=2)


def beyond(aligned: AlignedFace, photo: Photo) -> Doubles:
    """How many photo pixels each crop pixel's centre lies beyond the photo's edge; negative inside."""
    rows, columns = np.mgrid[0:CROP_SIZE, 0:CROP_SIZE]
    x, y = transform(np.stack([columns, rows], axis=-1).reshape(-1, 2).astype(float), invert(aligned.matrix)).T
    width, height = photo.size
    # (0, 0) is the centre of the first pixel, so the picture reaches from −½ to its side − ½.
    off = np.maximum.reduce([-0.5 - x, x - (width - 0.5), -0.5 - y, y - (height - 0.5)])
    return np.asarray(off.reshape(CROP_SIZE, CROP_SIZE), np.float64)


@pytest.mark.parametrize("size", [(200, 180), (301, 333), (611, 597), (1201, 1187)])
@pytest.mark.parametrize("angle", [0.0, 0.4, -1.2])
@pytest.mark.parametrize("place", [(0.1, 0.5), (0.9, 0.9), (0.5, 0.1)])
def test_inside_marks_what_the_photo_shows(size: tuple[int, int], angle: float, place: tuple[float, float]) -> None:
    width, height = size
    photo = Photo(np.full((height, width, 3), 255, np.uint8))
    scale = width / 300
    matrix = turned(angle, scale, (0, 0))
    matrix[:, 2] = np.array(place) * size - matrix[:, :2] @ (128, 128)
    aligned = align(photo, face_at(transform(ANCHORS, matrix)))
    off = beyond(aligned, photo)
    near = max(0.1, scale)  # a crop pixel, where the photo is halved before it is cut
    assert 0.05 < aligned.inside.mean() < 0.95
    assert aligned.inside[off < -near].all()
    assert not aligned.inside[off > near].any()


@pytest.mark.parametrize("scale", [0.15, 0.5, 1.0, 1.6, 3.0])
@pytest.mark.parametrize("angle", [0.0, 0.4])
def test_the_crop_is_0_beyond_the_photo_and_undimmed_inside(scale: float, angle: float) -> None:
    side = int(300 * scale)
    photo = Photo(np.full((side, side, 3), 255, np.uint8))
    matrix = turned(angle, scale, (0, 0))
    matrix[:, 2] = np.array([0.1, 0.7]) * side - matrix[:, :2] @ (128, 128)
    aligned = align(photo, face_at(transform(ANCHORS, matrix)))
    assert 0.1 < aligned.inside.mean() < 0.9
    assert (aligned.pixels[~aligned.inside] == 0).all()
    assert (aligned.pixels[aligned.inside] == 255).all()


def test_mirror_continues_the_photo_beyond_its_edge() -> None:
    photo = Photo(np.full((300, 300, 3), 200, np.uint8))
    face = Face(Box(-150, 0, 300, 300))
    plain, mirrored = align(photo, face), align(photo, face, mirror=True)
    assert (plain.pixels[:, :126] == 0).all()
    assert (mirrored.pixels == 200).all()
    np.testing.assert_array_equal(plain.inside, mirrored.inside)
    assert mirrored.inside.mean() == pytest.approx(0.5, abs=0.01)


def test_a_face_without_landmarks_is_cut_as_the_centred_square_of_its_box() -> None:
    pixels = np.zeros((300, 400, 3), np.uint8)
    pixels[100:200, 150:250] = 255  # the centred square of the box below
    photo = Photo(pixels)
    for box in (Box(120, 100, 160, 100), Box(150, 60, 100, 180)):
        aligned = align(photo, Face(box))
        assert aligned.landmarks is None
        assert aligned.inside.all()
        assert aligned.pixels[3:-3, 3:-3].min() == 255
        wider = align(photo, Face(Box(box.x - 10, box.y - 10, box.width + 20, box.height + 20))).pixels[..., 0]
        assert wider.mean() / 255 == pytest.approx((100 / 120) ** 2, abs=0.01)
        np.testing.assert_allclose(wider, wider[::-1, ::-1], atol=1)


@pytest.mark.parametrize("side", [40, 200, 256, 300, 1024])
def test_a_picture_that_is_a_face_fills_the_crop(side: int) -> None:
    photo = Photo(np.full((side, side, 3), 90, np.uint8))
    aligned = align(photo, Face(Box(0, 0, side, side)))
    assert aligned.inside.all()
    assert (aligned.pixels == 90).all()


def test_a_picture_of_the_crop_size_is_left_as_it_is() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (CROP_SIZE, CROP_SIZE, 3)).astype(np.uint8)
    aligned = align(Photo(pixels), Face(Box(0, 0, CROP_SIZE, CROP_SIZE)))
    np.testing.assert_array_equal(aligned.pixels, pixels)


def test_a_face_beside_the_photo_shows_nothing() -> None:
    aligned = align(Photo(np.full((50, 50, 3), 9, np.uint8)), Face(Box(500, 500, 40, 40)))
    assert not aligned.inside.any()
    assert not aligned.pixels.any()


def test_the_portrait_is_aligned_upright(portrait_crop: AlignedFace) -> None:
    assert portrait_crop.landmarks is not None
    left_eye, right_eye, _, left_mouth, right_mouth = portrait_crop.landmarks.five()
    assert np.abs(left_eye - ANCHORS[0]).max() < 8
    assert np.abs(right_eye - ANCHORS[1]).max() < 8
    assert np.abs((left_mouth + right_mouth) / 2 - ANCHORS[2]).max() < 8
    assert portrait_crop.landmarks.source == "dlib"
    assert portrait_crop.inside.all()


def test_align_leaves_the_photo_alone(portrait: Photo, portrait_face: Face) -> None:
    before = portrait.pixels.copy()
    aligned = align(portrait, portrait_face)
    aligned.pixels[:] = 0
    np.testing.assert_array_equal(portrait.pixels, before)
