"""``spiralage evaluate restore``: how near restored faces are to the originals, restorer by restorer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np

from spiralage import weights
from spiralage.datasets.crops import Crops, Indices
from spiralage.errors import DatasetError
from spiralage.evaluation.image_metrics import MOST_PSNR, Nearness, activations, frechet_distance, nearness
from spiralage.evaluation.protocols.holdout import Origin
from spiralage.evaluation.tables import write_csv
from spiralage.files import write_text
from spiralage.occlusion.window import PAPER_WINDOW, margin_mask, random_window
from spiralage.provenance import commit, hardware
from spiralage.restoration.restore import RESTORERS, Restorer, fill_hidden, make_restorer
from spiralage.training.features import Features, load_features
from spiralage.types import Floats, Mask, Pixels

BATCH = 16
FEATURES_SIZE = 128
"""What the feature network is shown, pixels: SpiralNet's frame; finer pictures would only take longer."""

Progress: TypeAlias = Callable[[int, int], None]


@dataclass(frozen=True)
class RestoreRow:
    """A row of ``results/restore.csv``: a restorer on a set of faces; what isn't known is empty.

    Args:
        data: the set, and which part of it.
        window: what stays visible: "random", 128×128 anywhere, or "paper".
        restorer: who filled the hidden pixels.
        psnr, psnr_hidden, ssim, ssim_hidden, l1, l1_hidden: see ``Nearness``; means over pictures.
        feature_fid: the Fréchet distance between originals and restored pictures in the last layer of the project's
            own feature network, at ``FEATURES_SIZE``, the mean over places. It is *not* the FID of the literature,
            which is Inception's, and its numbers are of another scale.
        inception_fid: the FID of the literature; empty in all rows measured here.
        visible_identical: the share of visible pixels that are the original's, bit for bit; not rounded.
        images: how many pictures.
        features: the run of the feature network.
        weights: the recipes and seeds of the restorer's networks; of one that doesn't ship, its name and how its
            version begins.
        seed: of the random windows.
    """

    data: str
    window: str
    restorer: str
    psnr: float | None = None
    psnr_hidden: float | None = None
    ssim: float | None = None
    ssim_hidden: float | None = None
    l1: float | None = None
    l1_hidden: float | None = None
    feature_fid: float | None = None
    inception_fid: float | None = None
    visible_identical: float | None = None
    images: int | None = None
    features: str = ""
    weights: str = ""
    seed: int | None = None
    commit: str = ""
    hardware: str = ""


PUBLISHED = RestoreRow(
    "CelebA-HQ (published)", "", "SpiralNet, Guo et al. 2020", psnr=16.05, ssim=0.6815, inception_fid=21.17
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
        """Positions and their pictures, in order."""
        for start in range(0, len(self.indices), BATCH):
            chosen = self.indices[start : start + BATCH]
            yield chosen, self.crops.take(chosen)


def faces_to_restore(utkface: Path, fgnet: Path, most: int | None = None) -> tuple[Faces, Faces]:
    """UTKFace's test split and all of FG-NET: no restorer was trained on either.

    Args:
        utkface, fgnet: folders of aligned crops.
        most: take so many pictures of each at most, evenly spread; None takes all.

    Raises:
        DatasetError: there are no finished crops, or crops of another set.
    """
    ours, theirs = Crops(utkface), Crops(fgnet)
    ours.check_data("utkface")
    theirs.check_data("fgnet")
    return (
        Faces("UTKFace test", ours, spread(ours.indices("test"), most)),
        Faces("FG-NET", theirs, spread(np.arange(len(theirs)), most)),
    )


def spread(indices: Indices, most: int | None) -> Indices:
    """At most so many of them, evenly spread from the first to the last.

    >>> spread(np.arange(10), 4).tolist()
    [0, 3, 6, 9]
    """
    if most is None or most >= len(indices):
        return indices
    return indices[np.linspace(0, len(indices) - 1, most).round().astype(np.int64)]


def shipped_restorers(threads: int | None = None) -> tuple[Restorer, ...]:
    """All that fill, as ``all_conditions`` has them."""
    return tuple(make_restorer(name, threads=threads) for name in RESTORERS if name != "none")


def _random_windows(indices: Indices, seed: int) -> Mask:
    """A picture's window depends on the seed and its position alone: it is every restorer's."""
    windows = (random_window(np.random.default_rng((seed, int(index)))) for index in indices)
    return np.stack([margin_mask(window) for window in windows])


def _paper_windows(indices: Indices, seed: int) -> Mask:
    mask = margin_mask(PAPER_WINDOW)
    return np.broadcast_to(mask, (len(indices), *mask.shape))


WINDOWS = MappingProxyType({"random": _random_windows, "paper": _paper_windows})
"""Name → what is hidden in the pictures at these positions, (N, 256, 256) bool."""


def evaluate_restore(
    sets: Sequence[Faces],
    restorers: Sequence[Restorer],
    features: str,
    runs: Path,
    *,
    seed: int = 0,
    progress: Progress = lambda done, total: None,
) -> list[RestoreRow]:
    """Every set under every window, filled by every restorer.

    Args:
        sets: the originals.
        restorers: who fills.
        features: the feature network, as recipes name it.
        runs: the folder with its run.
        seed: of the random windows.
        progress: told (pictures done, pictures in all); the originals' activations count as pictures.

    Raises:
        CheckpointError: the feature network isn't trained yet.
    """
    total = sum(len(faces.indices) for faces in sets) * (1 + len(WINDOWS) * len(restorers))
    origin = Origin(commit(), hardware())  # of the code that runs, not of the moment it ends
    bench = _Bench(load_features(features, runs, FEATURES_SIZE), seed, _Counter(progress, total))
    rows = []
    for faces in sets:
        originals = bench.original_activations(faces)
        for window in WINDOWS:
            for restorer in restorers:
                numbers = bench.measure(faces, window, restorer, originals)
                whence = {"features": features, "weights": trained_by(restorer), "seed": seed, **origin._asdict()}
                rows.append(RestoreRow(faces.name, window, restorer.name, **numbers, **whence))
    return rows


class _Counter:
    """Adds up and tells."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress, self._done, self._total = progress, 0, total

    def add(self, count: int) -> None:
        self._done += count
        self._progress(self._done, self._total)


@dataclass(frozen=True)
class _Bench:
    features: Features
    seed: int
    counter: _Counter

    def original_activations(self, faces: Faces) -> Floats:
        """(N, channels) float32."""
        found = []
        for _, pictures in faces.batches():
            found.append(activations(self.features, pictures))
            self.counter.add(len(pictures))
        return np.concatenate(found)

    def measure(self, faces: Faces, window: str, restorer: Restorer, originals: Floats) -> dict[str, Any]:
        """A row's numbers."""
        parts, found = [], []
        for indices, pictures in faces.batches():
            hidden = WINDOWS[window](indices, self.seed)
            restored = fill_hidden(restorer, pictures, hidden)
            parts.append(nearness(restored, pictures, hidden))
            found.append(activations(self.features, restored))
            self.counter.add(len(pictures))
        distance = frechet_distance(originals, np.concatenate(found))
        images = len(faces.indices)
        return {**mean_nearness(parts), "feature_fid": float(f"{distance:.4g}"), "images": images}


def mean_nearness(parts: Sequence[Nearness]) -> dict[str, float]:
    """Means over the pictures of all batches, dB with three digits and shares with four."""
    means = {name: float(np.concatenate([getattr(part, name) for part in parts]).mean()) for name in Nearness._fields}
    digits = {name: 3 if name.startswith("psnr") else 4 for name in means}
    del digits["visible_identical"]  # rounding would make 1 of a share just below it
    return means | {name: round(means[name], places) for name, places in digits.items()}


def trained_by(restorer: Restorer) -> str:
    """The recipes and seeds of a restorer's networks; of one that doesn't ship its name and how its version begins."""
    known = weights.manifest()
    shipped = [f"{known[name].recipe} (seed {known[name].seed})" for name in restorer.networks]
    version = getattr(restorer, "version", "")
    own = [f"{restorer.name} ({version[:12]})"] if version else []
    return ", ".join(dict.fromkeys([*shipped, *own]))  # two files of a network have one recipe


def write_rows(path: Path, rows: Sequence[RestoreRow]) -> None:
    """Write measured rows and the published one as CSV, whole or not at all; raises OutputError."""
    header = [field.name for field in fields(RestoreRow)]
    write_csv(path, header, (list(asdict(row).values()) for row in (*rows, PUBLISHED)))


HEAD = f"""# Restoration: how near to the originals

Written by `spiralage evaluate restore`. A window of 128×128 pixels of the 256×256 crop stays visible, *random* anywhere
or where the *paper*'s mask leaves it; restorers fill the rest. Every number but the distances is measured picture by
picture, then averaged.

- *PSNR*: peak signal-to-noise ratio in dB, higher is better; a picture that equals its original counts as
  {MOST_PSNR:.2f} dB, the error of rounding to 8 bits.
- *SSIM*: structural similarity, 1 is best; Gaussian window of 11×11 pixels, deviation 1.5, the mean over colours.
- *L1*: mean absolute difference of values in [0, 1], lower is better.
- *hidden*: the same over hidden pixels alone; else over the whole picture, visible pixels included.
- *feature FID*: Fréchet distance between originals and restored pictures in the last layer of an age network of the
  project's own, which no restorer was trained with; lower is better. It is **not** the FID of the literature, which
  takes an Inception network: neither scale nor order need agree with it. It falls with the number of pictures: compare
  rows with the same number.
- *Inception FID*: the FID of the literature; not measured here.
- *visible kept*: the share of visible pixels that are bit for bit the original's.

| data | window | filled by | PSNR | hidden | SSIM | hidden | L1 | hidden | feature FID | Inception FID | visible kept \
| images |
|---|---|---|{"---:|" * 10}
"""

NOTE = f"""*{PUBLISHED.data}*: {PUBLISHED.restorer} (ECCV), 256×256 pixels from a window of 128×128. It is
**another data set and another FID**: the row says how hard the task is, not who does it better."""


def write_page(path: Path, rows: Sequence[RestoreRow]) -> None:
    """The table for readers, whole or not at all; raises OutputError."""
    lines = [*map(_page_line, rows), _page_line(PUBLISHED)]
    networks = dict.fromkeys(f"- {row.restorer}: {row.weights}" for row in rows if row.weights)
    runs = dict.fromkeys(
        f"- features of `{row.features}`, random windows of seed {row.seed}, commit {row.commit}, {row.hardware}"
        for row in rows
    )
    parts = (*lines, "", NOTE, "", "Networks:", "", *networks, "", "Runs:", "", *runs)
    write_text(path, HEAD + "\n".join(parts) + "\n")


PAGE_COLUMNS = tuple(field.name for field in fields(RestoreRow))[:13]
PLACES = MappingProxyType(
    {"psnr": 2, "psnr_hidden": 2, "ssim": 4, "ssim_hidden": 4, "l1": 4, "l1_hidden": 4, "inception_fid": 2}
)
"""Digits after the point; the other columns are shown as they are."""


def _page_line(row: RestoreRow) -> str:
    return "| " + " | ".join(_page_cell(name, getattr(row, name)) for name in PAGE_COLUMNS) + " |"


def _page_cell(name: str, value: object) -> str:
    if value is None:
        return ""
    return f"{value:.{PLACES[name]}f}" if name in PLACES else str(value)
