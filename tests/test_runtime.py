"""The door to ONNX Runtime and OpenVINO: one session, threads and engine settable, batches."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import get_args

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper
from onnx_models import age_model
from synthetic import drawn_crop

from spiralage import runtime, weights
from spiralage.age.estimate import AgeEstimator
from spiralage.errors import MissingExtraError, ModelFileError, OptionError
from spiralage.runtime import BATCH, Engine, OpenVINOSession, Session, load_session, open_session
from spiralage.store import StoredFile
from spiralage.types import Pixels


def random_crops(count: int) -> Pixels:
    return np.random.default_rng(1).integers(0, 256, (count, 256, 256, 3), dtype=np.uint8)


def test_one_session_per_process_also_when_threads_ask_at_once() -> None:
    with ThreadPoolExecutor(8) as pool:
        sessions = set(pool.map(lambda _: open_session("best", 1), range(16)))
    assert len(sessions) == 1
    assert open_session("best", 2) not in sessions


def test_number_of_threads_does_not_change_the_answer() -> None:
    crops = random_crops(2)
    one, two = (AgeEstimator(threads=threads).probabilities(crops) for threads in (1, 2))
    np.testing.assert_allclose(one, two, atol=1e-5)


def test_batches_are_independent_of_their_size() -> None:
    crops = random_crops(BATCH + 3)
    together = AgeEstimator().probabilities(crops)
    assert together.shape == (BATCH + 3, 101)
    np.testing.assert_allclose(together.sum(axis=1), 1, atol=1e-5)
    alone = np.concatenate([AgeEstimator().probabilities(crop[None]) for crop in crops])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    assert AgeEstimator().estimate(crops[:0]) == ()


def test_threads_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPIRALAGE_THREADS", "1")
    assert open_session("best") is open_session("best", 1)
    for bad in ("0", "many"):
        monkeypatch.setenv("SPIRALAGE_THREADS", bad)
        with pytest.raises(OptionError, match=r"threads|THREADS"):
            open_session("best")


def test_threads_that_wait_do_not_spin() -> None:
    options = Session(weights.read("slices-context"), 2)._native.get().get_session_options()
    for which in ("intra", "inter"):
        assert options.get_session_config_entry(f"session.{which}_op.allow_spinning") == "0"
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (2, 1)


def test_engine_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPIRALAGE_ENGINE", raising=False)
    usual = open_session("best", 1)
    assert type(usual) is Session
    monkeypatch.setenv("SPIRALAGE_ENGINE", "onnxruntime")
    assert open_session("best", 1) is usual
    for bad in ("", "tensorflow", "OpenVINO"):
        monkeypatch.setenv("SPIRALAGE_ENGINE", bad)
        with pytest.raises(OptionError, match=r"SPIRALAGE_ENGINE must be one of .*openvino-int8, got"):
            open_session("best", 1)
        assert open_session("best", 1, "onnxruntime") is usual  # what is asked for comes first


def test_openvino_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("openvino")
    monkeypatch.setenv("SPIRALAGE_ENGINE", "openvino")
    session = open_session("best", 1)
    assert type(session) is OpenVINOSession
    assert session is open_session("best", 1, "openvino")
    assert session is not open_session("best", 1, "onnxruntime")


@pytest.mark.parametrize(("name", "in_int8"), [("imagine", "imagine-int8"), ("best", "best")])
def test_a_network_in_int8_is_taken_where_it_ships(monkeypatch: pytest.MonkeyPatch, name: str, in_int8: str) -> None:
    monkeypatch.setattr(runtime, "load_session", lambda model, *settings: model)
    monkeypatch.setattr(runtime, "_open", runtime._open.__wrapped__)  # nothing stays in its cache
    read: list[object] = [open_session(name, 7, engine) for engine in get_args(Engine)]
    assert read == [weights.read(name)] * 3 + [weights.read(in_int8)]


def test_openvino_answers_as_onnx_runtime() -> None:
    pytest.importorskip("openvino")
    rng = np.random.default_rng(1)
    crops = np.stack([drawn_crop(5 * years, rng) for years in range(BATCH + 1)])
    usual, other = (open_session("best", 1, engine) for engine in ("onnxruntime", "openvino"))
    expected, found = usual.run(crops=crops), other.run(crops=crops)
    assert found.dtype == expected.dtype == np.float32
    assert np.ptp(expected, axis=0).max() > 0.01  # pictures differ, else agreeing would say little
    np.testing.assert_allclose(found, expected, atol=1e-3)
    assert (other.input_shapes, other.metadata) == (usual.input_shapes, usual.metadata)


def test_openvino_answers_several_threads_at_once() -> None:
    pytest.importorskip("openvino")
    session, crops = open_session("best", 1, "openvino"), random_crops(4)
    alone = [session.run(crops=crop[None]) for crop in crops]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda index: session.run(crops=crops[index % 4][None]), range(16)))
    for index, found in enumerate(together):
        np.testing.assert_allclose(found, alone[index % 4], atol=1e-6)


def test_an_answer_is_not_overwritten_by_the_next() -> None:
    pytest.importorskip("openvino")
    session, crops = open_session("best", 1, "openvino"), random_crops(2)
    (first,) = session.outputs(crops=crops[:1])
    kept = first.copy()
    session.outputs(crops=crops[1:])
    np.testing.assert_array_equal(first, kept)


@pytest.mark.parametrize("engine", get_args(Engine))
def test_bytes_that_are_no_model(engine: Engine) -> None:
    with pytest.raises(ModelFileError, match="not an ONNX model"):
        load_session(b"nonsense", 1, engine)


@pytest.mark.parametrize("engine", ["openvino", "openvino-bf16", "openvino-int8"])
def test_without_openvino_its_extra_is_named(monkeypatch: pytest.MonkeyPatch, engine: Engine) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingExtraError, match=r"OpenVINO needs .* pip install 'spiralage\[fast\]'"):
        load_session(weights.read("best"), 1, engine)


def test_wrong_shape_is_named() -> None:
    with pytest.raises(ValueError, match=r"\(N, 256, 256, 3\), got \(1, 64, 64, 3\)"):
        AgeEstimator().probabilities(np.zeros((1, 64, 64, 3), np.uint8))


@pytest.mark.parametrize("engine", get_args(Engine))
def test_weights_in_another_file_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: Engine) -> None:
    if engine != "onnxruntime":
        pytest.importorskip("openvino")
    model = onnx.load_from_string(age_model(age=30))
    path = tmp_path / "nd" / "n.onnx"
    path.parent.mkdir()
    onnx.save_model(model, path, save_as_external_data=True, location="w.bin", size_threshold=0)
    stray = onnx.load(path)
    (tmp_path / "w.bin").write_bytes((path.parent / "w.bin").read_bytes())
    assert stray.graph.initializer[0].name == "answer"
    monkeypatch.chdir(tmp_path)  # where a runtime would look for it
    with pytest.raises(ModelFileError, match=r"n\.onnx: keeps its weights in another file; save it as one file"):
        open_session(StoredFile("n", path), 1, engine)


def test_onnx_runtimes_own_format_is_no_onnx(tmp_path: Path) -> None:
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "n.ort")
    onnxruntime.InferenceSession(age_model(), options, providers=["CPUExecutionProvider"])
    with pytest.raises(ModelFileError, match="not an ONNX model"):
        load_session((tmp_path / "n.ort").read_bytes(), 1)


def test_an_odd_network_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    model = onnx.load_from_string(age_model())
    model.graph.initializer.append(numpy_helper.from_array(np.zeros(3, np.float32), "unused"))
    session = load_session(model.SerializeToString(), 1)
    assert session.run(crops=random_crops(1)).argmax() == 40
    printed = capfd.readouterr()
    assert (printed.out, printed.err) == ("", "")


def test_a_network_that_fails_says_so_by_its_error_alone(capfd: pytest.CaptureFixture[str]) -> None:
    model = onnx.load_from_string(age_model())
    model.graph.initializer.append(numpy_helper.from_array(np.array([7]), "seven"))
    model.graph.node[2].input[0] = "odd"
    model.graph.node.insert(2, onnx.helper.make_node("Reshape", ["mean", "seven"], ["odd"]))
    session = load_session(model.SerializeToString(), 1)
    with pytest.raises(Exception, match="reshape"):
        session.run(crops=random_crops(1))
    printed = capfd.readouterr()
    assert (printed.out, printed.err) == ("", "")
