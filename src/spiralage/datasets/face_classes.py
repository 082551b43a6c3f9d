"""What each pixel of a face shows, read and aligned as the crops are: CelebAMask-HQ's 19 classes (Lee et al. 2020)."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from enum import IntEnum
from pathlib import PurePosixPath
from typing import TypeAlias

import numpy as np
from PIL import Image

from spiralage.datasets.archives import Archive
from spiralage.errors import DatasetError
from spiralage.types import CROP_SIZE, AlignedFace, Pixels

SIDE = 256
"""Of a picture of classes, pixels, however large the photo is."""

CLASSES_FOLDER = "masks"
"""Where an archive has the classes of every picture, as a PNG of its name; no faces."""

ReadClasses: TypeAlias = Callable[[str], Pixels]
"""Name of a set's picture → its classes, (256, 256) uint8, of the whole photo; raises DatasetError."""


class FaceClass(IntEnum):
    """CelebAMask-HQ's classes. Left is the person's own left, which lies on the right of the picture."""

    BACKGROUND = 0
    SKIN = 1
    NOSE = 2
    GLASSES = 3
    LEFT_EYE = 4
    RIGHT_EYE = 5
    LEFT_BROW = 6
    RIGHT_BROW = 7
    LEFT_EAR = 8
    RIGHT_EAR = 9
    MOUTH = 10
    UPPER_LIP = 11
    LOWER_LIP = 12
    HAIR = 13
    HAT = 14
    EARRING = 15
    NECKLACE = 16
    NECK = 17
    CLOTH = 18


def classes_reader(archive: Archive, kind: type[IntEnum] = FaceClass) -> ReadClasses | None:
    """Reads the classes of an archive's pictures, by the picture's name; None where it has none.

    Args:
        archive: opened; PNGs in a folder ``masks`` are classes.
        kind: the classes that there are.
    """
    names = {
        PurePosixPath(name).stem: name
        for name in archive.named(".png")
        if PurePosixPath(name).parent.name == CLASSES_FOLDER
    }

    def read_one(image: str) -> Pixels:
        name = names.get(PurePosixPath(image).stem)
        if name is None:
            raise DatasetError(f"{archive.path}: {image} has no classes in {CLASSES_FOLDER}; fetch the archive again")
        return read_classes(archive, name, kind)

    return read_one if names else None


def read_classes(archive: Archive, name: str, kind: type[IntEnum] = FaceClass) -> Pixels:
    """A palette PNG of classes: (256, 256) uint8, each of this kind.

    Raises:
        DatasetError: it can't be read, has no palette, is of another size or has other classes.
    """
    where, remedy = f"{archive.path}: {name}", "fetch the archive again"
    data = archive.read(name)
    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            if image.mode != "P" or image.size != (SIDE, SIDE):
                found = f"{image.width}×{image.height} pixels of mode {image.mode}"
                raise DatasetError(f"{where}: {found}; classes are {SIDE}×{SIDE} with a palette; {remedy}")
            classes = np.array(image, np.uint8)
    except (OSError, SyntaxError, ValueError, struct.error) as error:  # what damaged files have been seen to raise
        raise DatasetError(f"{where}: no readable PNG ({str(error).splitlines()[0]}); {remedy}") from error
    if classes.max() > max(kind):
        raise DatasetError(f"{where}: class {classes.max()}, but there are {len(kind)}, from 0; {remedy}")
    return classes


def aligned_classes(classes: Pixels, size: tuple[int, int], face: AlignedFace) -> Pixels:
    """The classes of a crop's pixels; nearest neighbours, as there is nothing between two classes.

    Args:
        classes: (256, 256) uint8, of the whole photo.
        size: the photo's, (width, height) in pixels.
        face: the crop of that photo.

    Returns:
        (256, 256) uint8; ``BACKGROUND`` beyond the photo, where ``face.inside`` is False.

    Example:
        >>> from spiralage.faces.align import align
        >>> from spiralage.types import Box, Face, Photo
        >>> face = align(Photo(np.zeros((512, 512, 3), np.uint8)), Face(Box(0, 0, 512, 512)))
        >>> classes = np.full((256, 256), FaceClass.HAIR, np.uint8)
        >>> np.unique(aligned_classes(classes, (512, 512), face)).tolist() == [FaceClass.HAIR]
        True
    """
    import cv2  # whoever only names a data set doesn't load it

    width, height = size[0] / SIDE, size[1] / SIDE
    # Points are at the pixels' centres: those of a class are (x + ½)·width − ½ in the photo.
    grow = np.array([[width, 0, width / 2 - 0.5], [0, height, height / 2 - 0.5], [0, 0, 1.0]])
    frame = (CROP_SIZE, CROP_SIZE)
    warped = cv2.warpAffine(
        classes, face.matrix @ grow, frame, flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE
    )
    return np.where(face.inside, warped, np.uint8(FaceClass.BACKGROUND))
