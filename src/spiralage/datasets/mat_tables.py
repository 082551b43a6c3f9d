"""IMDB-WIKI's table from a ``.mat`` file, read in a process of its own (``mat_reader``), within limits."""

from __future__ import annotations

import importlib.util
import io
import os
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from spiralage.datasets import mat_reader
from spiralage.datasets.mat_reader import NUMBERS, TEXTS
from spiralage.errors import MissingExtraError

Columns: TypeAlias = Mapping[str, npt.NDArray[Any]]

MAX_SECONDS = 600


def read_columns(data: bytes, part: str) -> Columns:
    """The struct ``part`` of a ``.mat`` file: ``NUMBERS`` as float64 and ``TEXTS`` as str, (N,) each.

    Args:
        data: the file's bytes.
        part: the struct's name.

    Raises:
        ValueError: it isn't such a table, or crashes the reader; the message is one line.
        MissingExtraError: SciPy isn't installed.
    """
    if importlib.util.find_spec("scipy") is None:
        raise MissingExtraError("reading .mat files", "train")
    command = [sys.executable, mat_reader.__file__, part]
    try:
        done = subprocess.run(
            command,
            input=data,
            env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},  # each of its threads reserves memory
            capture_output=True,
            timeout=MAX_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ValueError(f"not read in {MAX_SECONDS} seconds") from error
    if done.returncode != 0:
        lines = done.stderr.decode(errors="replace").splitlines() if done.returncode == 1 else []
        raise ValueError(lines[-1] if lines else f"its reader crashed with status {done.returncode}")
    try:
        with np.load(io.BytesIO(done.stdout), allow_pickle=False) as columns:
            return {name: columns[name] for name in (*NUMBERS, *TEXTS)}
    except (ValueError, OSError, EOFError, KeyError, AttributeError, TypeError, zipfile.BadZipFile) as error:
        raise ValueError("its answer is none") from error
