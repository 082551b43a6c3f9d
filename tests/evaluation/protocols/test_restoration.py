"""Restorers measured: a perfect one, a blank one and one that spoils; the files, and the command."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from people import write_people
from result_rows import RESTORED
from synthetic import FLOAT32, age_recipe, drawn_crop, small_perception, use_tiny_backbones, write_crops, write_shard

from spiralage import weights
from spiralage.cli import main
from spiralage.datasets.crops import Crops, spread
from spiralage.datasets.manifest import Row
from spiralage.datasets.sources import DatasetName
from spiralage.errors import CheckpointError, DatasetError
from spiralage.evaluation import perception
from spiralage.evaluation.image_metrics import MOST_PSNR, frechet_distance
from spiralage.evaluation.protocols import restoration
from spiralage.evaluation.protocols.restoration import (
    OCCLUDED_BY,
    PUBLISHED,
    Faces,
    evaluate_restore,
    faces_to_restore,
    masks_of,
    trained_by,
    write_all,
)
from spiralage.evaluation.restore_paired import LpipsPairs
from spiralage.evaluation.results import RestorationRow, read_rows
from spiralage.mean_face import mean_landmarks
from spiralage.occlusion.window import CENTRE_WINDOW, PAPER_WINDOW, largest_window, margin_mask
from spiralage.restoration.baselines import Blank, MeanFace
from spiralage.restoration.restore import RESTORERS, Restorer
from spiralage.training import restorers
from spiralage.training.tasks.age import train_age
from spiralage.types import Mask, Pixels

FEATURES = "tiny-vgg"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Crops of both sets, and in ``runs`` a finished VGG."""
    folder = tmp_path_factory.mktemp("restoration")
    crops = write_crops(folder / "utkface")
    write_people(folder / "fgnet")
    vgg = {"backbone": "vgg16", "crop": 256, "pool": 8, "width": 4}
    with pytest.MonkeyPatch.context() as monkeypatch:
        use_tiny_backbones(monkeypatch)
        train_age(
            age_recipe(name=FEATURES, epochs=0.25, network=vgg),
            crops,
            folder / "runs" / FEATURES,
            **FLOAT32,
        )
    return folder


@pytest.fixture
def few(folder: Path) -> Faces:
    """Three pictures, in batches of two."""
    return Faces("a few", Crops(folder / "fgnet"), np.array([7, 0, 3]))


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restoration, "BATCH", 2)
    monkeypatch.setattr(perception, "load_perception", lambda tell: None)  # large, and only on some machines


class Knowing:
    """Knows the originals: finds them by what is visible."""

    networks: tuple[str, ...] = ()
    spoils = False
    """Whether it paints the 20 uppermost rows white."""

    def __init__(self, originals: Pixels, name: str = "knowing") -> None:
        self.originals, self.name = originals, name
        self.asked: list[Mask] = []

    def fill(self, crops: Pixels, hidden: Mask) -> Pixels:
        self.asked += list(hidden)
        known = np.stack([self._original(crop, mask) for crop, mask in zip(crops, hidden, strict=True)])
        if self.spoils:
            known[:, :20] = 255
        return known

    def _original(self, crop: Pixels, hidden: Mask) -> Pixels:
        (found,) = (o for o in self.originals if np.array_equal(o[~hidden], crop[~hidden]))
        return np.asarray(found)


def knowing(faces: Faces, name: str = "knowing") -> Knowing:
    return Knowing(faces.crops.take(faces.indices), name)


def rows_of(folder: Path, faces: Faces, *asked: Restorer, seed: int = 0) -> list[RestorationRow]:
    return evaluate_restore([faces], asked, FEATURES, folder / "runs", seed=seed)


def test_who_knows_the_originals_restores_them_perfectly(folder: Path, few: Faces) -> None:
    rows = rows_of(folder, few, knowing(few))
    assert [(row.data, row.occluder, row.restorer) for row in rows] == [
        ("a few", occluder, "knowing") for occluder in ("random-window", "centre-window", "paper")
    ]
    for row in rows:
        assert row.psnr == row.psnr_hidden
        assert row.psnr == pytest.approx(MOST_PSNR, abs=1e-9)
        assert row.ssim == row.ssim_hidden == row.visible_identical == 1
        assert row.l1 == row.l1_hidden == 0
        assert row.feature_fid == pytest.approx(0, abs=1e-4)
        assert row.inception_fid is None
        assert (row.images, row.features, row.seed) == (3, FEATURES, 0)
        assert row.commit
        assert row.hardware


def test_who_leaves_it_blank_is_measured_by_hand(folder: Path, few: Faces) -> None:
    perfect, blank = (row for row in rows_of(folder, few, knowing(few), Blank()) if row.occluder == "paper")
    hidden = masks_of("paper", few.crops.full_landmarks(few.indices), few.indices, 0)
    values = few.crops.take(few.indices) / 255
    assert blank.l1_hidden == pytest.approx(values[hidden].mean(), abs=1e-4)  # as many pixels of each picture
    assert blank.l1 == pytest.approx(0.75 * values[hidden].mean(), abs=1e-4)
    errors = [np.square(picture[mask]).mean() for picture, mask in zip(values, hidden, strict=True)]
    assert blank.psnr_hidden == pytest.approx(-10 * np.log10(errors).mean(), abs=1e-3)
    assert blank.visible_identical == 1  # its zeros never reach the visible part
    assert blank.feature_fid is not None
    assert perfect.feature_fid is not None
    assert blank.feature_fid > perfect.feature_fid + 1e-3


def test_imagenets_networks_are_asked_where_they_are_there(folder: Path, few: Faces) -> None:
    (without,) = evaluate_restore([few], [Blank()], FEATURES, folder / "runs", occluders=["paper"])
    assert (without.lpips, without.imagenet_fid) == (None, None)
    seeing, pairs = small_perception(), LpipsPairs()
    perfect, blank = evaluate_restore(
        [few],
        [knowing(few, "imagine"), Blank()],
        FEATURES,
        folder / "runs",
        perception=seeing,
        occluders=["paper"],
        pairs=pairs,
    )
    (pair,) = pairs.rows()
    assert (pair.data, pair.restorer, pair.images, pair.persons) == ("a few", "none", 3, 2)
    assert pair.difference == pytest.approx(blank.lpips)
    assert perfect.lpips == 0
    assert perfect.imagenet_fid == pytest.approx(0, abs=1e-4)
    hidden = masks_of("paper", few.crops.full_landmarks(few.indices), few.indices, 0)
    originals = few.crops.take(few.indices)
    restored = np.where(hidden[..., None], 0, originals).astype(np.uint8)
    assert blank.lpips == pytest.approx(seeing.lpips(restored, originals).mean(), rel=1e-3)
    distance = frechet_distance(seeing.activations(originals), seeing.activations(restored))
    assert blank.imagenet_fid == pytest.approx(distance, rel=1e-2)
    assert blank.feature_fid == pytest.approx(without.feature_fid)


def test_a_way_that_spoils_what_is_visible_is_found_out(
    folder: Path, few: Faces, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = rows_of(folder, few, Blank())
    monkeypatch.setattr(restoration, "fill_hidden", lambda restorer, crops, hidden: restorer.fill(crops, hidden))
    spoilt = rows_of(folder, few, Blank())
    assert [row.visible_identical for row in rows] == [1, 1, 1]
    assert all(row.visible_identical is not None and row.visible_identical < 0.1 for row in spoilt)
    assert all(row.l1_hidden == other.l1_hidden for row, other in zip(rows, spoilt, strict=True))


def test_what_lies_beyond_a_photo_is_hidden_and_not_measured(folder: Path, tmp_path: Path) -> None:
    """As ``occlusion="auto"`` has it in the pipeline; in UTKFace a fifth of the crop is a mirror image."""
    rng = np.random.default_rng(3)
    pictures = [drawn_crop(30, rng) for _ in range(2)]
    inside = np.zeros((2, 256, 256), np.bool_)
    inside[:, 20:236, 24:230] = True
    rows = [Row(f"{n}.jpg", f"{n}", 30, None, None, "test") for n in range(2)]
    crops = write_shard(tmp_path / "chips", rows, pictures, "utkface", inside=inside)
    faces = Faces("chips", crops, np.arange(2))
    spoiler = knowing(faces)
    spoiler.spoils = True
    for row in rows_of(folder, faces, spoiler):
        assert row.psnr == row.psnr_hidden == pytest.approx(MOST_PSNR, abs=1e-9)
        assert row.ssim == row.visible_identical == 1
        assert row.feature_fid == pytest.approx(0, abs=1e-4)
    for mask in spoiler.asked:
        assert mask[~inside[0]].all()
        window = largest_window(mask)
        assert window is not None
        assert inside[0][window.slices].all()
        assert window.width * window.height == (~mask).sum()


def test_every_restorer_sees_the_same_windows(folder: Path, few: Faces) -> None:
    one, other, later = knowing(few, "one"), knowing(few, "other"), knowing(few)
    rows_of(folder, few, one, other)
    np.testing.assert_array_equal(one.asked, other.asked)
    random, centre, paper = np.array(one.asked).reshape(3, 3, 256, 256)
    assert (~random).sum(axis=(1, 2)).tolist() == [128 * 128] * 3
    assert len(np.unique(random, axis=0)) == 3
    np.testing.assert_array_equal(centre, [margin_mask(CENTRE_WINDOW)] * 3)
    np.testing.assert_array_equal(paper, [margin_mask(PAPER_WINDOW)] * 3)
    rows_of(folder, few, later, seed=1)
    assert not np.array_equal(random, later.asked[:3])
    np.testing.assert_array_equal(paper, later.asked[6:])


def test_a_pictures_window_does_not_depend_on_the_pictures_beside_it() -> None:
    points = np.stack([mean_landmarks() + number for number in range(6)])
    everything = masks_of("scarf", points, np.arange(6), 0)
    np.testing.assert_array_equal(masks_of("scarf", points[[4, 1]], np.array([4, 1]), 0), everything[[4, 1]])
    assert not np.array_equal(masks_of("scarf", points[:1], np.array([4]), 0)[0], everything[4])


def test_batches_change_nothing(folder: Path, few: Faces, monkeypatch: pytest.MonkeyPatch) -> None:
    small = rows_of(folder, few, MeanFace())
    monkeypatch.setattr(restoration, "BATCH", 64)
    for row, other in zip(small, rows_of(folder, few, MeanFace()), strict=True):
        for name, value in row.model_dump().items():
            expected = other.model_dump()[name]
            assert value == (pytest.approx(expected, rel=1e-3, abs=1e-4) if isinstance(value, float) else expected)


def test_progress_is_told_to_the_end(folder: Path, few: Faces) -> None:
    told: list[tuple[int, int]] = []
    evaluate_restore(
        [few], [Blank(), MeanFace()], FEATURES, folder / "runs", progress=lambda done, total: told.append((done, total))
    )
    steps = [done for done, _ in told]
    assert steps == sorted(steps)
    assert told[-1] == (21, 21)  # the originals, and three windows times two restorers
    assert {total for _, total in told} == {21}


def test_the_sets_are_the_test_splits_and_all_of_fgnet(folder: Path, tmp_path: Path) -> None:
    folders: dict[DatasetName, Path] = {name: folder / name for name in ("fgnet", "utkface")}
    write_crops(tmp_path / "celeba", "celeba-hq")
    utkface, fgnet, celeba = faces_to_restore({**folders, "celeba-hq": tmp_path / "celeba"})
    assert [faces.name for faces in (utkface, fgnet, celeba)] == ["UTKFace test", "FG-NET", "CelebA-HQ test"]
    assert celeba.indices.tolist() == utkface.indices.tolist() == [20, 21]
    assert fgnet.indices.tolist() == list(range(12))
    utkface, fgnet = faces_to_restore(folders, most=3)
    assert utkface.indices.tolist() == [20, 21]
    assert fgnet.indices.tolist() == [0, 6, 11]
    with pytest.raises(DatasetError, match="not of utkface"):
        faces_to_restore({"utkface": folder / "fgnet"})
    with pytest.raises(DatasetError, match="no crops to restore"):
        faces_to_restore({})
    with pytest.raises(DatasetError, match="fewer than two"):
        Faces("one", utkface.crops, np.array([3]))


@pytest.mark.parametrize("most", [2, 5, 99, 100, 101, None])
def test_a_part_is_spread_evenly(most: int | None) -> None:
    indices = np.arange(100) + 7
    chosen = spread(indices, most)
    assert len(chosen) == min(most or 100, 100)
    assert (chosen[0], chosen[-1]) == (7, 106)
    steps = np.diff(chosen)
    assert steps.max() - steps.min() <= 1


def test_what_trained_a_restorer() -> None:
    imagine = weights.manifest()["imagine"]
    restorer = Blank()
    assert trained_by(restorer) == ""
    restorer.networks = ("imagine", "imagine")
    assert trained_by(restorer) == f"{imagine.recipe} (seed {imagine.seed})"
    assert trained_by(Ablation(Path("no-hue"), Path())) == "no-hue (0123456789ab)"


class Ablation(Blank):
    """Stands in for a run's restorer."""

    def __init__(self, folder: Path, runs: Path) -> None:
        self.name, self.runs = folder.name, runs
        self.version = "0123456789abcdef"


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_rows_are_read_as_they_were_written(tmp_path: Path) -> None:
    rows = [RESTORED, RESTORED.model_copy(update={"visible_identical": 1.0, "seed": 7})]
    write_all(rows, tmp_path)
    assert read_rows(tmp_path / "restore.csv", RestorationRow) == [*rows, PUBLISHED]
    line = read(tmp_path / "restore.csv")[0]
    assert (line["visible_identical"], line["inception_fid"]) == ("0.9999999", "")


def test_nothing_is_rounded(folder: Path, few: Faces) -> None:
    row = rows_of(folder, few, MeanFace())[0]
    assert row.l1 != round(row.l1 or 0, 6)


def test_published_numbers_are_marked_and_have_no_feature_fid() -> None:
    known = {name: value for name, value in PUBLISHED.model_dump().items() if value not in (None, "")}
    assert known.pop("data") == "CelebA-HQ (published)"
    assert "Guo" in known.pop("restorer")
    assert known == {"psnr": 16.05, "ssim": 0.6815, "inception_fid": 21.17}


def command(folder: Path, *more: str) -> list[str]:
    options = {"--utkface": "utkface", "--fgnet": "fgnet", "--runs": "runs"}
    places = [word for option, name in options.items() for word in (option, str(folder / name))]
    return ["evaluate", "restore", *places, "--features", FEATURES, *more]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Restorers that ship but take no time, runs that nobody trained, and no cache of crops."""
    monkeypatch.chdir(tmp_path)
    few = {name: RESTORERS[name] for name in ("none", "mean-face")}
    monkeypatch.setattr(restoration, "RESTORERS", few)  # deleting from the real one would change its order for good
    monkeypatch.setattr(restorers, "RunRestorer", Ablation)


@pytest.mark.usefixtures("quick")
def test_the_command(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = ["--ablation", "no-hue", "--ablation", "age-aware"]
    assert main(command(folder, "--most", "4", "--seed", "5", *names, "--threads", "1", "-o", str(tmp_path))) == 0
    rows = read(tmp_path / "restore.csv")
    asked = [
        (data, occluder, restorer, images)
        for data, images in (("UTKFace test", "2"), ("FG-NET", "4"))
        for occluder in OCCLUDED_BY
        for restorer in ("mean-face", "no-hue", "age-aware")
    ]
    assert [(r["data"], r["occluder"], r["restorer"], r["images"]) for r in rows[:-1]] == asked
    assert rows[-1]["data"] == PUBLISHED.data
    assert {(r["seed"], r["features"], r["visible_identical"]) for r in rows[:-1]} == {("5", FEATURES, "1.0")}
    assert float(rows[0]["psnr"]) > float(rows[1]["psnr"])  # the mean face is nearer than nothing
    assert rows[1]["weights"] == "no-hue (0123456789ab)"
    assert (tmp_path / "restore.md").read_text(encoding="utf-8").count("\n| FG-NET |") == 9
    shown, told = (text.splitlines() for text in capsys.readouterr())
    assert len(shown) == len(asked)
    assert shown[0].startswith("UTKFace test   random-window mean-face")
    missing = [line for line in told if "going without" in line]
    assert [line.rpartition(" ")[2] for line in missing] == ["aaf", "celeba-hq"]
    costs = [line for line in told if "processor time for 100 pictures" in line]
    assert len(costs) == len(asked)
    assert "UTKFace test, random-window, mean-face: " in costs[0]


@pytest.mark.usefixtures("quick")
def test_any_occluder_can_hide(folder: Path, tmp_path: Path) -> None:
    asked = ["--occluder", "sunglasses", "--occluder", "surgical-mask"]
    assert main(command(folder, "--most", "2", *asked, "--threads", "1", "-o", str(tmp_path))) == 0
    rows = read_rows(tmp_path / "restore.csv", RestorationRow)[:-1]
    assert [row.occluder for row in rows] == 2 * ["sunglasses", "surgical-mask"]


@pytest.mark.usefixtures("quick")
def test_the_command_refuses_before_it_works(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> Pixels:
        raise AssertionError("it works")

    monkeypatch.setattr(restoration, "fill_hidden", never)
    (tmp_path / "file").touch()
    for more, message in (
        (["-o", str(tmp_path / "file")], "can't be written"),
        (["-o", str(tmp_path), "--fgnet", str(tmp_path)], "no finished crops"),
        (["-o", str(tmp_path), "--features", "nothing"], "no such run"),
    ):
        assert main(command(folder, *more)) == 1
        line = capsys.readouterr().err.strip().splitlines()[-1]
        assert message in line
    assert not (tmp_path / "restore.csv").exists()


def test_without_a_feature_network_nothing_is_measured(few: Faces, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such run"):
        evaluate_restore([few], [Blank()], FEATURES, tmp_path)
