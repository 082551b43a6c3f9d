"""Calibration against its promises, on people who were made up: no data, no network."""

from __future__ import annotations

import dataclasses
import json
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spiralage.age import calibrate
from spiralage.age.calibrate import CELLS, Calibration, calibrated, covers, fit, positions, uncorrected
from spiralage.distribution import AGES, CalibratedAge
from spiralage.errors import InputError, ModelFileError
from spiralage.evaluation.metrics import calibration_error
from spiralage.restoration.restore import Chooser
from spiralage.types import AgeEstimate, Doubles, Mask, Occlusion, Restoration

LEVEL = 0.9


class People(NamedTuple):
    """Faces whose ages are known, and what a network says of them."""

    probabilities: Doubles
    ages: Doubles
    hidden: Doubles
    covered: Mask


def people(count: int, seed: int, *, sure: float = 0.5, pull: float = 0.25) -> People:
    """Read by a network that is too sure by a factor, and draws all towards 35, most where most is hidden."""
    rng = np.random.default_rng(seed)
    ages = rng.integers(0, 91, count).astype(np.float64)
    covered = rng.random(count) < 0.5
    hidden = np.where(covered, rng.uniform(0.1, 0.8, count), rng.choice([0.0, 0.2], count))
    spread = 2 + 10 * hidden
    means = ages + pull * hidden * (35 - ages) + spread * rng.standard_normal(count)
    p = np.exp(-0.5 * ((AGES - np.clip(means, 0, 100)[:, None]) / (sure * spread[:, None])) ** 2) + 1e-12
    return People(p / p.sum(axis=1, keepdims=True), ages, hidden, covered)


def some(who: People, chosen: Mask | slice) -> People:
    return People(who.probabilities[chosen], who.ages[chosen], who.hidden[chosen], who.covered[chosen])


def ends(calibration: Calibration, who: People) -> tuple[Doubles, Doubles]:
    answers = calibration.apply(who.probabilities, who.hidden, who.covered)
    low, high = zip(*(answer.interval(LEVEL) for answer in answers), strict=True)
    return np.array(low), np.array(high)


def found(who: People) -> Calibration:
    return fit(who.probabilities, who.ages, who.hidden, who.covered)


@pytest.fixture(scope="module")
def known() -> Calibration:
    return found(people(6000, 1))


@pytest.fixture(scope="module")
def others() -> People:
    return people(3000, 2)


def test_intervals_hold_for_all_ages_hidden_parts_and_kinds(known: Calibration, others: People) -> None:
    low, high = ends(known, others)
    held = (low <= others.ages) & (others.ages <= high)
    raw = [AgeEstimate(p.astype(np.float32)).interval(LEVEL) for p in others.probabilities]
    assert np.mean([a <= age <= b for (a, b), age in zip(raw, others.ages, strict=True)]) < 0.7  # there was need
    assert 0.885 <= held.mean() <= 0.93
    groups = [others.ages // 10 == decade for decade in range(9)]
    groups += [others.hidden // 0.34 == third for third in range(3)]
    groups += [others.covered, ~others.covered]
    for group in groups:
        noise = 4 * np.sqrt(0.09 / group.sum())
        assert 0.9 - noise - 0.01 <= held[group].mean() <= 0.93 + noise


def test_probabilities_come_true(known: Calibration, others: People) -> None:
    answers = known.apply(others.probabilities, others.hidden, others.covered)
    years = np.arange(10, 85, 5)
    said = np.array([[answer.p_at_least(float(year)) for year in years] for answer in answers])
    was = others.ages[:, None] >= years
    for column in range(len(years)):
        assert calibration_error(said[:, column], was[:, column]) < 0.03
    open_to_doubt = (said > 0.1) & (said < 0.9)
    assert abs((said - was)[open_to_doubt].mean()) < 0.03


@given(seed=st.integers(0, 2**32 - 1), sure=st.floats(0.05, 3), pull=st.floats(0, 0.9), count=st.integers(100, 700))
@settings(max_examples=6, deadline=None)
def test_exchangeable_faces_are_covered_whatever_the_network(seed: int, sure: float, pull: float, count: int) -> None:
    """The theory's bound on average, 90 % at least, less what chance does to so many known and asked faces."""
    calibration, asked = found(people(count, seed, sure=sure, pull=pull)), people(400, seed + 1, sure=sure, pull=pull)
    low, high = ends(calibration, asked)
    held = np.mean((low <= asked.ages) & (asked.ages <= high))
    assert held >= 0.9 - 5 * np.sqrt(0.09 / count + 0.09 / 400)


odd_numbers = st.lists(st.floats(0, 1), min_size=101, max_size=101).filter(lambda numbers: sum(numbers) > 0.01)


@given(numbers=odd_numbers, hidden=st.floats(0, 1), covered=st.booleans())
@settings(max_examples=25, deadline=None)
def test_p_falls_and_intervals_grow_whatever_the_distribution(
    known: Calibration, numbers: list[float], hidden: float, covered: bool
) -> None:
    p = np.array([numbers]) / sum(numbers)
    (answer,) = known.apply(p, np.array([hidden]), np.array([covered]))
    assert answer.at_least[0] == 1
    assert (np.diff(answer.at_least) <= 1e-12).all()
    assert ((answer.at_least >= 0) & (answer.at_least <= 1)).all()
    assert (np.diff(answer.low) <= 0).all()
    assert (np.diff(answer.high) >= 0).all()
    mean = float((p @ AGES)[0])
    assert answer.low[0] <= mean <= answer.high[0]
    assert 0 <= answer.low[-1] <= answer.high[-1] <= 100


@pytest.mark.parametrize("age", [0, 18, 100])
def test_a_network_that_is_sure_is_no_less_wrong(known: Calibration, age: int) -> None:
    one = np.eye(101)[[age]]
    (answer,) = known.apply(one, np.zeros(1), np.zeros(1, bool))
    low, high = answer.interval(0.99)
    assert np.isfinite([low, high, *answer.at_least]).all()
    assert high - low > 0.5
    assert (np.diff(positions(one, AGES[None])) > 0).all()


def test_uncorrected_is_the_networks_own(others: People) -> None:
    few = some(others, slice(20))
    for p, answer in zip(
        few.probabilities, uncorrected().apply(few.probabilities, few.hidden, few.covered), strict=True
    ):
        raw = AgeEstimate(p.astype(np.float32))
        assert answer.p_at_least(30) == pytest.approx(raw.p_at_least(30), abs=0.02)
        assert answer.interval(0.5) == pytest.approx(raw.interval(0.5), abs=0.6)


def test_an_empty_cell_takes_its_side_and_an_empty_side_takes_all() -> None:
    who = people(2000, 3)
    plain = some(who, ~who.covered)
    calibration = found(plain)
    assert sum(calibration.faces) == len(plain.ages)
    for number, (covered, low, _) in enumerate(CELLS):
        if covered or low >= 0.3:
            assert calibration.faces[number] == 0
    covered_cells = [number for number, cell in enumerate(CELLS) if cell[0]]
    for number in covered_cells:  # nobody told of any: they are all told by the others
        np.testing.assert_array_equal(calibration.low[number], calibration.low[covered_cells[0]])
    assert not np.array_equal(calibration.low[0], calibration.low[1])  # these have their own
    last = found(some(who, ~who.covered | (who.hidden < 0.3)))
    assert not np.array_equal(last.low[-1], calibration.low[-1])  # told by the covered ones now


def test_too_few_faces_are_refused() -> None:
    with pytest.raises(InputError, match="99 faces are too few"):
        found(people(99, 0))
    found(people(100, 0))


def test_nothing_asked_is_nothing_said(known: Calibration) -> None:
    assert known.apply(np.empty((0, 101)), np.empty(0), np.empty(0, bool)) == ()


def test_json_gives_back_what_was_found(known: Calibration, others: People) -> None:
    again = Calibration.from_json(dataclasses.replace(known, data="a + b", restorer="none").to_json())
    few = some(others, slice(50))
    np.testing.assert_allclose(ends(again, few), ends(known, few), atol=0.26)
    assert (again.faces, again.data) == (known.faces, "a + b")


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"low": []},
        {"low": "x"},
        {"predictive": [[[float("nan")] * len(calibrate.TAILS)] * len(calibrate.KNOTS)] * len(CELLS)},
        {"predictive": [[list(range(len(calibrate.TAILS), 0, -1))] * len(calibrate.KNOTS)] * len(CELLS)},
        {"faces": [1]},
        {"faces": None},
    ],
)
def test_a_damaged_calibration_names_the_remedy(change: dict[str, object]) -> None:
    text = json.dumps(json.loads(uncorrected().to_json()) | change)
    with pytest.raises(ModelFileError, match="run: spiralage calibrate NETWORK"):
        Calibration.from_json(text)


def test_it_holds_only_for_the_way_that_it_was_found_for() -> None:
    pixels, top = np.zeros((256, 256, 3), np.uint8), np.zeros((256, 256), bool)
    top[:99] = True
    nothing, mask = Occlusion(np.zeros_like(top), "none"), Occlusion(top, "surgical-mask")
    age = AgeEstimate(np.full(101, 1 / 101, np.float32))
    ways = [(nothing, "none"), (mask, "none"), (mask, "spiral")]
    occlusions, restorations = [one for one, _ in ways], [Restoration(pixels, name) for _, name in ways]
    one = dataclasses.replace(uncorrected(), restorer="spiral")
    answers = calibrated(one, [age] * 3, occlusions, restorations)
    assert [answer.calibrated is not None for answer in answers] == [True, False, True]
    chosen = Restoration(pixels, "spiral", "a window")
    assert not one.holds_for(mask, chosen)
    assert dataclasses.replace(one, restorer=Chooser.name).holds_for(mask, chosen)
    assert calibrated(None, [age] * 3, occlusions, restorations) == (age,) * 3
    assert [covers(each) for each in (nothing, mask, Occlusion(top, "frame"))] == [False, True, False]


def test_an_estimate_tells_what_was_calibrated() -> None:
    answer = CalibratedAge(np.array([0.5, 0.9]), np.array([30.0, 20.0]), np.array([40.0, 60.0]), np.linspace(1, 0, 101))
    estimate = AgeEstimate(np.eye(101, dtype=np.float32)[35], answer)
    assert estimate.interval(0.9) == (20, 60)
    assert [estimate.p_at_least(age) for age in (-1, 0, 17.5, 18, 100, 101)] == pytest.approx([1, 1, 0.82, 0.82, 0, 0])
    with pytest.raises(ValueError, match="between 0 and 1"):
        estimate.interval(1)
