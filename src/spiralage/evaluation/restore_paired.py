"""``results/restore-paired.csv``: does one restorer look nearer to the originals than another, on the same pictures?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from spiralage.evaluation.metrics import bootstrap_mae
from spiralage.evaluation.results import Origin, PairedRestorationRow, write_rows
from spiralage.provenance import commit, hardware
from spiralage.types import Doubles

AGAINST = "imagine"
"""What is compared with: SpiralNet without SliceGAN."""


@dataclass
class LpipsPairs:
    """Gathers the LPIPS of every picture, and compares.

    Args:
        seed: of the occluders.

    Example:
        >>> import numpy as np
        >>> pairs = LpipsPairs()
        >>> pairs.keep("FG-NET", "paper", "imagine", np.array([0.5, 0.4]), ["001", "002"])
        >>> pairs.keep("FG-NET", "paper", "spiral", np.array([0.25, 0.15]), ["001", "002"])
        >>> [(row.restorer, row.against, row.difference, row.high) for row in pairs.rows()]
        [('spiral', 'imagine', -0.25, -0.25)]
    """

    seed: int = 0
    origin: Origin = field(default_factory=lambda: Origin(commit(), hardware()))  # of the code that runs
    _kept: dict[tuple[str, str], dict[str, tuple[Doubles, Sequence[str]]]] = field(default_factory=dict)

    def keep(self, data: str, occluder: str, restorer: str, lpips: Doubles, persons: Sequence[str]) -> None:
        """Take what a restorer got on a set's pictures, in their order.

        Args:
            data: the set, as in ``restore.csv``.
            occluder: what hides.
            restorer: who fills.
            lpips: (N,), one for each picture.
            persons: whose picture it is, one for each.
        """
        self._kept.setdefault((data, occluder), {})[restorer] = (lpips, persons)

    def rows(self) -> list[PairedRestorationRow]:
        """Every restorer against ``AGAINST``, set by set and occluder by occluder; none where that wasn't measured."""
        found = []
        for (data, occluder), measured in self._kept.items():
            others = [name for name in measured if AGAINST in measured and name != AGAINST]
            for name in others:
                difference, persons = measured[name][0] - measured[AGAINST][0], measured[name][1]
                low, high = bootstrap_mae(difference, persons)
                row = PairedRestorationRow(
                    data=data,
                    occluder=occluder,
                    restorer=name,
                    against=AGAINST,
                    difference=float(difference.mean()),
                    low=low,
                    high=high,
                    images=len(difference),
                    persons=len(set(persons)),
                    seed=self.seed,
                    **self.origin._asdict(),
                )
                found.append(row)
        return found

    def write(self, folder: Path) -> list[PairedRestorationRow]:
        """Write ``restore-paired.csv`` into the results folder; nothing where nothing was compared.

        Raises:
            OutputError: it can't be written.
        """
        rows = self.rows()
        if rows:
            write_rows(folder / "restore-paired.csv", PairedRestorationRow, rows)
        return rows
