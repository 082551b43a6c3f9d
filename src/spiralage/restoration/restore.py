"""Hidden pixels → pixels. One interface; visible pixels come through unchanged, bit for bit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, Protocol, TypeAlias

import numpy as np

from spiralage.restoration.baselines import Blank, Inpainter, MeanFace
from spiralage.runtime import open_session
from spiralage.types import AlignedFace, Mask, Occlusion, Pixels, Restoration

RestorerName: TypeAlias = Literal["none", "inpaint", "mean-face", "imagine"]


class Restorer(Protocol):
    """Makes up what is hidden."""

    name: str

    def fill(self, crops: Pixels, hidden: Mask) -> Pixels:
        """Whole pictures for crops with hidden parts.

        Args:
            crops: (N, 256, 256, 3) uint8 RGB, 0 where hidden.
            hidden: (N, 256, 256) bool, True = hidden.

        Returns:
            (N, 256, 256, 3) uint8 RGB; only its hidden pixels are used.
        """
        ...


class Imaginer:
    """ImagineGAN through ONNX: the whole face at low resolution, upsampled.

    Args:
        network: a shipped ImagineGAN.
        seed: of the noise it takes; the same seed gives the same picture.
        threads: see ``runtime.open_session``.
    """

    name = "imagine"

    def __init__(self, network: str = "imagine", *, seed: int = 0, threads: int | None = None) -> None:
        self._session = open_session(network, threads)
        self._noise_shape = tuple(self._session.input_shapes["noise"][1:])
        self._seed = seed

    def fill(self, crops: Pixels, hidden: Mask) -> Pixels:
        # One noise for every crop: a face's restoration must not depend on its place in a batch.
        noise = np.random.default_rng(self._seed).random(self._noise_shape, np.float32)
        noises = np.broadcast_to(noise, (len(crops), *self._noise_shape))
        return self._session.run(crops=crops, hidden=hidden.astype(np.uint8), noise=np.ascontiguousarray(noises))


RESTORERS: dict[RestorerName, Callable[[int | None], Restorer]] = {
    "none": lambda threads: Blank(),
    "inpaint": lambda threads: Inpainter(),
    "mean-face": lambda threads: MeanFace(),
    "imagine": lambda threads: Imaginer(threads=threads),
}


def make_restorer(name: RestorerName, *, threads: int | None = None) -> Restorer:
    """The restorer of that name."""
    return RESTORERS[name](threads)


def restore(
    restorer: Restorer, faces: Sequence[AlignedFace], occlusions: Sequence[Occlusion]
) -> tuple[Restoration, ...]:
    """Fill the hidden pixels of aligned faces.

    A face with nothing hidden comes back as it is, restorer "none".

    Args:
        restorer: who fills.
        faces: aligned faces.
        occlusions: what is hidden in each.

    Returns:
        One restoration per face; every visible pixel is the face's own.
    """
    needing = [i for i, occlusion in enumerate(occlusions) if occlusion.hidden.any()]
    done = [Restoration(face.pixels, "none") for face in faces]
    if needing:
        filled = fill_hidden(
            restorer,
            np.stack([faces[i].pixels for i in needing]),
            np.stack([occlusions[i].hidden for i in needing]),
        )
        for i, pixels in zip(needing, filled, strict=True):
            done[i] = Restoration(pixels, restorer.name)
    return tuple(done)


def fill_hidden(restorer: Restorer, crops: Pixels, hidden: Mask) -> Pixels:
    """The same on arrays: (N, 256, 256, 3) uint8 and (N, 256, 256) bool → (N, 256, 256, 3) uint8.

    The restorer never sees a hidden pixel: they are 0 in what it is given.
    """
    where = hidden[..., None]
    covered = np.where(where, np.uint8(0), crops)
    return np.where(where, restorer.fill(covered, hidden), crops)
