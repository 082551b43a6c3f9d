"""``spiralage evaluate restore``: how near restored faces are to the originals, restorer by restorer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import process_time
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np

from spiralage import weights
from spiralage.datasets.crops import Crops, Indices, spread
from spiralage.datasets.manifest import Split
from spiralage.datasets.sources import DatasetName
from spiralage.errors import DatasetError
from spiralage.evaluation.image_metrics import Nearness, activations, frechet_distance, nearness
from spiralage.evaluation.perception import Perception
from spiralage.evaluation.restore_paired import LpipsPairs
from spiralage.evaluation.results import Origin, RestorationRow, write_rows
from spiralage.evaluation.tables import restoration_page
from spiralage.files import write_text
from spiralage.networks.features import Features
from spiralage.occlusion.occluders import OCCLUDERS, OccluderName
from spiralage.provenance import commit, hardware
from spiralage.restoration.restore import RESTORERS, Restorer, fill_hidden, make_restorer
from spiralage.training.features import load_features
from spiralage.types import Doubles, Floats, Mask, Pixels

BATCH = 16
FEATURES_SIZE = 128
"""What the feature network is shown, pixels: SpiralNet's frame; finer pictures would only take longer."""

Progress: TypeAlias = Callable[[int, int], None]


PUBLISHED = RestorationRow(
    data="CelebA-HQ (published)", restorer="SpiralNet, Guo et al. 2020", psnr=16.05, ssim=0.6815, inception_fid=21.17
)
"""Guo et al., Spiral Generative Network for Image Extrapolation, ECCV 2020: 256×256 from a window of 128×128."""


@dataclass(frozen=True)
class Faces:
    """Pictures of a data set.

    Args:
        name: the set's, in the table.
        crops: its aligned crops.
        indices: the positions of the pictures; two at least.

    Raises:
        DatasetError: there are fewer than two, and a distance of sets needs two.
    """

    name: str
    crops: Crops
    indices: Indices

    def __post_init__(self) -> None:
        if len(self.indices) < 2:
            raise DatasetError(f"{self.crops.folder}: {self.name} has fewer than two pictures; build the crops again")

    def batches(self) -> Iterator[tuple[Indices, Pixels]]:
        """Positions and their pictures, in order; beyond a photo its mirror image."""
        for start in range(0, len(self.indices), BATCH):
            chosen = self.indices[start : start + BATCH]
            yield chosen, self.crops.take(chosen)


SETS: Mapping[DatasetName, tuple[str, Split | None]] = MappingProxyType(
    {
        "utkface": ("UTKFace test", "test"),
        "fgnet": ("FG-NET", None),
        "aaf": ("AAF test", "test"),
        "celeba-hq": ("CelebA-HQ test", "test"),
    }
)
"""What is measured: a set's name in the tables, and which split; None = all of it. No restorer was trained on these."""


def faces_to_restore(folders: Mapping[DatasetName, Path], most: int | None = None) -> tuple[Faces, ...]:
    """The pictures of some of ``SETS``, in that order.

    Args:
        folders: of aligned crops, by the set's name.
        most: take so many pictures of each at most, evenly spread; None takes all.

    Raises:
        DatasetError: there is no set, there are no finished crops, or crops of another set.
    """
    if not folders:
        raise DatasetError(f"no crops to restore; run: spiralage data crops NAME, for one of {', '.join(SETS)}")
    found = []
    for data in (name for name in SETS if name in folders):
        crops, (title, split) = Crops(folders[data]), SETS[data]
        crops.check_data(data)
        indices = np.arange(len(crops)) if split is None else crops.indices(split)
        found.append(Faces(title, crops, spread(indices, most)))
    return tuple(found)


def shipped_restorers(threads: int | None = None) -> tuple[Restorer, ...]:
    """All that fill, as ``all_conditions`` has them."""
    return tuple(make_restorer(name, threads=threads) for name in RESTORERS if name != "none")


OCCLUDED_BY: tuple[OccluderName, ...] = ("random-window", "centre-window", "paper")
"""What hides when nothing else is asked for: SpiralNet's two geometries, and the paper's mask."""


def masks_of(occluder: OccluderName, landmarks: Doubles, indices: Indices, seed: int) -> Mask:
    """What is hidden in the pictures at these positions, (N, 256, 256) bool, True = hidden.

    A picture's mask depends on its landmarks, (N, 68, 2) in crop pixels, the seed and its position alone: it is every
    restorer's.
    """
    draw = OCCLUDERS[occluder]
    seeded = zip(landmarks, indices, strict=True)
    return np.stack([draw(points, np.random.default_rng((seed, int(index)))).mask for points, index in seeded])


def restore_photos(restorer: Restorer, pictures: Pixels, masks: Mask, inside: Mask) -> Pixels:
    """Fill what is hidden of crops, and put back what lies beyond their photos: that is nobody's to restore.

    Args:
        restorer: who fills.
        pictures: (N, 256, 256, 3) uint8 RGB, beyond a photo its mirror image.
        masks: (N, 256, 256) bool, True = hidden; all that lies beyond a photo is, as for ``occlusion="auto"``.
        inside: (N, 256, 256) bool, True where a crop shows its photo.
    """
    return np.where(inside[..., None], fill_hidden(restorer, pictures, masks), pictures)


def evaluate_restore(
    sets: Sequence[Faces],
    restorers: Sequence[Restorer],
    features: str,
    runs: Path,
    *,
    perception: Perception | None = None,
    occluders: Sequence[OccluderName] = OCCLUDED_BY,
    seed: int = 0,
    progress: Progress = lambda done, total: None,
    tell: Callable[[str], None] = lambda line: None,
    pairs: LpipsPairs | None = None,
) -> list[RestorationRow]:
    """Every set under every occluder, filled by every restorer.

    Args:
        sets: the originals.
        restorers: who fills.
        features: the feature network, as recipes name it.
        runs: the folder with its run.
        perception: ImageNet's networks; without them lpips and imagenet_fid stay empty.
        occluders: what hides.
        seed: of the occluders.
        progress: told (pictures done, pictures in all); the originals' activations count as pictures.
        tell: takes a line about every measurement: what it cost.
        pairs: gets every picture's LPIPS, if that is measured.

    Raises:
        CheckpointError: the feature network isn't trained yet.
    """
    total = sum(len(faces.indices) for faces in sets) * (1 + len(occluders) * len(restorers))
    origin = Origin(commit(), hardware())  # of the code that runs, not of the moment it ends
    bench = _Bench(load_features(features, runs, FEATURES_SIZE), perception, seed, _Counter(progress, total), pairs)
    rows = []
    for faces in sets:
        originals = bench.original_activations(faces)
        for occluder in occluders:
            for restorer in restorers:
                start, bench.filling = process_time(), 0.0
                numbers = bench.measure(faces, occluder, restorer, originals)
                per_100 = 100 / len(faces.indices)
                measuring = process_time() - start - bench.filling
                tell(
                    f"{faces.name}, {occluder}, {restorer.name}: processor time for 100 pictures "
                    f"{bench.filling * per_100:.1f} s to fill, {measuring * per_100:.1f} s to measure"
                )
                whence = {"features": features, "weights": trained_by(restorer), "seed": seed, **origin._asdict()}
                rows.append(
                    RestorationRow(data=faces.name, occluder=occluder, restorer=restorer.name, **numbers, **whence)
                )
    return rows


class _Counter:
    """Adds up and tells."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress, self._done, self._total = progress, 0, total

    def add(self, count: int) -> None:
        self._done += count
        self._progress(self._done, self._total)


@dataclass
class _Bench:
    features: Features
    perception: Perception | None
    seed: int
    counter: _Counter
    pairs: LpipsPairs | None
    filling: float = 0.0
    """Seconds of processor time that restorers took."""

    def original_activations(self, faces: Faces) -> tuple[Floats, ...]:
        """(N, channels) float32, of each network in which sets are compared."""
        found = []
        for _, pictures in faces.batches():
            found.append(self._activations(pictures))
            self.counter.add(len(pictures))
        return _joined(found)

    def _activations(self, pictures: Pixels) -> tuple[Floats, ...]:
        own = activations(self.features, pictures)
        return (own,) if self.perception is None else (own, self.perception.activations(pictures))

    def measure(
        self, faces: Faces, occluder: OccluderName, restorer: Restorer, originals: tuple[Floats, ...]
    ) -> dict[str, Any]:
        """A row's numbers."""
        parts, found, lpips = [], [], []
        for indices, pictures in faces.batches():
            inside = faces.crops.inside(indices)
            masks = masks_of(occluder, faces.crops.full_landmarks(indices), indices, self.seed) | ~inside
            start = process_time()
            restored = restore_photos(restorer, pictures, masks, inside)
            self.filling += process_time() - start
            parts.append(nearness(restored, pictures, masks, inside))
            found.append(self._activations(restored))
            if self.perception is not None:
                lpips.append(self.perception.lpips(restored, pictures))
            self.counter.add(len(pictures))
        names = ("feature_fid", "imagenet_fid")
        distances = {name: frechet_distance(a, b) for name, a, b in zip(names, originals, _joined(found), strict=False)}
        seen = {"lpips": float(np.concatenate(lpips).mean())} if lpips else {}
        if lpips and self.pairs is not None:
            persons = [faces.crops.rows[index].subject for index in faces.indices]
            self.pairs.keep(faces.name, occluder, restorer.name, np.concatenate(lpips), persons)
        return {**mean_nearness(parts), **seen, **distances, "images": len(faces.indices)}


def _joined(batches: Sequence[tuple[Floats, ...]]) -> tuple[Floats, ...]:
    return tuple(np.concatenate(parts) for parts in zip(*batches, strict=True))


def mean_nearness(parts: Sequence[Nearness]) -> dict[str, float]:
    """Means over the pictures of all batches; over hidden pixels, of those that have some within their photo."""
    return {
        name: float(np.nanmean(np.concatenate([getattr(part, name) for part in parts]))) for name in Nearness._fields
    }


def trained_by(restorer: Restorer) -> str:
    """The recipes and seeds of a restorer's networks; of one that doesn't ship its name and how its version begins."""
    known = weights.manifest()
    shipped = [f"{known[name].recipe} (seed {known[name].seed})" for name in restorer.networks]
    version = getattr(restorer, "version", "")
    own = [f"{restorer.name} ({version[:12]})"] if version else []
    return ", ".join(dict.fromkeys([*shipped, *own]))  # two files of a network have one recipe


def write_all(rows: Sequence[RestorationRow], folder: Path) -> None:
    """Write measured rows and the published one into the results folder, as CSV and for readers; raises OutputError."""
    whole = [*rows, PUBLISHED]
    write_rows(folder / "restore.csv", RestorationRow, whole)
    write_text(folder / "restore.md", restoration_page(whole))
