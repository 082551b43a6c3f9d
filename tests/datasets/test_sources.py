"""The registry: every name is found and read, and importing it stays light."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from packed import write_folder, write_tar, write_zip
from PIL import Image
from test_imdb_wiki import archive as imdb_archive

from spiralage.cli import main
from spiralage.datasets.crops import Crops
from spiralage.datasets.sources import SOURCES, DatasetName
from spiralage.errors import DatasetError
from spiralage.faces.dlib_faces import DlibDetector


def jpeg(seed: int = 0) -> bytes:
    buffer = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (80, 80, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(buffer, format="JPEG")
    return buffer.getvalue()


CONTENTS: dict[DatasetName, dict[str, bytes]] = {
    "utkface": {"UTKFace/26_1_2_20170104023102422.jpg.chip.jpg": jpeg()},
    "fgnet": {"FGNET/images/001A02.JPG": jpeg()},
    "imdb": imdb_archive("imdb"),
    "wiki": imdb_archive("wiki"),
    "clap2016": {"CLAP2016/train_gt.csv": b"0.jpg,23.5\n", "CLAP2016/train/0.jpg": jpeg()},
    "celeba-hq": {"CelebA-HQ/0.jpg": jpeg()},
}


def test_the_registry_has_every_name() -> None:
    assert tuple(SOURCES) == get_args(DatasetName)


@pytest.mark.parametrize("name", CONTENTS)
def test_archive_folder_and_data_folder_give_the_same_pictures(tmp_path: Path, name: DatasetName) -> None:
    source, files = SOURCES[name], CONTENTS[name]
    read = source.read_part or source.read
    archived, unpacked = tmp_path / "archived", write_folder(tmp_path / "unpacked", files)
    archived.mkdir()
    archive = archived / source.archives[0]
    (write_zip if archive.suffix == ".zip" else write_tar)(archive, files)
    inner = unpacked / next(iter(files)).partition("/")[0]
    renamed = tmp_path / "renamed"
    found = [source.find(data) for data in (archived, archive, unpacked, inner)]
    assert found == [archive, archive, inner, inner]
    pictures = [[(row.age, row.split, data) for row, data in read(path, print)] for path in found]
    assert len(pictures[0]) > 0
    assert all(others == pictures[0] for others in pictures)
    inner.rename(renamed)
    assert source.find(renamed) == renamed
    with pytest.raises(DatasetError, match="holds n"):
        source.find(unpacked)


def test_a_folder_of_ones_own_is_the_data_folder(tmp_path: Path) -> None:
    assert SOURCES["folder"].find(tmp_path) == tmp_path


def test_importing_the_registry_is_light() -> None:
    code = (
        "import sys; from spiralage.datasets.sources import DatasetName;"
        "print({'torch', 'scipy', 'imagehash', 'cv2', 'pydantic', 'onnxruntime'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["set()"]


@pytest.fixture
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SPIRALAGE_DATA", raising=False)
    monkeypatch.setattr(DlibDetector, "SMALLEST_CNN", 10_000)  # no face is drawn: spare the slow search
    return tmp_path


def test_the_command_takes_a_part_of_fgnet_only_if_asked(in_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_zip(in_folder / "FGNET.zip", {"001A02.JPG": jpeg(), "001A03.JPG": jpeg(1)[:500], "002A04.JPG": jpeg(2)})
    command = ["data", "crops", "fgnet", "--data", "FGNET.zip", "--detector", "dlib"]
    assert main(command) == 1
    assert "3 images of 2 persons" in capsys.readouterr().err
    assert main([*command, "--partial"]) == 0
    assert "left out, can't be decoded: 1 pictures, the first is 001A03.JPG" in capsys.readouterr().err
    crops = Crops(Path("cache/fgnet"))
    assert [(row.image, row.age) for row in crops.rows] == [("001A02.JPG", 2), ("002A04.JPG", 4)]


def test_the_command_reads_ones_own_folder(in_folder: Path) -> None:
    write_folder(in_folder / "mine", {"faces.csv": b"image,age,sex\n0.jpg,23,male\n", "0.jpg": jpeg()})
    assert main(["data", "crops", "folder", "--data", "mine", "--crops", "c", "--detector", "dlib"]) == 0
    assert [(row.age, row.sex) for row in Crops(Path("c")).rows] == [(23, "male")]


def test_the_command_tells_what_a_reader_leaves_out(in_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = {**CONTENTS["utkface"], "UTKFace/[b]me.jpg": b""}
    write_tar(in_folder / "UTKFace.tar", files)
    assert main(["data", "crops", "--data", ".", "--detector", "dlib"]) == 0
    captured = capsys.readouterr()
    assert "left out, no age in the name: [b]me.jpg" in captured.err
    assert captured.out.strip() == "cache/utkface: 1 crops of utkface"
    assert len(Crops(Path("cache/utkface"))) == 1


def test_clear_errors(in_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, message in (
        (["wiki", "--partial", "--data", "."], "--partial is for fgnet; wiki may have any number of pictures"),
        (["wiki"], "--data FOLDER or set SPIRALAGE_DATA"),
        (["wiki", "--data", "."], "holds neither wiki_crop.tar nor a folder wiki_crop"),
        (["clap2016", "--data", "."], "holds none of CLAP2016.zip, CLAP2016.tar, nor a folder of one of these names"),
        (["wiki", "--data", "nowhere"], "nowhere: no such file or folder"),
        (["folder", "--data", "."], "no .csv file in it"),
    ):
        assert main(["data", "crops", *arguments, "--detector", "dlib"]) == 1
        (line,) = capsys.readouterr().err.strip().splitlines()
        assert message in line
    assert main(["data", "crops", "faces"]) == 2
