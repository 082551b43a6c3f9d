"""Whether an ONNX model keeps tensors in other files, told without ONNX's package, which isn't on a photo's way.

ONNX Runtime and OpenVINO look for such files in the working directory where they are given a model's bytes, and no
manifest has their SHA-256.

Source: the field numbers are those of https://github.com/onnx/onnx/blob/v1.18.0/onnx/onnx.proto, the encoding that of
https://protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

Value: TypeAlias = "int | memoryview"

_INSIDE: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse tensor"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse tensor", 23: "sparse tensor"},
    "sparse tensor": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
"""The fields of each message that lead to tensors."""
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14
"""Of a tensor: where its other file is; whether it has one."""
_VARINT, _EIGHT_BYTES, _LENGTH, _FOUR_BYTES = 0, 1, 2, 5
_LONGEST_VARINT = 10


def has_external_data(model: bytes) -> bool:
    """Whether any tensor of a model, in subgraphs and nodes too, is in another file.

    Args:
        model: the bytes of an ONNX file.

    Raises:
        ValueError: they are no protocol buffer.

    Example:
        >>> has_external_data(bytes([58, 4, 42, 2, 112, 1]))  # a graph's initialiser that says it is elsewhere
        True
    """
    left = [("model", memoryview(model))]
    while left:
        message, data = left.pop()
        for field, value in _fields(data):
            if message == "tensor" and field in (_EXTERNAL_DATA, _DATA_LOCATION) and value != 0:
                return True
            inner = _INSIDE[message].get(field)
            if inner is not None and isinstance(value, memoryview):
                left.append((inner, value))
    return False


def _fields(data: memoryview) -> Iterator[tuple[int, Value]]:
    """The fields of a message: numbers, and the bytes of all else."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        key &= 0xFFFFFFFF
        wire = key & 7
        if wire == _VARINT:
            number, at = _varint(data, at)
            yield key >> 3, number
            continue
        if wire == _LENGTH:
            size, at = _varint(data, at)
        elif wire in (_EIGHT_BYTES, _FOUR_BYTES):
            size = 8 if wire == _EIGHT_BYTES else 4
        else:
            raise ValueError("an unknown wire type")
        if size > len(data) - at:
            raise ValueError("it is cut short")
        yield key >> 3, data[at : at + size]
        at += size


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    """A number of variable length, and where the next field begins."""
    number = 0
    for position, byte in enumerate(data[at : at + _LONGEST_VARINT]):
        number |= (byte & 0x7F) << (7 * position)
        if byte < 0x80:
            return number, at + position + 1
    raise ValueError("it is cut short")
