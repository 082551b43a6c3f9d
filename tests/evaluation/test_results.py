"""One schema for results: what is written is read, in full; what isn't a table is named."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from spiralage.errors import InputError
from spiralage.evaluation.results import (
    ConditionKey,
    HoldoutRow,
    LopoRow,
    PairedRow,
    RestorationRow,
    Row,
    SpeedRow,
    read_rows,
    write_rows,
)

RESULTS = Path(__file__).parents[2] / "results"
ROW = HoldoutRow(
    data="aaf",
    network="a, b",
    condition="masked",
    occluder="paper",
    restorer="none",
    mae=1 / 3,
    cs5=0.1 + 0.2,
    images=3,
    seed=0,
    commit="abc",
    hardware='A "CPU"\n2 cores',
)


def test_what_is_written_is_read_in_full(tmp_path: Path) -> None:
    rows = [ROW, ROW.model_copy(update={"coverage90": 1e-17, "mae": float("inf"), "restorer": "größer"})]
    write_rows(tmp_path / "new" / "t.csv", HoldoutRow, rows)
    assert read_rows(tmp_path / "new" / "t.csv", HoldoutRow) == rows
    with (tmp_path / "new" / "t.csv").open(newline="", encoding="utf-8") as file:
        header, first, _ = csv.reader(file)
    assert header == list(HoldoutRow.model_fields)
    assert dict(zip(header, first, strict=True))["mae"] == "0.3333333333333333"
    assert dict(zip(header, first, strict=True))["coverage90"] == ""


def test_a_table_is_the_same_bytes_on_every_system(tmp_path: Path) -> None:
    rows = [ROW.model_copy(update={"hardware": "one\r\ntwo\rthree\nfour", "network": "größer →"})]
    write_rows(tmp_path / "t.csv", HoldoutRow, rows)
    assert read_rows(tmp_path / "t.csv", HoldoutRow) == rows
    written = (tmp_path / "t.csv").read_bytes()
    assert written.count(b"\r") == 2  # those of the cell: lines end in a bare newline
    assert "größer →".encode() in written


def test_an_empty_table_has_a_header(tmp_path: Path) -> None:
    write_rows(tmp_path / "t.csv", HoldoutRow, [])
    assert read_rows(tmp_path / "t.csv", HoldoutRow) == []
    assert (tmp_path / "t.csv").read_text(encoding="utf-8").startswith("data,network,condition,")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("masked,", "veiled,", "line 2, condition: Input should be 'any', 'original'"),
        (",3,", ",three,", "line 2, images: "),
        (",3,", ",,", "line 2, images: Field required"),
        ("mae", "mean", "line 2, mae: Field required"),
        ("coverage90", "coverage95,more", "line 2 is longer or shorter than the header"),
        ("abc", "abc,more,and,more", "line 2 is longer or shorter than the header"),
        ("A ", 'A "', "not a table"),
    ],
)
def test_what_is_damaged_is_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "t.csv"
    write_rows(path, HoldoutRow, [ROW])
    path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    with pytest.raises(InputError, match=r"t\.csv: ") as caught:
        read_rows(path, HoldoutRow)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_no_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"t\.csv: can't be read"):
        read_rows(tmp_path / "t.csv", HoldoutRow)
    (tmp_path / "t.csv").write_bytes(b"network\n\xff\xfe")
    with pytest.raises(InputError, match=r"t\.csv: not a table"):
        read_rows(tmp_path / "t.csv", HoldoutRow)


def test_a_former_versions_table_names_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "restore.csv").write_text("data,window,restorer\nFG-NET,paper,spiral\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"python -m spiralage\.evaluation\.migrate "):
        read_rows(tmp_path / "restore.csv", RestorationRow)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("table1.csv", LopoRow),
        ("paired.csv", PairedRow),
        ("holdout.csv", HoldoutRow),
        ("restore.csv", RestorationRow),
        ("speed.csv", SpeedRow),
    ],
)
def test_the_repositorys_tables_are_of_this_schema(name: str, kind: type[Row]) -> None:
    assert len(read_rows(RESULTS / name, kind)) > 5


def test_labels_are_unique_and_say_the_papers_mask_only_by_silence() -> None:
    assert ConditionKey("original").label == "original"
    assert ConditionKey("masked", "paper", "none").label == "masked none"
    assert ConditionKey("masked", "scarf", "none").label == "masked none scarf"
