"""Masks over mouth and nose: surgical, N95, of cloth, and slipped ones."""

from __future__ import annotations

import numpy as np

from spiralage.occlusion.occluders.cloth import painted, patterned, wrinkles
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
    shape,
    smooth,
)
from spiralage.types import Doubles, Floats, Pixels

SURGICAL: list[Colour] = [
    (140, 190, 220), (120, 180, 215), (165, 205, 225), (232, 236, 238), (240, 240, 236), (38, 40, 46),
    (170, 210, 190), (236, 190, 200), (190, 190, 215), (110, 150, 200),
]  # fmt: skip


def surgical_mask(landmarks: Doubles, rng: np.random.Generator) -> Cover:
    """A pleated mask from the bridge of the nose round the jaw, with ear loops; light blue, white, black and others."""
    frame = face_frame(landmarks)
    return _surgical(frame, frame.between(28, rng.uniform(0, 1), 29), rng.uniform(0, 1), rng)


def slipped_mask(landmarks: Doubles, rng: np.random.Generator) -> Cover:
    """A surgical mask that has slipped under the nose, or (one of three) under the mouth: it hides no nose."""
    frame = face_frame(landmarks)
    if rng.random() < 2 / 3:
        return _surgical(frame, frame.between(33, rng.uniform(0.3, 0.8), 51), rng.uniform(1, 1.7), rng)
    return _surgical(frame, frame.between(57, rng.uniform(0.1, 0.5), 8), rng.uniform(2, 2.6), rng)


def _surgical(frame: FaceFrame, top: Doubles, height: float, rng: np.random.Generator) -> Cover:
    """A surgical mask by its highest point and by how far down the jaw its upper corners are, in landmarks from 1."""
    points = frame.points
    corner, rest = int(1 + height), (1 + height) % 1
    left, right = frame.between(corner, rest, corner + 1), frame.between(16 - corner, rest, 15 - corner)
    loose, low = rng.uniform(1.0, 1.07), rng.uniform(1.02, 1.12)
    jaw = points[corner + 2 : 15 - corner]
    wide = np.linspace(-1, 1, len(jaw))[:, None] ** 2
    chin = points[30] + (jaw - points[30]) * (loose * wide + low * (1 - wide))
    sag = frame.step(0, rng.uniform(-0.03, 0.05))
    cheeks = [a + share * (top - a) + sag * (1 - share) for a in (left, right) for share in (0.45, 0.8)]
    outline = np.stack([left, left, *chin, right, right, cheeks[2], cheeks[3], top, cheeks[1], cheeks[0]])
    cover = shape(smooth(outline))
    light, falls = light_on(frame, rng)
    colour = pick(rng, SURGICAL, 8)
    shade = light * (1 + _pleats(frame, left, right, top, chin, rng))
    picture = painted(colour, shade, rng, grain=rng.uniform(1, 3))
    thread: Colour = (214, 214, 212) if rng.random() < 0.6 else colour
    _ear_loops(picture, cover, frame, [left, right], [chin[0], chin[-1]], thread, rng.uniform(1.6, 2.6))
    return soft_cover(picture, cover, shadow=rng.uniform(0.25, 0.6), light=falls, look=in_its_light)


def _pleats(
    frame: FaceFrame, left: Doubles, right: Doubles, top: Doubles, chin: Doubles, rng: np.random.Generator
) -> Floats:
    """Light and shade of two to four pleats from side to side, of the nose wire, the hems, and of wrinkles."""
    creases = canvas()
    bottom = chin[len(chin) // 2]
    count = int(rng.integers(2, 5))
    width = max(1.5, 0.02 * frame.unit)
    for height in np.linspace(0.32, 0.78, count) + rng.normal(0, 0.02, count):
        ends = [side + height * (low - side) for side, low in ((left, chin[0]), (right, chin[-1]))]
        middle = top + (0.1 + 0.72 * height) * (bottom - top)
        inner = [end + 0.5 * (middle - end) + frame.step(0, rng.normal(0.03, 0.015)) for end in ends]
        line(creases, smooth(np.stack([ends[0], inner[0], middle, inner[1], ends[1]]), closed=False), width)
    wire = [top + 0.35 * (side - top) + frame.step(0, 0.07) for side in (left, right)]
    line(creases, smooth(np.stack([wire[0], top + frame.step(0, 0.06), wire[1]]), closed=False), width, 160)
    u, v = frame.coordinates()
    bent = v - np.float32(0.12) * (u - np.float32(frame.middle)) ** 2
    folds = wrinkles(u, bent, rng, across=rng.uniform(3, 6), along=2.5, depth=rng.uniform(0.08, 0.2))
    pleats: Floats = np.clip(relief(creases, 1.6) * np.float32(rng.uniform(0.15, 0.32)), -0.22, 0.06)
    return pleats + folds


def _ear_loops(
    picture: Pixels,
    cover: Pixels,
    frame: FaceFrame,
    upper: list[Doubles],
    lower: list[Doubles],
    colour: Colour,
    width: float,
) -> None:
    """Cords from the mask's corners to the ears, in place."""
    for side, (high, low, jaw) in enumerate(zip(upper, lower, (0, 16), strict=True)):
        out = -1 if side == 0 else 1
        ear = frame.points[jaw]
        for start, end in ((high, ear + frame.step(0.1 * out, 0.02)), (low, ear + frame.step(0.1 * out, 0.42))):
            start = start - frame.step(0.05 * out, 0)  # from within the mask
            bow = (start + end) / 2 + frame.step(0.02 * out, 0.03)
            cord = smooth(np.stack([start, bow, end]), closed=False)
            line(picture, cord, width, colour)
            line(cover, cord, width)


def n95_mask(landmarks: Doubles, rng: np.random.Generator) -> Cover:
    """A stiff mask: a cup, a duckbill or a folded one, with straps round the head and often a valve."""
    frame = face_frame(landmarks)
    points = frame.points
    top = frame.between(27, rng.uniform(0.6, 1), 28) + frame.step(0, 0.03)
    wide = rng.uniform(0.15, 0.4)  # how far the sides stay from the jaw
    sides = [
        [frame.between(jaw, wide * share, 33) for jaw, share in zip(row, (1, 0.9, 0.7, 0.4), strict=True)]
        for row in ((2, 3, 4, 5), (14, 13, 12, 11))
    ]
    under = points[30] + (points[[7, 8, 9]] - points[30]) * rng.uniform(1.0, 1.08)
    wings = [frame.between(wing, 0.3, jaw) - frame.step(0, rng.uniform(0.12, 0.2)) for wing, jaw in ((31, 2), (35, 14))]
    outline = np.stack([top, wings[0], *sides[0], *under, *sides[1][::-1], wings[1]])
    cover, (light, falls) = shape(smooth(outline)), light_on(frame, rng)
    colour = pick(rng, [(236, 236, 232), (240, 240, 240), (226, 222, 210), (50, 52, 56), (150, 190, 215)], 6)
    picture = painted(colour, light * (1 + _seams(frame, sides, top, under[1], rng)), rng, grain=rng.uniform(1, 3))
    if rng.random() < 0.45:
        _valve(picture, frame, colour, rng)
    strap = pick(rng, [(215, 205, 170), (220, 220, 220), (180, 50, 44), (40, 40, 44)], 6)
    for out, side, jaw in ((-1, sides[0], 0), (1, sides[1], 16)):
        for start, end in (
            (side[0], points[jaw] + frame.step(0.2 * out, -0.2)),
            (side[2], points[jaw] + frame.step(0.2 * out, 0.55)),
        ):
            for on, value in ((picture, strap), (cover, 255)):
                line(on, np.stack([start - frame.step(0.06 * out, 0), end]), max(3, 0.045 * frame.unit), value)
    return soft_cover(picture, cover, shadow=rng.uniform(0.3, 0.6), light=falls, look=in_its_light)


def _seams(
    frame: FaceFrame, sides: list[list[Doubles]], top: Doubles, bottom: Doubles, rng: np.random.Generator
) -> Floats:
    """The light on a stiff mask: it stands out from the face, with a seam across, one down, or a rim."""
    u, v = frame.coordinates()
    a, b = (u - np.float32(frame.middle)) / np.float32(0.95), (v - np.float32(0.95)) / np.float32(0.95)
    shade = np.float32(0.12) - np.float32(0.3) * np.clip(a * a + b * b, 0, 1.3)
    creases, width = canvas(), max(2, 0.025 * frame.unit)
    nose = frame.points[33] + frame.step(0, rng.uniform(0.05, 0.25))
    kind = rng.integers(3)
    if kind == 0:  # folded: a ridge from top to bottom; its sides differ
        line(
            creases,
            smooth(np.stack([top, nose + frame.step(rng.uniform(-0.04, 0.04), 0), bottom]), closed=False),
            width,
        )
        shade = shade + np.float32(rng.choice([-0.1, 0.1])) * np.tanh((u - np.float32(frame.middle)) * 12)
    elif kind == 1:  # a duckbill: a seam from side to side, dark below
        line(creases, smooth(np.stack([sides[0][1], nose + frame.step(0, 0.15), sides[1][1]]), closed=False), width)
        shade = shade - np.float32(0.12) * (np.tanh((v - np.float32(0.98)) * 10) + 1)
    else:  # a cup: a rim within its edge
        ring = np.stack([top, *sides[0], bottom, *sides[1][::-1]])
        line(creases, smooth(ring.mean(axis=0) + 0.88 * (ring - ring.mean(axis=0))), width)
    dent: Floats = np.clip(relief(creases, 1.6) * np.float32(0.35), -0.25, 0.15)
    whole: Floats = shade + dent + wrinkles(u, v, rng, across=4, along=4, depth=rng.uniform(0.02, 0.07))
    return whole


def _valve(picture: Pixels, frame: FaceFrame, colour: Colour, rng: np.random.Generator) -> None:
    """A round valve with slits beside the mouth, or in its middle, in place."""
    centre = frame.points[33] + frame.step(rng.choice([-0.35, 0, 0.35]), rng.uniform(0.2, 0.4))
    radius = frame.unit * rng.uniform(0.12, 0.18)
    angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    ring = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    dark, bright = (tuple(int(c * factor) for c in colour) for factor in (0.6, 0.94))
    fill(picture, centre + ring * radius + frame.step(0.01, 0.02), dark)  # type: ignore[arg-type]
    fill(picture, centre + ring * radius, bright)  # type: ignore[arg-type]
    for row in (-0.4, 0, 0.4):
        slit = np.stack(
            [centre + frame.step(side * 0.55 * radius / frame.unit, row * radius / frame.unit) for side in (-1, 1)]
        )
        line(picture, slit, max(1, 0.1 * radius), dark)  # type: ignore[arg-type]


def cloth_mask(landmarks: Doubles, rng: np.random.Generator) -> Cover:
    """A sewn mask that tapers to the ears, plain or striped, checked, dotted, printed; often with a seam."""
    frame = face_frame(landmarks)
    points = frame.points
    top = frame.between(28, rng.uniform(0, 1), 29)
    corners = [frame.between(a, rng.uniform(0.2, 0.8), b) for a, b in ((1, 2), (15, 14))]
    jaw = points[[4, 5, 6, 7, 8, 9, 10, 11, 12]]
    chin = points[30] + (jaw - points[30]) * rng.uniform(1.0, 1.07)
    cheeks = [a + 0.55 * (top - a) + frame.step(0, rng.uniform(-0.02, 0.05)) for a in corners]
    lows = [frame.between(a, rng.uniform(0, 0.8), b) for a, b in ((2, 3), (14, 13))]
    outline = np.stack([corners[0], lows[0], *chin, lows[1], corners[1], cheeks[1], top, top, cheeks[0]])
    cover, (light, falls) = shape(smooth(outline)), light_on(frame, rng)
    creases, width = canvas(), max(1.5, 0.018 * frame.unit)
    if rng.random() < 0.6:
        line(creases, smooth(np.stack([top, points[33] + frame.step(0, 0.2), chin[4]]), closed=False), width)
    hem = outline.mean(axis=0) + 0.95 * (outline - outline.mean(axis=0))
    line(creases, smooth(hem), 1, 130)
    u, v = frame.coordinates()
    bent = v - np.float32(0.25) * np.abs(u - np.float32(frame.middle))
    folds = wrinkles(u, bent, rng, across=rng.uniform(3, 6), along=1.5, depth=rng.uniform(0.08, 0.25))
    shade = light * (1 + np.clip(relief(creases, 1.4) * np.float32(0.4), -0.3, 0.1) + folds)
    picture = painted(patterned(frame, rng), shade, rng, grain=rng.uniform(2, 5))
    loop = pick(rng, [(214, 214, 212), (30, 30, 34)], 6)
    _ear_loops(picture, cover, frame, corners, lows, loop, rng.uniform(1.8, 3.4))
    return soft_cover(picture, cover, shadow=rng.uniform(0.25, 0.6), light=falls, look=in_its_light)
