"""``spiralage evaluate occlusion``: how well what hides a face is found, kind by kind, and what is falsely found."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np

from spiralage.datasets.crops import Crops, Indices, spread
from spiralage.datasets.hidden_labels import Known, known_pixels
from spiralage.datasets.manifest import Split
from spiralage.datasets.sources import DatasetName
from spiralage.errors import DatasetError
from spiralage.evaluation.occlusion_page import occlusion_page
from spiralage.evaluation.results import OcclusionRole, OcclusionRow, Origin, write_rows
from spiralage.files import write_text
from spiralage.occlusion.network import NetworkFinder
from spiralage.occlusion.occluders import OCCLUDERS, OccluderName
from spiralage.provenance import commit, hardware
from spiralage.training.hidden_scores import HiddenScore, hidden_score
from spiralage.training.occlusion_examples import as_in_use, distractor, put_on
from spiralage.training.recipes import DistractorName
from spiralage.types import AlignedFace, Doubles, Landmarks, Pixels

CLEAN: Mapping[DatasetName, tuple[str, Split | None]] = MappingProxyType(
    {
        "fgnet": ("FG-NET", None),
        "aaf": ("AAF test", "test"),
        "celeba-hq": ("CelebA-HQ test", "test"),
        "utkface": ("UTKFace test", "test"),
    }
)
"""Faces as they are: a set's name in the tables, and which split; None = all of it."""
OUTLINED: Sequence[tuple[str, Split]] = (("MaskedFace-450 val", "val"), ("MaskedFace-450 test", "test"))
"""Masks that others drew, with their outlines: the threshold was chosen on the first; the second saw nobody."""
SETS: tuple[DatasetName, ...] = (*CLEAN, "maskedface")
"""All that is measured on."""
DRAWN_ON: Sequence[DatasetName] = ("aaf", "utkface", "celeba-hq")
"""The first of these that is there lends its test faces to drawn occluders."""
DRAWN = 100
"""Faces under each drawn kind."""
FALSE = 0.01
"""More of a clean face's pixels falsely hidden is a face that was damaged."""

Progress: TypeAlias = Callable[[int, int], None]


@dataclass(frozen=True)
class Task:
    """What a row is measured on.

    Args:
        data: the set, and which part of it, in the tables.
        crops: the set's.
        indices: which faces.
        role: what the numbers are for.
        occluder: what is drawn on them; "" for faces as they are.
        seed: of the drawing.
    """

    data: str
    crops: Crops
    indices: Indices
    role: OcclusionRole
    occluder: str = ""
    seed: int = 0

    def looks(self) -> Iterator[tuple[AlignedFace, Pixels]]:
        """Faces as the pipeline has them, and what is known of their pixels, (256, 256) uint8, see ``Known``."""
        for index in self.indices:
            one = np.array([index])
            picture, known = self.crops.take(one)[0], known_pixels(self.crops, one)[0]
            points = self.crops.full_landmarks(one)[0]
            if self.occluder:
                picture, known = self._drawn(picture, known, points, np.random.default_rng((self.seed, int(index))))
            pixels = as_in_use(picture, known)
            yield AlignedFace(pixels, np.eye(2, 3), known != Known.BEYOND, Landmarks(points, "given")), known

    def _drawn(
        self, picture: Pixels, known: Pixels, points: Doubles, rng: np.random.Generator
    ) -> tuple[Pixels, Pixels]:
        if self.occluder in PERSONS:
            return put_on(picture, known, distractor(PERSONS[self.occluder], points, rng), Known.PERSON)
        return put_on(picture, known, OCCLUDERS[OCCLUDER_NAMES[self.occluder]](points, rng), Known.HIDDEN)


PERSONS: Mapping[str, DistractorName] = MappingProxyType({"glasses": "glasses", "hair": "hair"})
"""Drawn, and not to be found."""
OCCLUDER_NAMES: Mapping[str, OccluderName] = MappingProxyType({name: name for name in OCCLUDERS if name not in PERSONS})
"""Drawn, and to be found."""


def occlusion_tasks(
    folders: Mapping[DatasetName, Path], trained: Sequence[str], *, most: int | None = None, seed: int = 0
) -> list[Task]:
    """All that is measured on these sets: outlines that others drew, kinds of occluders, and faces as they are.

    Args:
        folders: of aligned crops, by the set's name; of ``CLEAN`` and maskedface those that are there.
        trained: the kinds that were drawn in training.
        most: take so many pictures for each row at most, evenly spread; None takes all, and ``DRAWN`` for drawn kinds.
        seed: of the occluders.

    Raises:
        DatasetError: there is no set, or crops of another set, or outlines are missing.
    """
    if not folders:
        raise DatasetError("no crops to find anything in; run: spiralage data crops NAME")
    opened = {name: _opened(folder, name) for name, folder in folders.items()}
    tasks = []
    if "maskedface" in opened:
        crops = opened["maskedface"]
        if not crops.has_classes:
            raise DatasetError(f"{crops.folder}: no outlines here; build the crops again in another folder")
        tasks += [Task(title, crops, spread(crops.indices(split), most), "outlined") for title, split in OUTLINED]
    faces = {name: _part(opened[name], CLEAN[name][1]) for name in CLEAN if name in opened}
    for name in [name for name in DRAWN_ON if name in faces][:1]:
        few, title = spread(faces[name], most or DRAWN), CLEAN[name][0]
        for kind in (*OCCLUDER_NAMES, *PERSONS):
            role: OcclusionRole = "trained" if kind in trained else "kept out"
            tasks.append(Task(title, opened[name], few, "distractor" if kind in PERSONS else role, kind, seed))
    tasks += [Task(CLEAN[name][0], opened[name], spread(faces[name], most), "clean") for name in faces]
    return tasks


def _opened(folder: Path, name: DatasetName) -> Crops:
    crops = Crops(folder)
    crops.check_data(name)
    return crops


def _part(crops: Crops, split: Split | None) -> Indices:
    return np.arange(len(crops)) if split is None else crops.indices(split)


def evaluate_occlusion(
    finder: NetworkFinder, tasks: Sequence[Task], *, progress: Progress = lambda done, total: None
) -> list[OcclusionRow]:
    """Every task, looked at by the finder as the pipeline looks at a face.

    Args:
        finder: finds what hides.
        tasks: see ``occlusion_tasks``.
        progress: told (pictures done, pictures in all).

    Raises:
        ModelFileError: there is no such network.
        NetworkError: it gives no probabilities.
    """
    whence = {
        "network": finder.name,
        "weights": finder.trained_by,
        "threshold": finder.threshold,
        **Origin(commit(), hardware())._asdict(),
    }
    total, done, rows = sum(len(task.indices) for task in tasks), 0, []
    for task in tasks:
        scores = []
        for face, known in task.looks():
            scores.append(hidden_score(finder(face).mask, known))
            done += 1
            progress(done, total)
        numbers = _numbers(scores)
        rows.append(
            OcclusionRow(data=task.data, occluder=task.occluder, role=task.role, **numbers, seed=task.seed, **whence)
        )
    return rows


def _numbers(scores: Sequence[HiddenScore]) -> dict[str, Any]:
    false = [score.falsely_hidden for score in scores if not np.isnan(score.falsely_hidden)]
    hiding = [score for score in scores if not np.isnan(score.iou)]
    numbers: dict[str, Any] = {
        "images": len(scores),
        "falsely_hidden": float(np.mean(false)) if false else None,
        "damaged": float(np.mean([value > FALSE for value in false])) if false else None,
    }
    if hiding:
        numbers["iou"] = float(np.mean([score.iou for score in hiding]))
        numbers["missed"] = float(np.mean([score.missed for score in hiding]))
        numbers["pooled_iou"] = sum(score.both for score in hiding) / sum(score.either for score in hiding)
    return numbers


def write_all(rows: Sequence[OcclusionRow], folder: Path) -> None:
    """Write the rows into the results folder, as CSV and for readers; raises OutputError."""
    write_rows(folder / "occlusion-masks.csv", OcclusionRow, rows)
    write_text(folder / "occlusion-masks.md", occlusion_page(rows))
