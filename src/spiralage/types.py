"""The nouns of the package: what one room hands to the next.

    Photo → Face → AlignedFace → Occlusion → Restoration → AgeEstimate → FaceReport

All are frozen and check themselves when made. Pictures are HWC uint8 arrays in RGB order, values in
[0, 255]. Points are (x, y) in pixels with x to the right, y down, and (0, 0) at the *centre* of the
top-left pixel, as in OpenCV.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from spiralage.distribution import MAX_AGE, CalibratedAge, age_std, central_interval, expected_age, p_at_least
from spiralage.errors import BoxError

CROP_SIZE = 256
"""Side of an aligned crop in pixels."""

Pixels: TypeAlias = npt.NDArray[np.uint8]
Mask: TypeAlias = npt.NDArray[np.bool_]
Floats: TypeAlias = npt.NDArray[np.float32]
Doubles: TypeAlias = npt.NDArray[np.float64]

LandmarkSource: TypeAlias = Literal["yunet", "dlib", "fan", "heatmap", "given"]


def _check_rgb(pixels: Pixels, what: str) -> None:
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
        raise ValueError(
            f"{what} must be uint8 of shape (height, width, 3), got {pixels.dtype} of shape {pixels.shape}"
        )


def _check_crop(array: npt.NDArray[np.generic], what: str, channels: int | None = None) -> None:
    expected = (CROP_SIZE, CROP_SIZE) + (() if channels is None else (channels,))
    if array.shape != expected:
        raise ValueError(f"{what} must have shape {expected}, got {array.shape}")


@dataclass(frozen=True, eq=False)
class Photo:
    """A picture as it came from the user, upright.

    Args:
        pixels: (height, width, 3) uint8 RGB.
        name: how reports call it, usually its path.

    Example:
        >>> Photo(np.zeros((4, 6, 3), np.uint8), "black").size
        (6, 4)
    """

    pixels: Pixels
    name: str = "photo"

    def __post_init__(self) -> None:
        _check_rgb(self.pixels, "a photo")
        if 0 in self.pixels.shape:
            raise ValueError(f"a photo must have at least one pixel, got shape {self.pixels.shape}")

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return self.pixels.shape[1], self.pixels.shape[0]


@dataclass(frozen=True)
class Box:
    """An axis-parallel rectangle in photo pixels; it may reach beyond the photo's edge.

    Raises:
        BoxError: a corner isn't finite, or a side isn't positive.

    >>> Box(10, 20, 30, 40).centre
    (25.0, 40.0)
    """

    x: float
    y: float
    width: float
    height: float

    def __post_init__(self) -> None:
        values = (self.x, self.y, self.width, self.height)
        if not np.isfinite(values).all() or self.width <= 0 or self.height <= 0:
            raise BoxError(
                f"a box needs finite corners and a positive width and height, got {values}; "
                "give x, y, width and height in photo pixels"
            )

    @property
    def centre(self) -> tuple[float, float]:
        """(x, y) of the middle."""
        return self.x + self.width / 2, self.y + self.height / 2


@dataclass(frozen=True, eq=False)
class Landmarks:
    """Facial landmarks: 68 (the Multi-PIE layout of dlib and FAN) or 5 points.

    The five are left eye, right eye, nose tip, left and right mouth corner, where left means smaller
    x in an upright face.

    Args:
        points: (68, 2) or (5, 2) float64, (x, y) in pixels.
        source: what found them.
        spread_px: how unsure each is, (68,) or (5,) float64: its standard deviation along either axis, in pixels; None
            where what found them doesn't say.
    """

    points: Doubles
    source: LandmarkSource
    spread_px: Doubles | None = None

    def __post_init__(self) -> None:
        if self.points.shape not in ((68, 2), (5, 2)) or not np.isfinite(self.points).all():
            raise ValueError(f"landmarks must be finite with shape (68, 2) or (5, 2), got {self.points.shape}")
        spread = self.spread_px
        if spread is not None and (
            spread.shape != self.points.shape[:1] or not np.isfinite(spread).all() or (spread < 0).any()
        ):
            raise ValueError(f"spreads must be finite and not negative, one for each point, got {spread.shape}")

    def moved(self, matrix: Doubles) -> Landmarks:
        """The same landmarks in other pixels: points moved by a (2, 3) affine matrix, spreads as lengths change.

        >>> double = np.array([[2.0, 0, 0], [0, 2.0, 1]])
        >>> landmarks = Landmarks(np.ones((5, 2)), "given", np.full(5, 0.5)).moved(double)
        >>> landmarks.points[0].tolist(), float(landmarks.spread_px[0])
        ([2.0, 3.0], 1.0)
        """
        points = self.points @ matrix[:, :2].T + matrix[:, 2]
        scale = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
        return Landmarks(points, self.source, None if self.spread_px is None else self.spread_px * scale)

    def five(self) -> Doubles:
        """The five points, (5, 2) float64; of 68 points the eyes are the means of their six.

        >>> points = np.zeros((68, 2)); points[36:42] = 10.0
        >>> Landmarks(points, "dlib").five()[0].tolist()
        [10.0, 10.0]
        """
        if len(self.points) == 5:
            return self.points
        eyes = self.points[36:42].mean(axis=0), self.points[42:48].mean(axis=0)
        return np.stack([*eyes, self.points[30], self.points[48], self.points[54]])


@dataclass(frozen=True, eq=False)
class Face:
    """Where a face is in a photo.

    Args:
        box: the detector's rectangle, in photo pixels.
        score: the detector's confidence; scales differ between detectors.
        landmarks: in photo pixels; None until a landmarker has looked.
        detector: the name of what found it; empty for a face made by hand.
        turn: by how many degrees the photo was turned clockwise to find it: 0, 90, 180 or 270. Box and
            landmarks are in pixels of the photo as it was given, whatever the turn.
    """

    box: Box
    score: float = 1.0
    landmarks: Landmarks | None = None
    detector: str = ""
    turn: int = 0

    def __post_init__(self) -> None:
        if self.turn not in (0, 90, 180, 270):
            raise ValueError(f"a photo is turned by 0, 90, 180 or 270 degrees, not {self.turn}")


@dataclass(frozen=True, eq=False)
class AlignedFace:
    """A face turned, scaled and moved into the common 256×256 frame.

    Args:
        pixels: (256, 256, 3) uint8 RGB; 0 where the crop reaches beyond the photo.
        matrix: (2, 3) float64, takes photo (x, y, 1) to crop (x, y).
        inside: (256, 256) bool, True where the crop shows the photo.
        landmarks: in crop pixels, if known.
    """

    pixels: Pixels
    matrix: Doubles
    inside: Mask
    landmarks: Landmarks | None = None

    def __post_init__(self) -> None:
        _check_rgb(self.pixels, "a crop")
        _check_crop(self.pixels, "a crop", 3)
        _check_crop(self.inside, "the inside mask")
        if self.matrix.shape != (2, 3):
            raise ValueError(f"the affine matrix must have shape (2, 3), got {self.matrix.shape}")


@dataclass(frozen=True, eq=False)
class Occlusion:
    """What of an aligned face can't be seen.

    Args:
        mask: (256, 256) bool, True = hidden.
        kind: what hides it: "none", "frame" (the photo's edge), "found" (a network says so), "paper", the name of a
            drawn occluder, "given".
        probability: (256, 256) float32 in [0, 1], how sure whoever found it is of each pixel; None where it is known.
    """

    mask: Mask
    kind: str = "given"
    probability: Floats | None = None

    def __post_init__(self) -> None:
        _check_crop(self.mask, "an occlusion")
        if self.mask.dtype != np.bool_:
            raise ValueError(f"an occlusion must be bool, got {self.mask.dtype}")
        if self.probability is not None:
            _check_crop(self.probability, "the probability of an occlusion")

    @property
    def fraction(self) -> float:
        """The hidden part of the crop, in [0, 1]."""
        return float(self.mask.mean())

    def cover(self, pixels: Pixels) -> Pixels:
        """A copy of a crop with the hidden pixels 0, as if the mask image multiplied the picture."""
        return np.where(self.mask[..., None], np.uint8(0), pixels)


@dataclass(frozen=True, eq=False)
class Restoration:
    """A crop whose hidden pixels were filled in; the visible ones are those of the input.

    Args:
        pixels: (256, 256, 3) uint8 RGB.
        restorer: who filled them; "none" where nothing was hidden or nothing was asked for.
        reason: why it was this one, where one was chosen for the face; "" where the user named it.
    """

    pixels: Pixels
    restorer: str
    reason: str = ""

    def __post_init__(self) -> None:
        _check_rgb(self.pixels, "a restoration")
        _check_crop(self.pixels, "a restoration", 3)


@dataclass(frozen=True, eq=False)
class AgeEstimate:
    """A probability for every age 0…100 years.

    Args:
        probabilities: (101,) float32, non-negative, sums to 1; the network's own.
        calibrated: what the network's calibration makes of them; None where it has none, or none for the way in which
            the face was read. Then interval and P(age ≥ t) are the network's own, too.

    Example:
        >>> estimate = AgeEstimate(np.eye(101, dtype=np.float32)[30])
        >>> estimate.mean, estimate.std
        (30.0, 0.0)
    """

    probabilities: Floats
    calibrated: CalibratedAge | None = None

    def __post_init__(self) -> None:
        p = self.probabilities
        if p.shape != (MAX_AGE + 1,):
            raise ValueError(f"age probabilities must have shape ({MAX_AGE + 1},), got {p.shape}")
        if not np.isfinite(p).all() or (p < 0).any() or abs(float(p.sum()) - 1) > 1e-3:
            raise ValueError("age probabilities must be finite, non-negative and sum to 1")

    @cached_property
    def mean(self) -> float:
        """The estimate: the expected age m = Σ j·p_j in years (Pan et al. 2018)."""
        return float(expected_age(self.probabilities))

    @cached_property
    def std(self) -> float:
        """The standard deviation √v, v = Σ p_j (j − m)², in years."""
        return float(age_std(self.probabilities))

    def interval(self, level: float = 0.9) -> tuple[float, float]:
        """The interval that holds the age with probability ``level``, (low, high) in years.

        Calibrated, it does so for people of every age; else it is the central one of the network's distribution.
        """
        if self.calibrated is not None:
            return self.calibrated.interval(level)
        low, high = central_interval(self.probabilities, level)
        return float(low), float(high)

    def p_at_least(self, age: float) -> float:
        """P(age ≥ ``age`` years), in [0, 1]; calibrated where there is a calibration."""
        if self.calibrated is not None:
            return self.calibrated.p_at_least(age)
        return float(p_at_least(self.probabilities, age))


@dataclass(frozen=True)
class Quality:
    """How well a face can be seen; see ``age.quality``, which measures it.

    Args:
        hidden: the hidden part of the crop, in [0, 1].
        eye_distance: between the eyes' centres, in pixels of the photo.
        contrast: the standard deviation of the grey levels, of 255, of what is visible; None where too little is.
        sharpness: the variance of the crop's Laplacian over that of its grey levels, where it is visible; no unit.
        yaw: degrees by which the head is turned to the side; None without landmarks.
        score: the detector's confidence.
        reasons: what stands against reading the face; empty where nothing does.
    """

    hidden: float
    eye_distance: float
    contrast: float | None
    sharpness: float | None
    yaw: float | None
    score: float
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class FaceReport:
    """All that is known of one face: every step from the photo to the age.

    ``age`` is what the network said even where ``cant_tell`` says that it isn't to be believed.
    """

    face: Face
    aligned: AlignedFace
    occlusion: Occlusion
    restoration: Restoration
    age: AgeEstimate
    quality: Quality | None = None

    @property
    def cant_tell(self) -> str | None:
        """Why no age can be told, on one line; None where it can."""
        return "; ".join(self.quality.reasons) or None if self.quality is not None else None


@dataclass(frozen=True, eq=False)
class PhotoReport:
    """The answer for one photo of a batch: its faces, or why there are none.

    Args:
        image: the photo's name or path.
        faces: the detector's surest first; empty if there is none.
        error: one line, or None if the photo could be read.
        photo: the pixels, kept only where a report is to picture them.
    """

    image: str
    faces: tuple[FaceReport, ...] = ()
    error: str | None = None
    photo: Photo | None = field(default=None, repr=False)
