"""Tools that occluders are drawn with: a face's own coordinates, smooth outlines, anti-aliased shapes, light.

Outlines are (n, 2) float64, (x, y) in crop pixels. Shapes are drawn on canvases, (256, 256) uint8 in 255ths.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from spiralage.types import CROP_SIZE, Doubles, Floats, Pixels

FARTHEST = 8 * CROP_SIZE
"""Nothing is drawn farther off the crop, pixels: OpenCV counts in int32."""
_SHIFT = 4
"""Points are drawn at 16ths of a pixel."""

Colour: TypeAlias = tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class FaceFrame:
    """A face's own coordinates: u along its eyes, v towards its chin, in units of its size; (0, 0) is between them.

    In the mean face the eyes are at u = ∓0.5, the jaw reaches u = ∓1.1, the mouth is at v = 1.1, the chin at v = 1.8.

    Args:
        points: (68, 2) float64, (x, y) in crop pixels.
        origin: the middle of the eyes.
        right, down: unit vectors.
        unit: pixels; the distance of the eyes, or more where a turned head brings them together.
    """

    points: Doubles
    origin: Doubles
    right: Doubles
    down: Doubles
    unit: float

    def at(self, u: float, v: float) -> Doubles:
        """A place in crop pixels, (2,) float64."""
        place: Doubles = self.origin + self.unit * (u * self.right + v * self.down)
        return place

    def step(self, u: float, v: float) -> Doubles:
        """A way in crop pixels, (2,) float64."""
        return self.at(u, v) - self.origin

    def between(self, first: float, share: float, second: float) -> Doubles:
        """A place between two landmarks, by their numbers."""
        a, b = self.points[int(first)], self.points[int(second)]
        way: Doubles = a + share * (b - a)
        return way

    @cached_property
    def middle(self) -> float:
        """u of the nose's tip: 0 in a face that looks straight ahead."""
        return float(np.clip(self._inverse(self.points[30])[0], -1, 1))

    def _inverse(self, point: Doubles) -> Doubles:
        way = (point - self.origin) / self.unit
        return np.array([way @ self.right, way @ self.down])

    def coordinates(self, size: int = CROP_SIZE) -> tuple[Floats, Floats]:
        """u and v of every pixel of the crop, or of a smaller copy of it: (size, size) float32 each."""
        axis = (np.arange(size, dtype=np.float32) + 0.5) * np.float32(CROP_SIZE / size) - 0.5
        x, y = axis - np.float32(self.origin[0]), axis - np.float32(self.origin[1])

        def along(way: Doubles) -> Floats:
            a, b = (way / self.unit).astype(np.float32)
            values: Floats = (a * x)[None, :] + (b * y)[:, None]
            return values

        return along(self.right), along(self.down)


def face_frame(landmarks: Doubles) -> FaceFrame:
    """The frame of a face with these landmarks, (68, 2); whatever they are, it is finite and not degenerate."""
    points = np.nan_to_num(landmarks, nan=0.0, posinf=FARTHEST, neginf=-FARTHEST).clip(-FARTHEST, FARTHEST)
    eyes = points[36:42].mean(axis=0), points[42:48].mean(axis=0)
    way = eyes[1] - eyes[0]
    distance = float(np.hypot(*way))
    right = way / distance if distance > 1 else np.array([1.0, 0.0])
    origin = (eyes[0] + eyes[1]) / 2
    height = float(np.hypot(*(points[48:60].mean(axis=0) - origin)))
    unit = float(np.clip(max(distance, 0.8 * height), 8, CROP_SIZE))
    return FaceFrame(points, origin, right, np.array([-right[1], right[0]]), unit)


def smooth(points: Doubles, *, closed: bool = True, steps: int = 8) -> Doubles:
    """A Catmull–Rom curve through points, (n, 2); a point that is given twice stays a corner."""
    if closed:
        before, first, second, after = (np.roll(points, -shift, axis=0) for shift in (-1, 0, 1, 2))
    else:
        padded = np.concatenate([points[:1], points, points[-1:]])
        before, first, second, after = padded[:-3], padded[1:-2], padded[2:-1], padded[3:]
    t = np.linspace(0, 1, steps, endpoint=False)[None, :, None]
    before, first, second, after = (p[:, None, :] for p in (before, first, second, after))
    curve = (
        2 * first
        + (second - before) * t
        + (2 * before - 5 * first + 4 * second - after) * t**2
        + (3 * first - before - 3 * second + after) * t**3
    ) / 2
    curve = curve.reshape(-1, 2)
    return curve if closed else np.concatenate([curve, points[-1:]])


def canvas() -> Pixels:
    """An empty one."""
    return np.zeros((CROP_SIZE, CROP_SIZE), np.uint8)


def fixed(points: Doubles) -> npt.NDArray[np.int32]:
    """Points in the fixed-point numbers that OpenCV draws with."""
    whole: npt.NDArray[np.int32] = np.rint(points.clip(-FARTHEST, FARTHEST) * (1 << _SHIFT)).astype(np.int32)
    return whole


def fill(on: Pixels, outline: Doubles, value: int | Colour = 255) -> Pixels:
    """Fill an outline, in place."""
    colour = value if isinstance(value, tuple) else (value,)
    cv2.fillPoly(on, [fixed(outline)], colour, cv2.LINE_AA, _SHIFT)
    return on


def shape(outline: Doubles) -> Pixels:
    """A filled outline on a canvas of its own."""
    return fill(canvas(), outline)


def line(on: Pixels, points: Doubles, width: float, value: int | Colour = 255) -> Pixels:
    """Draw a line of some pixels' width, in place."""
    colour = value if isinstance(value, tuple) else (value,)
    cv2.polylines(
        on, [fixed(points)], False, colour, int(np.clip(round(width), 1, CROP_SIZE // 2)), cv2.LINE_AA, _SHIFT
    )
    return on


def blurred(on: Pixels, radius: float) -> Floats:
    """A canvas as float32 in [0, 1], blurred with a standard deviation of some pixels."""
    small: Floats = cv2.GaussianBlur(on, (0, 0), max(radius, 0.3)).astype(np.float32)
    return small / np.float32(255)


def relief(lines: Pixels, radius: float) -> Floats:
    """What creases do to the light: dark on one side of each line, bright on the other; (256, 256) float32 around 0."""
    height = cv2.GaussianBlur(lines, (0, 0), radius)
    slope = np.zeros((CROP_SIZE, CROP_SIZE), np.float32)
    slope[2:-1] = cv2.subtract(height[:-3], height[3:], dtype=cv2.CV_32F) * np.float32(radius / 255)
    return slope


def light_on(frame: FaceFrame, rng: np.random.Generator) -> tuple[Floats, tuple[float, float]]:
    """Light from a random side, mostly from above, on the face's rough shape, an ellipsoid.

    Returns:
        How bright each pixel is, (256, 256) float32 about 1; and where shadows fall to, (x, y).
    """
    x, y = rng.uniform(-0.8, 0.8), rng.uniform(-0.7, 0.1)
    u, v = frame.coordinates(32)
    a, b = (u - np.float32(0.6 * frame.middle)) / np.float32(1.4), (v - np.float32(0.7)) / np.float32(1.7)
    c = np.sqrt(np.maximum(1 - a * a - b * b, np.float32(0.05)))
    towards = (a * np.float32(x) + b * np.float32(y) + c) / np.sqrt(
        (a * a + b * b + c * c) * np.float32(x * x + y * y + 1)
    )
    bright = np.float32(0.5) + np.float32(0.55) * np.maximum(towards, 0)
    whole: Floats = cv2.resize(bright, (CROP_SIZE, CROP_SIZE)).astype(np.float32, copy=False)
    return whole, (-x, min(1.0, 0.3 - y))


def vary(colour: Colour, rng: np.random.Generator, by: float = 14) -> Colour:
    """A colour near another."""
    r, g, b = (
        np.clip(np.array(colour) + rng.normal(0, by * 0.6, 3) + rng.normal(0, by), 6, 250).round().astype(int).tolist()
    )
    return r, g, b


def pick(rng: np.random.Generator, colours: list[Colour], by: float = 10) -> Colour:
    """One of some colours, or nearly."""
    return vary(colours[int(rng.integers(len(colours)))], rng, by)
