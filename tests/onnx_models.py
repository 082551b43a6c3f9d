"""Small ONNX networks that tests make: age and landmark networks that are right, or wrong in one way each."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def age_model(
    *,
    age: int = 40,
    scale: float = 1.0,
    nan_below: float | None = None,
    takes: str = "crops",
    gives: str = "probabilities",
    shape: tuple[int | str, ...] = ("N", 256, 256, 3),
    dtype: int = TensorProto.UINT8,
    ages: int = 101,
) -> bytes:
    """An age network that says one age, whatever it sees.

    Args:
        age: which, in years.
        scale: what its probabilities sum to.
        nan_below: it answers NaN for pictures that are darker on average than this, in [0, 255].
        takes, gives: the names of its input and output.
        shape, dtype: of the input.
        ages: how many it has probabilities for.
    """
    answer = np.zeros((1, ages), np.float32)
    answer[0, age] = scale
    threshold = np.float32(-1.0 if nan_below is None else nan_below)
    constants = {
        "answer": answer,
        "threshold": np.array([threshold]),
        "nothing": np.zeros(1, np.float32),
        "axes": np.arange(1, len(shape), dtype=np.int64),
    }
    nodes = [
        helper.make_node("Cast", [takes], ["float"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["float", "axes"], ["mean"], keepdims=0),
        helper.make_node("Sub", ["mean", "threshold"], ["above"]),
        helper.make_node("Sqrt", ["above"], ["root"]),  # NaN below the threshold
        helper.make_node("Mul", ["root", "nothing"], ["zero"]),
        helper.make_node("Unsqueeze", ["zero", "one"], ["column"]),
        helper.make_node("Add", ["column", "answer"], [gives]),
    ]
    constants["one"] = np.ones(1, np.int64)
    graph = helper.make_graph(
        nodes,
        "age",
        [helper.make_tensor_value_info(takes, dtype, shape)],
        [helper.make_tensor_value_info(gives, TensorProto.FLOAT, (shape[0], ages))],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model)
    data: bytes = model.SerializeToString()
    return data


def brightness_model() -> bytes:
    """An age network that reads the brightness of ``synthetic.drawn_crop``, with a standard deviation of 5 years."""
    constants: dict[str, np.ndarray] = {
        "ages": np.arange(101, dtype=np.float32)[None],
        "axes": np.arange(1, 4, dtype=np.int64),
        "one": np.ones(1, np.int64),
        "blobs": np.array([25], np.float32),
        "half": np.array([0.5], np.float32),
        "sharp": np.array([-1 / 50], np.float32),
    }
    nodes = [
        helper.make_node("Cast", ["crops"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["float", "axes"], ["mean"], keepdims=0),
        helper.make_node("Sub", ["mean", "blobs"], ["twice"]),
        helper.make_node("Mul", ["twice", "half"], ["estimate"]),
        helper.make_node("Unsqueeze", ["estimate", "one"], ["column"]),
        helper.make_node("Sub", ["ages", "column"], ["off"]),
        helper.make_node("Mul", ["off", "off"], ["square"]),
        helper.make_node("Mul", ["square", "sharp"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "age",
        [helper.make_tensor_value_info("crops", TensorProto.UINT8, ("N", 256, 256, 3))],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ("N", 101))],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model)
    data: bytes = model.SerializeToString()
    return data


def landmark_model(points: np.ndarray, spread: float = 4.0) -> bytes:
    """A landmark network that says the same 68 points, and the same spread of each, whatever it sees.

    Args:
        points: (68, 2), (x, y) in pixels of what it sees.
        spread: in the same pixels.
    """
    constants: dict[str, np.ndarray] = {
        "points68": points.astype(np.float32)[None],
        "spreads68": np.full((1, 68), spread, np.float32),
        "nothing": np.zeros(1, np.float32),
        "axes": np.arange(1, 4, dtype=np.int64),
        "one": np.ones(1, np.int64),
        "two": np.array([1, 2], np.int64),
    }
    nodes = [
        helper.make_node("Cast", ["crops"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["float", "axes"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["mean", "nothing"], ["zero"]),
        helper.make_node("Unsqueeze", ["zero", "two"], ["square"]),
        helper.make_node("Unsqueeze", ["zero", "one"], ["column"]),
        helper.make_node("Add", ["square", "points68"], ["points"]),
        helper.make_node("Add", ["column", "spreads68"], ["spreads"]),
    ]
    graph = helper.make_graph(
        nodes,
        "landmarks",
        [helper.make_tensor_value_info("crops", TensorProto.UINT8, ("N", 256, 256, 3))],
        [
            helper.make_tensor_value_info("points", TensorProto.FLOAT, ("N", 68, 2)),
            helper.make_tensor_value_info("spreads", TensorProto.FLOAT, ("N", 68)),
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model)
    data: bytes = model.SerializeToString()
    return data


def occlusion_model(*, threshold: str = "0.5", gain: float = 1.0) -> bytes:
    """What finds occlusions: takes a pixel for as probably hidden as it is red.

    Args:
        threshold: what its metadata say; "" says nothing.
        gain: what the red, in [0, 1], is multiplied by.
    """
    nodes = [
        helper.make_node("Cast", ["crops"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Gather", ["float", "red"], ["channel"], axis=3),
        helper.make_node("Mul", ["channel", "scale"], ["hidden"]),
    ]
    scale = numpy_helper.from_array(np.array(gain / 255, np.float32), "scale")
    graph = helper.make_graph(
        nodes,
        "occlusion",
        [helper.make_tensor_value_info("crops", TensorProto.UINT8, ("N", 256, 256, 3))],
        [helper.make_tensor_value_info("hidden", TensorProto.FLOAT, ("N", 256, 256))],
        [numpy_helper.from_array(np.array(0, np.int64), "red"), scale],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    if threshold:
        model.metadata_props.add(key="threshold", value=threshold)
    onnx.checker.check_model(model)
    data: bytes = model.SerializeToString()
    return data
