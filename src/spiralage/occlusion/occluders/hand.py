"""A hand in front of the face, in the colour of its own skin."""

from __future__ import annotations

from functools import partial

import numpy as np

from spiralage.occlusion.occluders.cloth import painted, wrinkles
from spiralage.occlusion.occluders.cover import Cover, in_its_light, soft_cover
from spiralage.occlusion.occluders.drawing import (
    Colour,
    FaceFrame,
    blurred,
    canvas,
    face_frame,
    fill,
    light_on,
    line,
    relief,
    smooth,
)
from spiralage.types import CROP_SIZE, Doubles, Pixels

SKIN: Colour = (196, 150, 124)
"""What a hand is painted in before it takes on the face's own tone."""


def hand(landmarks: Doubles, rng: np.random.Generator) -> Cover:
    """A hand over mouth, cheek, eye or brow, from below or from a side, in the tone of the face's skin."""
    frame = face_frame(landmarks)
    target = [(0, 1.1), (-0.6, 0.8), (0.6, 0.8), (-0.5, 0.05), (0.5, 0.05), (0, -0.3), (0, 0.6)][int(rng.integers(7))]
    side = rng.choice([-1, 1])  # left or right hand
    turn = rng.uniform(-0.5, 0.5) if rng.random() < 0.5 else rng.uniform(0.5, 1.6) * (np.sign(target[0]) or side)
    place = _Hand(frame, target, turn, float(side), rng.uniform(0.95, 1.35))
    cover, creases = canvas(), canvas()
    rounded = canvas()
    _draw(place, cover, creases, rounded, spread=rng.uniform(0.0, 0.12), bend=rng.uniform(0.55, 1.0), rng=rng)
    light, falls = light_on(frame, rng)
    u, v = frame.coordinates()
    folds = wrinkles(u, v, rng, across=8, along=8, depth=0.05)
    shade = light * (0.8 + 0.32 * blurred(rounded, 0.025 * frame.unit) + folds)
    shade = shade * (1 - np.clip(relief(creases, 1.5) * np.float32(0.22), -0.05, 0.22))
    picture = painted(SKIN, shade, rng, grain=2.5)
    spots = [
        frame.between(a, b, c)
        for a, b, c in ((30, 0.35, 2), (30, 0.35, 14), (27, 0.5, 29), (31, 0.3, 3), (35, 0.3, 13))
    ]
    return soft_cover(
        picture, cover, shadow=rng.uniform(0.35, 0.65), light=falls, look=partial(in_skin_of, spots=np.stack(spots))
    )


def in_skin_of(picture: Pixels, crop: Pixels, spots: Doubles) -> Pixels:
    """A ``Look``: from ``SKIN`` to the median colour of a crop at these places, (n, 2) in crop pixels."""
    columns, rows = np.rint(spots).astype(int).T
    there = (columns >= 0) & (columns < CROP_SIZE) & (rows >= 0) & (rows < CROP_SIZE)
    tones = crop[rows[there], columns[there]]
    tones = tones[tones.any(axis=1)]
    if len(tones) == 0:
        return in_its_light(picture, crop)
    gain = (np.median(tones, axis=0) / np.array(SKIN)).clip(0.15, 1.7)
    toned: Pixels = np.clip(picture * gain.astype(np.float32), 0, 255).astype(np.uint8)
    return toned


class _Hand:
    """Where the hand's own places are: x across the palm, y from the wrist (0) to the middle finger's tip (2)."""

    def __init__(self, frame: FaceFrame, target: tuple[float, float], turn: float, side: float, size: float) -> None:
        self.scale = 0.95 * size * frame.unit
        self.along = frame.step(np.sin(-turn), -np.cos(turn)) / frame.unit
        self.across = side * np.array([-self.along[1], self.along[0]])
        self.middle = frame.at(*target)

    def at(self, x: float, y: float) -> Doubles:
        place: Doubles = self.middle + self.scale * (x * self.across + (y - 1.0) * self.along)
        return place


_FINGERS = [(-0.36, 0.98, 0.72), (-0.12, 1.05, 0.88), (0.12, 1.03, 0.8), (0.35, 0.93, 0.6)]
"""Index to little finger: where its knuckle is, and how long it is, in hand units."""


def _draw(
    place: _Hand,
    cover: Pixels,
    creases: Pixels,
    rounded: Pixels,
    *,
    spread: float,
    bend: float,
    rng: np.random.Generator,
) -> None:
    """Palm, forearm and fingers: what they cover, where they crease, and how they bulge, in place."""
    palm = [
        (-0.3, -2.5),
        (-0.3, 0.0),
        (-0.5, 0.45),
        (-0.5, 0.95),
        (-0.15, 1.1),
        (0.2, 1.08),
        (0.48, 0.95),
        (0.46, 0.4),
        (0.3, 0.0),
        (0.3, -2.5),
    ]
    _part(smooth(np.stack([place.at(x, y) for x, y in palm])), cover, creases, rounded)
    thumb = np.stack([place.at(-0.3, 0.25), place.at(-0.62, 0.62), place.at(-0.68 - spread, 0.95 + 0.1 * bend)])
    _finger(place, thumb, 0.28, cover, creases, rounded)
    for x, knuckle, length in _FINGERS:
        lean = x * spread * 4
        reach = length * bend * rng.uniform(0.93, 1.05)
        bones = np.stack(
            [
                place.at(x, knuckle - 0.1),
                place.at(x + 0.5 * lean, knuckle + 0.5 * reach),
                place.at(x + lean, knuckle + reach),
            ]
        )
        _finger(place, bones, 0.26 if x < 0.3 else 0.22, cover, creases, rounded)


def _finger(place: _Hand, bones: Doubles, width: float, cover: Pixels, creases: Pixels, rounded: Pixels) -> None:
    """A tapered finger with its joints' creases and a nail, in place."""
    spine = smooth(bones, closed=False)
    way = np.gradient(spine, axis=0)
    normal = np.stack([-way[:, 1], way[:, 0]], axis=1) / np.maximum(np.hypot(*way.T), 1e-6)[:, None]
    half = place.scale * width / 2 * np.linspace(1.05, 0.8, len(spine))[:, None]
    tip = spine[-1] + 0.9 * half[-1] * way[-1] / max(float(np.hypot(*way[-1])), 1e-6)
    outline = np.concatenate(
        [
            spine + normal * half,
            smooth(np.stack([spine[-1] + normal[-1] * half[-1], tip, spine[-1] - normal[-1] * half[-1]]), closed=False),
            (spine - normal * half)[::-1],
        ]
    )
    _part(outline, cover, creases, rounded)
    line(creases, outline, 1.6, 200)
    for share in (0.45, 0.78):
        i = int(share * (len(spine) - 1))
        line(creases, np.stack([spine[i] + normal[i] * half[i] * 0.6, spine[i] - normal[i] * half[i] * 0.6]), 1, 70)
    nail = spine[-2] + np.stack(
        [
            np.cos(a) * half[-1] * 0.55 * normal[-1]
            + np.sin(a) * half[-1] * 0.7 * way[-1] / max(float(np.hypot(*way[-1])), 1e-6)
            for a in np.linspace(0, 2 * np.pi, 12)
        ]
    )
    line(creases, nail, 1, 120)


def _part(outline: Doubles, cover: Pixels, creases: Pixels, rounded: Pixels) -> None:
    """A part of the hand: it covers what lies below it, and is brighter in its middle than at its edges, in place."""
    fill(cover, outline)
    fill(creases, outline, 0)
    fill(rounded, outline, 150)
    middle = outline.mean(axis=0)
    fill(rounded, middle + 0.62 * (outline - middle), 255)
