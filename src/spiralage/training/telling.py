"""What a network that is told what is hidden learns from: faces, and masks as imperfect as those found in use."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from spiralage.datasets.crops import Indices
from spiralage.datasets.joined import AnyCrops
from spiralage.occlusion.occluders import OCCLUDERS, OccluderName
from spiralage.training.covers import Shares, draw_cover
from spiralage.training.recipes import Telling
from spiralage.types import Doubles, Mask, Pixels


class Told(NamedTuple):
    """Faces, and what is told of them.

    Args:
        faces: (N, 256, 256, 3) uint8 RGB, as they look; 0 beyond the photo.
        masks: (N, 256, 256) bool, True = told to be hidden: by an occluder, or beyond the photo.
        blank: (N,) bool, whose hidden pixels are 0 for the network, as in use; else it sees what hides, too.
    """

    faces: Pixels
    masks: Mask
    blank: npt.NDArray[np.bool_]


def tell_faces(
    faces: Pixels, inside: Mask, landmarks: Doubles, shares: Shares, telling: Telling, rng: np.random.Generator
) -> Told:
    """Put occluders on some faces, and tell what is hidden.

    Args:
        faces: (N, 256, 256, 3) uint8 RGB.
        inside: (N, 256, 256) bool, True where a crop shows its photo.
        landmarks: (N, 68, 2) float64, (x, y) in crop pixels.
        shares: the part of the faces that gets each kind, in [0, 1] in all.
        telling: how well it is told.
        rng: draws who gets one, the occluders, and how well it is told.
    """
    seen, masks = faces.copy(), ~inside
    total = sum(shares.values())
    for index in np.flatnonzero(rng.random(len(faces)) < total):
        cover = draw_cover(landmarks[index], shares, rng)
        seen[index] = cover.over(faces[index])
        if rng.random() >= telling.missing:
            masks[index] |= disturbed(cover.mask, telling, rng)
    seen[~inside] = 0
    return Told(seen, masks, rng.random(len(faces)) >= telling.as_it_looks)


def disturbed(mask: Mask, telling: Telling, rng: np.random.Generator) -> Mask:
    """A mask as a network might find it: a little too large or too small, and moved.

    >>> whole = np.ones((256, 256), bool)
    >>> disturbed(whole, Telling(edge_px=0, shift_px=0), np.random.default_rng(0)).all()
    np.True_
    """
    edge = int(rng.integers(-telling.edge_px, telling.edge_px + 1))
    found = mask.astype(np.uint8)
    if edge:
        side = 2 * abs(edge) + 1
        kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
        found = np.asarray((cv2.dilate if edge > 0 else cv2.erode)(found, kernel), np.uint8)
    right, down = rng.integers(-telling.shift_px, telling.shift_px + 1, 2).tolist()
    matrix = np.array([[1.0, 0, right], [0, 1.0, down]])
    moved = cv2.warpAffine(
        found, matrix, (mask.shape[1], mask.shape[0]), flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(moved, np.uint8).astype(np.bool_)


def blanked(pictures: Tensor, blank: npt.NDArray[np.bool_]) -> Tensor:
    """What is wholly hidden is 0 again, after colours were varied: as in use.

    Args:
        pictures: (N, 4, S, S) float, RGB in [0, 1] and the hidden part of each pixel.
        blank: (N,) bool, of which of them.
    """
    hidden = (pictures[:, 3:] > 0.99) & torch.from_numpy(blank).to(pictures.device)[:, None, None, None]
    return torch.cat([pictures[:, :3].masked_fill(hidden, 0), pictures[:, 3:]], dim=1)


def told_for_validation(crops: AnyCrops, indices: Indices, kinds: Sequence[OccluderName]) -> tuple[Pixels, Mask]:
    """Faces under occluders in turn, each drawn by a seed of its own: hidden pixels are 0, and all are told of.

    Args:
        crops: the faces.
        indices: which, (N,).
        kinds: the occluders, face after face.

    Returns:
        (N, 256, 256, 3) uint8 RGB, and (N, 256, 256) bool, True = hidden.
    """
    masks = ~crops.inside(indices)
    for row, (index, points) in enumerate(zip(indices.tolist(), crops.full_landmarks(indices), strict=True)):
        masks[row] |= OCCLUDERS[kinds[index % len(kinds)]](points, np.random.default_rng(index)).mask
    return np.where(masks[..., None], np.uint8(0), crops.take(indices)), masks
