"""What is measured of a face, on drawings and NASA's portrait, and what is made of it in reports."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from reports import face_report

from spiralage.age.quality import INNER, LIMITS, Limits, limits_named, measure, yaw
from spiralage.cli import main
from spiralage.errors import OptionError
from spiralage.image_io import save_picture
from spiralage.pipeline import AgePipeline
from spiralage.report.csv_file import CsvFile
from spiralage.report.page import face_card
from spiralage.report.records import face_record
from spiralage.report.table import TerminalTable
from spiralage.types import AlignedFace, Box, Doubles, Face, FaceReport, Landmarks, Mask, Occlusion, Photo, PhotoReport

FACE = Face(Box(0, 0, 256, 256), 0.9, detector="yunet")
NOTHING = Occlusion(np.zeros((256, 256), bool), "none")
STRICT = LIMITS["check"]


def hidden(mask: Mask) -> Occlusion:
    return Occlusion(mask, "given")


def changed(face: AlignedFace, pixels: np.ndarray) -> AlignedFace:
    return dataclasses.replace(face, pixels=np.asarray(pixels, np.uint8))


def head(turned_by: float) -> Landmarks:
    """Two eyes, a nose and a mouth in space, turned to the side and seen from the front."""
    solid = np.array([[-0.5, 0, 0], [0.5, 0, 0], [0, 0.6, 0.6], [-0.4, 1, 0.1], [0.4, 1, 0.1]]) * 84
    angle = np.radians(turned_by)
    x = solid[:, 0] * np.cos(angle) + solid[:, 2] * np.sin(angle)
    points: Doubles = np.stack([x, solid[:, 1]], axis=1) + 100
    return Landmarks(points, "given")


def test_the_portrait_can_be_read(portrait_crop: AlignedFace, portrait_face: Face) -> None:
    quality = measure(portrait_face, portrait_crop, NOTHING, STRICT)
    assert quality.reasons == ()
    assert portrait_face.landmarks is not None
    left, right = portrait_face.landmarks.five()[:2]
    assert quality.eye_distance == pytest.approx(float(np.linalg.norm(left - right)), rel=1e-6)  # of the photo
    assert quality.yaw is not None
    assert abs(quality.yaw) < 25


@pytest.mark.parametrize("angle", [-70, -30, 0, 15, 45])
def test_yaw_is_the_angle_by_which_a_head_is_turned(angle: float) -> None:
    assert yaw(head(angle)) == pytest.approx(angle, abs=0.01)
    tilted = Landmarks(head(angle).points @ np.array([[0.8, 0.6], [-0.6, 0.8]]), "given")
    assert yaw(tilted) == pytest.approx(angle, abs=0.01)  # the eyes' line turns with the head


def test_eyes_in_one_place_are_a_profile() -> None:
    assert yaw(Landmarks(np.zeros((5, 2)), "given")) == 90


def test_each_reason_is_told(portrait_crop: AlignedFace) -> None:
    def reasons(face: AlignedFace = portrait_crop, occlusion: Occlusion = NOTHING, found: Face = FACE) -> str:
        return "; ".join(measure(found, face, occlusion, STRICT).reasons)

    assert reasons() == ""
    blurred = cv2.GaussianBlur(portrait_crop.pixels, (0, 0), 4)
    assert reasons(changed(portrait_crop, blurred)).startswith("blurred: sharpness 0.00")
    flat = portrait_crop.pixels // 32 + 90
    assert reasons(changed(portrait_crop, flat)).startswith("no contrast: ")
    assert reasons(dataclasses.replace(portrait_crop, landmarks=head(50))) == "turned: 50° to the side, at most 40°"
    small = dataclasses.replace(portrait_crop, matrix=portrait_crop.matrix * 10)
    assert reasons(small).startswith("small: ")
    most = np.ones((256, 256), bool)
    most[:77] = False
    assert reasons(occlusion=hidden(most)) == "hidden: 70%, at most 60%"
    assert reasons(found=Face(FACE.box, 0.5, detector="yunet")) == (
        "hardly a face: yunet's score is 0.50, at least 0.75"
    )
    assert reasons(found=Face(FACE.box, 0.5, detector="another")) == ""


def test_what_is_hidden_is_not_looked_at(portrait_crop: AlignedFace) -> None:
    mask = np.zeros((256, 256), bool)
    mask[130:] = True
    noisy, black = portrait_crop.pixels.copy(), portrait_crop.pixels.copy()
    noisy[mask] = np.random.default_rng(0).integers(0, 256, (int(mask.sum()), 3))
    black[mask] = 0
    first, second = (measure(FACE, changed(portrait_crop, one), hidden(mask)) for one in (noisy, black))
    assert first == second
    third = measure(FACE, changed(portrait_crop, black), NOTHING)
    assert (first.sharpness, first.contrast) != (third.sharpness, third.contrast)


def test_a_check_wants_to_see_brows_eyes_nose_or_mouth(portrait_crop: AlignedFace) -> None:
    inner = np.zeros((256, 256), bool)
    inner[INNER] = True
    quality = measure(FACE, portrait_crop, hidden(inner), STRICT)
    assert quality.hidden < STRICT.most_hidden
    assert [reason.split(":")[0] for reason in quality.reasons] == ["hidden"]
    assert measure(FACE, portrait_crop, hidden(inner), LIMITS["face"]).reasons == quality.reasons
    assert measure(FACE, portrait_crop, hidden(inner), LIMITS["any"]).reasons == ()


def test_of_a_hidden_face_nothing_can_be_told(portrait_crop: AlignedFace) -> None:
    quality = measure(FACE, portrait_crop, hidden(np.ones((256, 256), bool)))
    assert (quality.contrast, quality.sharpness) == (None, None)
    assert quality.reasons == ("hidden: 100%, at most 97%",)
    assert measure(FACE, portrait_crop, hidden(np.ones((256, 256), bool)), LIMITS["any"]).reasons == ()


def test_an_unknown_quality_is_refused() -> None:
    with pytest.raises(OptionError, match="min-quality good: no such quality; choose any, face, check"):
        limits_named("good")
    with pytest.raises(OptionError, match="no such quality"):
        AgePipeline(detector="none", restorer="none", min_quality="good")  # type: ignore[arg-type]


def refused() -> FaceReport:
    report = face_report()
    quality = measure(report.face, report.aligned, report.occlusion)
    assert quality.reasons
    return dataclasses.replace(report, quality=quality)


def test_no_report_drops_a_face_that_can_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    why = "no contrast: 0.0 grey levels, at least 4"
    photo = PhotoReport("a.jpg", (refused(), face_report()))
    record = face_record(refused(), [18])
    assert (record["age"], record["std"], record["interval"], record["p_at_least"]) == (None, None, None, {"18": None})
    assert record["cant_tell"] == why
    assert face_record(face_report())["cant_tell"] is None
    file = CsvFile(tmp_path / "ages.csv", [18])
    file.add(photo)
    file.close()
    first, second = csv.DictReader((tmp_path / "ages.csv").read_text(encoding="utf-8").splitlines())
    assert (first["age"], first["low"], first["p_at_least_18"], first["cant_tell"]) == ("", "", "", why)
    assert (second["age"], second["cant_tell"], second["calibrated"]) == ("30.0", "", "0")
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    pieces: list[str] = []
    table = TerminalTable(pieces.append, [18])
    table.add(photo)
    table.close()
    *_, line, other = pieces[0].splitlines()
    assert "can't tell" in line
    assert line.endswith(why)
    assert "not calibrated" in other
    card = face_card("face 1", refused())
    assert card.text.startswith(f"can't tell the age: {why}")
    assert card.bars == []


def test_the_command_says_it(tmp_path: Path, capsys: pytest.CaptureFixture[str], portrait: Photo) -> None:
    grey = tmp_path / "grey.png"
    save_picture(grey, np.full((64, 64, 3), 127, np.uint8))
    command = ["estimate", str(grey), "--detector", "none", "--restorer", "none", "--json"]
    for asked, told in (("face", True), ("any", False)):
        assert main([*command, "--min-quality", asked]) == 0
        ((face,),) = (photo["faces"] for photo in json.loads(capsys.readouterr().out))
        assert (face["age"] is None) == told
        assert bool(face["cant_tell"]) == told


def test_limits_can_be_ones_own(portrait_crop: AlignedFace) -> None:
    assert measure(FACE, portrait_crop, NOTHING, Limits(least_contrast=200)).reasons
