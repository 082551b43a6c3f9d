"""Inner folds: each fold's setting is chosen without its test person.

Persons are put in groups of four. For every group and candidate a network is fine-tuned on all other persons and asked
about the group. The fold of a person takes the candidate with the least error on the three others of its group: nobody
chooses by pictures of the test person, nor with a network that has seen them. That costs a quarter of the folds for
every candidate. A group's errors are in RUN/FACES/inner-NUMBER.json.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from spiralage.errors import CheckpointError
from spiralage.files import write_text

SIZE = 4
"""Persons in a group, at least: a test person, and three to choose by."""

Errors = dict[str, list[list[float]]]
"""Person → for each candidate the absolute errors of that person's pictures, in years."""


def inner_groups(persons: Sequence[str], seed: int) -> list[tuple[str, ...]]:
    """The groups, of ``SIZE`` persons or a few more; by lot.

    >>> [len(group) for group in inner_groups([str(n) for n in range(82)], 1)][-3:]
    [4, 4, 4]
    """
    mixed = [persons[i] for i in np.random.default_rng(seed).permutation(len(persons))]
    count = max(1, len(mixed) // SIZE)
    return [tuple(sorted(mixed[number::count])) for number in range(count)]


def write_errors(path: Path, errors: Errors) -> None:
    """Write what a group's candidates were worth."""
    write_text(path, json.dumps(errors) + "\n")


def chosen_for(person: str, path: Path, candidates: int) -> int:
    """The candidate that is best for the others of a person's group; the first of equals.

    Raises:
        CheckpointError: the file is damaged.
    """
    try:
        errors: Errors = json.loads(path.read_text(encoding="utf-8"))
        others = [theirs for name, theirs in errors.items() if name != person]
        if person not in errors or not others or any(len(theirs) != candidates for theirs in others):
            raise ValueError("it is of other candidates or persons")
        means = [np.mean([error for theirs in others for error in theirs[number]]) for number in range(candidates)]
        if not np.isfinite(means).all():
            raise ValueError("it has errors that are no numbers")
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{path}: damaged ({error}); remove it, and the same command computes it") from error
    return int(np.argmin(means))
