"""A face's report that needs no network."""

from __future__ import annotations

import numpy as np

from spiralage.types import (
    AgeEstimate,
    AlignedFace,
    Box,
    Face,
    FaceReport,
    Landmarks,
    Occlusion,
    Restoration,
)


def face_report(age: int = 30) -> FaceReport:
    """A gray face that is surely so old, with 68 different landmarks and a box beyond the photo's edge."""
    pixels, everywhere = np.full((256, 256, 3), 90, np.uint8), np.ones((256, 256), bool)
    landmarks = Landmarks(np.arange(136, dtype=np.float64).reshape(68, 2), "dlib")
    face = Face(Box(-3, 4, 50, 60), 0.5, landmarks, "by hand", 90)
    aligned = AlignedFace(pixels, np.eye(2, 3), everywhere)
    probabilities = np.eye(101, dtype=np.float32)[age]
    return FaceReport(
        face, aligned, Occlusion(~everywhere, "none"), Restoration(pixels, "none"), AgeEstimate(probabilities)
    )
