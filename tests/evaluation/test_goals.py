"""Goals: read off the tables, met or missed by how much."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest

from spiralage.cli import main
from spiralage.errors import InputError
from spiralage.evaluation.goal import Goal
from spiralage.evaluation.goals import GOALS, goals_page
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


@pytest.mark.parametrize(
    ("ratios", "which", "shown"),
    [
        ("0.9 0.95", "first", "0.88 … 0.92 | 0.90 | met"),
        ("0.9 0.95 0.87", "worst", "0.88 … 0.92 | 0.95 | missed by 0.03"),
        ("0.8 0.91 0.95", "best", "0.88 … 0.92 | 0.91 | met"),
        ("0.92", "worst", "0.88 … 0.92 | 0.92 | met"),
    ],
)
def test_something_to_keep_between(
    tmp_path: Path, ratios: str, which: Literal["first", "worst", "best"], shown: str
) -> None:
    (tmp_path / "t.csv").write_text("way,ratio\n" + "".join(f"w{ratio},{ratio}\n" for ratio in ratios.split()))
    where = {"way": ("w0.8", "w0.87", "w0.9", "w0.91", "w0.92", "w0.95")}
    goal = Goal("kept", "t.csv", Measured, where, 0.88, "ratio", until=0.92, which=which)
    assert goals_page(tmp_path, [goal]).splitlines()[-1] == f"| kept | {shown} |"


def test_what_is_not_measured_is_told(tmp_path: Path) -> None:
    assert goals_page(tmp_path, [GOAL]).splitlines()[-1] == "| easy | < 5.00 | | not measured |"
    write_table(tmp_path, "4")
    other = Goal("other", "t.csv", Measured, {"recipe": "c"}, 5)
    assert goals_page(tmp_path, [other]).splitlines()[-1] == "| other | < 5.00 | | not measured |"
    (tmp_path / "t.csv").write_text("recipe,condition,mae\na,original,x\n")
    with pytest.raises(InputError, match=r"t\.csv: line 2"):
        goals_page(tmp_path, [GOAL])


def test_the_page_in_the_repository_is_what_the_tables_say(tmp_path: Path) -> None:
    for name in {goal.table for goal in GOALS if (RESULTS / goal.table).exists()}:
        (tmp_path / name).write_bytes((RESULTS / name).read_bytes())
    assert main(["evaluate", "goals", "--results", str(tmp_path)]) == 0
    assert (tmp_path / "goals.md").read_text() == (RESULTS / "goals.md").read_text()
