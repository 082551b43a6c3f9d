"""What is known of pixels before anything is drawn: each set's way of saying it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from synthetic import write_shard

from spiralage.datasets.crops import Crops
from spiralage.datasets.face_classes import FaceClass
from spiralage.datasets.hidden_labels import Known, face_outline, known_pixels, set_names
from spiralage.datasets.joined import JoinedCrops
from spiralage.datasets.manifest import Row
from spiralage.datasets.maskedface import OutlineClass
from spiralage.mean_face import mean_landmarks
from spiralage.types import Pixels


def crops_of(folder: Path, data: str, classes: Pixels | None) -> Crops:
    inside = np.ones((1, 256, 256), np.bool_)
    inside[0, :, :20] = False
    rows = [Row("0.jpg", "0", None, None, None, "train")]
    gray = [np.full((256, 256, 3), 128, np.uint8)]
    crops = write_shard(folder, rows, gray, data, landmarks=mean_landmarks()[None], inside=inside)
    if classes is not None:
        np.save(folder / "classes-0000.npy", classes[None])
    return crops


def face_classes(*, eyes: bool = True) -> Pixels:
    """Skin, hair above, glasses over the eyes, something before the chin, cloth below."""
    classes = np.full((256, 256), FaceClass.SKIN, np.uint8)
    classes[:40] = FaceClass.HAIR
    classes[80:115, 60:200] = FaceClass.GLASSES
    if eyes:
        classes[95:102, 80:95] = FaceClass.LEFT_EYE
    classes[180:220, 118:140] = FaceClass.BACKGROUND
    classes[235:] = FaceClass.CLOTH
    return classes


def known_in(folder: Path, data: str, classes: Pixels | None) -> Pixels:
    (known,) = known_pixels(crops_of(folder, data, classes), np.array([0]))
    return np.asarray(known, np.uint8)


def test_glasses_hair_and_what_nobody_names(tmp_path: Path) -> None:
    known = known_in(tmp_path / "a", "celeba-hq", face_classes())
    assert (known[:, :20] == Known.BEYOND).all()  # beyond the photo
    assert (known[:40, 30:] == Known.PERSON).all()
    assert known[85, 128] == Known.PERSON
    assert known[98, 85] == Known.VISIBLE
    assert known[150, 60] == Known.VISIBLE
    assert known[190, 128] == Known.UNKNOWN
    assert known[250, 128] == Known.VISIBLE  # cloth beyond the face is what one sees there


def test_glasses_without_eyes_may_be_sunglasses(tmp_path: Path) -> None:
    known = known_in(tmp_path / "a", "celeba-hq", face_classes(eyes=False))
    assert (known[80:115, 60:200] == Known.UNKNOWN).all()
    assert not (known == Known.HIDDEN).any()


def test_sets_that_say_nothing_are_assumed_visible(tmp_path: Path) -> None:
    for data, classes in (("utkface", None), ("celeba-hq", None), ("maskedface", None)):
        known = known_in(tmp_path / data, data, classes)
        assert (known[:, 20:] == Known.ASSUMED).all()
        assert (known[:, :20] == Known.BEYOND).all()


def test_outlines_of_masks_hide_and_sets_are_joined(tmp_path: Path) -> None:
    outline = np.full((256, 256), OutlineClass.FACE, np.uint8)
    outline[130:220, 60:190] = OutlineClass.MASK
    masked = crops_of(tmp_path / "maskedface", "maskedface", outline)
    joined = JoinedCrops((crops_of(tmp_path / "aaf", "aaf", None), masked))
    other, known = known_pixels(joined, np.array([0, 1]))
    assert (other[:, 20:] == Known.ASSUMED).all()
    np.testing.assert_array_equal(known == Known.HIDDEN, outline == OutlineClass.MASK)
    np.testing.assert_array_equal(known_pixels(joined, np.array([1, 0]))[0], known)
    assert set_names(joined).tolist() == ["aaf", "maskedface"]


def test_the_outline_is_the_faces() -> None:
    outline = face_outline(mean_landmarks())
    assert outline[150, 128]
    assert not outline[20, 128]
    assert 0.15 < outline.mean() < 0.5
    assert not face_outline(np.zeros((68, 2))).any()
