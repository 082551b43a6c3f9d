"""Hidden pixels → pixels. One interface; visible pixels come through unchanged, bit for bit."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Literal, Protocol, TypeAlias, TypeVar, runtime_checkable

import numpy as np

from spiralage.errors import ModelFileError, OptionError
from spiralage.occlusion.window import Window, largest_window
from spiralage.restoration.baselines import Blank, Inpainter, MeanFace
from spiralage.restoration.choose import Way, choose_way
from spiralage.restoration.slice_generator import (
    OnnxSliceGenerator,
    SliceGenerator,
    batches,
    to_crops,
    walk_spiral,
    windows_of,
)
from spiralage.runtime import Engine, Inputs, Session, open_session
from spiralage.store import Kind, StoredNetwork, resolve
from spiralage.types import AlignedFace, Mask, Occlusion, Pixels, Restoration

RestorerName: TypeAlias = Literal["none", "inpaint", "mean-face", "imagine", "spiral"]
AUTO: Literal["auto"] = "auto"
"""Chooses for each face between imagine and spiral, see ``restoration.choose``."""


class Restorer(Protocol):
    """Makes up what is hidden.

    ``name`` stands in tables and reports; ``networks`` are the shipped files that it reads, by name.
    """

    @property
    def name(self) -> str: ...

    @property
    def networks(self) -> tuple[str, ...]: ...

    def fill(self, crops: Pixels, masks: Mask) -> Pixels:
        """Whole pictures for crops with hidden parts.

        Args:
            crops: (N, 256, 256, 3) uint8 RGB, 0 where hidden.
            masks: (N, 256, 256) bool, True = hidden.

        Returns:
            (N, 256, 256, 3) uint8 RGB; only its hidden pixels are used.
        """
        ...


@runtime_checkable
class TurnByTurn(Protocol):
    """A restorer that paints in turns and can show what each of them adds."""

    def turns(self, crop: Pixels, mask: Mask) -> list[Pixels]:
        """The picture after each turn.

        Args:
            crop: (256, 256, 3) uint8 RGB, 0 where hidden.
            mask: (256, 256) bool, True = hidden.

        Returns:
            (256, 256, 3) uint8 RGB each; 0 where nothing is painted yet.
        """
        ...


class Imaginer:
    """ImagineGAN through ONNX: the whole face at low resolution, upsampled.

    Args:
        network: a shipped ImagineGAN or a user's, see ``store``.
        seed: of the noise it takes; the same seed gives the same picture.
        threads, engine: see ``runtime.open_session``.
    """

    name = "imagine"

    def __init__(
        self,
        network: str | Path | StoredNetwork = "imagine",
        *,
        seed: int = 0,
        threads: int | None = None,
        engine: Engine | None = None,
    ) -> None:
        found = network if isinstance(network, StoredNetwork) else resolve(network, "imagine")
        (file,) = found.files
        self.networks: tuple[str, ...] = (file.name,)
        self._open = partial(open_session, file, threads, engine)
        self._seed = seed
        if not file.shipped and self._session.inputs.keys() != {"crops", "hidden", "noise"}:
            raise ModelFileError(f"{found.name}: no ImagineGAN's file; export it with spiralage")

    @cached_property
    def _session(self) -> Session:
        """Opened when a face needs it: many photos hide nothing."""
        return self._open()

    def inputs(self, crops: Pixels, masks: Mask) -> Inputs:
        """What the network is asked."""
        # One noise for every crop: a face's restoration must not depend on its place in a batch.
        shape = tuple(self._session.input_shapes["noise"][1:])
        noise = np.random.default_rng(self._seed).random(shape, np.float32)
        noises = np.broadcast_to(noise, (len(crops), *shape))
        return {"crops": crops, "hidden": masks.astype(np.uint8), "noise": np.ascontiguousarray(noises)}

    def fill(self, crops: Pixels, masks: Mask) -> Pixels:
        return self._session.run(**self.inputs(crops, masks))


class Spiral:
    """SpiralNet: ImagineGAN, then SliceGAN's walk from the largest visible window to the whole crop.

    Where what is visible is no rectangle, the walk starts from the largest one in it; the visible pixels beyond
    stand in what slices are made of, and in the end only hidden pixels are taken.

    Args:
        imaginer: imagines the whole.
        generator: makes the slices.
    """

    name = "spiral"

    def __init__(self, imaginer: Restorer, generator: SliceGenerator) -> None:
        self.networks = (*imaginer.networks, *generator.networks)
        self._imaginer, self._generator = imaginer, generator

    def fill(self, crops: Pixels, masks: Mask) -> Pixels:
        return self._grown(crops, masks, windows_of(masks))

    def fill_from(self, crops: Pixels, masks: Mask, windows: Sequence[Window]) -> Pixels:
        """``fill``, each walk from a window that was chosen; it shows no hidden pixel."""
        groups: dict[Window | None, list[int]] = {}
        for index, window in enumerate(windows):
            groups.setdefault(window, []).append(index)
        return self._grown(crops, masks, groups)

    def _grown(self, crops: Pixels, masks: Mask, groups: Mapping[Window | None, list[int]]) -> Pixels:
        filled = self._imagine(crops, masks)
        for window, members in groups.items():
            if window is None:  # nothing to grow from
                continue
            for batch in batches(members):
                steps = deque(walk_spiral(self._generator, filled[batch], window), maxlen=1)
                if steps:  # a window that fills the frame, but for less than a pixel of it, has none
                    filled[batch] = to_crops(steps.pop()[1])
        return filled

    def turns(self, crop: Pixels, mask: Mask) -> list[Pixels]:
        """A face after every turn of the spiral.

        Args:
            crop: (256, 256, 3) uint8 RGB.
            mask: (256, 256) bool, True = hidden.

        Returns:
            (256, 256, 3) uint8 RGB pictures, black where nothing is filled yet.
        """
        crop = np.where(mask[..., None], np.uint8(0), crop)
        window = largest_window(mask)
        if window is None:
            return []
        after: dict[int, Pixels] = {}
        for step, picture in walk_spiral(self._generator, self._imagine(crop[None], mask[None]), window):
            whole = np.zeros((1, 3, self._generator.frame, self._generator.frame), np.float32)
            whole[(..., *step.after.slices)] = picture
            after[step.turn] = np.where(mask[..., None], to_crops(whole)[0], crop)
        return list(after.values())

    def _imagine(self, crops: Pixels, masks: Mask) -> Pixels:
        """What ImagineGAN imagines where pixels are hidden, the crops' own pixels elsewhere."""
        return np.where(masks[..., None], self._imaginer.fill(crops, masks), crops)


AnyRestorer = TypeVar("AnyRestorer", Imaginer, Spiral)


class Chooser:
    """ImagineGAN alone, or SpiralNet from the largest visible window that holds the eyes: see ``choose.choose_way``.

    Args:
        imaginer: fills small and ragged holes, and where an eye is hidden.
        spiral: fills the rest.
    """

    name = AUTO

    def __init__(self, imaginer: Restorer, spiral: Spiral) -> None:
        self.networks = spiral.networks
        self._imaginer, self._spiral = imaginer, spiral

    def fill(self, crops: Pixels, masks: Mask) -> Pixels:
        return self.fill_by(crops, masks, [choose_way(mask) for mask in masks])

    def fill_by(self, crops: Pixels, masks: Mask, ways: Sequence[Way]) -> Pixels:
        """``fill`` by ways that were chosen, with the faces' landmarks."""
        filled = crops.copy()
        grown = [i for i, way in enumerate(ways) if way.window is not None]
        rest = [i for i, way in enumerate(ways) if way.restorer == "imagine"]
        if grown:
            windows = [way.window for way in ways if way.window is not None]
            filled[grown] = self._spiral.fill_from(crops[grown], masks[grown], windows)
        if rest:
            filled[rest] = self._imaginer.fill(crops[rest], masks[rest])
        return filled


def make_chooser(threads: int | None = None) -> Chooser:
    """The chooser of the shipped networks; ``threads`` as for ``make_restorer``."""
    return Chooser(Imaginer(threads=threads), make_spiral(threads))


def make_spiral(
    threads: int | None = None, engine: Engine | None = None, slices: str | Path | StoredNetwork = "slices"
) -> Spiral:
    """SpiralNet with the shipped ImagineGAN.

    Args:
        threads, engine: see ``runtime.open_session``.
        slices: its SliceGAN, the shipped one by default.
    """
    return Spiral(Imaginer(threads=threads, engine=engine), OnnxSliceGenerator(slices, threads=threads, engine=engine))


RESTORERS: dict[RestorerName, Callable[[int | None], Restorer]] = {
    "none": lambda threads: Blank(),
    "inpaint": lambda threads: Inpainter(),
    "mean-face": lambda threads: MeanFace(),
    "imagine": lambda threads: Imaginer(threads=threads),
    "spiral": make_spiral,
}
"""The restorers that ship, by name."""


def _called(made: AnyRestorer, network: StoredNetwork) -> AnyRestorer:
    """With a user's network it isn't the restorer that ships, nor is a calibration for that one for this one."""
    if not all(file.shipped for file in network.files):
        made.name = f"{made.name} ({Path(network.name).name})"
    return made


LOADERS: dict[Kind, Callable[[StoredNetwork, int | None], Restorer]] = {
    "imagine": lambda network, threads: _called(Imaginer(network, threads=threads), network),
    "slices": lambda network, threads: _called(make_spiral(threads, slices=network), network),
}
"""What makes a restorer of a user's network, by the network's kind; its name tells which network, "spiral (mine)"."""


def make_restorer(name: str | Path, *, threads: int | None = None) -> Restorer:
    """The restorer of that name, or made of a user's network.

    Args:
        name: one of ``RESTORERS``; ``AUTO``, which chooses for each face; or the name or path of an ImagineGAN or
            SliceGAN, see ``store``. A SliceGAN makes its slices of what the shipped ImagineGAN imagines.
        threads: for its networks; see ``threads.thread_count``.

    Raises:
        OptionError: there is no restorer of that name, nor such a network.
        ModelFileError: the network's file can't be used.
    """
    if name == AUTO:
        return make_chooser(threads)
    for known, make in RESTORERS.items():
        if name == known:
            return make(threads)
    try:
        network = resolve(name, *LOADERS)
    except ModelFileError as error:
        raise OptionError(f"no restorer {str(name)!r}; there are {', '.join((*RESTORERS, AUTO))} ({error})") from error
    return LOADERS[network.kind](network, threads)


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
    needing = [i for i, occlusion in enumerate(occlusions) if occlusion.mask.any()]
    done = [Restoration(face.pixels, "none") for face in faces]
    if needing:
        crops = np.stack([faces[i].pixels for i in needing])
        masks = np.stack([occlusions[i].mask for i in needing])
        told: Sequence[tuple[str, str]] = [(restorer.name, "")] * len(needing)
        if isinstance(restorer, Chooser):
            ways = [choose_way(occlusions[i].mask, faces[i].landmarks) for i in needing]
            told = [(way.restorer, way.reason) for way in ways]
            filled = _only_hidden(partial(restorer.fill_by, ways=ways), crops, masks)
        else:
            filled = fill_hidden(restorer, crops, masks)
        for i, pixels, (name, reason) in zip(needing, filled, told, strict=True):
            done[i] = Restoration(pixels, name, reason)
    return tuple(done)


def fill_hidden(restorer: Restorer, crops: Pixels, masks: Mask) -> Pixels:
    """The same on arrays: (N, 256, 256, 3) uint8 and (N, 256, 256) bool → (N, 256, 256, 3) uint8.

    The restorer never sees a hidden pixel: they are 0 in what it is given.
    """
    return _only_hidden(restorer.fill, crops, masks)


def _only_hidden(fill: Callable[[Pixels, Mask], Pixels], crops: Pixels, masks: Mask) -> Pixels:
    where = masks[..., None]
    return np.where(where, fill(crops * np.logical_not(where), masks), crops)
