"""Results: typed rows, all read from CSV and written to it by the same two functions.

A column is a field, an empty cell the field's default. Numbers keep their full precision; digits are chosen where a
table is printed, never here, so that differences can be taken of what was measured.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from spiralage.csv_lines import csv_line
from spiralage.errors import InputError
from spiralage.files import write_text

ConditionName: TypeAlias = Literal["any", "original", "covered", "masked", "restored"]
"""What is done to a face. "any" is for who doesn't look at it: the constant predictor."""
FacesName: TypeAlias = Literal["unmasked", "masked"]


class ConditionKey(NamedTuple):
    """Which test condition a number was measured under.

    Args:
        condition: what is done to the face.
        occluder: what hides a part of it; "" where nothing does.
        restorer: who fills what is hidden; "" where nobody does.
    """

    condition: ConditionName
    occluder: str = ""
    restorer: str = ""

    @property
    def label(self) -> str:
        """In a few words, for readers and plots; the paper's mask goes without saying.

        >>> ConditionKey("restored", "paper", "spiral").label, ConditionKey("covered", "scarf").label
        ('restored spiral', 'covered scarf')
        """
        return " ".join(
            filter(None, (self.condition, self.restorer, "" if self.occluder == "paper" else self.occluder))
        )


class Row(BaseModel):
    """A line of a CSV file."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class _UnderACondition:
    """What rows that were measured under a test condition have in common."""

    if TYPE_CHECKING:  # each row declares them where its table has them
        condition: ConditionName
        occluder: str
        restorer: str

    @property
    def key(self) -> ConditionKey:
        """The test condition."""
        return ConditionKey(self.condition, self.occluder, self.restorer)


class LopoRow(_UnderACondition, Row):
    """A row of ``results/table1.csv``: leave one person out on FG-NET.

    Args:
        estimator: what estimates.
        trained_on: data in order, for readers.
        faces: which faces the folds' networks were trained on; "" for the constant predictor.
        condition, occluder, restorer: see ``ConditionKey``.
        mae, mae_low, mae_high: years, over images; the 95 % interval is a bootstrap over persons.
        mae_by_person: years, the mean of the persons' own MAEs.
        cs5: the part of images within 5 years.
        recipe: the experiment's; "" for the constant predictor.
    """

    estimator: str
    trained_on: str
    faces: FacesName | Literal[""] = ""
    condition: ConditionName
    occluder: str = ""
    restorer: str = ""
    mae: float
    mae_low: float
    mae_high: float
    mae_by_person: float
    cs5: float
    images: int
    persons: int
    recipe: str = ""
    seed: int
    commit: str
    hardware: str

    @property
    def block(self) -> tuple[str, str]:
        """The recipe, and which faces the folds' networks were trained on."""
        return self.recipe, self.faces


class PredictionRow(_UnderACondition, Row):
    """A row of ``results/lopo/NAME.csv``: the answer for one picture under one condition.

    Args:
        image, person: whose picture it is.
        age: the true one, years.
        found_by: the detector that found the face.
        faces: which faces the fold's network was trained on.
        condition, occluder, restorer: see ``ConditionKey``.
        estimate: years.
        cdf: P(age < truth), the true year counted half. Uniform over pictures if the distributions are honest:
            coverage of any interval can be read off it.
    """

    image: str
    person: str
    age: int
    found_by: str
    faces: FacesName
    condition: ConditionName
    occluder: str = ""
    restorer: str = ""
    estimate: float
    cdf: float


class PairedRow(Row):
    """A row of ``results/paired.csv``: two conditions compared on the same pictures, with the same occluder.

    Args:
        recipe: the experiment.
        faces: which faces the folds' networks were trained on.
        condition, occluder, restorer: see ``ConditionKey``.
        against_condition, against_restorer: what is compared with.
        difference, low, high: years; the mean of |error| under the condition less |error| under the other, and
            its 95 % interval, a bootstrap over persons. Below 0 the condition is better.
    """

    recipe: str
    faces: FacesName
    condition: ConditionName
    occluder: str
    restorer: str = ""
    against_condition: ConditionName
    against_restorer: str = ""
    difference: float
    low: float
    high: float
    images: int
    persons: int
    seed: int
    commit: str
    hardware: str


class HoldoutRow(_UnderACondition, Row):
    """A row of ``results/holdout.csv``: a network on the test split of a data set.

    Args:
        data: the set.
        network: its backbone; the constant predictor's says what it answers.
        condition, occluder, restorer: see ``ConditionKey``.
        mae: years.
        cs5: the part of images within 5 years.
        coverage90: the part of images whose age is in the 90 % interval; None where there is no distribution.
    """

    data: str
    network: str
    condition: ConditionName
    occluder: str = ""
    restorer: str = ""
    mae: float
    cs5: float
    images: int
    recipe: str = ""
    seed: int
    commit: str
    hardware: str
    coverage90: float | None = None


class CoverageRow(Row):
    """A row of ``results/coverage.csv``: whether intervals hold and probabilities come true.

    Args:
        data: the set.
        occluder: what was drawn in front of the faces; "" where nothing was.
        by, part: whose answers: "all"; of a decade of the true "age"; of a third of the "hidden" part.
        intervals: "calibrated", as the program says them, or "network", as the network alone believes.
        level: of the intervals.
        coverage, coverage_low, coverage_high: the part of images whose age, in whole years, lies in the interval, ends
            included, and its 95 % interval, a bootstrap over persons.
        width: years, the median.
        ece18, ece25: the expected calibration error of P(age ≥ 18) and P(age ≥ 25), see ``metrics.calibration_error``.
        ece_most: the largest one of P(age ≥ t), for t = 5, 10, … 80.
        network: its name.
        restorer: who fills what is hidden.
        known: "told" where the program knows what was drawn; else "found by" and what must find it.
    """

    data: str
    occluder: str = ""
    by: Literal["all", "age", "hidden"]
    part: str = ""
    intervals: Literal["calibrated", "network"]
    level: float
    coverage: float
    coverage_low: float
    coverage_high: float
    width: float
    ece18: float | None = None
    ece25: float | None = None
    ece_most: float | None = None
    images: int
    network: str
    restorer: str
    known: str
    commit: str
    hardware: str


class ThresholdRow(Row):
    """A row of ``results/threshold.csv``: an age check, as NIST's FATE AE and ISO/IEC 27566 speak of it.

    Args:
        data, occluder, network, restorer, known: see ``CoverageRow``.
        rule: who passes: "estimate", whose estimated age is ``limit`` or more; "probability", for whom
            P(age ≥ at_least) is ``limit`` or more.
        limit: years, the challenge age or the legal one; for "probability" a probability.
        at_least: the legal age, years. Whoever is younger is a minor.
        by, part: whose answers: "all"; of a band of the true "age"; of a "sex"; of a "group", as the set calls it.
        minors, adults: images that an age was told of.
        false_positive, false_positive_low, false_positive_high: the part of the minors that passes, and its 95 %
            interval, a bootstrap over persons, see ``metrics.bootstrap_rate``; None where there are no minors.
        false_negative, …: the part of the adults that doesn't pass; None where there are no adults.
        failure_to_acquire: the part of all images of which no age was told; such a person doesn't pass, and is in no
            other number.
        mae, bias, std: years: the mean of |error|, the mean of the error (above 0: told too old) and the error's
            standard deviation.
        cs5: the part of images within 5 years.
        images: of which an age was told.
        persons: whose they are.
    """

    data: str
    occluder: str = ""
    rule: Literal["estimate", "probability"]
    limit: float
    at_least: int
    by: Literal["all", "age", "sex", "group"]
    part: str = ""
    minors: int
    adults: int
    false_positive: float | None = None
    false_positive_low: float | None = None
    false_positive_high: float | None = None
    false_negative: float | None = None
    false_negative_low: float | None = None
    false_negative_high: float | None = None
    failure_to_acquire: float
    mae: float | None = None
    bias: float | None = None
    std: float | None = None
    cs5: float | None = None
    images: int
    persons: int
    network: str
    restorer: str
    known: str
    calibrated: bool
    commit: str
    hardware: str


class RestorationRow(Row):
    """A row of ``results/restore.csv``: a restorer on a set of faces; what isn't known is empty.

    Args:
        data: the set, and which part of it.
        occluder: what hides.
        restorer: who filled the hidden pixels.
        psnr, psnr_hidden, ssim, ssim_hidden, l1, l1_hidden: see ``image_metrics.Nearness``; means over pictures.
        lpips: see ``perception.Perception``; the mean over pictures. Empty where ImageNet's weights weren't there.
        feature_fid: the Fréchet distance between originals and restored pictures in the last layer of the project's
            own feature network, the mean over places. It is *not* the FID of the literature, which is Inception's, and
            its numbers are of another scale.
        imagenet_fid: the same in the activations of a network that was trained on ImageNet, see
            ``perception.Perception``; its scale is its own, too.
        inception_fid: the FID of the literature; empty in all rows measured here.
        visible_identical: the share of visible pixels that are the original's, bit for bit.
        images: how many pictures.
        features: the run of the feature network.
        weights: the recipes and seeds of the restorer's networks; of one that doesn't ship, its name and how its
            version begins.
        seed: of the occluders.
    """

    data: str
    occluder: str = ""
    restorer: str
    psnr: float | None = None
    psnr_hidden: float | None = None
    ssim: float | None = None
    ssim_hidden: float | None = None
    l1: float | None = None
    l1_hidden: float | None = None
    lpips: float | None = None
    feature_fid: float | None = None
    imagenet_fid: float | None = None
    inception_fid: float | None = None
    visible_identical: float | None = None
    images: int | None = None
    features: str = ""
    weights: str = ""
    seed: int | None = None
    commit: str = ""
    hardware: str = ""


class PairedRestorationRow(Row):
    """A row of ``results/restore-paired.csv``: two restorers compared on the same pictures, by LPIPS.

    Args:
        data, occluder, restorer: see ``RestorationRow``.
        against: the restorer that is compared with.
        difference, low, high: the mean of the restorer's LPIPS less the other's, and its 95 % interval, a bootstrap
            over persons. Below 0 the restorer is better.
    """

    data: str
    occluder: str
    restorer: str
    against: str
    difference: float
    low: float
    high: float
    images: int
    persons: int
    seed: int
    commit: str
    hardware: str


OcclusionRole: TypeAlias = Literal["clean", "distractor", "outlined", "trained", "kept out"]
"""What a row's numbers are for: nothing is hidden; something is drawn that isn't to be found; masks that others drew;
a kind of occluder that the network was trained with, or one that it never saw."""


class OcclusionRow(Row):
    """A row of ``results/occlusion-masks.csv``: what hides faces of a set, found; see ``training.hidden_scores``.

    Args:
        network: what finds.
        data: the set, and which part of it.
        occluder: what is drawn on the faces; "" where they are as they are.
        role: see there.
        iou: intersection over union, the mean over pictures that hide something; pooled_iou: over all their pixels.
        missed: the part of the hidden pixels that wasn't found, the mean over pictures.
        falsely_hidden: the part of the visible pixels that was found, the mean over pictures.
        damaged: the part of the pictures of which more than 1 % of the visible pixels was found.
        images: how many pictures.
        weights: the recipe and seed of the network.
        threshold: from which probability on a pixel is hidden.
        seed: of the occluders.
    """

    network: str
    data: str
    occluder: str = ""
    role: OcclusionRole
    iou: float | None = None
    pooled_iou: float | None = None
    missed: float | None = None
    falsely_hidden: float | None = None
    damaged: float | None = None
    images: int
    weights: str
    threshold: float
    seed: int
    commit: str
    hardware: str


class CountedFace(Row):
    """A line of ``counts.csv``, in which a person counts what is right on sheets; see ``evaluation.real_masks``.

    Args:
        photo, number: whose file, and its number on the sheets.
        face: its number in the photo; 0 where none was found.
        hidden: the part of the crop that was found hidden.
        eye_distance: pixels of the photo between the eyes.
        is_face, covered, found, outline_right, false_find: 0 or 1, filled in by hand.
        faces_missed: of the photo, filled in by hand; none where empty.
    """

    photo: str
    number: int
    face: int = 0
    hidden: float | None = None
    eye_distance: float | None = None
    is_face: Literal[0, 1] | None = None
    covered: Literal[0, 1] | None = None
    found: Literal[0, 1] | None = None
    outline_right: Literal[0, 1] | None = None
    false_find: Literal[0, 1] | None = None
    faces_missed: int | None = None

    @field_validator("is_face", "covered", "found", "outline_right", "false_find", mode="before")
    @classmethod
    def _from_a_cell(cls, value: object) -> object:
        return {"0": 0, "1": 1}.get(value, value) if isinstance(value, str) else value


class ValidationRow(Row):
    """A row of ``results/training/NAME.csv``: a restorer in training, on fixed faces of validation splits.

    Args:
        recipe: what is trained.
        step: steps done.
        minutes: of training so far, all sittings together.
        psnr, ssim: see ``image_metrics.Nearness``; means over pictures.
        lpips: the mean over pictures; None where it wasn't measured.
        feature_fid: see ``RestorationRow``; it falls with the number of pictures, and these are few.
        images: how many faces.
        features: the feature network.
        seed: of the faces and what hides them.
    """

    recipe: str
    step: int
    minutes: float
    psnr: float
    ssim: float
    lpips: float | None = None
    feature_fid: float
    images: int
    features: str
    seed: int
    commit: str
    hardware: str


class SpeedRow(Row):
    """A row of ``results/speed.csv``: one way of running SpiralNet.

    Args:
        way: what runs the networks, and how precisely.
        pictures_per_s: at this batch, the median of ``rounds``.
        ratio: to the reference at the same batch.
        peak_mib: the most memory that a process of its own takes for this way beyond what it had before: weights, what
            they are loaded with, activations. PyTorch itself was there before.
        bf16_share, fp32_share: arithmetic done per second, as a part of the machine's matrix rate in either precision.
        bf16_gflops, fp32_gflops: that rate, in 10⁹ operations per second, as PyTorch multiplies matrices.
        most: the largest difference to the reference of any hidden pixel, in steps of 1/255.
        psnr: to the reference, dB, over hidden pixels; infinite where nothing differs.
    """

    way: str
    batch: int
    threads: int
    pictures_per_s: float
    ratio: float
    peak_mib: float
    bf16_share: float
    fp32_share: float
    bf16_gflops: float
    fp32_gflops: float
    most: int
    psnr: float
    rounds: int
    recipe: str
    seed: int
    commit: str
    hardware: str


class FolderSpeedRow(Row):
    """A row of ``results/folders.csv``: a run of ``spiralage estimate --out``, start and all.

    Args:
        workers: processes, one thread each.
        photos: how many were read, one face each.
        seconds: by the clock.
        largest_process_mb: the most memory that a process had until then, in MiB.
        load: the machine's load average over the last minute, when the run began.
    """

    workers: int
    photos: int
    seconds: float
    photos_a_second: float
    largest_process_mb: float
    load: float
    commit: str
    hardware: str


class PhotoSpeedRow(Row):
    """A row of ``results/speed-photos.csv``.

    Args:
        task: what is timed, see ``WHAT`` in benchmarks/photos.py.
        before_s, after_s: seconds of CPU, the median of ``rounds``; of the clock for "folder-2".
        ratio: how many times as fast it is after.
    """

    task: str
    before_s: float
    after_s: float
    ratio: float
    rounds: int
    before: str
    commit: str
    hardware: str


class PaperSpeedRow(Row):
    """A row of ``results/speed-paper.csv``: one way of running SpiralNet at the paper's sizes, with random weights.

    Args:
        way: what runs the networks, and how precisely.
        seconds: processor time of one picture, the median of ``rounds``.
        ratio: the reference's seconds by these.
        goal: what the ratio was to be; None where there is no goal.
        gmac: 10⁹ multiplications of one picture.
        hardware: the processor, with the widest arithmetic that it has for networks.
    """

    way: str
    seconds: float
    ratio: float
    goal: float | None
    gmac: float
    rounds: int
    commit: str
    hardware: str


class LandmarkRow(Row):
    """A row of ``results/landmarks.csv``: a landmarker on a set of photos; the truth is dlib's, of the clean photos.

    Args:
        data: the set, and which part of it.
        occluder: what hides; "" in clean photos.
        trained: whether the heat-map network saw such an occluder in training.
        landmarker: who finds; a detector's name where its own five points are measured.
        eyes, nose, mouth, brows, contour: the mean distance of the 68 points to the true ones, in % of the outer-eye
            distance; None where there are five.
        five_eyes, five_nose, five_mouth: the same for the five points.
        crop_moves: how far the face moves in its crop against the same landmarker's crop of the clean photo, crop
            pixels, the median over photos; 0 in clean ones.
        within_two_spreads: the part of the points within two of their spreads; None where there are no spreads.
        detected: the part of the photos in which the detector found the face.
        images: how many photos.
        network: the heat-map network's recipe.
        seed: of the occluders.
    """

    data: str
    occluder: str = ""
    trained: bool = False
    landmarker: str
    eyes: float | None = None
    nose: float | None = None
    mouth: float | None = None
    brows: float | None = None
    contour: float | None = None
    five_eyes: float
    five_nose: float
    five_mouth: float
    crop_moves: float
    within_two_spreads: float | None = None
    detected: float
    images: int
    network: str
    seed: int
    commit: str
    hardware: str


class Origin(NamedTuple):
    """What stands beside every number."""

    commit: str
    hardware: str


AnyRow = TypeVar("AnyRow", bound=Row)


def write_rows(path: Path, kind: type[AnyRow], rows: Iterable[AnyRow]) -> None:
    """Write rows as CSV, whole or not at all; raises OutputError."""
    lines = (csv_line(row.model_dump().values()) for row in rows)
    write_text(path, "".join([csv_line(kind.model_fields), *lines]))


def read_rows(path: Path, kind: type[AnyRow]) -> list[AnyRow]:
    """The rows of a table that ``write_rows`` wrote.

    Raises:
        InputError: no such file, or it isn't such a table.
    """
    return [_row(path, number, kind, line) for number, line in enumerate(read_lines(path), 2)]


def read_lines(path: Path) -> Iterator[dict[str, str]]:
    """The lines of any CSV file with a header: column → cell.

    Raises:
        InputError: it can't be read, isn't UTF-8, or a line has cells that no column names.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:  # a cell may hold a line break
            lines = list(csv.DictReader(file, strict=True))
    except OSError as error:
        raise InputError(
            f"{path}: can't be read ({error.strerror}); measure it first, or name another folder"
        ) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: not a table ({error}); restore it, or measure it anew") from error
    for number, line in enumerate(lines, 2):
        if None in line or None in line.values():
            raise InputError(
                f"{path}: line {number} is longer or shorter than the header; restore it, or measure it anew"
            )
        yield line


def _row(path: Path, number: int, kind: type[AnyRow], line: dict[str, str]) -> AnyRow:
    try:
        return kind.model_validate({column: cell for column, cell in line.items() if cell != ""})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise InputError(
            f"{path}: line {number}, {where}: {first['msg']}; of an older version: "
            f"python -m spiralage.evaluation.migrate {path.parent}"
        ) from error
