"""Occluders: everything that can hide a part of a face, in one registry.

Recipes, training, test conditions and the command line name them; each is a pure function of the landmarks and a random
generator, and the same generator state gives the same cover.

    picture, mask = OCCLUDERS["scarf"](landmarks, np.random.default_rng(0))

Convention: landmarks are (68, 2) float64, (x, y) in crop pixels. Those that follow a face (surgical mask, scarf,
sunglasses) take all 68; ``full_landmarks`` makes them for a face of which fewer are known. The others ignore them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal, NamedTuple, TypeAlias

import cv2
import numpy as np

from spiralage.occlusion.mean_shape import full_landmarks
from spiralage.occlusion.window import CENTRE_WINDOW, PAPER_WINDOW, Window, edge_window, margin_mask, random_window
from spiralage.types import CROP_SIZE, AlignedFace, Doubles, Mask, Occlusion, Pixels

OccluderName: TypeAlias = Literal[
    "paper", "random-window", "edge", "surgical-mask", "scarf", "sunglasses", "centre-window"
]


class Cover(NamedTuple):
    """What an occluder puts in front of a crop.

    Args:
        picture: (256, 256, 3) uint8 RGB, its looks; only its masked pixels count.
        mask: (256, 256) bool, True = hidden by it.
    """

    picture: Pixels
    mask: Mask

    def over(self, pixels: Pixels) -> Pixels:
        """A copy of a crop, (256, 256, 3) uint8 RGB, with the occluder in front of it."""
        return np.where(self.mask[..., None], self.picture, pixels)


FARTHEST = 16 * CROP_SIZE
Occluder: TypeAlias = "Callable[[Doubles, np.random.Generator], Cover]"


def paper(landmarks: Doubles, rng: np.random.Generator) -> Cover:
    """The paper's mask, black: all but a window round eyes and brows; neither landmarks nor chance matter."""
    return _all_but(PAPER_WINDOW)


def random_window_cover(landmarks: Doubles, rng: np.random.Generator) -> Cover:
    """All but a window of 128×128 pixels anywhere, black; landmarks don't matter."""
    return _all_but(random_window(rng))


def centre_window_cover(landmarks: Doubles, rng: np.random.Generator) -> Cover:
    """All but a window of 128×128 pixels in the middle, black, as SpiralNet is tested; landmarks don't matter."""
    return _all_but(CENTRE_WINDOW)


def edge(landmarks: Doubles, rng: np.random.Generator) -> Cover:
    """A rectangle at one side of the frame, black, up to half of the crop; landmarks don't matter."""
    return _all_but(edge_window(rng))


def _all_but(window: Window) -> Cover:
    return Cover(np.zeros((CROP_SIZE, CROP_SIZE, 3), np.uint8), margin_mask(window))


def surgical_mask(landmarks: Doubles, rng: np.random.Generator) -> Cover:
    """A pleated mask from the bridge of the nose round the jaw, in light blue, white or black."""
    top = _between(landmarks[28], landmarks[29], rng.uniform(0, 1))
    left = _between(landmarks[1], landmarks[2], rng.uniform(0, 1))
    right = _between(landmarks[15], landmarks[14], rng.uniform(0, 1))
    chin = _outward(landmarks[3:14], landmarks[30], 1 + rng.uniform(0.02, 0.08))
    cheek_left, cheek_right = _between(left, top, 0.6) - (0, 4), _between(right, top, 0.6) - (0, 4)
    outline = np.concatenate([[left], chin, [right, cheek_right, top, cheek_left]])
    colour = _pick(rng, [(150, 195, 225), (235, 238, 240), (40, 42, 48), (190, 215, 200)])
    picture = _cloth(colour, rng)
    for height in (0.35, 0.55, 0.75):  # the pleats
        start, end = _between(left, landmarks[5], height), _between(right, landmarks[11], height)
        middle = _between(top, landmarks[8], height)
        _curve(picture, [start, middle, end], tuple(int(c * 0.82) for c in colour), 2)
    return Cover(picture, _polygon(outline))


def scarf(landmarks: Doubles, rng: np.random.Generator) -> Cover:
    """A scarf from under the nose, or from the mouth, down to the lower edge of the crop."""
    height = rng.uniform(0, 1)
    middle = _between(landmarks[33], landmarks[62], height)
    left, right = _between(landmarks[2], landmarks[4], height), _between(landmarks[14], landmarks[12], height)
    beyond = CROP_SIZE + 8
    outline = np.array(
        [(-8, left[1] + 20), left, middle, right, (beyond, right[1] + 20), (beyond, beyond), (-8, beyond)]
    )
    colour = _pick(rng, [(140, 30, 40), (40, 60, 110), (90, 90, 90), (200, 180, 140), (30, 80, 60)])
    picture = _cloth(colour, rng)
    for _ in range(5):  # folds
        offset = rng.uniform(6, 90)
        line = [left + (-30, offset), middle + (0, offset + 8), right + (30, offset)]
        _curve(picture, line, tuple(int(c * rng.uniform(0.6, 0.85)) for c in colour), 3)
    return Cover(picture, _polygon(outline))


def sunglasses(landmarks: Doubles, rng: np.random.Generator) -> Cover:
    """Two dark lenses over the eyes, a bridge, and temples to the ears."""
    mask = np.zeros((CROP_SIZE, CROP_SIZE), np.uint8)
    distance = float(np.hypot(*(landmarks[42:48].mean(axis=0) - landmarks[36:42].mean(axis=0))))
    width, height = distance * rng.uniform(0.36, 0.44), distance * rng.uniform(0.26, 0.36)
    eyes = [landmarks[36:42].mean(axis=0), landmarks[42:48].mean(axis=0)]
    tilt = float(np.degrees(np.arctan2(*(eyes[1] - eyes[0])[::-1])))
    for eye in eyes:
        centre = eye + (0, 0.12 * height)
        cv2.ellipse(mask, (_point(centre), (2 * width, 2 * height), tilt), 1, -1)
    cv2.line(mask, _point(eyes[0]), _point(eyes[1]), 1, max(2, round(distance * 0.07)))
    for eye, ear in zip(eyes, (landmarks[0], landmarks[16]), strict=True):
        cv2.line(mask, _point(eye), _point(ear + (0, -6)), 1, max(2, round(distance * 0.06)))
    colour = _pick(rng, [(18, 18, 20), (45, 30, 22), (25, 35, 55)])
    return Cover(_cloth(colour, rng), mask.astype(np.bool_))


OCCLUDERS: dict[OccluderName, Occluder] = {
    "random-window": random_window_cover,
    "paper": paper,
    "edge": edge,
    "surgical-mask": surgical_mask,
    "scarf": scarf,
    "sunglasses": sunglasses,
    "centre-window": centre_window_cover,
}
"""Trainings draw kinds in this order: a new one comes last, or a training that is resumed would draw others."""


FOLLOWING: frozenset[OccluderName] = frozenset({"surgical-mask", "scarf", "sunglasses"})
"""Those that are drawn by the landmarks; to the others it is all the same where a face is."""


def occluder_named(name: str) -> OccluderName | None:
    """The occluder of that name, None where there is none."""
    return next((known for known in OCCLUDERS if known == name), None)


def cover_face(face: AlignedFace, name: OccluderName, *, seed: int = 0) -> Cover:
    """An occluder for an aligned face, drawn from its landmarks as far as they are known.

    Args:
        face: whose face.
        name: the occluder's, in ``OCCLUDERS``.
        seed: of the drawing; the same seed gives a face the same cover, whatever came before.
    """
    return OCCLUDERS[name](full_landmarks(face), np.random.default_rng(seed))


def hidden_by(name: OccluderName, *, seed: int = 0) -> Callable[[AlignedFace], Occlusion]:
    """For the pipeline: takes what an occluder would hide for hidden, without looking at the face's pixels."""
    return partial(_hidden_by, name=name, seed=seed)  # unlike a lambda it can be sent to another process


def _hidden_by(face: AlignedFace, name: OccluderName, seed: int) -> Occlusion:
    return Occlusion(cover_face(face, name, seed=seed).mask, name)


def _between(a: Doubles, b: Doubles, share: float) -> Doubles:
    return a + share * (b - a)


def _outward(points: Doubles, centre: Doubles, factor: float) -> Doubles:
    return centre + factor * (points - centre)


def _whole(points: Doubles) -> Doubles:
    """Points at whole pixels, no farther off the crop than can matter: OpenCV counts in int32."""
    return np.rint(points).clip(-FARTHEST, FARTHEST)


def _point(xy: Doubles) -> tuple[int, int]:
    x, y = _whole(xy).astype(int).tolist()
    return x, y


def _pick(rng: np.random.Generator, colours: list[tuple[int, int, int]]) -> tuple[int, int, int]:
    return colours[int(rng.integers(len(colours)))]


def _polygon(outline: Doubles) -> Mask:
    canvas = np.zeros((CROP_SIZE, CROP_SIZE), np.uint8)
    cv2.fillPoly(canvas, [_whole(outline).astype(np.int32)], 1)
    return canvas.astype(np.bool_)


def _curve(picture: Pixels, points: list[Doubles], colour: tuple[int, ...], thickness: int) -> None:
    """Draw the parabola through three points."""
    share = np.linspace(0, 1, 32)[:, None]
    start, middle, end = points
    line = start * (1 - share) * (1 - 2 * share) + middle * 4 * share * (1 - share) + end * share * (2 * share - 1)
    cv2.polylines(picture, [_whole(line).astype(np.int32)], False, colour, thickness, cv2.LINE_AA)


def _cloth(colour: tuple[int, int, int], rng: np.random.Generator) -> Pixels:
    """A full crop of one colour, lit from a random side, with fine grain."""
    rows, columns = np.mgrid[0:CROP_SIZE, 0:CROP_SIZE] / CROP_SIZE - 0.5
    angle, strength = rng.uniform(0, 2 * np.pi), rng.uniform(0, 40)
    light = strength * (np.cos(angle) * columns + np.sin(angle) * rows)
    grain = rng.normal(0, 3, (CROP_SIZE, CROP_SIZE))
    cloth: Pixels = np.clip(np.array(colour) + (light + grain)[..., None], 0, 255).astype(np.uint8)
    return cloth
