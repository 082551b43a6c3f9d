"""The similarity transform that brings a face into the common 256×256 frame.

The eye centres go to (86, 98) and (170, 98) and the mouth centre to (128, 190), as near as turning,
scaling and moving can bring them; the crop then shows most faces from hairline to chin.
"""

from __future__ import annotations

import cv2
import numpy as np

from spiralage.types import CROP_SIZE, AlignedFace, Box, Doubles, Face, Landmarks, Mask, Photo, Pixels

ANCHORS = np.array([[86.0, 98.0], [170.0, 98.0], [128.0, 190.0]])
"""Where left eye, right eye and mouth centre go: (3, 2), (x, y) in crop pixels."""

CUT_FROM = 1 << 21
"""Photos of more pixels are cut to the face's neighbourhood before anything else is done with them."""

MOST_MIRRORS = 64
"""A crop that reaches further beyond the photo than this many times its side shows nothing of it."""


def align(photo: Photo, face: Face, *, mirror: bool = False) -> AlignedFace:
    """Cut a face out of a photo, normalised in size, tilt and position.

    With landmarks the crop follows ``ANCHORS``. Without them it is the largest centred square of the
    face's box, scaled: the fallback for a picture that *is* a face.

    Args:
        photo: (height, width, 3) uint8 RGB.
        face: box and landmarks in photo pixels.
        mirror: fill what lies beyond the photo with its mirror image instead of 0: for training pictures
            that are cut closer than the frame (UTKFace), so that no network learns a black border.

    Returns:
        The 256×256 crop, by default 0 where it reaches beyond the photo, with the affine matrix that made it.

    Example:
        >>> from spiralage.types import Box
        >>> photo = Photo(np.full((300, 300, 3), 7, np.uint8))
        >>> align(photo, Face(Box(0, 0, 300, 300))).pixels.mean()
        np.float64(7.0)
    """
    matrix = square_matrix(face.box) if face.landmarks is None else aligning(face.landmarks)
    crop, inside = cut_out(photo, matrix, mirror=mirror)
    return AlignedFace(crop, matrix, inside, None if face.landmarks is None else face.landmarks.moved(matrix))


def cut_out(photo: Photo, matrix: Doubles, *, mirror: bool = False) -> tuple[Pixels, Mask]:
    """What a matrix takes into a crop.

    Args:
        photo: (height, width, 3) uint8 RGB.
        matrix: (2, 3) float64, takes photo (x, y, 1) to crop (x, y): a turn, a scale and a shift.
        mirror: see ``align``.

    Returns:
        The crop, (256, 256, 3) uint8 RGB, and where it shows the photo, (256, 256) bool.
    """
    reach = _reach(matrix)
    size = (CROP_SIZE, CROP_SIZE)
    if _shows_nothing(photo, reach):
        return np.zeros((*size, 3), np.uint8), np.zeros(size, np.bool_)
    pixels, to_crop = _source(photo, matrix, reach)
    # Mirrored in any case: a black border would bleed into the photo's outermost pixels.
    warped = cv2.warpAffine(pixels, to_crop, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    crop = np.asarray(warped, np.uint8)
    inside = cv2.warpAffine(np.ones(pixels.shape[:2], np.uint8), to_crop, size, flags=cv2.INTER_NEAREST).astype(bool)
    if not mirror and not inside.all():
        crop[~inside] = 0
    return crop, inside


def similarity(source: Doubles, target: Doubles) -> Doubles:
    """The turn, scale and shift that bring ``source`` nearest to ``target`` (least squares).

    Args:
        source: (N, 2) float64, (x, y) in pixels, at least two different points.
        target: (N, 2) float64.

    Returns:
        (2, 3) float64 matrix; no reflection, no shear (Umeyama 1991 in two dimensions).

    Raises:
        ValueError: all source points are the same.

    Example:
        >>> similarity(np.array([[0.0, 0], [1, 0]]), np.array([[5.0, 5], [5, 7]])).round(6).tolist()
        [[0.0, -2.0, 5.0], [2.0, 0.0, 5.0]]
    """
    source_mean, target_mean = source.mean(axis=0), target.mean(axis=0)
    # As complex numbers a similarity is z → a·z + b, and a is a ratio of two inner products.
    s = (source - source_mean) @ np.array([1, 1j])
    t = (target - target_mean) @ np.array([1, 1j])
    energy = (s.conj() @ s).real
    if energy == 0:
        raise ValueError("a similarity needs at least two different source points")
    a = (s.conj() @ t) / energy
    linear = np.array([[a.real, -a.imag], [a.imag, a.real]])
    return np.column_stack([linear, target_mean - linear @ source_mean])


def transform(points: Doubles, matrix: Doubles) -> Doubles:
    """Move (N, 2) points by a (2, 3) affine matrix."""
    return points @ matrix[:, :2].T + matrix[:, 2]


def invert(matrix: Doubles) -> Doubles:
    """The (2, 3) affine matrix that undoes ``matrix``."""
    return np.asarray(cv2.invertAffineTransform(matrix), dtype=np.float64)


def aligning(landmarks: Landmarks) -> Doubles:
    """The (2, 3) matrix that takes a face with these landmarks into the common frame, see ``ANCHORS``.

    Raises:
        ValueError: eyes and mouth lie in one point.
    """
    left_eye, right_eye, _, left_mouth, right_mouth = landmarks.five()
    return similarity(np.stack([left_eye, right_eye, (left_mouth + right_mouth) / 2]), ANCHORS)


def square_matrix(box: Box) -> Doubles:
    """The (2, 3) matrix from the centred square of a box to the crop, edges on edges (hence the half pixels)."""
    scale = CROP_SIZE / min(box.width, box.height)
    x, y = box.centre
    shift = CROP_SIZE / 2 - scale * np.array([x, y]) + scale / 2 - 0.5
    # A box's edges lie between pixels, points at their centres: centre (x, y) of the box is at x − ½.
    return np.array([[scale, 0.0, shift[0]], [0.0, scale, shift[1]]])


def _reach(matrix: Doubles) -> Doubles:
    """The corners of the crop's bounding rectangle in the photo: (2, 2) float64, (x, y), least and greatest."""
    last = CROP_SIZE - 1.0
    corners = transform(np.array([[0.0, 0.0], [last, 0.0], [0.0, last], [last, last]]), invert(matrix))
    return np.stack([corners.min(axis=0), corners.max(axis=0)])


def _shows_nothing(photo: Photo, reach: Doubles) -> bool:
    """Whether the photo is lost in a crop so wide that mirroring the border would hardly end."""
    return bool((np.abs(reach) > MOST_MIRRORS * np.array(photo.size)).any())


def _source(photo: Photo, matrix: Doubles, reach: Doubles) -> tuple[Pixels, Doubles]:
    """What the crop is sampled from: of a large photo the part it needs, of a large face a halved copy.

    Bilinear sampling alone would alias, so a large face is halved with area averaging first.

    Returns:
        The pixels, and the matrix that takes theirs to the crop's.
    """
    factor = _halving(photo, matrix)
    whole = photo.size[0] * photo.size[1] <= CUT_FROM
    left, right = _span(reach[:, 0], photo.size[0], factor, whole=whole)
    top, bottom = _span(reach[:, 1], photo.size[1], factor, whole=whole)
    pixels = photo.pixels[top:bottom, left:right]
    if factor > 1:
        size = (pixels.shape[1] // factor, pixels.shape[0] // factor)
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
    half = (factor - 1) / 2
    grow = np.array([[factor, 0, left + half], [0, factor, top + half], [0, 0, 1.0]])
    return pixels, matrix @ grow


def _halving(photo: Photo, matrix: Doubles) -> int:
    """The power of two by which a face is shrunk before it is sampled; 1 where that would leave no pixel."""
    scale = float(np.hypot(matrix[0, 0], matrix[0, 1]))
    factor = 1 << int(max(0, np.floor(np.log2(1 / max(scale, 1e-6)))))
    return factor if min(photo.size) >= factor else 1


def _span(reach: Doubles, side: int, factor: int, *, whole: bool) -> tuple[int, int]:
    """The pixels of one axis that the crop needs, first and behind the last, in whole blocks of ``factor``.

    Beyond the photo's edge the crop shows its mirror image, which lies as far inside.
    """
    blocks = side // factor
    if whole:
        return 0, blocks * factor
    low, high = reach[0] / factor - 2, reach[1] / factor + 2
    low, high = min(low, 2 * (blocks - 1) - high), max(high, -low)
    first, last = max(0, int(np.floor(low))), min(blocks, int(np.ceil(high)) + 1)
    return min(first, blocks - 1) * factor, max(last, 1) * factor
