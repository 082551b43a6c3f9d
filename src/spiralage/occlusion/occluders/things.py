"""Things in front of a face: mug, phone, bars with and without words, mosaics."""

from __future__ import annotations

from functools import partial

import cv2
import numpy as np

from spiralage.occlusion.occluders.cloth import painted
from spiralage.occlusion.occluders.cover import Cover, in_its_light, soft_cover
from spiralage.occlusion.occluders.drawing import (
    Colour,
    canvas,
    face_frame,
    fill,
    light_on,
    line,
    pick,
    shape,
    smooth,
)
from spiralage.types import CROP_SIZE, Doubles, Floats, Pixels


def _box(centre: Doubles, along: Doubles, down: Doubles, corner: float = 0.0) -> Doubles:
    """A rectangle's outline from its middle and its half sides; corners are rounded by a share of the shorter side."""
    if corner == 0:
        return np.stack([centre + x * along + y * down for x, y in ((-1, -1), (1, -1), (1, 1), (-1, 1))])
    wide, high = float(np.hypot(*along)), float(np.hypot(*down))
    radius = corner * min(wide, high)
    a, b = 1 - radius / max(wide, 1e-6), 1 - radius / max(high, 1e-6)
    angles = np.linspace(0, np.pi / 2, 5)
    points = []
    for turn, (x, y) in enumerate(((1, 1), (-1, 1), (-1, -1), (1, -1))):
        for angle in angles + turn * np.pi / 2:
            points.append(centre + along * (a * x + np.cos(angle) * (1 - a)) + down * (b * y + np.sin(angle) * (1 - b)))
    return np.stack(points)


def cup(landmarks: Doubles, rng: np.random.Generator) -> Cover:
    """A mug at the mouth, with its rim, its handle at one side, and sometimes a band of another colour."""
    frame = face_frame(landmarks)
    tilt, size = rng.uniform(-0.3, 0.3), rng.uniform(0.8, 1.2)
    along, down = (size * frame.step(*way) for way in ((np.cos(tilt), np.sin(tilt)), (-np.sin(tilt), np.cos(tilt))))
    centre = frame.at(rng.uniform(-0.15, 0.15) + 0.6 * frame.middle, rng.uniform(1.15, 1.45))
    half, tall, narrow = rng.uniform(0.42, 0.55), rng.uniform(0.45, 0.65), rng.uniform(0.75, 1.0)
    angles = np.linspace(0, np.pi, 14)
    rim = np.stack([centre - tall * down + half * np.cos(a) * along - 0.12 * np.sin(a) * down for a in angles])
    base = np.stack([centre + tall * down + narrow * half * np.cos(a) * along + 0.1 * np.sin(a) * down for a in angles])
    cover = shape(np.concatenate([rim, base[::-1]]))
    out = rng.choice([-1, 1])
    bow = [
        centre + out * half * x * along + tall * y * down
        for x, y in ((0.9, -0.6), (1.45, -0.5), (1.5, 0.2), (0.9, 0.5))
    ]
    grip = canvas()
    line(grip, smooth(np.stack(bow), closed=False), 0.13 * frame.unit * size)
    np.maximum(cover, grip, out=cover)
    colour = pick(rng, [(238, 236, 230), (30, 32, 40), (180, 30, 36), (40, 90, 150), (220, 190, 60), (70, 110, 80)])
    light, falls = light_on(frame, rng)
    across = _across(centre, along, half)
    round_ = np.sqrt(np.clip(1 - (across + np.float32(rng.uniform(-0.4, 0.4))) ** 2, 0, 1))
    shade = light * (np.float32(0.62) + np.float32(0.48) * round_)
    picture = painted(colour, shade, rng, grain=1.5)
    if rng.random() < 0.5:
        band = [
            centre + x * half * along + y * tall * down
            for x, y in ((-1.2, -0.2), (1.2, -0.2), (1.2, 0.35), (-1.2, 0.35))
        ]
        stripe = shape(np.stack(band))
        stripe = np.where(grip > 0, 0, stripe)
        picture = np.where(stripe[..., None] > 127, painted(pick(rng, _PAINTS), shade, rng, grain=1.5), picture)
    ring = np.concatenate([rim, rim[::-1] + 2 * 0.12 * np.sin(angles[::-1])[:, None] * down])
    fill(picture, ring, tuple(int(c * 0.55) for c in colour))  # type: ignore[arg-type]
    line(picture, np.concatenate([ring, ring[:1]]), 2, tuple(min(255, int(c * 1.1)) for c in colour))  # type: ignore[arg-type]
    np.maximum(cover, shape(ring), out=cover)
    return soft_cover(picture, cover, shadow=rng.uniform(0.3, 0.6), light=falls, look=in_its_light)


_PAINTS: list[Colour] = [(200, 40, 40), (40, 70, 140), (250, 200, 60), (20, 20, 24), (240, 240, 240), (60, 130, 90)]


def _across(centre: Doubles, along: Doubles, half: float) -> Floats:
    """How far to the side of a thing's middle every pixel is: −1 to 1 within it, (256, 256) float32."""
    axis = np.arange(CROP_SIZE, dtype=np.float32)
    x, y = (along / max(float(along @ along) * half, 1e-6)).astype(np.float32)
    share: Floats = x * (axis - np.float32(centre[0]))[None, :] + y * (axis - np.float32(centre[1]))[:, None]
    return share


def phone(landmarks: Doubles, rng: np.random.Generator) -> Cover:
    """A phone in front of a cheek, an eye or the mouth: its back with lenses, or its dark glass."""
    frame = face_frame(landmarks)
    tilt = rng.normal(0, 0.35) + (np.pi / 2 if rng.random() < 0.3 else 0)
    size = rng.uniform(0.9, 1.3)
    along, down = (size * frame.step(*way) for way in ((np.cos(tilt), np.sin(tilt)), (-np.sin(tilt), np.cos(tilt))))
    along, down = 0.42 * along, 0.85 * down
    centre = frame.at(rng.uniform(-0.7, 0.7), rng.uniform(0.2, 1.4))
    case = _box(centre, along, down, 0.25)
    cover, (light, falls) = shape(case), light_on(frame, rng)
    colour = pick(rng, [(20, 20, 24), (235, 235, 238), (180, 160, 150), (60, 80, 110), (200, 60, 70), (210, 190, 160)])
    across = _across(centre, along + down, 1.0)
    picture = painted(colour, light * (np.float32(0.9) + np.float32(0.12) * across), rng, grain=1.5)
    edge: Colour = tuple(int(c * 0.6) for c in colour)  # type: ignore[assignment]
    line(picture, np.concatenate([case, case[:1]]), 3, edge)
    if rng.random() < 0.5:  # its glass
        fill(picture, _box(centre, 0.92 * along, 0.95 * down, 0.2), (14, 15, 20))
        gleam = [centre + x * along + y * down for x, y in ((-0.9, -0.9), (0.2, -0.9), (-0.9, 0.3))]
        fill(picture, np.stack(gleam), (38, 42, 52))
    else:
        eye = centre - 0.5 * along - 0.72 * down
        fill(picture, _box(eye, 0.36 * along, 0.2 * down, 0.5), edge)
        for x, y in ((-0.16, -0.09), (0.16, -0.09), (-0.16, 0.09)):
            spot = eye + x * along + y * down
            fill(picture, _box(spot, 0.12 * along, 0.12 * down * 0.42 / 0.85, 1.0), (12, 12, 16))
    return soft_cover(picture, cover, shadow=rng.uniform(0.3, 0.6), light=falls, look=in_its_light)


_WORDS = ("CENSORED", "PRIVATE", "SALE", "NEWS", "2020", "No comment", "HELLO", "breaking", "anonymous", "...")


def bar(landmarks: Doubles, rng: np.random.Generator) -> Cover:
    """A flat bar over the eyes, the mouth or anywhere: black, white or coloured, tilted or level, often with words."""
    frame = face_frame(landmarks)
    u, v = [(0, 0), (0, 1.1), (rng.uniform(-0.8, 0.8), rng.uniform(-0.4, 1.7))][int(rng.choice(3, p=[0.5, 0.2, 0.3]))]
    wide, high = rng.uniform(0.75, 1.6), rng.uniform(0.16, 0.4)
    along, down = (frame.step(wide, 0), frame.step(0, high))
    if rng.random() < 0.4:
        along, down = np.array([wide, 0]) * frame.unit, np.array([0, high]) * frame.unit
    centre = frame.at(u, v)
    outline = _box(centre, along, down)
    colour = (0, 0, 0) if rng.random() < 0.5 else pick(rng, [*_PAINTS, (255, 255, 255)], 20)
    picture = np.empty((CROP_SIZE, CROP_SIZE, 3), np.uint8)
    picture[:] = colour
    if rng.random() < 0.5:
        ink = (255, 255, 255) if sum(colour) < 380 else (0, 0, 0)
        _write(picture, _WORDS[int(rng.integers(len(_WORDS)))], centre, along, down, ink)
    return soft_cover(picture, shape(outline))


def _write(picture: Pixels, words: str, centre: Doubles, along: Doubles, down: Doubles, ink: Colour) -> None:
    """Words that fill a bar, in place."""
    (width, height), _ = cv2.getTextSize(words, cv2.FONT_HERSHEY_DUPLEX, 1.0, 2)
    paper = np.zeros((height + 20, width + 20), np.uint8)
    cv2.putText(paper, words, (10, height + 8), cv2.FONT_HERSHEY_DUPLEX, 1.0, (255,), 2, cv2.LINE_AA)
    scale = min(1.8 * float(np.hypot(*along)) / paper.shape[1], 1.8 * float(np.hypot(*down)) / paper.shape[0])
    x, y = (scale * way / max(float(np.hypot(*way)), 1e-6) for way in (along, down))
    start = centre - x * paper.shape[1] / 2 - y * paper.shape[0] / 2
    placed = cv2.warpAffine(paper, np.stack([x, y, start], axis=1), (CROP_SIZE, CROP_SIZE))
    share = (placed.astype(np.float32) / 255)[..., None]
    picture[:] = (picture + share * (np.array(ink, np.float32) - picture)).astype(np.uint8)


def mosaic(landmarks: Doubles, rng: np.random.Generator) -> Cover:
    """A part of the face, eyes, mouth or all of it, in coarse squares or blurred, as if to make it unknown."""
    frame = face_frame(landmarks)
    place = [
        (0, 0, 0.85, 0.3),
        (0, 1.1, 0.6, 0.4),
        (0, 0.6, 1.05, 1.15),
        (rng.uniform(-0.6, 0.6), rng.uniform(0, 1.4), 0.5, 0.5),
    ]
    u, v, wide, high = place[int(rng.integers(len(place)))]
    size = rng.uniform(0.9, 1.15)
    along, down = frame.step(size * wide, 0), frame.step(0, size * high)
    outline = _box(frame.at(u, v), along, down, float(rng.choice([0.0, 1.0])))
    side, smeared = int(rng.integers(8, 22)), bool(rng.random() < 0.3)
    picture = painted((190, 150, 130), np.ones((CROP_SIZE, CROP_SIZE), np.float32), rng, grain=40)
    return soft_cover(picture, shape(outline), look=partial(coarse, side=side, smeared=smeared))


def coarse(picture: Pixels, crop: Pixels, side: int, smeared: bool) -> Pixels:
    """A ``Look``: the crop itself in squares of some pixels, or blurred as much; the picture doesn't matter."""
    if smeared:
        small = cv2.resize(crop, (64, 64), interpolation=cv2.INTER_AREA)
        return cv2.resize(cv2.GaussianBlur(small, (0, 0), side / 4), (CROP_SIZE, CROP_SIZE))  # type: ignore[return-value]
    count = -(-CROP_SIZE // side)
    small = cv2.resize(crop, (count, count), interpolation=cv2.INTER_AREA)
    return np.repeat(np.repeat(small, side, axis=0), side, axis=1)[:CROP_SIZE, :CROP_SIZE].astype(np.uint8, copy=False)
