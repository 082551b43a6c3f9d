"""How cloth looks: its colours and patterns, wrinkles, grain, and the light on it."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from spiralage.occlusion.occluders.drawing import Colour, FaceFrame, pick
from spiralage.types import CROP_SIZE, Floats, Pixels

COLOURS: list[Colour] = [
    (28, 28, 32), (60, 64, 72), (228, 226, 222), (36, 52, 98), (120, 28, 36), (196, 170, 132),
    (40, 88, 66), (150, 140, 160), (208, 120, 130), (90, 70, 54), (70, 130, 170), (210, 180, 60),
]  # fmt: skip
"""What cloth is dyed in, RGB."""


def plain(u: Floats, v: Floats, rng: np.random.Generator) -> Floats:
    """No pattern."""
    return np.zeros_like(u)


def stripes(u: Floats, v: Floats, rng: np.random.Generator) -> Floats:
    """Stripes in some direction."""
    angle, period = rng.uniform(0, np.pi), rng.uniform(0.09, 0.32)
    phase = u * np.float32(np.cos(angle) / period) + v * np.float32(np.sin(angle) / period)
    return _sharp(np.sin(phase * np.float32(2 * np.pi)), rng.uniform(-0.4, 0.4))


def checks(u: Floats, v: Floats, rng: np.random.Generator) -> Floats:
    """Two sets of stripes that cross."""
    period = np.float32(2 * np.pi / rng.uniform(0.12, 0.4))
    return (_sharp(np.sin(u * period), 0.0) + _sharp(np.sin(v * period), 0.0)) * np.float32(0.5)


def dots(u: Floats, v: Floats, rng: np.random.Generator) -> Floats:
    """Dots on a slanted grid."""
    period, size = np.float32(2 * np.pi / rng.uniform(0.1, 0.3)), rng.uniform(0.8, 1.4)
    return _sharp(np.cos((u + v) * period) + np.cos((u - v) * period), size)


def print_of_noise(u: Floats, v: Floats, rng: np.random.Generator) -> Floats:
    """Blots, as of camouflage or flowers."""
    size = int(rng.integers(8, 28))
    blots = cv2.resize(
        rng.standard_normal((size, size), np.float32), (CROP_SIZE, CROP_SIZE), interpolation=cv2.INTER_CUBIC
    )
    return _sharp(blots, rng.uniform(-0.2, 0.6))  # type: ignore[arg-type]


def _sharp(wave: Floats, threshold: float) -> Floats:
    """1 where a wave is above a threshold, 0 below, with a soft step."""
    step: Floats = np.clip((wave - np.float32(threshold)) * np.float32(4) + np.float32(0.5), 0, 1)
    return step


PATTERNS: list[Callable[[Floats, Floats, np.random.Generator], Floats]] = [plain, stripes, checks, dots, print_of_noise]


def wrinkles(u: Floats, v: Floats, rng: np.random.Generator, *, across: float, along: float, depth: float) -> Floats:
    """Random folds: light and shade of a crumpled height map that is stretched in one direction.

    Args:
        u, v: coordinates that the folds follow, (256, 256) float32.
        rng: draws the folds.
        across, along: how many of them fit a unit of v and of u.
        depth: how dark they get, a part of the light.

    Returns:
        (256, 256) float32 around 0.
    """
    heights = rng.standard_normal((32, 32), np.float32)
    x, y = u[::2, ::2] * np.float32(along) + np.float32(16), v[::2, ::2] * np.float32(across) + np.float32(12)
    sampled = cv2.remap(heights, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    height = cv2.GaussianBlur(sampled, (7, 7), 1.2)
    slope = np.zeros_like(height)
    slope[1:-1, 1:-1] = height[2:, 2:] - height[:-2, :-2]  # lit from a corner: folds of all directions show
    steepest = max(1e-3, float(np.abs(slope).max()))
    return cv2.resize(slope * np.float32(depth / steepest), (CROP_SIZE, CROP_SIZE))  # type: ignore[return-value]


def painted(colour: Colour | Floats, light: Floats, rng: np.random.Generator, *, grain: float = 3.0) -> Pixels:
    """A colour, or a picture (256, 256, 3) float32, in some light, with fine grain; (256, 256, 3) uint8 RGB."""
    noise = np.frombuffer(rng.bytes(CROP_SIZE * CROP_SIZE), np.uint8).reshape(CROP_SIZE, CROP_SIZE).astype(np.float32)
    noise = (noise - np.float32(127.5)) * np.float32(grain / 74)  # 74: the standard deviation of bytes
    if isinstance(colour, tuple):
        lit = [cv2.addWeighted(light, c, noise, 1, 0, dtype=cv2.CV_8U) for c in colour]
    else:
        lit = [cv2.add(cv2.multiply(channel, light), noise, dtype=cv2.CV_8U) for channel in cv2.split(colour)]
    return cv2.merge(lit)  # type: ignore[return-value]


def patterned(frame: FaceFrame, rng: np.random.Generator) -> Colour | Floats:
    """Cloth of one colour, or two in a pattern that bends round the face; for ``painted``."""
    first, second = pick(rng, COLOURS), pick(rng, COLOURS)
    number = int(rng.choice(len(PATTERNS), p=[0.4, 0.15, 0.15, 0.15, 0.15]))
    if number == 0:
        return first
    u, v = frame.coordinates()
    bent = np.arcsin(np.clip((u - np.float32(frame.middle)) / np.float32(1.5), -1, 1)) * np.float32(1.5)
    share = PATTERNS[number](bent, v + np.float32(0.15) * bent * bent, rng)
    return cv2.merge([np.float32(a) + share * np.float32(b - a) for a, b in zip(first, second, strict=True)])  # type: ignore[return-value]
