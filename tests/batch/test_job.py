"""A folder's table: kills, settings that change, rows that are the same in every format, memory that stays flat."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from spiralage import Photo
from spiralage.batch import job as job_file
from spiralage.batch.job import FINISHED, Job, is_complete
from spiralage.batch.tables import FORMATS
from spiralage.cli import main
from spiralage.errors import OptionError, OutputError
from spiralage.image_io import load_photo, save_picture
from spiralage.types import PhotoReport

HERE = Path(__file__).parent
FAST = ("--detector", "none", "--restorer", "mean-face", "--workers", "1")


@pytest.fixture
def photos(portrait: Photo, tmp_path: Path) -> Path:
    """Two faces, one in a folder of its own, and what is no picture."""
    folder = tmp_path / "photos"
    (folder / "sea").mkdir(parents=True)
    save_picture(folder / "a.png", portrait.pixels[:256, 100:356])
    save_picture(folder / "sea" / "b.png", portrait.pixels[20:276, 100:356])
    (folder / "bad.png").write_bytes(b"nonsense")
    return folder


def reports(*names: str) -> list[PhotoReport]:
    return [PhotoReport(name, error=f"{name}: bad" if name.startswith("bad") else None) for name in names]


def run(tmp_path: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """A script beside this file, in a process of its own."""
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills what it forks")
def test_ten_kills_at_random_moments_lose_and_repeat_nothing(tmp_path: Path) -> None:
    done = run(tmp_path, HERE / "killing.py", tmp_path, 7)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[-1] == "10"
    assert (tmp_path / "ages.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert not [path for path in tmp_path.iterdir() if path.suffix == ".parts" or path.name.startswith(".")]
    read = Counter((tmp_path / "read.txt").read_text().split())
    assert len(read) == 300  # every photo; again only those whose part a kill prevented: fewer than four each time
    assert sum(read.values()) < 300 + 10 * 5


def test_all_formats_have_the_same_rows(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    for ending in (*FORMATS, ".old"):
        option = ("--csv", tmp_path / "old.csv") if ending == ".old" else ("--out", tmp_path / f"ages{ending}")
        assert main(["estimate", str(photos), *FAST, *map(str, option), "--at-least", "18"]) == 1  # one is bad
    assert (tmp_path / "ages.csv").read_bytes() == (tmp_path / "old.csv").read_bytes()
    lines = [json.loads(line) for line in (tmp_path / "ages.jsonl").read_text().splitlines()]
    assert lines == parquet.read_table(tmp_path / "ages.parquet").to_pylist()
    with (tmp_path / "ages.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert table == [{key: "" if cell is None else str(cell) for key, cell in line.items()} for line in lines]
    assert [Path(line["image"]).name for line in lines] == ["a.png", "bad.png", "b.png"]
    assert "not a picture" in lines[1]["error"]
    assert lines[0]["p_at_least_18"] > 0.5


def test_a_name_that_is_no_utf8_goes_into_parquet(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    with Job(tmp_path / "ages.parquet", {}) as job:
        job.add(PhotoReport("a\udcff.jpg"))
        job.close()
        assert job.finish(1) == 0
    assert parquet.read_table(tmp_path / "ages.parquet")["image"].to_pylist() == ["a\\udcff.jpg"]


def test_a_job_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_file, "PHOTOS_A_PART", 2)
    out = tmp_path / "ages.jsonl"
    with Job(out, {"network": "best"}) as job:
        for report in reports("a", "bad", "c"):
            job.add(report)
        with pytest.raises(OptionError, match="another process"):
            Job(out, {"network": "best"}, resume=True)
    with pytest.raises(OptionError, match="add --resume"):
        Job(out, {"network": "best"})
    with pytest.raises(OptionError, match="network was 'best', is 'other'"):
        Job(out, {"network": "other"}, resume=True)
    with pytest.raises(OptionError, match="at_least"):
        Job(out, {"network": "best"}, [18], resume=True)
    with Job(out, {"network": "best"}, resume=True) as job:
        assert job.done == {"a", "bad"}  # c was in no part yet
        assert job.finish(3) is None
        assert not out.exists()
        job.add(reports("c")[0])
        job.close()
        assert job.finish(3) == 1
    assert [json.loads(line)["image"] for line in out.read_text().splitlines()] == ["a", "bad", "c"]
    assert is_complete(out)


@pytest.mark.parametrize("where", ["put", "clear"])
def test_a_kill_while_the_table_takes_its_place(where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "ages.csv"

    def dies(*arguments: object) -> None:
        raise KeyboardInterrupt

    with Job(out, {}) as job, monkeypatch.context() as patch:
        job.add(PhotoReport("a"))
        job.close()
        patch.setattr(Path, "replace", dies) if where == "put" else patch.setattr(job_file, "_clear", dies)
        with pytest.raises(KeyboardInterrupt):
            job.finish(1)
    assert out.exists() == (where == "clear")
    assert is_complete(out) == (where == "clear")
    if where == "put":
        with Job(out, {}, resume=True) as job:
            assert job.finish(1) == 0
    assert len(out.read_text().splitlines()) == 2
    assert not (tmp_path / "ages.csv.parts").exists()


def test_parts_without_their_settings_are_not_taken(tmp_path: Path) -> None:
    parts = tmp_path / "ages.csv.parts"
    parts.mkdir()
    (parts / "part-000001.jsonl").write_text("")
    with pytest.raises(OptionError, match="but no job"):
        Job(tmp_path / "ages.csv", {}, resume=True)
    (parts / "job.json").write_text("{")
    with pytest.raises(OptionError, match="can't be read"):
        Job(tmp_path / "ages.csv", {}, resume=True)
    (parts / "job.json").replace(parts / FINISHED)
    with Job(tmp_path / "ages.csv", {}) as job:
        assert not job.done


@pytest.mark.parametrize("name", ["ages", "ages.xls", "folder.csv"])
def test_places_that_no_table_goes_to(name: str, tmp_path: Path) -> None:
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(OptionError, match=r"ending|no file"):
        Job(tmp_path / name, {})


def test_a_sample_is_the_same_every_time(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    read = []
    for name in ("1.csv", "2.csv"):
        main(["estimate", str(photos), *FAST, "--out", str(tmp_path / name), "--sample", "2"])
        read.append((tmp_path / name).read_text())
    assert read[0] == read[1]
    assert len(read[0].splitlines()) == 3


def test_crops_keep_their_folders(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    crops = tmp_path / "crops"
    main(["estimate", str(photos), *FAST, "--save-crops", str(crops)])
    found = sorted(path.relative_to(crops).as_posix() for path in crops.rglob("*.png"))
    assert found == ["a.png-1.png", "sea/b.png-1.png"]
    assert load_photo(crops / "a.png-1.png").pixels.shape == (256, 256, 3)


@pytest.mark.parametrize("inside", [".", "..", "sea", "link"])
def test_crops_never_take_an_inputs_place(
    inside: str, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "photos" / "sea" / "other").symlink_to(photos)
    (tmp_path / "link").symlink_to(photos)
    target = tmp_path / "link" if inside == "link" else photos / inside
    assert main(["estimate", str(photos), *FAST, "--save-crops", str(target), "--overwrite"]) == 1
    assert "name another for the crops" in capsys.readouterr().err


def test_a_link_in_a_crops_place_stays(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "crops").mkdir()
    (tmp_path / "crops" / "a.png-1.png").symlink_to(photos / "a.png")
    before = (photos / "a.png").read_bytes()
    assert main(["estimate", str(photos), *FAST, "--save-crops", str(tmp_path / "crops")]) == 1
    assert (photos / "a.png").read_bytes() == before


@pytest.mark.parametrize("more", [["--resume"], ["--resume", "--out", "o.csv", "--csv", "c.csv"], ["--out", "o.xls"]])
def test_options_that_dont_fit(more: list[str], photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["estimate", str(photos), *more]) == 1
    assert "--resume" in (said := capsys.readouterr().err) or "ending" in said


FLAT = """
import json, sys
from pathlib import Path
from spiralage.cli import estimate, main
from spiralage.types import PhotoReport

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

class FakePipeline:
    def __init__(self, **settings): pass
    def estimate_each(self, photos, **settings):
        for number, photo in enumerate(photos):
            if number in (4_000, 19_999):
                sizes.append(resident())
            yield PhotoReport(str(photo), error="bad" if number % 100 == 0 else None)

sizes = []
estimate.AgePipeline = FakePipeline
estimate.list_pictures = lambda paths: iter([Path(f"{n}.jpg") for n in range(20_000)])
main(["estimate", "photos", "--workers", "1", "--out", "ages.jsonl"])
print(json.dumps([*sizes, resident()]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_stays_flat_over_20000_photos(tmp_path: Path) -> None:
    done = run(tmp_path, "-c", FLAT)
    early, late, merged = json.loads(done.stdout)
    assert max(late, merged) - early < 8 << 20, done.stderr
    assert len((tmp_path / "ages.jsonl").read_text().splitlines()) == 20_000


def test_a_table_that_cant_be_written_keeps_its_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Job(tmp_path / "ages.csv", {}) as job:
        job.add(PhotoReport("a"))
        job.close()

        def full(self: Path, target: Path) -> Path:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(Path, "replace", full)
        with pytest.raises(OutputError, match="nothing is lost: --resume"):
            job.finish(1)
        assert list(job.folder.glob("part-*"))
