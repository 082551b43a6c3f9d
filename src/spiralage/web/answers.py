"""What the service says of photos and faces: the records of ``report.records``, and what a page needs besides."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, TypeAlias, cast

import numpy as np
from typing_extensions import TypedDict

from spiralage.image_io import encode_picture
from spiralage.report.records import FaceRecord, face_record
from spiralage.types import FaceReport, PhotoReport, Pixels

Include: TypeAlias = Literal["distribution", "images"]


class Images(TypedDict):
    """A face's steps, PNG data URIs of 256×256 pixels; in the mask white is hidden. None: nothing was restored."""

    aligned: str
    mask: str
    restored: str | None


class FaceAnswer(FaceRecord, total=False):
    """A face as JSON tells it, and what was asked for besides.

    ``distribution`` is the network's P(age = j), ``p_at_least_all`` P(age ≥ j), calibrated where it is, j = 0…100.
    """

    distribution: list[float]
    p_at_least_all: list[float]
    images: Images


class PhotoAnswer(TypedDict):
    """A photo's faces, or why there are none."""

    image: str
    faces: list[FaceAnswer]
    error: str | None


class PhotosAnswer(TypedDict):
    """The photos of a request, in order."""

    photos: list[PhotoAnswer]


class Restored(TypedDict):
    """A face filled in, PNG data URIs; the turns of the spiral, where they were asked for and there are any."""

    restored: str
    restored_by: str
    turns: list[str]


def photos_answer(
    reports: Sequence[PhotoReport], at_least: Sequence[int], include: Sequence[Include], pictured: int
) -> PhotosAnswer:
    """What is said of photos.

    Args:
        reports: of the photos.
        at_least: ages in years for which P(age ≥ t) is wanted.
        include: what is wanted besides.
        pictured: of so many faces, at most, there are images.
    """
    left = iter(range(pictured))
    return {
        "photos": [
            {
                "image": f"photo {number}",
                "faces": [face_answer(face, at_least, _affordable(include, left)) for face in report.faces],
                "error": report.error,
            }
            for number, report in enumerate(reports, 1)
        ]
    }


def _affordable(include: Sequence[Include], left: Iterator[int]) -> Sequence[Include]:
    images = "images" in include and next(left, None) is not None
    return [name for name in include if name != "images" or images]


def face_answer(report: FaceReport, at_least: Sequence[int], include: Sequence[Include]) -> FaceAnswer:
    """What is said of a face; see ``FaceAnswer``."""
    answer = cast(FaceAnswer, face_record(report, at_least))
    if "distribution" in include and report.cant_tell is None:
        answer["distribution"] = [round(p, 6) for p in report.age.probabilities.tolist()]
        answer["p_at_least_all"] = [round(report.age.p_at_least(age), 4) for age in range(101)]
    if "images" in include:
        white = np.repeat(report.occlusion.mask[..., None], 3, axis=2).astype(np.uint8) * 255
        filled = report.restoration.restorer != "none"
        answer["images"] = {
            "aligned": data_uri(report.aligned.pixels),
            "mask": data_uri(white),
            "restored": data_uri(report.restoration.pixels) if filled else None,
        }
    return answer


def data_uri(pixels: Pixels) -> str:
    """(H, W, 3) uint8 RGB as a PNG in a data URI."""
    return "data:image/png;base64," + base64.b64encode(encode_picture(pixels, Path("face.png"))).decode()
