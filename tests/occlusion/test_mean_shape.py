"""The 68 points of a face of which fewer are known."""

from __future__ import annotations

import numpy as np
import pytest

from spiralage.mean_face import mean_landmarks
from spiralage.occlusion import mean_shape
from spiralage.occlusion.mean_shape import full_landmarks, mirror_landmarks
from spiralage.types import AlignedFace, Doubles, Landmarks


@pytest.fixture(scope="module")
def landmarks(portrait_crop: AlignedFace) -> Doubles:
    assert portrait_crop.landmarks is not None
    return portrait_crop.landmarks.points


def with_points(face: AlignedFace, landmarks: Landmarks | None) -> AlignedFace:
    return AlignedFace(face.pixels, face.matrix, face.inside, landmarks)


def test_68_landmarks_are_taken_as_they_are(portrait_crop: AlignedFace, landmarks: Doubles) -> None:
    np.testing.assert_array_equal(full_landmarks(portrait_crop), landmarks)


def test_five_landmarks_get_the_mean_face_fitted(
    portrait_crop: AlignedFace, landmarks: Doubles, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Where the mean face has the portrait's shape, elsewhere and smaller, the fit is exact.
    monkeypatch.setattr(mean_shape, "mean_landmarks", lambda: landmarks * 0.7 + (11, -5))
    five = Landmarks(Landmarks(landmarks, "dlib").five(), "yunet")
    np.testing.assert_allclose(full_landmarks(with_points(portrait_crop, five)), landmarks, atol=1e-6)


def test_without_landmarks_the_mean_faces_are_used(
    portrait_crop: AlignedFace, landmarks: Doubles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mean_shape, "mean_landmarks", lambda: landmarks + 1)
    np.testing.assert_array_equal(full_landmarks(with_points(portrait_crop, None)), landmarks + 1)


def test_mirrored_landmarks_are_those_of_a_mirrored_face() -> None:
    mean = mean_landmarks()
    mirrored = mirror_landmarks(np.stack([mean, mean + 5]))
    np.testing.assert_allclose(mirrored[0], mean, atol=6)  # the mean face is nearly symmetrical
    np.testing.assert_array_equal(mirror_landmarks(mirrored), [mean, mean + 5])
    assert sorted(mirrored[1, :, 0]) == pytest.approx(sorted(250 - mean[:, 0]))
