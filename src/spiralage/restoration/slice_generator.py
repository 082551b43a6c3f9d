"""SliceGAN through ONNX, and the walk of the spiral on crops: imagine, then grow what is visible slice by slice.

The networks stand in ONNX files; the walk is NumPy's, so any engine behind ``runtime.py`` walks the same way.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from spiralage.errors import ModelFileError, NetworkError
from spiralage.occlusion.window import Window, largest_window
from spiralage.restoration.spiral import Step, grow
from spiralage.runtime import BATCH, Engine, Inputs, Session, open_session
from spiralage.store import StoredNetwork, resolve
from spiralage.types import CROP_SIZE, Floats, Mask, Pixels

MULTIPLE, SMALLEST = 4, 12
"""The networks halve twice: heights and widths are brought to multiples of 4, and to 12 at least."""

Style: TypeAlias = tuple[npt.NDArray[Any], ...]
"""What the context network makes of the visible window, once per picture: one array, or several."""


class SliceGenerator(Protocol):
    """Makes slices. Pictures are (N, 3, height, width) float32 RGB in [0, 1].

    ``frame`` is the side of the pictures that it knows and ``thickness`` that of its slices, pixels; ``networks``
    are the shipped files that it reads, by name.
    """

    @property
    def frame(self) -> int: ...

    @property
    def thickness(self) -> int: ...

    @property
    def networks(self) -> tuple[str, ...]: ...

    def context(self, visible: Floats) -> Style:
        """What depends on the window alone, whatever its shape."""
        ...

    def generate(self, imaginary: Floats, beside: Floats, style: Style) -> Floats:
        """The slice for an imaginary slice and the strip beside it, in a picture's style."""
        ...


class OnnxSliceGenerator:
    """A SliceGAN in ONNX files.

    Args:
        network: a shipped SliceGAN or a user's, see ``store``; it has two files, ``NAME-context`` and ``NAME-paint``.
        threads, engine: see ``runtime.open_session``.

    Raises:
        ModelFileError: there is no such network, or its files are no SliceGAN's.
    """

    def __init__(
        self,
        network: str | Path | StoredNetwork = "slices",
        *,
        threads: int | None = None,
        engine: Engine | None = None,
    ) -> None:
        found = network if isinstance(network, StoredNetwork) else resolve(network, "slices")
        self.networks: tuple[str, ...] = tuple(file.name for file in found.files)
        self._name = found.name
        self._open_context, self._open_slice = (partial(open_session, file, threads, engine) for file in found.files)
        if not all(file.shipped for file in found.files):
            self._sizes, self._context  # noqa: B018  what is wrong with a user's files is said now

    @cached_property
    def _context(self) -> Session:
        """Opened when a face needs it: many photos hide nothing."""
        return self._open_context()

    @cached_property
    def _slice(self) -> Session:
        return self._open_slice()

    @cached_property
    def _sizes(self) -> tuple[int, int]:
        try:
            return int(self._slice.metadata["frame"]), int(self._slice.metadata["thickness"])
        except (KeyError, ValueError) as error:
            raise ModelFileError(f"{self._name}: no SliceGAN's files; export it with spiralage") from error

    @property
    def frame(self) -> int:
        return self._sizes[0]

    @property
    def thickness(self) -> int:
        return self._sizes[1]

    def context(self, visible: Floats) -> Style:
        return self._context.outputs(visible=padded(visible))

    def inputs(self, imaginary: Floats, beside: Floats, style: Style) -> Inputs:
        """What the slice network is asked."""
        strips = {"imaginary": padded(imaginary), "beside": padded(beside)}
        names = [name for name in self._slice.inputs if name not in strips]
        return strips | dict(zip(names, style, strict=True))

    def generate(self, imaginary: Floats, beside: Floats, style: Style) -> Floats:
        (strip,) = self._slice.outputs(**self.inputs(imaginary, beside, style))
        height, width = imaginary.shape[2:]
        return strip[:, :, :height, :width]


def padded(strip: Floats) -> Floats:
    """The strip with its last rows and columns repeated until both are multiples of 4, and 12 at least.

    >>> padded(np.zeros((1, 3, 5, 18), np.float32)).shape
    (1, 3, 12, 20)
    """
    missing = [(0, max(-side % MULTIPLE, SMALLEST - side)) for side in strip.shape[2:]]
    return np.ascontiguousarray(np.pad(strip, ((0, 0), (0, 0), *missing), mode="edge"))


def walk_spiral(generator: SliceGenerator, filled: Pixels, window: Window) -> Iterator[tuple[Step, Floats]]:
    """Grow a window to the whole frame, for pictures that share it.

    Args:
        generator: makes the slices.
        filled: (N, 256, 256, 3) uint8 RGB, hidden pixels imagined, all others their own: slices are made
            of them.
        window: of the crop; nothing in it is hidden.

    Yields:
        Each step and the picture after it, (N, 3, height, width) float32 in [0, 1] of ``step.after``.

    Raises:
        NetworkError: a slice is NaN or infinite.
    """
    inside, small = window.in_frame(generator.frame), in_frame(filled, generator.frame)
    visible = small[(..., *inside.slices)]
    style = generator.context(visible)

    def one_slice(imaginary: Floats, beside: Floats) -> Floats:
        return generator.generate(imaginary, beside, style)

    for step, strip, picture in grow(visible, small, inside, one_slice, thickness=generator.thickness):
        if not np.isfinite(strip).all():
            raise NetworkError("the slice generator answered with NaN or infinity; use another restorer")
        yield step, picture


def in_frame(crops: Pixels, frame: int) -> Floats:
    """Crops at the frame's size: (N, 256, 256, 3) uint8 → (N, 3, frame, frame) float32 in [0, 1], means of pixels."""
    small = [cv2.resize(crop.astype(np.float32), (frame, frame), interpolation=cv2.INTER_AREA) for crop in crops]
    return np.ascontiguousarray((np.stack(small) / np.float32(255)).transpose(0, 3, 1, 2))


def to_crops(pictures: Floats) -> Pixels:
    """The way back, bilinear: (N, 3, frame, frame) float32 in [0, 1] → (N, 256, 256, 3) uint8."""
    crops: Pixels = np.empty((len(pictures), CROP_SIZE, CROP_SIZE, 3), np.uint8)
    for crop, picture in zip(crops, pictures, strict=True):
        large = cv2.resize(picture.transpose(1, 2, 0), (CROP_SIZE, CROP_SIZE), interpolation=cv2.INTER_LINEAR)
        crop[:] = cv2.convertScaleAbs(np.clip(large, 0, 1), alpha=255)  # rounds to even, as NumPy does
    return crops


def windows_of(masks: Mask) -> dict[Window | None, list[int]]:
    """The pictures of a batch by the largest window of theirs, None where nothing is visible.

    Args:
        masks: (N, 256, 256) bool.
    """
    groups: dict[Window | None, list[int]] = defaultdict(list)
    known: dict[bytes, Window | None] = {}  # batches often share one mask
    for index, mask in enumerate(masks):
        key = np.packbits(mask).tobytes()
        if key not in known:
            known[key] = largest_window(mask)
        groups[known[key]].append(index)
    return dict(groups)


def batches(indices: list[int]) -> Iterator[list[int]]:
    """At most ``BATCH`` of them at a time."""
    for start in range(0, len(indices), BATCH):
        yield indices[start : start + BATCH]
