"""What ``AgePipeline`` itself says of a data set's faces, plain and with something drawn in front of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from spiralage.age.calibrate import covers
from spiralage.datasets.crops import FALLBACK, Crops, Indices, spread
from spiralage.datasets.manifest import Row, Split
from spiralage.datasets.shards import unpack_landmarks
from spiralage.distribution import AGES, central_interval, expected_age, p_at_least
from spiralage.errors import DatasetError
from spiralage.faces.find import FoundFace
from spiralage.occlusion.mean_shape import full_points
from spiralage.occlusion.occluders import OCCLUDERS, OccluderName
from spiralage.pipeline import AgePipeline
from spiralage.types import CROP_SIZE, AlignedFace, Box, Doubles, Face, FaceReport, Floats, Mask, Occlusion

BATCH = 64
LEVEL = 0.9
"""The level of the intervals that are kept."""
NO_FACE = "no face found"

Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Answers:
    """What was said of N faces.

    Args:
        data: the set.
        occluder: what was drawn in front of them; "" where nothing was.
        rows: who they are.
        probabilities: (N, 101) float32, the network's own.
        hidden: (N,), what was taken for hidden, a part of the crop.
        covered: (N,) bool, whether something was taken to be in front of the face.
        calibrated: (N,) bool, whether interval and ``at_least`` are calibrated.
        low, high: (N,), the ends of the interval of ``LEVEL``, years.
        at_least: (N, 101), P(age ≥ t).
        failures: why nothing could be told, "" where it could.
    """

    data: str
    occluder: str
    rows: tuple[Row, ...]
    probabilities: Floats
    hidden: Doubles
    covered: Mask
    calibrated: Mask
    low: Doubles
    high: Doubles
    at_least: Doubles
    failures: tuple[str, ...]

    @cached_property
    def ages(self) -> Doubles:
        """(N,), true, years."""
        return np.array([row.age for row in self.rows], np.float64)

    @cached_property
    def estimates(self) -> Doubles:
        """(N,), years."""
        return expected_age(self.probabilities)

    @cached_property
    def told(self) -> Mask:
        """(N,) bool, of which faces an age was told."""
        return np.array([not failure for failure in self.failures], np.bool_)

    @property
    def persons(self) -> list[str]:
        """Whose pictures they are."""
        return [row.subject for row in self.rows]

    def uncalibrated(self) -> Answers:
        """The same answers as the network believes them."""
        low, high = central_interval(self.probabilities, LEVEL)
        at_least = np.stack([p_at_least(self.probabilities, year) for year in AGES], axis=1)
        none = np.zeros(len(self.rows), np.bool_)
        return replace(self, calibrated=none, low=low, high=high, at_least=at_least)


def ask(
    pipeline: AgePipeline,
    crops: Crops,
    indices: Indices,
    occluders: Sequence[OccluderName] = (),
    *,
    told: bool = True,
    progress: Progress = lambda done, total: None,
) -> Answers:
    """What a pipeline says of crops.

    A face in which no detector found one counts as a failure. The crops don't keep how large a face was in its photo,
    so none is too small.

    Args:
        pipeline: goes from aligned faces on.
        crops: of a set with ages.
        indices: which of them, at least one.
        occluders: what is drawn in front of them, one after the other in turns; nothing if empty.
        told: what is drawn is known to the pipeline; else it must be found.
        progress: told (faces done, faces in all).

    Raises:
        DatasetError: no crops, or crops without ages.
    """
    if len(indices) == 0:
        raise DatasetError(f"{crops.folder}: no faces to ask about; choose another split")
    _ = crops.ages  # says so if there are none
    parts: list[Answers] = []
    for start in range(0, len(indices), BATCH):
        some = indices[start : start + BATCH]
        faces, occlusions = zip(*_faces(crops, some, occluders), strict=True)
        reports = pipeline.read(faces, occlusions if told and occluders else None)
        parts.append(_answers(crops, some, reports, " ".join(occluders)))
        progress(min(start + BATCH, len(indices)), len(indices))
    return joined(parts)


def _answers(crops: Crops, indices: Indices, reports: Sequence[FaceReport], occluder: str) -> Answers:
    ages, missing = [report.age for report in reports], [crops.found_by[i] == FALLBACK for i in indices]
    return Answers(
        data=crops.data,
        occluder=occluder,
        rows=tuple(crops.rows[i] for i in indices),
        probabilities=np.stack([age.probabilities for age in ages]),
        hidden=np.array([report.occlusion.fraction for report in reports]),
        covered=np.array([covers(report.occlusion) for report in reports], np.bool_),
        calibrated=np.array([age.calibrated is not None for age in ages], np.bool_),
        low=np.array([age.interval(LEVEL)[0] for age in ages]),
        high=np.array([age.interval(LEVEL)[1] for age in ages]),
        at_least=np.array([[age.p_at_least(year) for year in AGES] for age in ages]),
        failures=tuple(
            NO_FACE if none else report.cant_tell or "" for none, report in zip(missing, reports, strict=True)
        ),
    )


def joined(parts: Sequence[Answers]) -> Answers:
    """Several answers, at least one, as one; of other sets or occluders the names of all."""
    return Answers(
        data=" + ".join(dict.fromkeys(part.data for part in parts)),
        occluder=" + ".join(dict.fromkeys(part.occluder for part in parts)),
        rows=tuple(row for part in parts for row in part.rows),
        probabilities=np.concatenate([part.probabilities for part in parts]),
        hidden=np.concatenate([part.hidden for part in parts]),
        covered=np.concatenate([part.covered for part in parts]),
        calibrated=np.concatenate([part.calibrated for part in parts]),
        low=np.concatenate([part.low for part in parts]),
        high=np.concatenate([part.high for part in parts]),
        at_least=np.concatenate([part.at_least for part in parts]),
        failures=tuple(failure for part in parts for failure in part.failures),
    )


def split_indices(crops: Crops, split: Split, most: int | None) -> Indices:
    """A split's crops, at most so many, evenly spread."""
    return spread(crops.indices(split), most)


def _faces(crops: Crops, indices: Indices, occluders: Sequence[OccluderName]) -> Iterator[tuple[FoundFace, Occlusion]]:
    """Crops as the finder would give them, with what is drawn in front, and what hides a part of them.

    A picture's occluder and its drawing depend on the picture's place in its set alone.
    """
    pictures, insides, points = crops.take(indices), crops.inside(indices), crops.landmarks(indices)
    for place, pixels, inside, packed in zip(indices, pictures, insides, points, strict=True):
        landmarks, mask, kind = unpack_landmarks(packed), ~inside, "frame"
        if occluders:
            kind = occluders[int(place) % len(occluders)]
            draw = OCCLUDERS[kind]
            cover = draw(full_points(landmarks), np.random.default_rng(int(place)))
            pixels, mask = cover.over(pixels), mask | cover.mask
        shown = np.where(inside[..., None], pixels, np.uint8(0))
        aligned = AlignedFace(shown, np.eye(2, 3), inside, landmarks)
        face = Face(Box(0, 0, CROP_SIZE, CROP_SIZE), detector=crops.found_by[int(place)])
        yield FoundFace(face, aligned), Occlusion(mask, kind if mask.any() else "none")
