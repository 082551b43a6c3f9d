"""What the README, and the pages that it names, show is what the program does."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from spiralage.cli import main
from spiralage.evaluation.results import LopoRow, read_rows
from spiralage.evaluation.tables import PAPER
from spiralage.image_io import save_picture
from spiralage.types import Photo

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
RESULTS = (ROOT / "docs/results.md").read_text(encoding="utf-8")
HOUSE = (ROOT / "docs/house.md").read_text(encoding="utf-8")


def test_the_json_example_is_the_portraits_answer(
    tmp_path: Path, portrait: Photo, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (example,) = re.findall(r"```json\n(.*?)```", RESULTS, flags=re.DOTALL)
    monkeypatch.chdir(tmp_path)
    save_picture(Path("photo.png"), portrait.pixels)
    assert main(["estimate", "photo.png", "--detector", "dlib", "--json", "--at-least", "18"]) == 0
    (shown,), (found,) = json.loads(example), json.loads(capsys.readouterr().out)
    assert shown.keys() == found.keys()
    assert shown["image"] == found["image"]
    (shown_face,), (found_face,) = shown["faces"], found["faces"]
    assert shown_face.keys() == found_face.keys()
    *landmarks, more = shown_face["landmarks"]
    assert more == "…"
    assert landmarks == found_face["landmarks"][: len(landmarks)]
    for key in ("box", "age", "std", "interval", "hidden"):
        assert shown_face[key] == pytest.approx(found_face[key], abs=0.05)
    assert shown_face["quality"] == pytest.approx(found_face["quality"], rel=0.05)
    assert shown_face["p_at_least"] == pytest.approx(found_face["p_at_least"], abs=0.005)


def test_the_five_numbers_are_those_of_table_1() -> None:
    rows = read_rows(ROOT / "results/table1.csv", LopoRow)

    def mae(estimator: str, faces: str, condition: str, restorer: str = "") -> float:
        (row,) = [
            row
            for row in rows
            if row.estimator.startswith(estimator)
            and (row.faces or "", row.condition, row.restorer) == (faces, condition, restorer)
            and row.recipe in ("", "lopo-best", "lopo-paper")
        ]
        return row.mae

    measured = [
        mae("MobileNet", "unmasked", "original"),
        mae("MobileNet", "unmasked", "masked", "none"),
        mae("MobileNet", "unmasked", "restored", "spiral"),
        mae("AlexNet", "unmasked", "restored", "spiral"),
        mae("constant", "", "any"),
    ]
    table = README[README.index("## Five numbers") : README.index("## Which setting")]
    shown = re.findall(r"^\| .* \| ([\d.]+) \| ([\d.]*) ?\|$", table, flags=re.MULTILINE)
    assert [float(here) for here, _ in shown] == [round(value, 2) for value in measured]
    assert [float(paper) for _, paper in shown if paper] == [PAPER["original"], PAPER["masked"], PAPER["restored"]]


def test_every_file_that_is_named_exists() -> None:
    for path in re.findall(r"recipes/[\w-]+\.toml|docs/[\w.-]+|results/[\w.]+(?=\))", README):
        assert (ROOT / path).is_file(), path


def test_the_tree_names_what_there_is() -> None:
    tree = HOUSE[HOUSE.index("src/spiralage/\n") :]
    for name in re.findall(r"^  ([a-z_]+(?:\.py|/)) ", tree, flags=re.MULTILINE):
        assert (ROOT / "src/spiralage" / name).exists(), name
    rooms = {path.name for path in (ROOT / "src/spiralage").iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert rooms <= set(re.findall(r"^  ([a-z_]+)/ ", tree, flags=re.MULTILINE))
