"""Sunglasses, and clear glasses, which hide nothing."""

from __future__ import annotations

import cv2
import numpy as np

from spiralage.occlusion.occluders.cloth import painted
from spiralage.occlusion.occluders.cover import Cover, in_its_light, soft_cover
from spiralage.occlusion.occluders.drawing import (
    FaceFrame,
    blurred,
    canvas,
    face_frame,
    fill,
    light_on,
    line,
    pick,
    smooth,
)
from spiralage.types import CROP_SIZE, Doubles, Pixels

_LENSES = {
    "round": [(-1, 0), (-0.71, -0.71), (0, -1), (0.71, -0.71), (1, 0), (0.71, 0.71), (0, 1), (-0.71, 0.71)],
    "square": [
        (-1, -0.7),
        (-0.9, -1),
        (0, -1),
        (0.85, -0.95),
        (1, -0.6),
        (0.85, 0.7),
        (0.5, 1),
        (-0.5, 1),
        (-0.85, 0.75),
    ],
    "pilot": [(-0.95, -0.6), (-0.5, -1), (0.6, -1), (1, -0.65), (0.8, 0.3), (0.1, 1), (-0.6, 0.95), (-1, 0.2)],
    "cat": [(-1.1, -1), (0, -0.8), (0.8, -0.85), (1, -0.3), (0.8, 0.6), (0.1, 0.95), (-0.7, 0.6), (-1, -0.2)],
}
"""Outlines of the left lens, x towards the nose, in half widths and half heights."""


def _lenses(
    frame: FaceFrame, rng: np.random.Generator, wide: tuple[float, float], high: tuple[float, float]
) -> list[Doubles]:
    """Two outlines round the eyes, of one shape and size."""
    shape = np.array(_LENSES[list(_LENSES)[int(rng.integers(len(_LENSES)))]])
    width, height = rng.uniform(*wide), rng.uniform(*high)
    lenses = []
    for eye, side in ((slice(36, 42), 1), (slice(42, 48), -1)):
        centre = frame.points[eye].mean(axis=0) + frame.step(-0.03 * side, 0.12 * height)
        lens = smooth(shape)
        lenses.append(
            centre
            + np.outer(lens[:, 0] * width * side, frame.step(1, 0))
            + np.outer(lens[:, 1] * height, frame.step(0, 1))
        )
    return lenses


def sunglasses(landmarks: Doubles, rng: np.random.Generator) -> Cover:
    """Two dark lenses over the eyes, a bridge, and temples to the ears."""
    frame = face_frame(landmarks)
    lenses = _lenses(frame, rng, (0.37, 0.44), (0.27, 0.35))
    light, falls = light_on(frame, rng)
    tint = pick(rng, [(18, 18, 20), (45, 30, 22), (25, 35, 55), (30, 42, 30), (50, 50, 56)], 4)
    rim = pick(rng, [(16, 16, 18), (60, 40, 26), (170, 140, 80), (150, 150, 154), (120, 26, 30), (230, 228, 222)], 6)
    _, v = frame.coordinates()
    fade = np.clip(1 + rng.uniform(0, 1.2) * np.float32(1.2) * (v + np.float32(0.25)), 0.8, 2.2)  # lighter below
    glass, mount, width = canvas(), canvas(), max(2, rng.uniform(0.03, 0.08) * frame.unit)
    for lens in lenses:
        fill(glass, lens)
    eyes = [frame.points[eye].mean(axis=0) for eye in (slice(36, 42), slice(42, 48))]
    line(mount, np.stack(eyes), max(2, width))
    mount[glass > 127] = 0
    _frame(mount, frame, lenses, width, max(2, 0.06 * frame.unit))
    lens_light = light * fade
    if rng.random() < 0.6:  # the sky, or a window, in the lenses
        shine = canvas()
        for lens in lenses:
            middle, slope = lens.mean(axis=0) - frame.step(0, 0.05), rng.uniform(0.05, 0.2)
            line(
                shine, np.stack([middle + frame.step(-0.2, slope), middle + frame.step(0.2, -slope)]), 0.1 * frame.unit
            )
        lens_light = lens_light + blurred(shine, 2) * np.float32(rng.uniform(0.5, 2))
    glossy, dark = painted(rim, light, rng, grain=1), painted(tint, lens_light, rng, grain=1.5)
    picture = _blend(dark, glossy, mount)
    clear = np.float32(1) - np.float32(rng.uniform(0, 0.16)) * (glass.astype(np.float32) / 255) * (mount < 128)
    cover = (np.maximum(mount, glass) * clear).astype(np.uint8)
    return soft_cover(picture, cover, shadow=rng.uniform(0.2, 0.45), light=falls, look=in_its_light)


def _blend(below: Pixels, above: Pixels, coverage: Pixels) -> Pixels:
    """One picture over another, as far as a canvas says."""
    share = cv2.merge([coverage.astype(np.float32) / np.float32(255)] * 3)
    return np.rint(below + share * (above.astype(np.float32) - below)).astype(np.uint8)


def _frame(on: Pixels, frame: FaceFrame, lenses: list[Doubles], rim: float, temple: float) -> None:
    """Rims, and temples to the ears, of some pixels' width, in place."""
    for lens, jaw, out in zip(lenses, (0, 16), (-1, 1), strict=True):
        line(on, np.concatenate([lens, lens[:1]]), rim)
        outer = lens[np.argmax((lens - lens.mean(axis=0)) @ frame.right * out)]
        line(on, np.stack([outer, frame.points[jaw] + frame.step(0.1 * out, -0.08)]), temple)


def _bridge(lenses: list[Doubles], frame: FaceFrame) -> Doubles:
    """From lens to lens."""
    ends = [
        lens[np.argmax((lens - lens.mean(axis=0)) @ frame.right * side)]
        for lens, side in zip(lenses, (1, -1), strict=True)
    ]
    return np.stack([ends[0], (ends[0] + ends[1]) / 2 - frame.step(0, 0.03), ends[1]])


def glasses(landmarks: Doubles, rng: np.random.Generator) -> Cover:
    """Clear glasses: a frame and faint reflections. They belong to a person and hide nothing: the mask is empty."""
    frame = face_frame(landmarks)
    lenses = _lenses(frame, rng, (0.3, 0.4), (0.2, 0.3))
    light, _ = light_on(frame, rng)
    rim = pick(rng, [(16, 16, 18), (70, 46, 30), (150, 120, 70), (140, 140, 146), (110, 30, 36)], 8)
    picture, cover = painted(rim, light, rng, grain=2), canvas()
    width = max(1.0, rng.uniform(0.015, 0.05) * frame.unit)
    _frame(cover, frame, lenses, width, width)
    line(cover, _bridge(lenses, frame), width)
    return Cover(picture, np.zeros((CROP_SIZE, CROP_SIZE), np.bool_), cover, None, in_its_light)
