"""A goal: a number of a table, and what it is to be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from spiralage.evaluation.results import Row, read_rows

Where = Mapping[str, str | int | tuple[str, ...]]


@dataclass(frozen=True)
class Goal:
    """A number to stay below, to reach, or to keep between two bounds.

    Args:
        what: in words.
        table: the file that has it, in the results folder.
        kind: of the table's rows.
        where: column → value of the row that has it, or several values, one of which it has.
        bound: what to stay below or to reach; years in the tables of errors.
        column: the number's.
        reach: at least ``bound`` is the goal, not below it.
        digits: how many are printed.
        until: ``bound`` is the least and this the greatest that is good.
        which: of several such rows the first, or the one that is worst or best by the goal.
    """

    what: str
    table: str
    kind: type[Row]
    where: Where
    bound: float
    column: str = "mae"
    reach: bool = False
    digits: int = 2
    until: float | None = None
    which: Literal["first", "worst", "best"] = "first"

    def lacks(self, measured: float) -> float:
        """How much the number misses the goal by; negative where there is room."""
        if self.until is not None:
            return max(self.bound - measured, measured - self.until)
        return self.bound - measured if self.reach else measured - self.bound

    def is_met(self, measured: float) -> bool:
        """Whether the number is good enough."""
        return self.lacks(measured) < 0 or (self.lacks(measured) == 0 and (self.reach or self.until is not None))

    def _chosen(self, measured: Sequence[float]) -> float | None:
        """The number that counts, of those that the table has."""
        if not measured:
            return None
        if self.which == "first":
            return measured[0]
        return (max if self.which == "worst" else min)(measured, key=self.lacks)

    @property
    def words(self) -> str:
        """What is aimed at.

        >>> Goal("coverage", "coverage.csv", Row, {}, 0.88, until=0.92).words
        '0.88 … 0.92'
        """
        if self.until is not None:
            return f"{self.bound:.{self.digits}f} … {self.until:.{self.digits}f}"
        return f"{'≥' if self.reach else '<'} {self.bound:.{self.digits}f}"

    def measured(self, folder: Path) -> float | None:
        """The number in a results folder; None where the table isn't there, or has no such number.

        Raises:
            InputError: the table is damaged.
        """
        if not (folder / self.table).exists():
            return None
        rows = [row for row in read_rows(folder / self.table, self.kind) if _fits(row, self.where)]
        values = [getattr(row, self.column) for row in rows]
        return self._chosen([float(value) for value in values if value is not None])


def _fits(row: Row, where: Where) -> bool:
    pairs = ((getattr(row, column), wanted) for column, wanted in where.items())
    return all(value in wanted if isinstance(wanted, tuple) else value == wanted for value, wanted in pairs)
