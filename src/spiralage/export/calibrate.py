"""``spiralage calibrate``: how sure an exported age network may be, found on faces kept back and put into its file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnx

from spiralage.age.calibrate import METADATA, Calibration, fit
from spiralage.datasets.crops import Crops
from spiralage.datasets.manifest import Split
from spiralage.errors import ModelFileError
from spiralage.evaluation.answers import Answers, ask, joined, split_indices
from spiralage.export.manifest import repin
from spiralage.occlusion.occluders import OccluderName
from spiralage.pipeline import AgePipeline
from spiralage.provenance import commit
from spiralage.restoration.restore import make_restorer
from spiralage.runtime import Session
from spiralage.store import StoredFile, resolve

CALIBRATED_BY: tuple[OccluderName, ...] = (
    "surgical-mask",
    "paper",
    "scarf",
    "sunglasses",
    "hand",
    "edge",
    "cloth-mask",
    "hair",
    "random-window",
)
"""What is drawn in front of faces, each of every ninth; every face is asked about once plain and once so."""


def find_calibration(
    network: str | Path,
    sets: Sequence[Crops],
    *,
    restorer: str,
    occlusion: str = "auto",
    occluders: Sequence[OccluderName] = CALIBRATED_BY,
    split: Split = "val",
    most: int | None = None,
    told: bool = True,
    threads: int | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Calibration:
    """Hold a network's answers against the ages of faces, as ``AgePipeline`` reads them.

    Args:
        network: see ``store``.
        sets: crops of data sets with ages.
        restorer: who fills what is hidden; the calibration is for this way alone.
        occlusion: what finds what is hidden, see ``AgePipeline``.
        occluders: what is drawn in front of them.
        split: of the sets; nothing may have been learned from it.
        most: take so many faces of each set at most, evenly spread.
        told: see ``answers.ask``.
        threads: for the networks.
        progress: told (faces done, faces in all).

    Raises:
        ModelFileError: no such network.
        DatasetError: crops without ages, or none.
        InputError: too few faces.
    """
    filler = make_restorer(restorer, threads=threads)
    pipeline = AgePipeline(network=network, restorer=filler, occlusion=occlusion, threads=threads)
    chosen = [(crops, split_indices(crops, split, most)) for crops in sets]
    total, done = 2 * sum(len(indices) for _, indices in chosen), 0
    parts: list[Answers] = []
    for crops, indices in chosen:
        for drawn in ((), tuple(occluders)):
            before = done
            parts.append(
                ask(pipeline, crops, indices, drawn, told=told, progress=lambda now, _: progress(before + now, total))  # noqa: B023
            )
            done += len(indices)
    known = joined(parts)
    kept = known.told
    return fit(
        known.probabilities[kept],
        known.ages[kept],
        known.hidden[kept],
        known.covered[kept],
        restorer=filler.name,  # as reports call it, whatever the user did
        data=f"{' + '.join(crops.data for crops in sets)}, {split}",
        commit=commit(),
    )


def put_calibration(network: str | Path, calibration: Calibration) -> Path:
    """Write a calibration into a network's file, in place of one that is there; its manifest pins the new file.

    Args:
        network: see ``store``.
        calibration: the network's.

    Returns:
        The file.

    Raises:
        ModelFileError: no such network, or it isn't a file that can be written.
        OutputError: the file or its manifest can't be written.
    """
    (file,) = resolve(network, "age").files
    path = _path(file)
    data = with_metadata(file.read(), METADATA, calibration.to_json())
    repin(file, data)
    return path


def _path(file: StoredFile) -> Path:
    if not isinstance(file.path, Path):
        raise ModelFileError(f"{file.path}: can't be written; copy the network into a folder and give its path")
    return file.path


def with_metadata(data: bytes, key: str, value: str) -> bytes:
    """An ONNX file with an entry in its metadata, in place of one of that name; the network is as it was.

    Raises:
        ModelFileError: it isn't a model that can be run.
    """
    before = Session(data, threads=1)  # says what is wrong, if anything is
    model = onnx.load_model_from_string(data)
    kept = [(prop.key, prop.value) for prop in model.metadata_props if prop.key != key]
    model.ClearField("metadata_props")
    for name, text in [*kept, (key, value)]:
        model.metadata_props.add(key=name, value=text)
    changed: bytes = model.SerializeToString()
    after, gray = Session(changed, threads=1), np.full((1, 256, 256, 3), 128, np.uint8)
    if not np.array_equal(before.run(crops=gray), after.run(crops=gray)):
        raise ModelFileError("the network answers otherwise once its calibration is in its file; report this")
    return changed
