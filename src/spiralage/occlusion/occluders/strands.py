"""Hair over the face, and strokes of a broad brush."""

from __future__ import annotations

import numpy as np

from spiralage.occlusion.occluders.cloth import painted
from spiralage.occlusion.occluders.cover import Cover, in_its_light, soft_cover
from spiralage.occlusion.occluders.drawing import (
    Colour,
    FaceFrame,
    canvas,
    face_frame,
    fill,
    light_on,
    line,
    pick,
    relief,
    smooth,
)
from spiralage.types import CROP_SIZE, Doubles, Pixels

HAIR: list[Colour] = [
    (24, 20, 18),
    (48, 34, 26),
    (84, 58, 38),
    (140, 100, 60),
    (196, 160, 104),
    (120, 60, 36),
    (150, 148, 146),
]


def hair(landmarks: Doubles, rng: np.random.Generator) -> Cover:
    """Locks over the face: a fringe that reaches the eyes, or long hair that falls over one side."""
    frame = face_frame(landmarks)
    fringe = rng.random() < 0.5
    cover, strands = canvas(), canvas()
    for lock in _fringe(frame, rng) if fringe else _side(frame, rng):
        _lock(lock, frame, cover, strands, rng)
    light, falls = light_on(frame, rng)
    strength = np.float32(rng.uniform(0.3, 0.5))
    fine = np.clip(relief(strands, 0.8) * np.float32(1.2), -0.5, 0.5)
    sheen = np.exp(-(((frame.coordinates()[1] + np.float32(rng.uniform(-0.2, 0.6))) * 3) ** 2)) * np.float32(
        rng.uniform(0, 0.4)
    )
    picture = painted(pick(rng, HAIR, 5), light * (1 + sheen + strength * fine), rng, grain=4)
    return soft_cover(picture, cover, shadow=rng.uniform(0.25, 0.5), light=falls, look=in_its_light)


def _fringe(frame: FaceFrame, rng: np.random.Generator) -> list[Doubles]:
    """Locks from above the forehead to brows and eyes, as middle lines from root to tip."""
    length, sweep = rng.uniform(-0.15, 0.3), rng.uniform(-0.5, 0.5)
    locks = []
    for u in np.linspace(-1.15, 1.15, int(rng.integers(14, 24))):
        tip = length - 0.1 * u * u + rng.normal(0, 0.09)
        end = u + sweep * 0.5 + rng.normal(0, 0.06)
        locks.append(np.stack([frame.at(u - sweep, -1.5), frame.at(u - 0.2 * sweep, -0.8), frame.at(end, tip)]))
    return locks


def _side(frame: FaceFrame, rng: np.random.Generator) -> list[Doubles]:
    """Locks from the crown down over one eye and cheek."""
    out = rng.choice([-1, 1])
    reach = rng.uniform(0.1, 0.6)  # how far from the middle they stay
    locks = []
    for share in np.linspace(0, 1, int(rng.integers(7, 12))):
        u = reach + share * (1.25 - reach) + rng.normal(0, 0.04)
        bow, wave = rng.normal(0.12, 0.06), rng.normal(0, 0.06)
        way = [
            (0.2 * u, -1.5),
            (0.75 * u + bow, -0.5),
            (u + bow + wave, 0.4),
            (u + bow - wave, 1.0),
            (0.95 * u + wave, rng.uniform(1.4, 2.6)),
        ]
        locks.append(np.stack([frame.at(out * a, b) for a, b in way]))
    return locks


def _lock(middle: Doubles, frame: FaceFrame, cover: Pixels, strands: Pixels, rng: np.random.Generator) -> None:
    """A lock that tapers to its tip, and the lines of single hairs in it, in place."""
    spine = smooth(middle, closed=False, steps=6)
    width = frame.unit * rng.uniform(0.08, 0.2)
    half = width * np.linspace(1, 0, len(spine)) ** 0.5
    across = frame.right
    fill(cover, np.concatenate([spine - half[:, None] * across, (spine + half[:, None] * across)[::-1]]))
    for _ in range(5):
        offset = rng.uniform(-0.9, 0.9)
        line(strands, spine + (offset * half)[:, None] * across, 1, int(rng.integers(100, 256)))
    stray = spine + (rng.uniform(-1.3, 1.3) * half + rng.normal(0, 1.5))[:, None] * across
    line(cover, stray, 2)


def brush(landmarks: Doubles, rng: np.random.Generator) -> Cover:
    """Broad strokes anywhere, of one colour, as inpainting networks are trained with; landmarks don't matter."""
    cover = canvas()
    for _ in range(int(rng.integers(1, 4))):
        place, angle = rng.uniform(0, CROP_SIZE, 2), rng.uniform(0, 2 * np.pi)
        width, points = rng.uniform(12, 44), []
        for _ in range(int(rng.integers(3, 8))):
            points.append(place)
            angle += rng.normal(0, 1.0)
            place = place + rng.uniform(20, 70) * np.array([np.cos(angle), np.sin(angle)])
        line(cover, np.stack(points), width)
    picture = np.empty((CROP_SIZE, CROP_SIZE, 3), np.uint8)
    picture[:] = rng.integers(0, 256, 3) if rng.random() < 0.7 else 0
    return soft_cover(picture, cover)
