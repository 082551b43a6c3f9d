"""Drawn occluders: what real things hide, painted from the landmarks of an aligned face.

Each occluder is a pure function of the landmarks and a random generator; the same generator state gives
the same drawing.

Convention: landmarks are (68, 2) float64, (x, y) in crop pixels. The functions that follow a face take
all 68; ``full_landmarks`` makes them for a face of which fewer are known.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import cv2
import numpy as np

from spiralage.faces.align import similarity, transform
from spiralage.occlusion.window import edge_window, margin_mask
from spiralage.restoration.baselines import mean_landmarks
from spiralage.types import CROP_SIZE, AlignedFace, Doubles, Landmarks, Mask, Occlusion, Pixels

OccluderName: TypeAlias = Literal["surgical-mask", "scarf", "sunglasses", "edge"]


@dataclass(frozen=True, eq=False)
class Drawing:
    """An occluder as drawn.

    Args:
        occlusion: what it hides.
        paint: (256, 256, 3) uint8 RGB, its looks; only its hidden pixels count.
    """

    occlusion: Occlusion
    paint: Pixels

    def over(self, pixels: Pixels) -> Pixels:
        """A crop with the occluder in front of it."""
        return np.where(self.occlusion.hidden[..., None], self.paint, pixels)


def full_landmarks(face: AlignedFace) -> Doubles:
    """68 points of an aligned face: its own, or the mean face's fitted to its five, or the mean face's.

    Returns:
        (68, 2) float64, (x, y) in crop pixels.
    """
    mean = mean_landmarks()
    if face.landmarks is None:
        return mean
    if len(face.landmarks.points) == 68:
        return face.landmarks.points
    return transform(mean, similarity(Landmarks(mean, "given").five(), face.landmarks.five()))


def surgical_mask(landmarks: Doubles, rng: np.random.Generator) -> Drawing:
    """A pleated mask from the bridge of the nose round the jaw, in light blue, white or black."""
    top = _between(landmarks[28], landmarks[29], rng.uniform(0, 1))
    left = _between(landmarks[1], landmarks[2], rng.uniform(0, 1))
    right = _between(landmarks[15], landmarks[14], rng.uniform(0, 1))
    chin = _outward(landmarks[3:14], landmarks[30], 1 + rng.uniform(0.02, 0.08))
    cheek_left, cheek_right = _between(left, top, 0.6) - (0, 4), _between(right, top, 0.6) - (0, 4)
    outline = np.concatenate([[left], chin, [right, cheek_right, top, cheek_left]])
    colour = _pick(rng, [(150, 195, 225), (235, 238, 240), (40, 42, 48), (190, 215, 200)])
    hidden = _polygon(outline)
    paint = _cloth(colour, rng)
    for height in (0.35, 0.55, 0.75):  # the pleats
        start, end = _between(left, landmarks[5], height), _between(right, landmarks[11], height)
        middle = _between(top, landmarks[8], height)
        _curve(paint, [start, middle, end], tuple(int(c * 0.82) for c in colour), 2)
    return Drawing(Occlusion(hidden, "surgical-mask"), paint)


def scarf(landmarks: Doubles, rng: np.random.Generator) -> Drawing:
    """A scarf from under the nose, or from the mouth, down to the lower edge of the crop."""
    height = rng.uniform(0, 1)
    middle = _between(landmarks[33], landmarks[62], height)
    left, right = _between(landmarks[2], landmarks[4], height), _between(landmarks[14], landmarks[12], height)
    edge = CROP_SIZE + 8
    outline = np.array([(-8, left[1] + 20), left, middle, right, (edge, right[1] + 20), (edge, edge), (-8, edge)])
    colour = _pick(rng, [(140, 30, 40), (40, 60, 110), (90, 90, 90), (200, 180, 140), (30, 80, 60)])
    paint = _cloth(colour, rng)
    for _ in range(5):  # folds
        offset = rng.uniform(6, 90)
        line = [left + (-30, offset), middle + (0, offset + 8), right + (30, offset)]
        _curve(paint, line, tuple(int(c * rng.uniform(0.6, 0.85)) for c in colour), 3)
    return Drawing(Occlusion(_polygon(outline), "scarf"), paint)


def sunglasses(landmarks: Doubles, rng: np.random.Generator) -> Drawing:
    """Two dark lenses over the eyes, a bridge, and temples to the ears."""
    hidden = np.zeros((CROP_SIZE, CROP_SIZE), np.uint8)
    distance = float(np.hypot(*(landmarks[42:48].mean(axis=0) - landmarks[36:42].mean(axis=0))))
    width, height = distance * rng.uniform(0.36, 0.44), distance * rng.uniform(0.26, 0.36)
    eyes = [landmarks[36:42].mean(axis=0), landmarks[42:48].mean(axis=0)]
    tilt = float(np.degrees(np.arctan2(*(eyes[1] - eyes[0])[::-1])))
    for eye in eyes:
        centre = eye + (0, 0.12 * height)
        cv2.ellipse(hidden, (_point(centre), (2 * width, 2 * height), tilt), 1, -1)
    cv2.line(hidden, _point(eyes[0]), _point(eyes[1]), 1, max(2, round(distance * 0.07)))
    for eye, ear in zip(eyes, (landmarks[0], landmarks[16]), strict=True):
        cv2.line(hidden, _point(eye), _point(ear + (0, -6)), 1, max(2, round(distance * 0.06)))
    colour = _pick(rng, [(18, 18, 20), (45, 30, 22), (25, 35, 55)])
    return Drawing(Occlusion(hidden.astype(np.bool_), "sunglasses"), _cloth(colour, rng))


def edge(landmarks: Doubles, rng: np.random.Generator) -> Drawing:
    """A rectangle at one side of the frame, black, up to half of the crop; landmarks don't matter."""
    hidden = margin_mask(edge_window(rng))
    return Drawing(Occlusion(hidden, "edge"), np.zeros((CROP_SIZE, CROP_SIZE, 3), np.uint8))


OCCLUDERS: dict[OccluderName, Callable[[Doubles, np.random.Generator], Drawing]] = {
    "surgical-mask": surgical_mask,
    "scarf": scarf,
    "sunglasses": sunglasses,
    "edge": edge,
}


def _between(a: Doubles, b: Doubles, share: float) -> Doubles:
    return a + share * (b - a)


def _outward(points: Doubles, centre: Doubles, factor: float) -> Doubles:
    return centre + factor * (points - centre)


def _point(xy: Doubles) -> tuple[int, int]:
    return round(float(xy[0])), round(float(xy[1]))


def _pick(rng: np.random.Generator, colours: list[tuple[int, int, int]]) -> tuple[int, int, int]:
    return colours[int(rng.integers(len(colours)))]


def _polygon(outline: Doubles) -> Mask:
    canvas = np.zeros((CROP_SIZE, CROP_SIZE), np.uint8)
    cv2.fillPoly(canvas, [np.rint(outline).astype(np.int32)], 1)
    return canvas.astype(np.bool_)


def _curve(paint: Pixels, points: list[Doubles], colour: tuple[int, ...], thickness: int) -> None:
    """Draw the parabola through three points."""
    share = np.linspace(0, 1, 32)[:, None]
    start, middle, end = points
    line = start * (1 - share) * (1 - 2 * share) + middle * 4 * share * (1 - share) + end * share * (2 * share - 1)
    cv2.polylines(paint, [np.rint(line).astype(np.int32)], False, colour, thickness, cv2.LINE_AA)


def _cloth(colour: tuple[int, int, int], rng: np.random.Generator) -> Pixels:
    """A full crop of one colour, lit from a random side, with fine grain."""
    rows, columns = np.mgrid[0:CROP_SIZE, 0:CROP_SIZE] / CROP_SIZE - 0.5
    angle, strength = rng.uniform(0, 2 * np.pi), rng.uniform(0, 40)
    light = strength * (np.cos(angle) * columns + np.sin(angle) * rows)
    grain = rng.normal(0, 3, (CROP_SIZE, CROP_SIZE))
    cloth: Pixels = np.clip(np.array(colour) + (light + grain)[..., None], 0, 255).astype(np.uint8)
    return cloth
