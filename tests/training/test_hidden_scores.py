"""Found against known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from spiralage.datasets.hidden_labels import Known
from spiralage.training.hidden_scores import hidden_score


def test_only_what_is_known_counts() -> None:
    known = np.full((256, 256), Known.ASSUMED, np.uint8)
    known[:100] = Known.HIDDEN
    known[100:120] = Known.PERSON
    known[200:230], known[230:] = Known.UNKNOWN, Known.BEYOND
    found = np.zeros((256, 256), np.bool_)
    found[50:110], found[210:] = True, True
    score = hidden_score(found, known)
    assert score.iou == pytest.approx(50 / 110)
    assert score.falsely_hidden == pytest.approx(10 / 100)
    assert score.missed == pytest.approx(0.5)
    assert (score.both, score.either) == (50 * 256, 110 * 256)


def test_what_can_not_be_measured_is_no_number() -> None:
    found = np.ones((256, 256), np.bool_)
    clean = hidden_score(found, np.full((256, 256), Known.VISIBLE, np.uint8))
    assert math.isnan(clean.iou)
    assert math.isnan(clean.missed)
    assert clean.falsely_hidden == 1
    covered = hidden_score(~found, np.full((256, 256), Known.HIDDEN, np.uint8))
    assert (covered.iou, covered.missed) == (0, 1)
    assert math.isnan(covered.falsely_hidden)
    assert math.isnan(hidden_score(found, np.full((256, 256), Known.UNKNOWN, np.uint8)).falsely_hidden)
