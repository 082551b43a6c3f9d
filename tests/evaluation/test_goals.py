"""Goals: read off the tables, met or missed by how much."""

from __future__ import annotations

from pathlib import Path

import pytest

from spiralage.cli import main
from spiralage.errors import InputError
from spiralage.evaluation.goals import GOALS, Goal, goals_page
from spiralage.evaluation.results import Row

RESULTS = Path(__file__).parents[2] / "results"


class Measured(Row):
    """A small table."""

    recipe: str = ""
    condition: str = ""
    mae: float = 0
    way: str = ""
    ratio: float = 0


GOAL = Goal("easy", "t.csv", Measured, {"recipe": "a", "condition": "original"}, 5)


def write_table(folder: Path, mae: str) -> None:
    (folder / "t.csv").write_text(f"recipe,condition,mae\nb,original,1\na,masked,2\na,original,{mae}\na,original,0\n")


@pytest.mark.parametrize(("mae", "verdict"), [("4.996", "met"), ("5", "missed by 0.00"), ("6.25", "missed by 1.25")])
def test_met_or_missed_by_how_much(tmp_path: Path, mae: str, verdict: str) -> None:
    write_table(tmp_path, mae)
    assert goals_page(tmp_path, [GOAL]).splitlines()[-1] == f"| easy | < 5.00 | {float(mae):.2f} | {verdict} |"


@pytest.mark.parametrize(("ratio", "verdict"), [("5", "met"), ("4.5", "missed by 0.50")])
def test_something_to_reach_in_another_column(tmp_path: Path, ratio: str, verdict: str) -> None:
    (tmp_path / "t.csv").write_text(f"way,ratio\nfast,{ratio}\n")
    goal = Goal("speed", "t.csv", Measured, {"way": "fast"}, 5, "ratio", reach=True)
    assert goals_page(tmp_path, [goal]).splitlines()[-1] == f"| speed | ≥ 5.00 | {float(ratio):.2f} | {verdict} |"


def test_what_is_not_measured_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"t\.csv: can't be read"):
        goals_page(tmp_path, [GOAL])
    write_table(tmp_path, "4")
    other = Goal("other", "t.csv", Measured, {"recipe": "c"}, 5)
    assert goals_page(tmp_path, [other]).splitlines()[-1] == "| other | < 5.00 | | not measured |"


def test_the_page_in_the_repository_is_what_the_tables_say(tmp_path: Path) -> None:
    for name in {goal.table for goal in GOALS}:
        (tmp_path / name).write_bytes((RESULTS / name).read_bytes())
    assert main(["evaluate", "goals", "--results", str(tmp_path)]) == 0
    assert (tmp_path / "goals.md").read_text() == (RESULTS / "goals.md").read_text()
