"""``spiralage evaluate threshold`` and ``coverage``: age checks, and whether what is said of them comes true."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple, TypedDict

import typer

from spiralage.age.estimate import DEFAULT_NETWORK
from spiralage.age.quality import QualityName
from spiralage.cli.console import progress_bar, say
from spiralage.cli.one_photo import RestorerOption
from spiralage.cli.options import CACHE, Finder, SplitChoice, Threads, Told, need_train_extra
from spiralage.errors import OptionError
from spiralage.occlusion.occluders import OCCLUDERS, OccluderName, occluder_named
from spiralage.pipeline import DEFAULT_RESTORER, AgePipeline

if TYPE_CHECKING:
    from spiralage.evaluation.answers import Answers
    from spiralage.evaluation.results import Origin

DRAWN: tuple[OccluderName, ...] = ("surgical-mask", "sunglasses", "scarf", "hand", "paper")
"""What is drawn in front of the faces unless something else is asked for."""

Network = Annotated[str, typer.Option(help="what tells the age: a network's name, file or run folder")]
Sets = Annotated[str, typer.Option("--data", help="data sets with ages, with a comma between")]
Cache = Annotated[Path, typer.Option(help="the folder that holds the sets' aligned crops, each in its own")]
Drawn = Annotated[
    list[str] | None,
    typer.Option("--occluder", help=f"what is drawn in front: {', '.join(OCCLUDERS)}, or nothing; repeatable"),
]
Most = Annotated[int | None, typer.Option(min=1, help="take so many faces of each set, evenly spread; all by default")]
Output = Annotated[Path, typer.Option("--output", "-o", help="the folder of the tables")]
Asked = Annotated[QualityName, typer.Option(help="what a face must have, as for estimate")]
Split = Annotated[SplitChoice, typer.Option(help="which part of the sets")]


def register(evaluate: typer.Typer) -> None:
    """Add these commands to the group."""
    evaluate.command("threshold")(evaluate_threshold)
    evaluate.command("coverage")(evaluate_coverage)


def evaluate_threshold(
    at_least: Annotated[int, typer.Option(help="the legal age, years")] = 18,
    challenge: Annotated[int, typer.Option(help="whoever is estimated younger is challenged, years")] = 25,
    sure: Annotated[float, typer.Option(help="or: whoever isn't of the legal age with this probability")] = 0.95,
    network: Network = DEFAULT_NETWORK,
    restorer: RestorerOption = DEFAULT_RESTORER,
    data: Sets = "utkface,aaf",
    cache: Cache = CACHE,
    split: Split = "test",
    occluder: Drawn = None,
    told: Told = True,
    occlusion: Finder = "auto",
    min_quality: Asked = "face",
    most: Most = None,
    coverage: Annotated[
        bool, typer.Option("--coverage", help="also what evaluate coverage writes, of the same answers")
    ] = False,
    output: Output = Path("results"),
    threads: Threads = None,
) -> None:
    """An age check: minors that pass, adults that are challenged, by age, sex and group, plain and covered."""
    need_train_extra()
    from spiralage.evaluation.protocols import threshold
    from spiralage.evaluation.results import ThresholdRow, write_rows
    from spiralage.evaluation.sure_pages import write_threshold
    from spiralage.files import check_outputs

    check = threshold.Check(at_least, challenge, sure)
    check_outputs([output / name for name in ("threshold.csv", "threshold.md", f"threshold-{at_least}.png")])
    check_outputs([output / name for name in (COVERAGE if coverage else ())])
    asked = _ask(
        _Question(network, restorer, occlusion, min_quality), data, cache, split, occluder, told, most, threads
    )
    rows = threshold.threshold_rows(asked.answers, check, **asked.facts)
    write_rows(output / "threshold.csv", ThresholdRow, rows)
    write_threshold(output, rows, asked.answers, check)
    for row in rows:
        if row.by == "all":
            positive, negative = (
                "  –  " if rate is None else f"{rate:5.1%}" for rate in (row.false_positive, row.false_negative)
            )
            say(
                f"{row.data:8} {row.occluder or 'nothing':14} {row.rule:11} {row.limit:5g}   "
                f"false positives {positive} of {row.minors}   false negatives {negative} of {row.adults}   "
                f"no answer {row.failure_to_acquire:.1%}"
            )
    if coverage:
        _write_coverage(asked, output)


def evaluate_coverage(
    network: Network = DEFAULT_NETWORK,
    restorer: RestorerOption = DEFAULT_RESTORER,
    data: Sets = "utkface,aaf",
    cache: Cache = CACHE,
    split: Split = "test",
    occluder: Drawn = None,
    told: Told = True,
    occlusion: Finder = "auto",
    most: Most = None,
    output: Output = Path("results"),
    threads: Threads = None,
) -> None:
    """Whether 90 % intervals hold 90 % of the ages, and probabilities come true, by age and by what is hidden."""
    need_train_extra()
    from spiralage.files import check_outputs

    check_outputs([output / name for name in COVERAGE])
    asked = _ask(_Question(network, restorer, occlusion, "face"), data, cache, split, occluder, told, most, threads)
    _write_coverage(asked, output)


COVERAGE = ("coverage.csv", "coverage.png")


def _write_coverage(asked: _Asked, output: Path) -> None:
    from spiralage.evaluation.protocols.coverage import coverage_rows
    from spiralage.evaluation.results import CoverageRow, write_rows
    from spiralage.evaluation.sure_pages import reliability_png
    from spiralage.files import write_bytes

    rows = coverage_rows(asked.answers, **asked.facts)
    write_rows(output / "coverage.csv", CoverageRow, rows)
    write_bytes(output / "coverage.png", reliability_png(asked.answers))
    for row in rows:
        if row.by == "all":
            say(
                f"{row.data:8} {row.occluder or 'nothing':14} {row.intervals:10} coverage {row.coverage:.1%} of "
                f"{row.images}   width {row.width:.1f} years   ECE ≥ 18 {row.ece18:.3f}   worst {row.ece_most:.3f}"
            )


class _Question(NamedTuple):
    """How a pipeline reads."""

    network: str
    restorer: str
    occlusion: str
    min_quality: QualityName


class _Asked(NamedTuple):
    """What a pipeline said, and what stands beside it in the tables."""

    answers: list[Answers]
    facts: _Facts


class _Facts(TypedDict):
    network: str
    restorer: str
    known: str
    origin: Origin


def _ask(
    question: _Question,
    data: str,
    cache: Path,
    split: SplitChoice,
    occluder: Sequence[str] | None,
    told: bool,
    most: int | None,
    threads: int | None,
) -> _Asked:
    """What the pipeline says of every set, plain and under each occluder."""
    from spiralage.datasets.crops import Crops
    from spiralage.evaluation.answers import ask, split_indices
    from spiralage.evaluation.results import Origin
    from spiralage.provenance import commit, hardware

    origin = Origin(commit(), hardware())  # of the code that runs
    pipeline = AgePipeline(**question._asdict(), threads=threads)
    sets = {name: Crops(cache / name) for name in data.split(",")}
    for name, crops in sets.items():
        crops.check_data(name)
    drawn: list[tuple[OccluderName, ...]] = [()]
    drawn += [(_named(name),) for name in (DRAWN if occluder is None else occluder) if name != "nothing"]
    asked = [(crops, split_indices(crops, split, most), one) for crops in sets.values() for one in drawn]
    total = sum(len(indices) for _, indices, _ in asked)
    found: list[Answers] = []
    with progress_bar("faces") as update:
        for crops, indices, one in asked:
            before = sum(len(done.rows) for done in found)
            found.append(ask(pipeline, crops, indices, one, told=told, progress=lambda n, _: update(before + n, total)))  # noqa: B023
    known = "told" if told else f"found by {question.occlusion}"
    return _Asked(found, {"network": question.network, "restorer": question.restorer, "known": known, "origin": origin})


def _named(name: str) -> OccluderName:
    known = occluder_named(name)
    if known is None:
        raise OptionError(f"--occluder {name}: no such occluder; give one of {', '.join(OCCLUDERS)}, or nothing")
    return known
