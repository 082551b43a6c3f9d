"""``spiralage evaluate landmarks``: where landmarkers put the points of faces that something hides.

Whole photos: the occluder is put on the face in the photo, the detector looks for the face in that, and each landmarker
goes by what the detector found, as in the pipeline. The truth is what dlib says of the clean photo; there is no other.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from spiralage.datasets.crops import spread
from spiralage.datasets.sources import SOURCES, DatasetName
from spiralage.evaluation.landmark_page import landmarks_page
from spiralage.evaluation.protocols.restoration import SETS
from spiralage.evaluation.results import LandmarkRow, Origin, write_rows
from spiralage.faces.align import aligning, invert, transform
from spiralage.faces.detect import Detector
from spiralage.faces.dlib_faces import DlibLandmarker, dlib_box
from spiralage.faces.find import FaceFinder
from spiralage.faces.landmarks import DetectorLandmarks, Landmarker
from spiralage.faces.points68 import OUTER_EYES, PARTS, errors_percent
from spiralage.files import write_text
from spiralage.image_io import load_photo
from spiralage.mean_face import mean_landmarks
from spiralage.occlusion.occluders import OCCLUDERS, Cover, OccluderName
from spiralage.provenance import commit, hardware
from spiralage.types import AlignedFace, Doubles, Face, Landmarks, Photo

MEASURED: tuple[DatasetName, ...] = ("aaf", "fgnet", "celeba-hq")
"""The sets whose photos show more than the face."""
FIVE: Mapping[str, slice] = {"eyes": slice(0, 2), "nose": slice(2, 3), "mouth": slice(3, 5)}
"""The parts of five points, see ``Landmarks.five``."""


class Photos(NamedTuple):
    """Photos of a data set.

    Args:
        title: the set's, in the table.
        encoded: name and bytes of each.
    """

    title: str
    encoded: Sequence[tuple[str, bytes]]


class TrueFace(NamedTuple):
    """A face of a clean photo, and where its points are.

    Args:
        photo: the clean photo.
        face: the detector's box in it, and dlib's 68 points.
        aligned: its crop.
    """

    photo: Photo
    face: Face
    aligned: AlignedFace

    @property
    def points(self) -> Doubles:
        """(68, 2), in photo pixels."""
        assert self.face.landmarks is not None
        return self.face.landmarks.points


class Dlib68:
    """dlib's 68 points, whether or not the detector's points contradict them."""

    name = "dlib"

    def __init__(self, landmarker: DlibLandmarker) -> None:
        self._landmarker = landmarker

    def locate(self, photo: Photo, face: Face) -> Landmarks:
        box = face.box if face.landmarks is None else dlib_box(face.landmarks)
        return self._landmarker.locate(photo, Face(box, detector=face.detector if box is face.box else "dlib"))


def photos_of(name: DatasetName, data: Path | None, most: int | None, tell: Callable[[str], None]) -> Photos:
    """The photos of one of ``MEASURED`` that are measured, evenly spread over its test split.

    Args:
        name: the set's.
        data: the folder of archives, or the archive.
        most: so many at most; None takes all.
        tell: told what its reader leaves out.

    Raises:
        DatasetError: it isn't there, or is damaged.
    """
    title, split = SETS[name]
    source = SOURCES[name]
    read = source.read(source.find(data), tell)
    pictures = [(row.image, encoded) for row, encoded in read if split is None or row.split == split]
    chosen = spread(np.arange(len(pictures)), most)
    return Photos(title, [pictures[index] for index in chosen])


def true_face(photo: Photo, finder: FaceFinder) -> TrueFace | None:
    """The face of a clean photo; None if there is none that stands upright and has 68 points."""
    found = finder.find_one(photo)
    if found is None or found.face.turn or found.face.landmarks is None or len(found.face.landmarks.points) != 68:
        return None
    return TrueFace(photo, found.face, found.aligned)


def put_on(face: TrueFace, cover: Cover) -> Photo:
    """The photo with an occluder, drawn in the face's crop, on the face in it."""
    crop = face.aligned.pixels
    worn = cover.over(crop)
    back, size = invert(face.aligned.matrix), face.photo.size
    changed = (worn != crop).any(axis=2).astype(np.float32)
    share = cv2.warpAffine(changed, back, size, flags=cv2.INTER_LINEAR)[..., None]
    # Beyond the photo a crop is black: what is pasted must not bleed that into the photo's rim.
    looks = cv2.warpAffine(worn, back, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    pixels = face.photo.pixels * (1 - share) + np.asarray(looks, np.float32) * share
    return Photo(np.rint(pixels).astype(np.uint8), face.photo.name)


def found_again(photo: Photo, face: TrueFace, detector: Detector) -> Face | None:
    """What the detector finds where the face is; None if it finds nothing there."""
    box = face.face.box
    reach = max(box.width, box.height) / 2

    def near(other: Face) -> float:
        return float(np.hypot(other.box.centre[0] - box.centre[0], other.box.centre[1] - box.centre[1]))

    there = [other for other in detector.detect(photo) if near(other) < reach]
    return min(there, key=near) if there else None


@dataclass
class Found:
    """What one landmarker found under one occluder, face after face."""

    errors: list[Doubles] = field(default_factory=list)
    five: list[Doubles] = field(default_factory=list)
    moved: list[float] = field(default_factory=list)
    within: list[Doubles] = field(default_factory=list)

    def add(self, found: Landmarks, clean: Landmarks, face: TrueFace) -> None:
        """Compare points with the true ones, and the crop that they make with the one that the clean ones make."""
        true = Landmarks(face.points, "dlib")
        unit = 100 / float(np.hypot(*np.subtract(*(face.points[index] for index in OUTER_EYES))))
        self.five.append(unit * np.hypot(*(found.five() - true.five()).T))
        self.moved.append(crop_moves(clean, found))
        if len(found.points) == 68:
            self.errors.append(errors_percent(found.points, face.points))
        if found.spread_px is not None:
            self.within.append(np.hypot(*(found.points - face.points).T) <= 2 * found.spread_px)

    def numbers(self) -> dict[str, Any]:
        """A row's numbers."""
        numbers: dict[str, Any] = {"images": len(self.five), "crop_moves": float(np.median(self.moved))}
        numbers |= {f"five_{part}": float(np.stack(self.five)[:, where].mean()) for part, where in FIVE.items()}
        if self.errors:
            numbers |= {part: float(np.stack(self.errors)[:, where].mean()) for part, where in PARTS.items()}
        if self.within:
            numbers["within_two_spreads"] = float(np.mean(self.within))
        return numbers


def crop_moves(clean: Landmarks, found: Landmarks) -> float:
    """How far a face moves in its crop when it is aligned by other points: the mean over the mean face's points.

    Args:
        clean, found: of the same face, in photo pixels.

    Returns:
        Crop pixels.

    Example:
        >>> points = mean_landmarks()
        >>> round(crop_moves(Landmarks(points, "dlib"), Landmarks(points + (3, 4), "dlib")), 1)
        5.0
    """
    in_photo = transform(mean_landmarks(), invert(aligning(clean)))
    return float(np.hypot(*(transform(in_photo, aligning(found)) - mean_landmarks()).T).mean())


def evaluate_landmarks(
    sets: Sequence[Photos],
    landmarkers: Sequence[Landmarker],
    detector: Detector,
    *,
    dlib: DlibLandmarker,
    trained: Sequence[str],
    network: str,
    occluders: Sequence[OccluderName] = tuple(OCCLUDERS),
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
    tell: Callable[[str], None] = lambda line: None,
) -> list[LandmarkRow]:
    """Every set, clean and under every occluder, by every landmarker.

    Args:
        sets: the photos.
        landmarkers: who finds points; those that the detector gives are measured beside.
        detector: finds the boxes, in the clean and in the covered photos.
        dlib: tells the true points.
        trained: the occluders that the network was trained with.
        network: its recipe.
        occluders: what hides.
        seed: of the occluders; a face's cover depends on it, the face's place in its set, and the occluder alone.
        progress: told (photos done, photos in all).
        tell: told how many photos are left out, and why.
    """
    origin = Origin(commit(), hardware())
    finder = FaceFinder(detector, dlib)
    everybody: list[Landmarker] = [*landmarkers, Dlib68(dlib)]
    everybody += [DetectorLandmarks()] if detector.gives_landmarks else []
    total, done, rows = sum(len(photos.encoded) for photos in sets), 0, []
    for photos in sets:
        found: dict[tuple[str, str], Found] = defaultdict(Found)
        detected: dict[str, list[bool]] = defaultdict(list)
        for index, (name, encoded) in enumerate(photos.encoded):
            face = true_face(load_photo(encoded, name=name), finder)
            done += 1
            progress(done, total)
            if face is None:
                continue
            clean: dict[str, Landmarks] = {}
            for occluder, photo in worn_by(face, occluders, seed, index):
                again = found_again(photo, face, detector)
                detected[occluder].append(again is not None)
                # Where the detector sees nothing any more, landmarkers get the clean photo's box.
                given = again or Face(face.face.box, detector=face.face.detector)
                for landmarker in everybody:
                    points = landmarker.locate(photo, given)
                    if points is None:
                        continue
                    clean.setdefault(landmarker.name, points)
                    found[occluder, landmarker.name].add(points, clean[landmarker.name], face)
        measured = len(detected[""])
        if measured < len(photos.encoded):
            tell(
                f"{photos.title}: {len(photos.encoded) - measured} photos without an upright face of 68 points left out"
            )
        for (occluder, who), numbers in found.items():
            rows.append(
                LandmarkRow(
                    data=photos.title,
                    occluder=occluder,
                    trained=occluder in trained,
                    landmarker=detector.name if who == DetectorLandmarks.name else who,
                    detected=float(np.mean(detected[occluder])),
                    network=network,
                    seed=seed,
                    **numbers.numbers(),
                    **origin._asdict(),
                )
            )
    return rows


def worn_by(face: TrueFace, occluders: Sequence[OccluderName], seed: int, index: int) -> Iterator[tuple[str, Photo]]:
    """The clean photo, called "", then the same face under each occluder."""
    assert face.aligned.landmarks is not None
    yield "", face.photo
    for occluder in occluders:
        rng = np.random.default_rng((seed, index))
        yield occluder, put_on(face, OCCLUDERS[occluder](face.aligned.landmarks.points, rng))


def write_all(rows: Sequence[LandmarkRow], folder: Path) -> None:
    """Write the rows into the results folder, as CSV and for readers; raises OutputError."""
    write_rows(folder / "landmarks.csv", LandmarkRow, rows)
    write_text(folder / "landmarks.md", landmarks_page(rows))
