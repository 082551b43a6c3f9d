"""The way of a photo, as code: faces → alignment → occlusion → restoration → age."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeAlias

import numpy as np

from spiralage.age.estimate import DEFAULT_NETWORK, AgeEstimator
from spiralage.errors import FolderError, InputError
from spiralage.faces.detect import DetectorName
from spiralage.faces.find import make_finder
from spiralage.faces.landmarks import LandmarkerName
from spiralage.image_io import PhotoLike, as_photo, load_photo
from spiralage.occlusion.segment import find_occlusion
from spiralage.restoration.restore import RestorerName, make_restorer, restore
from spiralage.types import AlignedFace, Box, FaceReport, Occlusion, PhotoReport

FindOcclusion: TypeAlias = Callable[[AlignedFace], Occlusion]

DEFAULT_RESTORER: RestorerName = "spiral"
MOST_FACES = 1000
"""More faces of one photo are not read: each report holds half a megabyte of pictures."""


class AgePipeline:
    """Tells the age of every face in a photo.

    Args:
        detector: "auto" (YuNet, else dlib), "yunet", "dlib", or "none": the picture is a face.
        box: where the face is, in photo pixels; overrules ``detector``.
        landmarks: "dlib" (68 points), "detector" (what the detector gave) or "fan".
        occlusion: tells what is hidden in an aligned face.
        restorer: fills what is hidden before the age is read.
        network: the age network.
        threads: for the networks; None = all cores.
        yunet: the YuNet detector's ONNX file.

    Raises:
        ModelFileError: a network's file is missing or isn't the pinned one.
        OptionError: landmarks "detector" with a detector that gives none.

    Example:
        >>> from spiralage import AgePipeline
        >>> import numpy as np
        >>> AgePipeline(detector="dlib").estimate(np.zeros((64, 64, 3), np.uint8))
        ()
    """

    def __init__(
        self,
        *,
        detector: DetectorName = "auto",
        box: Box | None = None,
        landmarks: LandmarkerName = "dlib",
        occlusion: FindOcclusion = find_occlusion,
        restorer: RestorerName = DEFAULT_RESTORER,
        network: str = DEFAULT_NETWORK,
        threads: int | None = None,
        yunet: Path | None = None,
    ) -> None:
        self._finder = make_finder(detector, landmarks, box=box, yunet=yunet)
        self._find_occlusion = occlusion
        self._restorer = make_restorer(restorer, threads=threads)
        self._estimator = AgeEstimator(network, threads=threads)

    def estimate(self, photo: PhotoLike) -> tuple[FaceReport, ...]:
        """Every face in a photo, with all steps from the photo to the age.

        Args:
            photo: a path, encoded bytes or a binary file, an array, or a PIL image; see ``image_io.as_photo``.

        Returns:
            One report per face, the detector's surest first, at most ``MOST_FACES``; empty if there is no face.

        Raises:
            PhotoError: the photo can't be read.
        """
        photo = as_photo(photo)
        found = self._finder.find(photo, most=MOST_FACES)
        if not found:
            return ()
        aligned = [one.aligned for one in found]
        occlusions = [self._find_occlusion(crop) for crop in aligned]
        restorations = restore(self._restorer, aligned, occlusions)
        ages = self._estimator.estimate(np.stack([restoration.pixels for restoration in restorations]))
        return tuple(map(FaceReport, [one.face for one in found], aligned, occlusions, restorations, ages))

    def estimate_each(
        self, photos: Iterable[Path | FolderError], *, keep_photos: bool = False
    ) -> Iterator[PhotoReport]:
        """A report for each photo; one that can't be read is a report that says why.

        Args:
            photos: paths, as ``image_io.list_pictures`` yields them.
            keep_photos: keep the pixels, for reports that picture them.
        """
        for path in photos:
            if isinstance(path, FolderError):
                yield PhotoReport(str(path.path), error=str(path))
                continue
            try:
                photo = load_photo(path)
                faces = self.estimate(photo)
                yield PhotoReport(str(path), faces, photo=photo if keep_photos else None)
            except InputError as error:
                yield PhotoReport(str(path), error=str(error))
