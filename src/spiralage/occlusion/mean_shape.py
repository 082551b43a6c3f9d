"""Where the 68 landmarks of an aligned face are when fewer of them are known: the mean face's, fitted."""

from __future__ import annotations

from spiralage.faces.align import similarity, transform
from spiralage.mean_face import mean_landmarks
from spiralage.types import AlignedFace, Doubles, Landmarks


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
