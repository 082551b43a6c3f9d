"""python docs/make_pictures.py [FOLDER]: the pictures of how-it-works.md, of NASA's portrait, by what ships."""

from __future__ import annotations

import io
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from spiralage.demo import portrait
from spiralage.faces.find import FoundFace, make_finder
from spiralage.files import write_bytes
from spiralage.image_io import resized
from spiralage.occlusion.occluders import cover_face
from spiralage.occlusion.segment import nothing_hidden
from spiralage.occlusion.window import paper_mask
from spiralage.pipeline import AgePipeline
from spiralage.restoration.restore import make_spiral
from spiralage.types import Photo, Pixels

GAP = 8
"""White pixels between two pictures of a strip."""
SIDE = 192
"""Of a crop in a strip, pixels."""


def found(photo: Photo, one: FoundFace) -> Pixels:
    """The part of the photo round the face, with its box and its 68 landmarks."""
    canvas, box = photo.pixels.copy(), one.face.box
    corner, opposite = (round(box.x), round(box.y)), (round(box.x + box.width), round(box.y + box.height))
    cv2.rectangle(canvas, corner, opposite, (255, 210, 0), 1, cv2.LINE_AA)
    assert one.face.landmarks is not None
    for x, y in one.face.landmarks.points:
        cv2.circle(canvas, (round(x), round(y)), 1, (60, 220, 90), -1, cv2.LINE_AA)
    return canvas[:256, 96:352]


def medical_mask(one: FoundFace) -> Pixels:
    """The face in a drawn medical mask, what is found of it, in red, and the face restored."""
    covered = cover_face(one.aligned, "surgical-mask").over(one.aligned.pixels)
    (report,) = AgePipeline().read([FoundFace(one.face, replace(one.aligned, pixels=covered))])
    red = np.where(report.occlusion.mask[..., None], covered // 2 + np.array([120, 0, 0], np.uint8), covered)
    return strip([covered, red, report.restoration.pixels])


def strip(pictures: list[Pixels]) -> Pixels:
    """Pictures side by side, each ``SIDE`` pixels."""
    gap = np.full((SIDE, GAP, 3), 255, np.uint8)
    small = [resized(picture, SIDE / 256) for picture in pictures]
    return np.hstack([part for picture in small for part in (gap, picture)][1:])


def jpeg(pixels: Pixels) -> bytes:
    """The bytes of a small JPEG file."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="JPEG", quality=82)
    return buffer.getvalue()


def ages(answers: dict[str, Pixels]) -> bytes:
    """P(age) of the shipped network for each picture, as lines in a PNG."""
    pipeline = AgePipeline(detector="none", occlusion=nothing_hidden)
    figure = Figure(figsize=(7, 2.6), layout="constrained")
    axes = figure.subplots()
    for label, pixels in answers.items():
        (face,) = pipeline.estimate(pixels)
        axes.plot(face.age.probabilities, label=f"{label}: {face.age.mean:.0f} years")
    axes.set(xlabel="age, years", ylabel="probability", xlim=(0, 100), ylim=(0, None))
    axes.legend(fontsize=8)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=90, metadata={"Software": None})
    return buffer.getvalue()


def main(folder: Path) -> None:
    """Write every picture."""
    photo = portrait()
    (one, *_) = make_finder("dlib").find(photo, most=1)
    crop, mask = one.aligned.pixels, paper_mask()
    masked = mask.cover(crop)
    turns = make_spiral().turns(masked, mask.mask)
    write_bytes(folder / "found.jpg", jpeg(strip([found(photo, one), crop, masked])))
    write_bytes(folder / "mask.jpg", jpeg(medical_mask(one)))
    write_bytes(folder / "turns.jpg", jpeg(strip([masked, *turns])))
    write_bytes(folder / "ages.png", ages({"as it is": crop, "masked": masked, "restored": turns[-1]}))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "pictures")
