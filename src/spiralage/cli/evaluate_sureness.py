"""``spiralage evaluate threshold`` and ``coverage``: age checks, and whether what is said of them comes true."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
    output: Output = Path("results"),
    threads: Threads = None,
) -> None:
    """An age check: minors that pass, adults that are challenged, by age, sex and group, plain and covered."""
    need_train_extra()
    from spiralage.evaluation.protocols import threshold
    from spiralage.evaluation.results import Origin, ThresholdRow, write_rows
    from spiralage.evaluation.sure_pages import write_threshold
    from spiralage.files import check_outputs
    from spiralage.provenance import commit, hardware

    check = threshold.Check(at_least, challenge, sure)
    check_outputs([output / name for name in ("threshold.csv", "threshold.md", f"threshold-{at_least}.png")])
    origin = Origin(commit(), hardware())
    asked = AgePipeline(
        network=network, restorer=restorer, occlusion=occlusion, min_quality=min_quality, threads=threads
    )
    answers = _answers(asked, data, cache, split, occluder, told, most)
    rows = threshold.threshold_rows(
        answers, check, network=network, restorer=restorer, known=_known(told, occlusion), origin=origin
    )
    write_rows(output / "threshold.csv", ThresholdRow, rows)
    write_threshold(output, rows, answers, check)
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
    from spiralage.evaluation.protocols.coverage import coverage_rows
    from spiralage.evaluation.results import CoverageRow, Origin, write_rows
    from spiralage.evaluation.sure_pages import reliability_png
    from spiralage.files import check_outputs, write_bytes
    from spiralage.provenance import commit, hardware

    check_outputs([output / "coverage.csv", output / "coverage.png"])
    origin = Origin(commit(), hardware())
    asked = AgePipeline(network=network, restorer=restorer, occlusion=occlusion, threads=threads)
    answers = _answers(asked, data, cache, split, occluder, told, most)
    rows = coverage_rows(answers, network=network, restorer=restorer, known=_known(told, occlusion), origin=origin)
    write_rows(output / "coverage.csv", CoverageRow, rows)
    write_bytes(output / "coverage.png", reliability_png(answers))
    for row in rows:
        if row.by == "all":
            say(
                f"{row.data:8} {row.occluder or 'nothing':14} {row.intervals:10} coverage {row.coverage:.1%} of "
                f"{row.images}   width {row.width:.1f} years   ECE ≥ 18 {row.ece18:.3f}   worst {row.ece_most:.3f}"
            )


def _known(told: bool, occlusion: str) -> str:
    return "told" if told else f"found by {occlusion}"


def _answers(
    pipeline: AgePipeline,
    data: str,
    cache: Path,
    split: SplitChoice,
    occluder: Sequence[str] | None,
    told: bool,
    most: int | None,
) -> list[Answers]:
    """What the pipeline says of every set, plain and under each occluder."""
    from spiralage.datasets.crops import Crops
    from spiralage.evaluation.answers import ask, split_indices

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
    return found


def _named(name: str) -> OccluderName:
    known = occluder_named(name)
    if known is None:
        raise OptionError(f"--occluder {name}: no such occluder; give one of {', '.join(OCCLUDERS)}, or nothing")
    return known
