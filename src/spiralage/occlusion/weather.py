"""What a camera and the web do to a picture: coarseness, blur, noise, dim or bright light, JPEG."""

from __future__ import annotations

import cv2
import numpy as np

from spiralage.types import Pixels


def weather(picture: Pixels, rng: np.random.Generator, *, strength: float = 1.0) -> Pixels:
    """A picture as a worse camera would have taken and a website have kept it.

    Each of these by chance: fewer pixels, blur, light, noise, JPEG. For trainings: face and occluder go through it
    together, so that neither is known by being cleaner than the other. Nothing moves: masks and landmarks still hold.

    Args:
        picture: (height, width, 3) uint8 RGB.
        rng: draws what happens.
        strength: 0 leaves it as it is; 1 reaches what is found in small or old photos.

    Returns:
        A new picture of the same size.

    >>> grey = np.full((8, 8, 3), 128, np.uint8)
    >>> weather(grey, np.random.default_rng(0)).shape
    (8, 8, 3)
    >>> bool((weather(grey, np.random.default_rng(0), strength=0) == grey).all())
    True
    """
    if strength <= 0:
        return picture.copy()
    steps = (
        (0.25, _fewer_pixels),
        (0.35, _blur),
        (0.5, _light),
        (0.4, _noise),
        (0.5, _jpeg),
    )
    for chance, step in steps:
        if rng.random() < chance * min(strength, 1.0):
            picture = step(picture, rng, strength)
    return picture.copy()


def _fewer_pixels(picture: Pixels, rng: np.random.Generator, strength: float) -> Pixels:
    height, width = picture.shape[:2]
    part = 1 / (1 + strength * rng.uniform(0.2, 2.0))
    small = cv2.resize(
        picture, (max(1, round(width * part)), max(1, round(height * part))), interpolation=cv2.INTER_AREA
    )
    ways = (cv2.INTER_LINEAR, cv2.INTER_CUBIC)
    return _bytes(cv2.resize(small, (width, height), interpolation=ways[int(rng.integers(2))]))


def _blur(picture: Pixels, rng: np.random.Generator, strength: float) -> Pixels:
    """Out of focus or, one of three times, moved."""
    if rng.random() < 2 / 3:
        return _bytes(cv2.GaussianBlur(picture, (0, 0), 0.3 + strength * rng.uniform(0, 1.5)))
    length, angle = 3 + 2 * int(strength * rng.uniform(0, 3)), rng.uniform(0, np.pi)
    kernel = np.zeros((length, length), np.float32)
    middle = (length - 1) / 2
    reach = middle * np.array([np.cos(angle), np.sin(angle)])
    start, end = (np.rint(middle + side * reach).astype(int).tolist() for side in (-1, 1))
    cv2.line(kernel, start, end, (1.0,))
    return _bytes(cv2.filter2D(picture, -1, kernel / kernel.sum()))


def _light(picture: Pixels, rng: np.random.Generator, strength: float) -> Pixels:
    """Exposure, contrast and the colour of the light."""
    gain = np.exp(rng.normal(0, 0.12 * strength) + rng.normal(0, 0.03 * strength, 3))
    lift = rng.normal(0, 8 * strength)
    table = np.arange(256)[:, None] * gain + lift
    return _bytes(cv2.LUT(picture, np.clip(np.rint(table), 0, 255).astype(np.uint8)[None]))


def _noise(picture: Pixels, rng: np.random.Generator, strength: float) -> Pixels:
    height, width = picture.shape[:2]
    channels = 1 if rng.random() < 0.5 else 3
    noise = rng.standard_normal((height, width, channels), np.float32) * np.float32(strength * rng.uniform(1, 10))
    return np.clip(np.rint(picture + noise), 0, 255).astype(np.uint8)


def _jpeg(picture: Pixels, rng: np.random.Generator, strength: float) -> Pixels:
    quality = int(np.clip(95 - strength * rng.uniform(0, 70), 5, 95))
    _, data = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.ascontiguousarray(_bytes(cv2.imdecode(data, cv2.IMREAD_COLOR))[..., ::-1])


def _bytes(picture: object) -> Pixels:
    """OpenCV's types don't tell that what comes from bytes is bytes."""
    return np.asarray(picture, np.uint8)
