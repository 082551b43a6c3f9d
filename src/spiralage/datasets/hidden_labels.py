"""What is known of each pixel of a crop before anything is drawn: is it a person's, or does something hide it?

Only two sets say it. Of all others it is assumed that nothing is hidden, which is wrong where somebody holds a hand or
a microphone before the face: who learns from them must allow for it.
"""

from __future__ import annotations

from enum import IntEnum
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from spiralage.datasets.crops import Crops, Indices
from spiralage.datasets.face_classes import FaceClass
from spiralage.datasets.joined import AnyCrops, JoinedCrops
from spiralage.datasets.maskedface import OutlineClass
from spiralage.types import CROP_SIZE, Doubles, Mask, Pixels


class Known(IntEnum):
    """What is known of a pixel."""

    ASSUMED = 0
    """Visible, as far as anybody said."""
    VISIBLE = 1
    """Somebody looked: a person's skin, or what is behind."""
    PERSON = 2
    """Visible, and easily taken for an occluder: glasses, hair, hat."""
    HIDDEN = 3
    """Something is in front of the face."""
    UNKNOWN = 4
    """Within the face's outline, and nobody says what it is: mostly hands and microphones; or maybe sunglasses."""
    BEYOND = 5
    """Beyond the photo, which every pipeline knows by itself."""


_OF_FACE_CLASSES = np.full(len(FaceClass), Known.VISIBLE, np.uint8)
_OF_FACE_CLASSES[[FaceClass.GLASSES, FaceClass.HAIR, FaceClass.HAT]] = Known.PERSON
_NOT_THE_FACE = (FaceClass.BACKGROUND, FaceClass.CLOTH, FaceClass.NECKLACE)
_EYES = (FaceClass.LEFT_EYE, FaceClass.RIGHT_EYE)


def known_pixels(crops: AnyCrops, indices: Indices) -> Pixels:
    """What is known of crops' pixels, (N, 256, 256) uint8, each a ``Known``.

    Sets whose crops were built without classes are taken as the others are: visible, it is assumed.

    - CelebA-HQ: glasses, hair and hats are a person's. Glasses on a face of which no eye is marked are sunglasses, or
      clear ones seen from the side (a third of those looked at): they are ``UNKNOWN``, and so are background and cloth
      inside the outline of the 68 landmarks.
    - MaskedFace-Net: its masks hide; of the rest it doesn't say whether something else does.
    """
    if isinstance(crops, JoinedCrops):
        return crops.gathered(indices, _known_in_set)
    return _known_in_set(crops, indices)


def set_names(crops: AnyCrops) -> npt.NDArray[np.str_]:
    """The data set of every crop, (N,)."""
    return np.repeat([part.data for part in crops.parts], [len(part) for part in crops.parts])


def _known_in_set(crops: Crops, indices: Indices) -> Pixels:
    known = np.full((len(indices), CROP_SIZE, CROP_SIZE), Known.ASSUMED, np.uint8)
    if crops.has_classes and crops.data == "celeba-hq":
        points = crops.full_landmarks(indices)
        known = np.stack([_of_face(*one) for one in zip(crops.classes(indices), points, strict=True)])
    elif crops.has_classes and crops.data == "maskedface":
        known[crops.classes(indices) == OutlineClass.MASK] = Known.HIDDEN
    known[~crops.inside(indices)] = Known.BEYOND
    return known


def _of_face(classes: Pixels, points: Doubles) -> Pixels:
    known: Pixels = _OF_FACE_CLASSES[classes]
    if not np.isin(classes, _EYES).any():
        known[classes == FaceClass.GLASSES] = Known.UNKNOWN
    known[face_outline(points) & np.isin(classes, _NOT_THE_FACE)] = Known.UNKNOWN
    return known


def face_outline(points: Doubles) -> Mask:
    """The convex hull of a face's landmarks, drawn in by ``MARGIN``: (256, 256) bool.

    Args:
        points: (68, 2) float64, (x, y) in crop pixels.
    """
    outline = np.zeros((CROP_SIZE, CROP_SIZE), np.uint8)
    hull = cv2.convexHull(np.clip(points, -CROP_SIZE, 2 * CROP_SIZE).astype(np.float32))
    cv2.fillConvexPoly(outline, np.rint(hull).astype(np.int32), 1)
    return np.asarray(cv2.erode(outline, _kernel()), np.bool_)


MARGIN = 6
"""How far inside the landmarks' hull a pixel must be to be surely the face's, pixels."""


@lru_cache(maxsize=1)
def _kernel() -> Pixels:
    return np.ones((2 * MARGIN + 1, 2 * MARGIN + 1), np.uint8)
