"""Photos that lie on their side or head: turned upright, and the way back to the photo's own pixels."""

from __future__ import annotations

import dataclasses

import numpy as np

from spiralage.faces.align import invert, transform
from spiralage.types import AlignedFace, Box, Doubles, Face, Photo

TURNS = (90, 270, 180)
"""Degrees clockwise, in the order in which cameras and scanners leave them out."""


def turned(photo: Photo, turn: int) -> Photo:
    """A photo turned clockwise, as a view of the same pixels.

    >>> turned(Photo(np.arange(6, dtype=np.uint8).reshape(1, 2, 3)), 90).pixels[:, 0, 0].tolist()
    [0, 3]
    """
    return photo if turn == 0 else Photo(np.rot90(photo.pixels, -turn // 90), photo.name)


def face_as_given(face: Face, photo: Photo, turn: int) -> Face:
    """A face of the turned photo in pixels of the photo as it was given.

    Args:
        face: box and landmarks in pixels of ``turned(photo, turn)``.
        photo: as it was given.
        turn: degrees clockwise.
    """
    if turn == 0:
        return face
    return dataclasses.replace(_moved(face, _back(photo, turn)), turn=(face.turn + turn) % 360)


def face_as_turned(face: Face, photo: Photo, turn: int) -> Face:
    """The way back: a face in pixels of the photo as it was given, in those of ``turned(photo, turn)``."""
    if turn == 0:
        return face
    there = invert(_back(photo, turn))
    return dataclasses.replace(_moved(face, there), turn=(face.turn - turn) % 360)


def _moved(face: Face, matrix: Doubles) -> Face:
    """A face whose pixels a (2, 3) matrix of quarter turns and shifts moves."""
    # A box's edges lie between pixels, points at their centres: hence the halves.
    corners = np.array([[face.box.x, face.box.y], [face.box.x + face.box.width, face.box.y + face.box.height]]) - 0.5
    (left, top), (right, bottom) = np.sort(transform(corners, matrix), axis=0) + 0.5
    landmarks = face.landmarks
    if landmarks is not None:
        landmarks = landmarks.moved(matrix)
    return dataclasses.replace(face, box=Box(left, top, right - left, bottom - top), landmarks=landmarks)


def around(photo: Photo, box: Box) -> tuple[Photo, tuple[int, int]]:
    """What a photo shows round a box, twice its size, and the (x, y) of that place's corner in the photo."""
    (x, y), (width, height) = box.centre, photo.size
    left, right = (int(np.clip(x + side * box.width, 0, width)) for side in (-1, 1))
    top, bottom = (int(np.clip(y + side * box.height, 0, height)) for side in (-1, 1))
    return Photo(photo.pixels[top : max(bottom, top + 1), left : max(right, left + 1)], photo.name), (left, top)


def shifted(face: Face, by: tuple[int, int]) -> Face:
    """A face of a place in a photo, in the photo's pixels."""
    return _moved(face, np.array([[1.0, 0, by[0]], [0, 1.0, by[1]]]))


def aligned_as_given(aligned: AlignedFace, photo: Photo, turn: int) -> AlignedFace:
    """The crop of a face of the turned photo, with the matrix that takes the given photo's pixels to it."""
    if turn == 0:
        return aligned
    back = np.vstack([_back(photo, turn), [0, 0, 1]])
    return dataclasses.replace(aligned, matrix=aligned.matrix @ np.linalg.inv(back))


def _back(photo: Photo, turn: int) -> Doubles:
    """The (2, 3) matrix from pixels of the turned photo to those of the given one."""
    right, bottom = photo.size[0] - 1.0, photo.size[1] - 1.0
    return {
        90: np.array([[0.0, 1, 0], [-1, 0, bottom]]),
        180: np.array([[-1.0, 0, right], [0, -1, bottom]]),
        270: np.array([[0.0, -1, right], [1, 0, 0]]),
    }[turn]


def scaled(face: Face, photo: tuple[int, int], small: tuple[int, int]) -> Face:
    """A face found in a scaled copy of a photo, in the photo's pixels.

    Args:
        face: box and landmarks in pixels of the copy.
        photo, small: (width, height) of the photo and its copy.
    """
    across, down = photo[0] / small[0], photo[1] / small[1]
    box = Box(face.box.x * across, face.box.y * down, face.box.width * across, face.box.height * down)
    landmarks = face.landmarks
    if landmarks is not None:
        landmarks = landmarks.moved(np.array([[across, 0.0, 0.0], [0.0, down, 0.0]]))
    return dataclasses.replace(face, box=box, landmarks=landmarks)
