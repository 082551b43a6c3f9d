"""``spiralage train mean-face``: the mean aligned face and its mean landmarks."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load

from spiralage import weights
from spiralage.datasets.crops import Crops
from spiralage.errors import CheckpointError, DatasetError
from spiralage.files import write_text
from spiralage.provenance import commit, hardware
from spiralage.training.checkpoint import save_tensors
from spiralage.training.loop import Progress, no_progress

MEAN_FACE_FILE = "mean-face.safetensors"
SHAPES: dict[str, tuple[tuple[int, ...], type[np.generic]]] = {
    "pixels": ((256, 256, 3), np.uint8),
    "landmarks": ((68, 2), np.float32),
}
"""What is in it."""


def train_mean_face(crops: Crops, folder: Path, *, progress: Progress = no_progress) -> Path:
    """Average the training split's crops and write ``mean-face.safetensors``.

    Returns:
        The file, with ``pixels`` (256, 256, 3) uint8 RGB and ``landmarks`` (68, 2) float32: the mean of the crops that
        have all 68.

    Raises:
        DatasetError: these crops were built before landmarks were kept, or have none.
    """
    start_time = time.monotonic()
    indices = crops.indices("train")
    known = crops.landmarks(indices)
    marks = known[~np.isnan(known).any(axis=(1, 2))]
    if not len(marks):
        raise DatasetError(f"{crops.folder}: no face has all 68 landmarks; build the crops again")
    landmarks = marks.mean(axis=0, dtype=np.float64).astype(np.float32)
    total = np.zeros((256, 256, 3))
    for start in range(0, len(indices), 64):
        batch = crops.take(indices[start : start + 64])
        total += batch.sum(axis=0, dtype=np.float64)
        progress(min(start + 64, len(indices)), len(indices), {})
    pixels = np.rint(total / len(indices)).astype(np.uint8)
    path = folder / MEAN_FACE_FILE
    save_tensors(
        path,
        {"pixels": torch.from_numpy(pixels), "landmarks": torch.from_numpy(landmarks)},
        {"images": len(indices), "marked": len(marks)},
    )
    data = {"data": [crops.data], "pretrained": ""}
    facts = {"recipe": "mean-face", "seed": 0, "commit": commit(), "hardware": hardware(), **data}
    minutes = round((time.monotonic() - start_time) / 60, 1)
    write_text(folder / "run.json", json.dumps(facts | {"minutes": minutes, "train_images": len(indices)}) + "\n")
    return path


def read_mean_face(run: Path) -> bytes:
    """The file of a finished run, checked.

    Raises:
        CheckpointError: it isn't there, or holds other tensors than ``SHAPES``, or values that are no numbers.
        ModelFileError: it can't be read.
    """
    path = run / MEAN_FACE_FILE
    if not path.is_file():
        raise CheckpointError(f"{run}: no {MEAN_FACE_FILE} here; choose a run of that kind")
    data = weights.read_file(path, None)
    try:
        tensors = load(data)
    except Exception as error:  # a damaged file makes its reader raise this and that
        raise CheckpointError(f"{path}: damaged ({error}); train it again") from error
    found = {name: (tensor.shape, tensor.dtype) for name, tensor in tensors.items()}
    if found != {name: (shape, np.dtype(kind)) for name, (shape, kind) in SHAPES.items()}:
        raise CheckpointError(f"{path}: doesn't hold a mean face's pixels and landmarks; train it again")
    if not np.isfinite(tensors["landmarks"]).all():
        raise CheckpointError(f"{path}: its landmarks are no numbers; train it again")
    return data
