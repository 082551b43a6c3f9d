"""Found occlusions measured: a finder that sees red, tasks of every role, the files, and the command."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from occlusion_faces import face_crops, outlined_crops
from onnx_models import occlusion_model

from spiralage.cli import main
from spiralage.datasets.hidden_labels import Known
from spiralage.datasets.sources import DatasetName
from spiralage.errors import DatasetError
from spiralage.evaluation.protocols.occlusion import Task, evaluate_occlusion, occlusion_tasks, write_all
from spiralage.evaluation.results import OcclusionRow, read_rows
from spiralage.occlusion.network import NetworkFinder
from spiralage.occlusion.occluders import OCCLUDERS


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cache")
    for data in ("aaf", "fgnet"):
        face_crops(folder, data)
    outlined_crops(folder)
    return folder


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Takes for hidden what is redder than 200: the light squares that are masks in MaskedFace-Net's crops."""
    path = tmp_path_factory.mktemp("networks") / "reds.onnx"
    path.write_bytes(occlusion_model(threshold="0.8"))
    return path


def folders(cache: Path, *names: DatasetName) -> dict[DatasetName, Path]:
    return {name: cache / name for name in names}


def test_every_role_has_its_rows(cache: Path) -> None:
    tasks = occlusion_tasks(folders(cache, "fgnet", "aaf", "maskedface"), ["surgical-mask"], most=2)
    roles = [(task.data, task.role, task.occluder) for task in tasks]
    assert roles[:2] == [("MaskedFace-450 val", "outlined", ""), ("MaskedFace-450 test", "outlined", "")]
    assert roles[-2:] == [("FG-NET", "clean", ""), ("AAF test", "clean", "")]
    drawn = {occluder: role for data, role, occluder in roles[2:-2] if data == "AAF test"}
    assert drawn.keys() == {*OCCLUDERS, "glasses"}
    assert [name for name, role in drawn.items() if role == "trained"] == ["surgical-mask"]
    assert {name for name, role in drawn.items() if role == "distractor"} == {"glasses", "hair"}
    assert {len(task.indices) for task in tasks} == {2}


def test_faces_are_looked_at_as_the_pipeline_has_them(cache: Path) -> None:
    (clean,) = (task for task in occlusion_tasks(folders(cache, "fgnet"), []) if task.role == "clean")
    looks = list(clean.looks())
    assert len(looks) == 11  # FG-NET has no splits
    for face, known in looks:
        assert not face.pixels[:, :50].any()
        assert not face.inside[:, :50].any()
        assert face.landmarks is not None
        assert (known[:, 50:] == Known.ASSUMED).all()


def test_numbers_by_hand(cache: Path, network: Path) -> None:
    tasks = occlusion_tasks(folders(cache, "maskedface", "aaf"), [], most=2)
    chosen = [task for task in tasks if task.role in ("outlined", "clean") or task.occluder in ("hair", "edge")]
    rows = {(row.role, row.occluder): row for row in evaluate_occlusion(NetworkFinder(network), chosen)}
    outlined = rows["outlined", ""]
    assert (outlined.iou, outlined.pooled_iou, outlined.missed, outlined.falsely_hidden) == (1, 1, 0, 0)
    clean = rows["clean", ""]
    assert (clean.iou, clean.falsely_hidden, clean.damaged) == (None, 0, 0)
    black = rows["kept out", "edge"]  # what is black is not red
    assert (black.iou, black.missed) == (0, 1)
    assert rows["distractor", "hair"].iou is None
    assert outlined.threshold == pytest.approx(0.8)
    blind = evaluate_occlusion(NetworkFinder(network, threshold=0.01), [task for task in chosen if not task.occluder])
    assert all(row.falsely_hidden and row.falsely_hidden > 0.9 and row.damaged == 1 for row in blind)


def test_a_drawing_depends_on_seed_and_place_alone(cache: Path) -> None:
    def drawn(seed: int) -> list[bytes]:
        tasks = occlusion_tasks(folders(cache, "aaf"), [], most=2, seed=seed)
        (task,) = (task for task in tasks if task.occluder == "hand")
        return [face.pixels.tobytes() for face, _ in task.looks()]

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)


def test_crops_without_outlines_or_of_no_set_are_refused(cache: Path, tmp_path: Path) -> None:
    face_crops(tmp_path, "maskedface")
    with pytest.raises(DatasetError, match="no outlines here"):
        occlusion_tasks({"maskedface": tmp_path / "maskedface"}, [])
    with pytest.raises(DatasetError, match="no crops to find anything in"):
        occlusion_tasks({}, [])
    with pytest.raises(DatasetError, match="holds crops of aaf, not of fgnet"):
        occlusion_tasks({"fgnet": cache / "aaf"}, [])


def test_the_command_writes_both_tables(
    cache: Path, network: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["evaluate", "occlusion", "--network", str(network), "--cache", str(cache), "-o", str(tmp_path)]
    assert main([*command, "--most", "2", "--threads", "1"]) == 0
    captured = capsys.readouterr()
    assert "going without utkface" in captured.err
    rows = read_rows(tmp_path / "occlusion-masks.csv", OcclusionRow)
    assert len(rows) == 2 + len(OCCLUDERS) + 1 + 2
    assert (rows[0].network, rows[0].weights) == ("reds", "reds")
    page = (tmp_path / "occlusion-masks.md").read_text()
    assert "| MaskedFace-450 val |  | outlined | 1.000 | 1.000 | 0.00% | 0.00% | 0.00% | 2 |" in page
    assert page.count("\n- ") == 5  # four words explained, one run
    assert "IoU 1.000" in captured.out


def test_nothing_measured_is_an_empty_cell(network: Path, cache: Path, tmp_path: Path) -> None:
    crops = occlusion_tasks(folders(cache, "aaf"), [])[0].crops
    nobody = Task("nobody", crops, np.array([], np.int64), "clean")
    rows = evaluate_occlusion(NetworkFinder(network), [nobody])
    assert (rows[0].images, rows[0].falsely_hidden, rows[0].iou) == (0, None, None)
    write_all(rows, tmp_path)
    assert read_rows(tmp_path / "occlusion-masks.csv", OcclusionRow) == rows
