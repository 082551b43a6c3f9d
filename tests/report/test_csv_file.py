from __future__ import annotations

import csv
import dataclasses
import os
from pathlib import Path

import pytest
from reports import face_report

from spiralage.report.csv_file import CsvFile, safe_cell
from spiralage.report.records import FaceRecord, PhotoRecord, QualityRecord
from spiralage.types import Occlusion, PhotoReport


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        return list(csv.DictReader(file))


def write(path: Path, *photos: PhotoReport) -> list[dict[str, str]]:
    file = CsvFile(path, at_least=[18])
    for photo in photos:
        file.add(photo)
    file.close()
    return rows(path)


def test_every_row_is_there_before_the_next_photo(tmp_path: Path) -> None:
    file = CsvFile(tmp_path / "ages.csv")
    assert rows(tmp_path / "ages.csv") == []
    for count in (1, 2, 3):
        file.add(PhotoReport(f"{count}.jpg", (face_report(),)))
        assert len(rows(tmp_path / "ages.csv")) == count  # a kill now loses none of them
    file.close()


def test_a_face_has_its_numbers_and_five_points(tmp_path: Path) -> None:
    report = face_report()
    (row,) = write(tmp_path / "ages.csv", PhotoReport("a.jpg", (report,)))
    assert (row["image"], row["face"], row["error"]) == ("a.jpg", "1", "")
    assert [float(row[key]) for key in ("x", "y", "width", "height")] == [-3, 4, 50, 60]  # numbers are no formulas
    assert float(row["age"]) == 30
    assert float(row["p_at_least_18"]) == 1
    assert (row["detector"], float(row["score"]), int(row["turn"])) == ("by hand", 0.5, 90)
    assert report.face.landmarks is not None
    assert [float(row[f"nose_{axis}"]) for axis in "xy"] == report.face.landmarks.five()[2].tolist()
    assert [float(row[f"right_mouth_{axis}"]) for axis in "xy"] == report.face.landmarks.five()[4].tolist()


def test_who_hides_and_who_restores_is_told_and_no_formula(tmp_path: Path) -> None:
    report = face_report()
    report = dataclasses.replace(
        report,
        occlusion=Occlusion(report.occlusion.mask, "scarf"),
        restoration=dataclasses.replace(report.restoration, restorer="=1", reason="small holes"),
    )
    (row,) = write(tmp_path / "ages.csv", PhotoReport("a.jpg", (report,)))
    assert (row["hidden_by"], row["restored_by"], row["restored_why"]) == ("scarf", "'=1", "small holes")


def test_the_page_on_results_knows_every_key() -> None:
    page = (Path(__file__).parents[2] / "docs" / "results.md").read_text(encoding="utf-8")
    keys = [*FaceRecord.__annotations__, *PhotoRecord.__annotations__, *QualityRecord.__annotations__]
    assert [key for key in keys if f"`{key}`" not in page] == []


def test_photos_without_faces_have_a_row_that_says_so(tmp_path: Path) -> None:
    found = write(tmp_path / "ages.csv", PhotoReport("a.jpg"), PhotoReport("b.jpg", error="ValueError: so"))
    assert [(row["image"], row["age"], row["error"]) for row in found] == [
        ("a.jpg", "", "no face"),
        ("b.jpg", "", "ValueError: so"),
    ]


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(1)", "\tx", "\rx", "\nx", "'quoted", "＝1", "'=1", "''"])
def test_a_name_is_no_formula_and_can_be_read_back(tmp_path: Path, name: str) -> None:
    (row,) = write(tmp_path / "ages.csv", PhotoReport(name, error=f"{name}: no such file"))
    for cell, text in ((row["image"], name), (row["error"], f"{name}: no such file")):
        assert cell[0] == "'"
        assert cell[1:] == text


@pytest.mark.parametrize(
    "name", ["a.jpg", "a=b.jpg", "it's.jpg", "a\rb.jpg", 'quo"te, comma.jpg', os.fsdecode(b"\xff.jpg")]
)
def test_other_names_stay_as_they_are(tmp_path: Path, name: str) -> None:
    assert safe_cell(name) == name
    (row,) = write(tmp_path / "ages.csv", PhotoReport(name))
    assert row["image"] == name
