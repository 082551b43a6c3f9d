"""Models that keep tensors in another file are known, wherever in the model that is said."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper
from onnx_models import age_model

from spiralage import weights
from spiralage.external_data import has_external_data


def elsewhere() -> TensorProto:
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[3])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="w.bin")
    return tensor


def only_located() -> TensorProto:
    return TensorProto(name="w", data_location=TensorProto.EXTERNAL)


def only_named() -> TensorProto:
    tensor = TensorProto(name="w")
    tensor.external_data.add(key="location", value="w.bin")
    return tensor


def initializer(model: ModelProto, tensor: TensorProto) -> None:
    model.graph.initializer.append(tensor)


def sparse_values(model: ModelProto, tensor: TensorProto) -> None:
    model.graph.sparse_initializer.add().values.CopyFrom(tensor)


def sparse_indices(model: ModelProto, tensor: TensorProto) -> None:
    model.graph.sparse_initializer.add().indices.CopyFrom(tensor)


def constant(model: ModelProto, tensor: TensorProto) -> None:
    model.graph.node.append(helper.make_node("Constant", [], ["c"], value=tensor))


def list_of_tensors(model: ModelProto, tensor: TensorProto) -> None:
    model.graph.node.add().attribute.add().tensors.append(tensor)


def sparse_attribute(model: ModelProto, tensor: TensorProto) -> None:
    model.graph.node.add().attribute.add().sparse_tensor.values.CopyFrom(tensor)


def list_of_sparse(model: ModelProto, tensor: TensorProto) -> None:
    model.graph.node.add().attribute.add().sparse_tensors.add().values.CopyFrom(tensor)


def branch(model: ModelProto, tensor: TensorProto) -> None:
    inner = helper.make_graph([], "inner", [], [], [tensor])
    model.graph.node.append(helper.make_node("If", ["c"], ["d"], then_branch=inner))


def branch_in_a_branch(model: ModelProto, tensor: TensorProto) -> None:
    outer = model.graph.node.add().attribute.add().graphs.add()
    outer.node.add().attribute.add().g.node.add().attribute.add().t.CopyFrom(tensor)


def function(model: ModelProto, tensor: TensorProto) -> None:
    model.functions.add().node.add().attribute.add().t.CopyFrom(tensor)


def functions_default(model: ModelProto, tensor: TensorProto) -> None:
    model.functions.add().attribute_proto.add().t.CopyFrom(tensor)


def training(model: ModelProto, tensor: TensorProto) -> None:
    model.training_info.add().algorithm.initializer.append(tensor)


@pytest.mark.parametrize("said", [elsewhere, only_located, only_named])
@pytest.mark.parametrize(
    "place",
    [
        *(initializer, sparse_values, sparse_indices, constant, list_of_tensors, sparse_attribute, list_of_sparse),
        *(branch, branch_in_a_branch, function, functions_default, training),
    ],
)
def test_wherever_it_is_said(place: Callable[[ModelProto, TensorProto], None], said: Callable[[], TensorProto]) -> None:
    model = onnx.load_from_string(age_model())
    place(model, numpy_helper.from_array(np.arange(3, dtype=np.float32), "w"))
    assert not has_external_data(model.SerializeToString())
    model = onnx.load_from_string(age_model())
    place(model, said())
    assert has_external_data(model.SerializeToString())


@pytest.mark.parametrize("name", sorted(name for name, entry in weights.manifest().items() if "onnx" in entry.file))
def test_shipped_networks_are_whole(name: str) -> None:
    assert not has_external_data(weights.read(name))


@pytest.mark.parametrize("data", [b"nonsense", b"\xff" * 30, b"\x3a\x7f", b"\x3a", age_model()[:-3], b"\x3b\x3c"])
def test_what_is_no_protocol_buffer(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"cut short|wire type"):
        has_external_data(data)


def test_a_depth_without_end_ends() -> None:
    data = b""
    for _ in range(3000):  # a graph in a node's attribute in a graph
        for field in (6, 5, 1):
            size = len(data)
            length = bytes([*(size >> shift & 0x7F | 0x80 for shift in (0, 7)), size >> 14])
            data = bytes([field << 3 | 2]) + length + data
    assert not has_external_data(data)
