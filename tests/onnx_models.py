"""Small ONNX networks that tests make: age networks that are right, and ones that are wrong in one way each."""

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
