"""``spiralage estimate --workers``: several processes give the rows that one gives."""

from __future__ import annotations

from pathlib import Path

import pytest

from spiralage import Photo
from spiralage.cli import estimate, main
from spiralage.errors import FolderError
from spiralage.image_io import STDIN, save_picture


def test_several_processes_write_the_same_rows(
    portrait: Photo, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(4):
        save_picture(photos / f"{number}.png", portrait.pixels[: 256 + 16 * number, 100:356])
    (photos / "bad.png").write_bytes(b"nonsense")
    tables = []
    for workers in ("1", "2"):
        table = tmp_path / f"{workers}.csv"
        options = ["--detector", "none", "--occlusion", "paper", "--restorer", "mean-face", "--workers", workers]
        assert main(["estimate", str(photos), *options, "--csv", str(table)]) == 1  # one photo is none
        tables.append(table.read_text())
        capsys.readouterr()
    assert tables[0] == tables[1]
    assert len(tables[0].splitlines()) == 6


def test_how_many_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPIRALAGE_THREADS", raising=False)
    monkeypatch.setattr(estimate, "available_cores", lambda: 6)
    few, many = ([Path(str(n)) for n in range(count)] for count in (estimate.MANY_PHOTOS, estimate.MANY_PHOTOS + 1))
    error = FolderError(Path("locked"), "can't be searched")
    assert estimate._workers(None, None, few) == 1
    assert estimate._workers(None, None, [*many, error]) == 6
    assert estimate._workers(None, 1, many) == 1  # who limits threads wants no more processes
    assert estimate._workers(3, 1, few) == 3
    assert estimate._workers(3, None, [STDIN]) == 1
    monkeypatch.setenv("SPIRALAGE_THREADS", "1")
    assert estimate._workers(None, None, many) == 1


@pytest.mark.parametrize("workers", ["0", "-2", "two", "1000000"])
def test_a_number_of_processes_that_is_none(workers: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["estimate", "missing.jpg", "--workers", workers]) != 0
    assert "Traceback" not in capsys.readouterr().err
