"""The way of a photo, as code: faces → alignment → occlusion → restoration → age."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np

from spiralage.age.calibrate import calibrated
from spiralage.age.estimate import DEFAULT_NETWORK, AgeEstimator, Estimator
from spiralage.age.quality import Limits, QualityName, limits_named, measure
from spiralage.errors import FolderError, OptionError, told
from spiralage.faces.detect import Detector, DetectorName
from spiralage.faces.find import FoundFace, make_finder
from spiralage.faces.landmarks import DEFAULT_LANDMARKER, Landmarker, LandmarkerName
from spiralage.image_io import STDIN, PhotoLike, as_photo, read_stdin_photo
from spiralage.occlusion.find import FindOcclusion, occlusion_finder
from spiralage.restoration.restore import Restorer, RestorerName, make_restorer, restore
from spiralage.runtime import BATCH
from spiralage.threads import use_threads
from spiralage.types import AgeEstimate, Box, FaceReport, Occlusion, Photo, PhotoReport, Restoration

DEFAULT_RESTORER: RestorerName = "spiral"
MOST_FACES = 1000
"""More faces of one photo are not read: each report holds half a megabyte of pictures."""
FACES_AT_ONCE = 4 * BATCH
"""So many faces are restored and read together, at most."""
MOST_WAITING = 32
"""So many photos, at most, wait for others to be read together with."""
MOST_SECONDS_WAITING = 1
"""So long, at most, a photo waits: whoever ends a batch early has what is done."""
MOST_PIXELS_WAITING = 50_000_000
"""So many pixels, at most, are kept of the photos that wait."""

MOST_WORKERS = 256
"""More processes are a slip of the finger."""


def _check_stage(stage: str, given: object, method: str | None) -> None:
    """Raises OptionError for what is neither a name nor an object that does a stage's work."""
    named = isinstance(given, str | Path) if stage in ("restorer", "network") else isinstance(given, str)
    odd = given is None or isinstance(given, int | float) or (method is not None and not hasattr(given, method))
    if odd and not named:
        raise OptionError(f"{stage}: got {given!r}; give a name, or an object as AgePipeline's help says")


@dataclass
class _Waiting:
    """A photo that was looked at and waits for its ages."""

    name: str
    found: tuple[FoundFace, ...] = ()
    error: str | None = None
    photo: Photo | None = None


class AgePipeline:
    """Tells the age of every face in a photo.

    Each stage is given by name, or as an object with its room's interface. Threads can share a pipeline; after
    ``fork``, a child can go on with its parent's.

    Args:
        detector: "auto" (the best that is there), "yunet", "dlib", "none": the picture is a face, and what else
            ``faces.detect`` names; or a ``faces.detect.Detector``.
        box: where the face is, in photo pixels; overrules ``detector``.
        landmarks: "dlib" or "heatmap" (68 points), "detector" (what the detector gave) or "fan"; or a
            ``faces.landmarks.Landmarker``.
        occlusion: what is hidden in an aligned face: "auto" or "network" (what lies beyond the photo, and what a
            network finds), "frame" (what lies beyond the photo alone), "none", an occluder's name (see
            ``occlusion.occluders``), the name or path of a network that finds it (see ``store``), or a function from an
            AlignedFace to an Occlusion.
        restorer: fills what is hidden before the age is read: one of ``restoration.restore.RESTORERS``, a network's
            name or path (see ``store``), or a ``restoration.restore.Restorer``.
        network: the age network: its name or path (see ``store``), or an ``age.estimate.Estimator``.
        min_quality: what a face must have for its age to be told, one of ``age.quality.LIMITS`` or such limits. A face
            that lacks something says so; see ``FaceReport.cant_tell``.
        threads: for the networks and OpenCV, see ``threads.thread_count``. OpenCV has one number for the whole process.
        yunet: the YuNet detector's ONNX file.

    Raises:
        ModelFileError: a network's file is missing, isn't the pinned one, or does another job.
        OptionError: a name that isn't known, or landmarks "detector" with a detector that gives none.

    Example:
        >>> from spiralage import AgePipeline
        >>> import numpy as np
        >>> AgePipeline(detector="dlib").estimate(np.zeros((64, 64, 3), np.uint8))
        ()
    """

    def __init__(
        self,
        *,
        detector: DetectorName | Detector = "auto",
        box: Box | None = None,
        landmarks: LandmarkerName | Landmarker = DEFAULT_LANDMARKER,
        occlusion: str | FindOcclusion = "auto",
        restorer: str | Path | Restorer = DEFAULT_RESTORER,
        network: str | Path | Estimator = DEFAULT_NETWORK,
        min_quality: QualityName | Limits = "face",
        threads: int | None = None,
        yunet: Path | None = None,
    ) -> None:
        self._settings = {name: value for name, value in locals().items() if name not in ("self", "threads")}
        for stage, given, method in (
            ("detector", detector, "detect"),
            ("landmarks", landmarks, "locate"),
            ("restorer", restorer, None),
            ("network", network, "estimate"),
            ("occlusion", occlusion, "__call__"),
        ):
            _check_stage(stage, given, method)
        self._limits = min_quality if isinstance(min_quality, Limits) else limits_named(min_quality)
        threads = use_threads(threads)
        self._finder = make_finder(detector, landmarks, box=box, yunet=yunet, threads=threads)
        self._find_occlusion = occlusion_finder(occlusion, threads=threads) if isinstance(occlusion, str) else occlusion
        self._restorer = make_restorer(restorer, threads=threads) if isinstance(restorer, str | Path) else restorer
        self._estimator = AgeEstimator(network, threads=threads) if isinstance(network, str | Path) else network

    def estimate(self, photo: PhotoLike) -> tuple[FaceReport, ...]:
        """Every face in a photo, with all steps from the photo to the age.

        Args:
            photo: a path, encoded bytes or a binary file, an array, or a PIL image; see ``image_io.as_photo``.

        Returns:
            One report per face, the detector's surest first, at most ``MOST_FACES``; empty if there is no face.

        Raises:
            PhotoError: the photo can't be read.
            NetworkError: a network gave no answer.
        """
        return self.read(self._finder.find(as_photo(photo), most=MOST_FACES))

    def estimate_many(
        self, photos: Iterable[PhotoLike | FolderError], *, keep_photos: bool = False
    ) -> Iterator[PhotoReport]:
        """A report for each photo, in order, as they come; one that fails, however, is a report that says why.

        Faces of several photos are restored and read together: at most ``FACES_AT_ONCE`` faces and ``MOST_WAITING``
        photos at a time, and none waits longer than ``MOST_SECONDS_WAITING`` for others to be looked at.

        Args:
            photos: whatever ``estimate`` takes; a folder that can't be searched becomes a report, too.
            keep_photos: keep the pixels, for reports that picture them.

        Example:
            >>> import numpy as np
            >>> reports = AgePipeline(detector="dlib").estimate_many([np.zeros((64, 64, 3), np.uint8), "missing.jpg"])
            >>> [(report.image, report.error) for report in reports]
            [('photo', None), ('missing.jpg', 'missing.jpg: no such file; check the path')]
        """
        waiting: list[_Waiting] = []
        since = 0.0
        for photo in photos:
            since = since if waiting else time.monotonic()
            waiting.append(self._look_at(photo, keep_photos))
            faces = sum(len(one.found) for one in waiting)
            pixels = sum(one.photo.pixels.size // 3 for one in waiting if one.photo is not None)
            full = faces >= BATCH or len(waiting) >= MOST_WAITING or pixels >= MOST_PIXELS_WAITING
            late = time.monotonic() - since > MOST_SECONDS_WAITING
            if full or late or not faces:  # nobody waits for faces that aren't there
                yield from self._reports(waiting)
                waiting = []
        yield from self._reports(waiting)

    def estimate_each(
        self, photos: Iterable[Path | FolderError], *, keep_photos: bool = False, workers: int = 1
    ) -> Iterator[PhotoReport]:
        """``estimate_many`` for paths, as ``image_io.list_pictures`` yields them; if wanted, by several processes.

        Args:
            photos: paths, ``-`` is standard input; a folder that can't be searched becomes a report, too.
            keep_photos: keep the pixels, for reports that picture them.
            workers: 1 = this process; more = so many others, each with a pipeline like this one and one thread. A
                script that asks for them must be guarded by ``if __name__ == "__main__":``, as for
                ``multiprocessing``.

        Raises:
            OptionError: a number of workers out of range; or a stage that was given as an object can't be pickled.
            WorkerError: the processes can't start.
        """
        if isinstance(workers, bool) or not isinstance(workers, int) or not 1 <= workers <= MOST_WORKERS:
            raise OptionError(f"the number of workers must be a whole number from 1 to {MOST_WORKERS}, got {workers!r}")
        if workers == 1:
            return self.estimate_many(photos, keep_photos=keep_photos)
        from spiralage.workers import estimate_in_processes  # what isn't used isn't loaded

        make = partial(type(self), **self._settings, threads=1)
        return estimate_in_processes(make, photos, workers=workers, keep_photos=keep_photos)

    def _look_at(self, photo: PhotoLike | FolderError, keep: bool) -> _Waiting:
        """The faces in a photo, or why there are none."""
        if isinstance(photo, FolderError):
            return _Waiting(str(photo.path), error=str(photo))
        name = str(photo) if isinstance(photo, str | Path) else "photo"
        try:
            read = read_stdin_photo() if isinstance(photo, Path) and photo == STDIN else as_photo(photo)
            name = name if isinstance(photo, str | Path) else read.name
            return _Waiting(name, self._finder.find(read, most=MOST_FACES), photo=read if keep else None)
        except Exception as error:  # whatever it is, it is this photo's alone
            return _Waiting(name, error=told(error))

    def _reports(self, waiting: Sequence[_Waiting]) -> Iterator[PhotoReport]:
        """The reports of photos that were looked at, all faces read together."""
        faces = [face for one in waiting for face in one.found]
        try:
            read = iter(self.read(faces))
            answers = [tuple(next(read) for _ in one.found) for one in waiting]
        except Exception as error:
            if sum(bool(one.found) for one in waiting) > 1:  # only whose fault it is has the error
                for one in waiting:
                    yield from self._reports([one])
                return
            waiting = [_Waiting(one.name, error=one.error or told(error)) for one in waiting]
            answers = [()] * len(waiting)
        for one, answer in zip(waiting, answers, strict=True):
            yield PhotoReport(one.name, answer, one.error, one.photo)

    def _ages(self, restorations: Sequence[Restoration], hidden: Sequence[Occlusion]) -> tuple[AgeEstimate, ...]:
        """What the network says of restored faces; one that is told what was hidden is told it."""
        crops = np.stack([restoration.pixels for restoration in restorations])
        if getattr(self._estimator, "told_mask", False):
            told = cast(AgeEstimator, self._estimator)
            return told.estimate(crops, np.stack([occlusion.mask for occlusion in hidden]))
        return self._estimator.estimate(crops)

    def read(self, found: Sequence[FoundFace], occlusions: Sequence[Occlusion] | None = None) -> tuple[FaceReport, ...]:
        """The way of found faces: occlusion → restoration → age. Whoever has aligned faces begins here.

        Args:
            found: the faces.
            occlusions: what is hidden in each, where that is known; else it is found.
        """
        reports: list[FaceReport] = []
        for start in range(0, len(found), FACES_AT_ONCE):
            some = found[start : start + FACES_AT_ONCE]
            aligned = [one.aligned for one in some]
            known = None if occlusions is None else occlusions[start : start + FACES_AT_ONCE]
            hidden = [self._find_occlusion(crop) for crop in aligned] if known is None else list(known)
            restorations = restore(self._restorer, aligned, hidden)
            ages = self._ages(restorations, hidden)
            ages = calibrated(getattr(self._estimator, "calibration", None), ages, hidden, restorations)
            faces = [one.face for one in some]
            qualities = [measure(*each, self._limits) for each in zip(faces, aligned, hidden, strict=True)]
            reports += map(FaceReport, faces, aligned, hidden, restorations, ages, qualities)
        return tuple(reports)
