"""``spiralage evaluate coverage``: do intervals hold, and do probabilities come true?

By set and occluder, for all faces, by decade of the true age and by third of the hidden part; as the program says it,
and as the network alone believes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from spiralage.evaluation.answers import LEVEL, Answers
from spiralage.evaluation.metrics import bootstrap_mae, calibration_error
from spiralage.evaluation.results import CoverageRow, Origin
from spiralage.types import Mask

DECADES = tuple(range(0, 101, 10))
THIRDS = ("0–33 %", "33–67 %", "67–100 %")
EVERY = range(5, 81, 5)
"""Ages t, years, over which the worst error of P(age ≥ t) is sought."""
FEWEST = 10
"""Parts with fewer faces have no row."""
DRAWS = 1000


def coverage_rows(
    answers: Sequence[Answers], *, network: str, restorer: str, known: str, origin: Origin
) -> list[CoverageRow]:
    """The table of some answers; where nothing is calibrated, only what the network believes.

    Faces of which nothing could be told are left out; ``results/threshold.csv`` counts them.

    Args:
        answers: a set's under an occluder, each.
        network, restorer, known: for the rows, see ``CoverageRow``.
        origin: of the code that runs.
    """
    rows: list[CoverageRow] = []
    for one in answers:
        ways = {"calibrated": one} if one.calibrated.any() else {}
        for intervals, answer in (ways | {"network": one.uncalibrated()}).items():
            for by, part, chosen in parts_of(answer):
                fits = chosen & answer.told & (answer.calibrated if intervals == "calibrated" else True)
                if fits.sum() < FEWEST:
                    continue
                rows.append(
                    CoverageRow.model_validate(
                        {"data": answer.data, "occluder": answer.occluder, "by": by, "part": part}
                        | {"intervals": intervals, "level": LEVEL, "images": int(fits.sum())}
                        | _measured(answer, fits, errors=by == "all")
                        | {"network": network, "restorer": restorer, "known": known, **origin._asdict()}
                    )
                )
    return rows


def parts_of(answers: Answers) -> Iterator[tuple[str, str, Mask]]:
    """All faces, each decade of the true age, each third of the hidden part: (by, part, (N,) bool)."""
    yield "all", "", np.ones(len(answers.rows), np.bool_)
    decade = np.clip(answers.ages // 10, 0, 9)
    for number, low in enumerate(DECADES[:-1]):
        yield "age", f"{low}–{low + 9}" if number < 9 else f"{low} and older", decade == number
    third = np.clip(answers.hidden * 3 // 1, 0, 2)
    for number, name in enumerate(THIRDS):
        yield "hidden", name, third == number


def _measured(answers: Answers, chosen: Mask, *, errors: bool) -> dict[str, float]:
    ages, low, high = answers.ages[chosen], answers.low[chosen], answers.high[chosen]
    held = ((low <= ages) & (ages <= high)).astype(np.float64)
    persons = [person for person, one in zip(answers.persons, chosen, strict=True) if one]
    least, most = bootstrap_mae(held, persons, draws=DRAWS)
    measured = {
        "coverage": float(held.mean()),
        "coverage_low": least,
        "coverage_high": most,
        "width": float(np.median(high - low)),
    }
    if errors:
        found = {year: calibration_error(answers.at_least[chosen, year], ages >= year) for year in (18, 25, *EVERY)}
        measured |= {"ece18": found[18], "ece25": found[25], "ece_most": max(found[year] for year in EVERY)}
    return measured
