"""Cloth that hangs over the lower face: scarf and veil."""

from __future__ import annotations

import numpy as np

from spiralage.occlusion.occluders.cloth import painted, patterned, wrinkles
from spiralage.occlusion.occluders.cover import Cover, in_its_light, soft_cover
from spiralage.occlusion.occluders.drawing import (
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
from spiralage.types import Doubles, Pixels


def scarf(landmarks: Doubles, rng: np.random.Generator) -> Cover:
    """A scarf in thick folds from under the nose, or from the mouth, down to the lower edge of the crop."""
    frame = face_frame(landmarks)
    height = rng.uniform(0, 1)
    middle = frame.between(33, 0.15 + 0.8 * height, 62)
    left, right = frame.between(2, height, 4), frame.between(14, height, 12)
    slant = frame.step(0, rng.uniform(-0.06, 0.06))
    hem = smooth(
        np.stack([left + frame.step(-0.7, 0.25), left - slant, middle, right + slant, right + frame.step(0.7, 0.25)]),
        closed=False,
    )
    cover = shape(_down_from(frame, hem))
    light, falls = light_on(frame, rng)
    creases = canvas()
    line(creases, hem + frame.step(0, 0.09), 0.05 * frame.unit)  # it is rolled at its upper edge
    down = 0.12
    while down < 1.6:
        down += rng.uniform(0.12, 0.35)
        bend = (
            frame.step(0, 1)
            * (0.1 * np.sin(np.linspace(0, np.pi * rng.uniform(0.6, 1.4), len(hem)) + rng.uniform(0, 3)))[:, None]
        )
        line(
            creases, hem + frame.step(0, down) + bend, rng.uniform(0.03, 0.06) * frame.unit, int(rng.integers(120, 256))
        )
    shade = light * (1 + np.clip(relief(creases, 3.0) * np.float32(0.4), -0.45, 0.15))
    u, v = frame.coordinates()
    shade = shade * (1 + wrinkles(u, v - np.float32(0.3) * u * u, rng, across=6, along=2, depth=rng.uniform(0.08, 0.2)))
    if rng.random() < 0.5:  # knitted
        period = np.float32(2 * np.pi / rng.uniform(0.045, 0.08))
        shade = shade * (1 + np.float32(0.08) * np.sin((u + np.float32(0.03) * np.sin(v * period)) * period))
    picture = painted(patterned(frame, rng), shade, rng, grain=rng.uniform(3, 8))
    return soft_cover(picture, cover, shadow=rng.uniform(0.3, 0.6), light=falls, look=in_its_light)


def _down_from(frame: FaceFrame, hem: Doubles) -> Doubles:
    """The outline of what hangs from a line from left to right: below the face, and below the crop, all is cloth."""
    return np.concatenate(
        [hem, [hem[-1] + frame.step(4, 1.2), frame.at(6, 9), frame.at(-6, 9), hem[0] + frame.step(-4, 1.2)]]
    )


def veil(landmarks: Doubles, rng: np.random.Generator) -> Cover:
    """A veil from the nose down in soft vertical folds; two of three times with cloth over hair and forehead too."""
    frame = face_frame(landmarks)
    top = frame.between(28, rng.uniform(0, 1), 30)
    sides = [
        frame.between(a, rng.uniform(0, 1), b) + frame.step(out * 0.12, 0) for a, b, out in ((0, 1, -1), (16, 15, 1))
    ]
    hem = smooth(
        np.stack([sides[0] + frame.step(-0.8, -0.1), sides[0], top, sides[1], sides[1] + frame.step(0.8, -0.1)]),
        closed=False,
    )
    cover = shape(_down_from(frame, hem))
    creases = canvas()
    if rng.random() < 2 / 3:
        _over_hair(cover, creases, frame, rng)
    line(creases, hem + frame.step(0, 0.03), 2, 140)
    light, falls = light_on(frame, rng)
    u, v = frame.coordinates()
    # From the nose the folds spread downwards.
    spread = (u - np.float32(frame.middle)) / (np.float32(0.55) + np.float32(0.35) * np.maximum(v, 0))
    light = light * (1 + wrinkles(v, spread, rng, across=rng.uniform(3, 6), along=0.4, depth=rng.uniform(0.15, 0.35)))
    shade = light * (1 + np.clip(relief(creases, 3.0) * np.float32(0.4), -0.4, 0.15))
    colour = pick(rng, [(22, 22, 26), (26, 26, 30), (40, 42, 60), (90, 84, 92), (225, 220, 212), (150, 130, 110)])
    picture = painted(colour, shade, rng, grain=rng.uniform(1.5, 3))
    return soft_cover(picture, cover, shadow=rng.uniform(0.3, 0.6), light=falls, look=in_its_light)


def _over_hair(cover: Pixels, creases: Pixels, frame: FaceFrame, rng: np.random.Generator) -> None:
    """Cloth round the upper face, in place: an oval from the forehead down stays free."""
    wide, high = rng.uniform(1.0, 1.15), rng.uniform(0.5, 0.75)
    angles = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    oval = np.stack([frame.at(0.6 * frame.middle + wide * np.cos(a), 0.35 + (high + 0.35) * np.sin(a)) for a in angles])
    hood = fill(np.full_like(cover, 255), oval, 0)
    np.maximum(cover, hood, out=cover)
    upper = oval[20:]
    line(creases, oval.mean(axis=0) + 1.05 * (upper - oval.mean(axis=0)), 0.04 * frame.unit)
