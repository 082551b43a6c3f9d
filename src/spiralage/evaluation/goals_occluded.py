"""Goals of faces that something hides: found, read all the same, and how sure."""

from __future__ import annotations

from types import MappingProxyType

from spiralage.evaluation.goal import Goal, Where
from spiralage.evaluation.results import CoverageRow, LandmarkRow, LopoRow, OcclusionRow, PhotoSpeedRow, ThresholdRow

DECADE, THIRD = "age", "hidden"


def _where(**values: str | int | tuple[str, ...]) -> Where:
    return MappingProxyType(values)


def _found(what: str, bound: float, column: str, *, reach: bool, **where: str | tuple[str, ...]) -> Goal:
    return Goal(what, "occlusion-masks.csv", OcclusionRow, _where(**where), bound, column, reach, 3, which="worst")


FINDING = (
    _found(
        "masks that others drew (MaskedFace-450, validation), found: IoU",
        0.9,
        "iou",
        reach=True,
        data="MaskedFace-450 val",
    ),
    _found(
        "kinds of occluders kept out of training, found: IoU, the worst kind",
        0.8,
        "iou",
        reach=True,
        role="kept out",
    ),
    _found(
        "clean FG-NET, AAF, CelebA-HQ: part falsely hidden, the worst set",
        0.01,
        "falsely_hidden",
        reach=False,
        role="clean",
        data=("FG-NET", "AAF test", "CelebA-HQ test"),
    ),
)


def _points(what: str, bound: float, column: str, digits: int = 1) -> Goal:
    where = _where(landmarker="heatmap", occluder="surgical-mask")
    return Goal(what, "landmarks.csv", LandmarkRow, where, bound, column, digits=digits, which="worst")


LANDMARKS = (
    _points("landmarks under a medical mask: mouth, % of the outer-eye distance, the worst set", 7, "mouth"),
    _points("the same: eyes", 3.5, "eyes"),
    _points("the same: how far the crop moves, pixels", 4, "crop_moves"),
)


def _read(what: str, bound: float, column: str = "mae", until: float | None = None, **where: str) -> Goal:
    chosen = _where(rule="estimate", **where)
    return Goal(what, "threshold.csv", ThresholdRow, chosen, bound, column, until=until, which="worst")


READING = (
    Goal(
        "FG-NET under the paper's mask, `best`, the best way",
        "table1.csv",
        LopoRow,
        _where(recipe="lopo-best", occluder="paper"),
        4.5,
        which="best",
    ),
    _read(
        "drawn medical masks, found by the program: UTKFace and AAF test, the worse",
        6,
        by="all",
        occluder="surgical-mask",
    ),
    _read(
        "the same, 70 years and older: bias, years",
        -6,
        "bias",
        6,
        by="age",
        part="70 and older",
        occluder="surgical-mask",
    ),
)


def _sure(what: str, bound: float, column: str, until: float | None = None, by: str = "all") -> Goal:
    where = _where(intervals="calibrated", by=by)
    return Goal(what, "coverage.csv", CoverageRow, where, bound, column, until=until, digits=3, which="worst")


SURE = (
    _sure(
        "90 % intervals, UTKFace and AAF test, clean and under each occluder: coverage, the worst",
        0.88,
        "coverage",
        0.92,
    ),
    _sure("the same by decade of age, the worst", 0.85, "coverage", 0.95, DECADE),
    _sure("the same by third of the hidden part, the worst", 0.85, "coverage", 0.95, THIRD),
    _sure("P(age ≥ 18): calibration error, the worst", 0.02, "ece18"),
    _sure("P(age ≥ t), t = 5, 10, … 80: calibration error, the worst", 0.02, "ece_most"),
)

SPEED = (
    Goal(
        "a folder of 200 faces read by two processes, s (25 faces a second)",
        "speed-photos.csv",
        PhotoSpeedRow,
        _where(task="folder-2"),
        8,
        "after_s",
        digits=1,
    ),
)

OCCLUDED = (*FINDING, *LANDMARKS, *READING, *SURE, *SPEED)
