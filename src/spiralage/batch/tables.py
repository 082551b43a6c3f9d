"""Rows → one table on disk, in the format that its ending names; read and written part by part, never held whole."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

from spiralage.csv_lines import csv_line
from spiralage.errors import MissingExtraError, OptionError
from spiralage.report.csv_file import csv_row
from spiralage.report.rows import INTEGERS, TEXTS, Row
from spiralage.text import file_bytes


class WriteTable(Protocol):
    """Writes a table: the path, the columns, and rows in batches."""

    def __call__(self, path: Path, columns: Sequence[str], batches: Iterable[list[Row]]) -> None: ...


def write_csv(path: Path, columns: Sequence[str], batches: Iterable[list[Row]]) -> None:
    """As ``--csv`` writes it."""
    with path.open("wb") as file:
        file.write(file_bytes(csv_line(columns)))
        file.writelines(csv_row(row, columns) for row in chain.from_iterable(batches))


def write_jsonl(path: Path, columns: Sequence[str], batches: Iterable[list[Row]]) -> None:
    """An object a line, every column in it, empty cells null; ASCII, as ``--json`` is."""
    with path.open("w", encoding="ascii", newline="\n") as file:
        for row in chain.from_iterable(batches):
            file.write(json.dumps({column: row.get(column) for column in columns}) + "\n")


def write_parquet(path: Path, columns: Sequence[str], batches: Iterable[list[Row]]) -> None:
    """A batch is a row group; texts are strings, whole numbers int64, all others double.

    Raises:
        MissingExtraError: PyArrow isn't installed.
    """
    _, parquet = _pyarrow()
    schema = arrow_schema(columns)
    with parquet.ParquetWriter(path, schema) as writer:
        for rows in batches:
            writer.write_table(arrow_table(rows, schema))


def arrow_schema(columns: Sequence[str]) -> Any:
    """The columns' types, for PyArrow; raises MissingExtraError."""
    arrow, _ = _pyarrow()
    kinds = {column: arrow.string() if column in TEXTS else arrow.float64() for column in columns}
    return arrow.schema([(name, arrow.int64() if name in INTEGERS else kind) for name, kind in kinds.items()])


def arrow_table(rows: Sequence[Row], schema: Any) -> Any:
    r"""Rows as a PyArrow table. A file name's byte that is no UTF-8, which a string can't hold, becomes ``\udcXX``."""
    arrow, _ = _pyarrow()
    return arrow.Table.from_pylist([{name: _utf8(cell) for name, cell in row.items()} for row in rows], schema)


def _utf8(cell: object) -> object:
    return cell.encode("utf-8", "backslashreplace").decode() if isinstance(cell, str) else cell


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise MissingExtraError("Parquet", "parquet") from error
    return pyarrow, pyarrow.parquet


FORMATS: MappingProxyType[str, WriteTable] = MappingProxyType(
    {".parquet": write_parquet, ".csv": write_csv, ".jsonl": write_jsonl}
)
"""How a table is written, by ending."""


def writer_for(path: Path) -> WriteTable:
    """How to write a table there.

    Raises:
        OptionError: an ending that isn't known, or a place that is no file.
        MissingExtraError: what the format needs isn't installed.
    """
    writer = FORMATS.get(path.suffix.lower())
    if writer is None:
        raise OptionError(f"{path}: no table format is known by this ending; use one of {', '.join(FORMATS)}")
    if path.exists() and not path.is_file():
        raise OptionError(f"{path}: this is no file; name one, or use --csv or --json for what is none")
    if writer is write_parquet:
        _pyarrow()
    return writer
