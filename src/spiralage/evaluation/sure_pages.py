"""Plots and the page of ``spiralage evaluate threshold`` and ``coverage``. No person's photo."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure  # no pyplot: no display, no global state

from spiralage.evaluation.answers import Answers
from spiralage.evaluation.protocols.coverage import parts_of
from spiralage.evaluation.protocols.threshold import Check
from spiralage.evaluation.results import ThresholdRow
from spiralage.files import write_bytes, write_text

BINS = 10
"""Of a reliability plot, over probabilities."""
NEAREST = 40
"""Plots by true age end here, years."""

HEAD = """# Age check: at least {at_least}, challenged below {challenge}

Written by `spiralage evaluate threshold --at-least {at_least} --challenge {challenge}`. Every answer is what the
pipeline says of the face. By the rule *estimate* a person passes whose estimated age is {challenge} (the challenge age)
or {at_least} years or more; by the rule *probability* one for whom P(age ≥ {at_least}) is {sure:g} or more.
In the words of NIST's FATE AE and ISO/IEC 27566:

- *false positives*: the part of the people under {at_least} who pass;
- *false negatives*: the part of the others who are challenged;
- *failure to acquire*: the part of all of whom no age was told: no face was found, or it was too hidden, small or flat.
  They pass by no rule, and are in no other number;
- *bias*: the mean of estimate less true age, years; *std*: the standard deviation of that; *CS@5*: the part of images
  within 5 years.

In brackets: 95 % intervals, a bootstrap over persons; where nothing or everything is wrong, the exact interval of the
binomial distribution. **Who is photographed decides such numbers**: these are web pictures and portraits with ages that
others wrote down, few of them of people near {at_least}. MODEL_CARD.md says what may be concluded.

![By age and by limit](threshold-{at_least}.png)
"""


def write_threshold(folder: Path, rows: Sequence[ThresholdRow], answers: Sequence[Answers], check: Check) -> None:
    """``threshold.md`` and ``threshold-AGE.png`` into a results folder.

    Args:
        folder: of the results.
        rows: the table.
        answers: what it was made of.
        check: the age check.

    Raises:
        OutputError: they can't be written.
    """
    write_bytes(folder / f"threshold-{check.at_least}.png", threshold_png(answers, check))
    write_text(folder / "threshold.md", threshold_page(rows, check))


def threshold_page(rows: Sequence[ThresholdRow], check: Check) -> str:
    """The page, for readers."""
    head = HEAD.format(at_least=check.at_least, challenge=check.challenge, sure=check.sure)
    parts = [head]
    for by, title in (("all", "All faces"), ("age", "By true age"), ("sex", "By sex"), ("group", "By group")):
        chosen = [row for row in rows if row.by == by]
        if chosen:
            parts += [f"\n## {title}\n", _table(chosen, with_part=by != "all")]
    runs = dict.fromkeys(
        f"- `{row.network}`, filled by {row.restorer}, what is drawn is {row.known}, probabilities "
        f"{'calibrated' if row.calibrated else '**not calibrated**'}, commit {row.commit}, {row.hardware}"
        for row in rows
    )
    return "\n".join([*parts, "\nRuns:\n", *runs]) + "\n"


def _table(rows: Sequence[ThresholdRow], *, with_part: bool) -> str:
    columns = ["data", "in front", *(["part"] if with_part else []), "passes at", "images", "false positives"]
    columns += ["false negatives", "no answer", "MAE", "bias", "std", "CS@5"]
    ruler = ["---" if column in ("data", "in front", "part", "passes at") else "---:" for column in columns]
    lines = [columns, ruler]
    for row in rows:
        limit = f"{row.limit:g} years" if row.rule == "estimate" else f"P ≥ {row.limit:g}"
        positive = _rate(row.false_positive, row.false_positive_low, row.false_positive_high)
        negative = _rate(row.false_negative, row.false_negative_low, row.false_negative_high)
        numbers = ["" if n is None else f"{n:.2f}" for n in (row.mae, row.bias, row.std, row.cs5)]
        part = [row.part] if with_part else []
        lines.append(
            [row.data, row.occluder or "nothing", *part, limit, str(row.images), positive, negative]
            + [f"{row.failure_to_acquire:.1%}", *numbers]
        )
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _rate(rate: float | None, low: float | None, high: float | None) -> str:
    return "" if rate is None or low is None or high is None else f"{rate:.1%} ({low:.1%}–{high:.1%})"


def threshold_png(answers: Sequence[Answers], check: Check) -> bytes:
    """Who passes by true age, and what each limit costs, a line for each set and occluder: a PNG's bytes."""
    figure = Figure(figsize=(14, 4.6), layout="constrained")
    by_age, trade, sure = figure.subplots(1, 3)
    for one in answers:
        minor = (one.ages < check.at_least)[one.told]
        estimates, chances = one.estimates[one.told], one.at_least[one.told, check.at_least]
        ages, label = one.ages[one.told], f"{one.data}, {one.occluder or 'nothing'}"
        years = np.arange(NEAREST + 1)
        shares = [
            float((estimates[near] >= check.challenge).mean()) if (near := abs(ages - year) <= 1).any() else np.nan
            for year in years
        ]
        by_age.plot(years, shares, label=label)
        limits = np.arange(check.at_least - 3, check.at_least + 18)
        draw_trade(trade, label, minor, np.stack([estimates >= limit for limit in limits]))
        steps = np.concatenate([np.linspace(0.05, 0.9, 18), np.linspace(0.91, 0.999, 12)])
        draw_trade(sure, label, minor, np.stack([chances >= step for step in steps]))
    by_age.axvline(check.at_least, color="0.7", linewidth=1)
    by_age.set(xlabel="true age, years (and one either side)", ylabel=f"part that passes, estimate ≥ {check.challenge}")
    trade.set_title("as the challenge age rises", fontsize=9)
    sure.set_title(f"as the P(age ≥ {check.at_least}) that is asked rises", fontsize=9)
    by_age.legend(fontsize=8)
    for axes in (by_age, trade, sure):
        axes.grid(alpha=0.3)
    return _png(figure)


def draw_trade(axes: Axes, label: str, minor: np.ndarray, passes: np.ndarray) -> None:
    """False positives against false negatives, limit by limit: ``minor`` (N,) bool, ``passes`` (limits, N) bool."""
    if minor.any() and not minor.all():
        axes.plot(passes[:, minor].mean(axis=1), 1 - passes[:, ~minor].mean(axis=1), marker=".", label=label)
    axes.set(xlabel="false positives: minors that pass", ylabel="false negatives: adults challenged")


def reliability_png(answers: Sequence[Answers], ages: Sequence[int] = (18, 25)) -> bytes:
    """Said against came true, for P(age ≥ t) of each age, and coverage by decade; dashed: the network alone."""
    figure = Figure(figsize=(4.7 * (len(ages) + 1), 4.6), layout="constrained")
    *reliability, decades = figure.subplots(1, len(ages) + 1)
    for number, one in enumerate(answers):
        ways: Mapping[str, Answers] = {"-": one, "--": one.uncalibrated()} if one.calibrated.any() else {"--": one}
        for style, way in ways.items():
            label = f"{one.data}, {one.occluder or 'nothing'}" if style == next(iter(ways)) else None
            for axes, year in zip(reliability, ages, strict=True):
                draw_reliability(axes, way.at_least[way.told, year], (way.ages >= year)[way.told], style, number, label)
            draw_decades(decades, way, style, number, label)
    for axes, year in zip(reliability, ages, strict=True):
        axes.plot([0, 1], [0, 1], color="0.7", linewidth=1, zorder=0)
        axes.set(xlabel=f"P(age ≥ {year}), as said", ylabel="part of images of that age")
    decades.axhline(0.9, color="0.7", linewidth=1, zorder=0)
    decades.set(xlabel="true age, years", ylabel="part of images in the 90 % interval", ylim=(0, 1.02))
    reliability[0].legend(fontsize=8)
    for axes in (*reliability, decades):
        axes.grid(alpha=0.3)
    return _png(figure)


def draw_reliability(axes: Axes, said: np.ndarray, was: np.ndarray, style: str, colour: int, label: str | None) -> None:
    """A reliability plot's line: bins of what was said, (N,) in [0, 1], against how often it was so, (N,) bool."""
    number = np.clip((said * BINS).astype(np.int64), 0, BINS - 1)
    bins = [number == index for index in range(BINS) if (number == index).sum() >= 5]
    x, y = [float(said[one].mean()) for one in bins], [float(was[one].mean()) for one in bins]
    axes.plot(x, y, style, color=f"C{colour % 10}", marker=".", label=label)


def draw_decades(axes: Axes, answers: Answers, style: str, colour: int, label: str | None) -> None:
    """The coverage of intervals by decade of the true age."""
    held = (answers.low <= answers.ages) & (answers.ages <= answers.high)
    decades = [(part, chosen & answers.told) for by, part, chosen in parts_of(answers) if by == "age"]
    drawn = [(index, float(held[chosen].mean())) for index, (_, chosen) in enumerate(decades) if chosen.sum() >= 10]
    axes.plot(
        [10 * index + 5 for index, _ in drawn],
        [share for _, share in drawn],
        style,
        color=f"C{colour % 10}",
        label=label,
    )


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=80, metadata={"Software": None})
    return buffer.getvalue()
