"""``spiralage evaluate threshold``: what an age check would do, in the words of NIST's FATE AE and of ISO/IEC 27566.

A shop must not sell to minors. A program that reads ages errs by some years, so who reads younger than a *challenge
age*, well above the legal one, has to show a document; or whoever isn't of the legal age with a high probability. A
minor who passes is a *false positive*, an adult who is challenged a *false negative*. A face of which nothing can be
told is a *failure to acquire*.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from spiralage.errors import OptionError
from spiralage.evaluation.answers import Answers
from spiralage.evaluation.metrics import bootstrap_rate, cumulative_score, mean_absolute_error
from spiralage.evaluation.results import Origin, ThresholdRow
from spiralage.types import Mask

BANDS = (0, 8, 13, 16, 18, 21, 25, 30, 40, 60, 70, 121)
"""Edges of the bands of true age, years: those of NIST's FATE AE around the legal age, and wider ones beyond."""


@dataclass(frozen=True)
class Check:
    """An age check.

    Args:
        at_least: the legal age, years.
        challenge: whoever is estimated younger is challenged.
        sure: by the other rule, whoever isn't of the legal age with this probability.

    Raises:
        OptionError: ages or a probability that make no check.
    """

    at_least: int = 18
    challenge: int = 25
    sure: float = 0.95

    def __post_init__(self) -> None:
        if not 1 <= self.at_least <= self.challenge <= 100:
            raise OptionError(
                f"--at-least {self.at_least} --challenge {self.challenge}: give ages from 1 to 100, the challenge age "
                "no lower than the other"
            )
        if not 0 < self.sure < 1:
            raise OptionError(f"--sure {self.sure}: give a probability between 0 and 1")


@dataclass(frozen=True, eq=False)
class Rule:
    """Who passes.

    Args:
        name, limit: see ``ThresholdRow``.
        passes: (N,) bool; nobody passes of whom nothing was told.
    """

    name: Literal["estimate", "probability"]
    limit: float
    passes: Mask


def rules(answers: Answers, check: Check) -> tuple[Rule, ...]:
    """By the estimate at the challenge age and at the legal age; by the probability."""
    chance = answers.at_least[:, check.at_least]
    return (
        *(
            Rule("estimate", limit, answers.told & (answers.estimates >= limit))
            for limit in dict.fromkeys((check.challenge, check.at_least))
        ),
        Rule("probability", check.sure, answers.told & (chance >= check.sure)),
    )


def threshold_rows(
    answers: Sequence[Answers], check: Check, *, network: str, restorer: str, known: str, origin: Origin
) -> list[ThresholdRow]:
    """The table of some answers.

    Args:
        answers: a set's under an occluder, each.
        check: the age check.
        network, restorer, known: for the rows, see ``CoverageRow``.
        origin: of the code that runs.
    """
    same = {"network": network, "restorer": restorer, "known": known, "at_least": check.at_least, **origin._asdict()}
    return [
        ThresholdRow.model_validate(
            {"data": one.data, "occluder": one.occluder, "rule": rule.name, "limit": rule.limit, "by": by, "part": part}
            | {
                "calibrated": bool(one.calibrated.any()),
                **same,
                **_errors(one, chosen),
                **_rates(one, chosen, rule, check),
            }
        )
        for one in answers
        for rule in rules(one, check)
        for by, part, chosen in parts_of(one)
    ]


def parts_of(answers: Answers) -> Iterator[tuple[str, str, Mask]]:
    """All faces; then bands of true age, sexes and groups, as far as there are any: (by, part, (N,) bool)."""
    yield "all", "", np.ones(len(answers.rows), np.bool_)
    band = np.digitize(answers.ages, BANDS[1:-1])
    for number, low in enumerate(BANDS[:-1]):
        name = f"{low}–{BANDS[number + 1] - 1}" if number < len(BANDS) - 2 else f"{low} and older"
        if (band == number).any():
            yield "age", name, band == number
    for by, values in (("sex", [row.sex for row in answers.rows]), ("group", [row.group for row in answers.rows])):
        for value in sorted({value for value in values if value is not None}):
            yield by, value, np.array([one == value for one in values], np.bool_)


def _errors(answers: Answers, chosen: Mask) -> dict[str, float | None]:
    told = chosen & answers.told
    measured: dict[str, float | None] = {
        "failure_to_acquire": float(1 - told.sum() / chosen.sum()),
        "images": int(told.sum()),
        "persons": len({person for person, one in zip(answers.persons, told, strict=True) if one}),
    }
    if told.any():
        estimates, ages = answers.estimates[told], answers.ages[told]
        measured |= {
            "mae": mean_absolute_error(estimates, ages),
            "bias": float((estimates - ages).mean()),
            "std": float((estimates - ages).std()),
            "cs5": cumulative_score(estimates, ages),
        }
    return measured


def _rates(answers: Answers, chosen: Mask, rule: Rule, check: Check) -> dict[str, float | None]:
    minor = answers.ages < check.at_least
    rates: dict[str, float | None] = {}
    for group, name, who, wrong in (
        ("minors", "false_positive", minor, rule.passes),
        ("adults", "false_negative", ~minor, ~rule.passes),
    ):
        asked = chosen & answers.told & who
        rates[group] = int(asked.sum())
        if asked.any():
            persons = [person for person, one in zip(answers.persons, asked, strict=True) if one]
            low, high = bootstrap_rate(wrong[asked], persons)
            rates |= {name: float(wrong[asked].mean()), f"{name}_low": low, f"{name}_high": high}
    return rates
