"""Where the 68 landmarks of an aligned face are when fewer of them are known: the mean face's, fitted."""

from __future__ import annotations

from spiralage.faces.align import similarity, transform
from spiralage.mean_face import mean_landmarks
from spiralage.types import CROP_SIZE, AlignedFace, Doubles, Landmarks

_MIRRORED = [
    *range(16, -1, -1),  # jaw
    *range(26, 16, -1),  # brows
    *(27, 28, 29, 30, 35, 34, 33, 32, 31),  # nose
    *(45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40),  # eyes
    *(54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55, 64, 63, 62, 61, 60, 67, 66, 65),  # mouth
]
"""Which of the 68 points comes to lie where each was when a face is mirrored."""


def mirror_landmarks(landmarks: Doubles) -> Doubles:
    """68 points of a mirrored crop from those of the crop, (…, 68, 2) float64: what was left is right."""
    mirrored = landmarks[..., _MIRRORED, :].copy()
    mirrored[..., 0] = CROP_SIZE - 1 - mirrored[..., 0]
    return mirrored


def full_landmarks(face: AlignedFace) -> Doubles:
    """68 points of an aligned face, see ``full_points``."""
    return full_points(face.landmarks)


def full_points(landmarks: Landmarks | None) -> Doubles:
    """68 points: the face's own, or the mean face's fitted to its five, or the mean face's.

    Args:
        landmarks: in crop pixels, as far as they are known.

    Returns:
        (68, 2) float64, (x, y) in crop pixels.
    """
    mean = mean_landmarks()
    if landmarks is None:
        return mean
    if len(landmarks.points) == 68:
        return landmarks.points
    return transform(mean, similarity(Landmarks(mean, "given").five(), landmarks.five()))
