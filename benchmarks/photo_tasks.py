"""What ``photos.py`` times, in a process of one checkout: waits for a task's name, does it, answers with seconds.

Runs with the code of either checkout, so it asks for what both have, and tries the present name of what has two.
"""

from __future__ import annotations

import importlib
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import skimage.data

from spiralage.faces.align import align
from spiralage.pipeline import AgePipeline
from spiralage.types import Box, Face, Landmarks, Photo

FIVE = np.array([[197.0, 106.0], [247.0, 107.0], [224.0, 141.0], [203.0, 160.0], [243.0, 161.0]])
"""Eyes, nose tip and mouth corners in NASA's portrait of 512×512 pixels."""
DETECTOR: Any = "yunet" if os.environ.get("SPIRALAGE_MODELS") or os.environ.get("SPIRALAGE_YUNET") else "dlib"
STEPS = 6
"""Training steps; the first two warm up."""
Task = Callable[[Path], float]


def either(module: str, *names: str) -> Any:
    """What a module has under the first of these names; "a|b" names a module that has moved."""
    for place in module.split("|"):
        try:
            found = importlib.import_module(place)
        except ImportError:
            continue
        for name in names:
            if hasattr(found, name):
                return getattr(found, name)
    raise ImportError(f"{module} has none of {', '.join(names)}")


def timed(work: Callable[[], object], clock: Callable[[], float] = time.process_time) -> float:
    """Seconds of this process's CPU: what else runs on the machine hardly matters."""
    start = clock()
    work()
    return clock() - start


@lru_cache(maxsize=1)
def masks() -> list[np.ndarray]:
    """Twenty masks of turned frames, as photos' corners hide them: what is visible is no upright rectangle."""
    found = []
    for degrees in np.linspace(3, 40, 20):
        canvas = np.zeros((256, 256), np.uint8)
        corners = cv2.boxPoints(((128.0, 128.0), (300.0, 210.0), float(degrees)))
        cv2.fillPoly(canvas, [np.rint(corners).astype(np.int32)], 1)
        found.append(canvas == 0)
    return found


def window(folder: Path) -> float:
    """``largest_window``, a face."""
    largest_window = either("spiralage.occlusion.window", "largest_window")
    return timed(lambda: [largest_window(mask) for mask in masks()]) / len(masks())


@lru_cache(maxsize=1)
def large_photo() -> Photo:
    """50 megapixels: the portrait, 12 × 17 times."""
    return Photo(np.tile(skimage.data.astronaut(), (12, 17, 1))[:5773, :8660])  # type: ignore[no-untyped-call]


def cut(folder: Path) -> float:
    """``align`` of a face in 50 megapixels."""
    points = FIVE + (512 * 8, 512 * 5)
    left, top = (points[0] - 60).tolist()
    face = Face(Box(left, top, 170, 200), landmarks=Landmarks(points, "given"))
    photo = large_photo()
    return timed(lambda: [align(photo, face) for _ in range(20)]) / 20


@lru_cache(maxsize=2)
def pipeline(threads: int) -> AgePipeline:
    """Everything as it is by default."""
    return AgePipeline(detector=DETECTOR, threads=threads)


def one_photo(folder: Path, name: str) -> float:
    """A photo's file → its faces' ages."""
    load_photo = either("spiralage.image_io", "load_photo")
    return timed(lambda: pipeline(1).estimate(load_photo(folder / name)))


def folder_of_200(folder: Path, count: int) -> float:
    """200 photos of a face; ``count`` threads, or processes where the code has them: then by the clock on the wall."""
    paths = sorted((folder / "200").glob("*.jpg"))
    asked: dict[str, Any] = {}
    if count > 1 and "workers" in AgePipeline.estimate_each.__annotations__:
        asked["workers"] = count
    made = pipeline(1 if asked else count)
    clock = time.process_time if count == 1 else time.perf_counter
    return timed(lambda: check_all(list(made.estimate_each(paths, **asked))), clock)


def check_all(reports: list[Any]) -> None:
    """Every photo has a face: else seconds would say nothing."""
    missing = [report for report in reports if len(report.faces) != 1]
    if missing:
        raise AssertionError(f"{len(missing)} of {len(reports)} photos without one face: {missing[0].error}")


TRAINING = "spiralage.training.tasks.{0}|spiralage.training.{0}"
RECIPES = "spiralage.training.recipes|spiralage.training.config"


@lru_cache(maxsize=1)
def before_slices(folder: Path) -> tuple[Any, Any, Path]:
    """SliceGAN's recipe, a few crops, and the runs that it needs, each trained for one step at its recipe's sizes."""
    import torch
    from synthetic import write_crops  # type: ignore[import-not-found,unused-ignore]  # the checkout's own

    torch.set_num_threads(1)
    load_recipe = either(RECIPES, "load_recipe")
    runs = Path(tempfile.mkdtemp(dir=folder))
    crops, few = write_crops(runs / "crops"), {"epochs": 0.25, "batch": 4}

    def recipe(name: str, kind: str, **changes: object) -> Any:
        return load_recipe(Path("recipes") / f"{name}.toml", either(RECIPES, kind)).model_copy(update=changes)

    slices, imagine = recipe("slices", "SliceRecipe"), recipe("imagine", "ImagineRecipe", **few)
    train_age = either(TRAINING.format("age"), "train_age")
    for name in dict.fromkeys([slices.features, imagine.features]):
        alone = {"start": None, "pretrained": None, "pretraining": ()}
        train_age(recipe(name, "AgeRecipe", **few, **alone), crops, runs / name, device="cpu")
    train_imagine = either(TRAINING.format("imagine"), "train_imagine")
    train_imagine(imagine, crops, runs / slices.imagine, runs, device="cpu")
    return slices.model_copy(update={"epochs": STEPS * 4 / 16, "batch": 4}), crops, runs


ASKED: list[float] = []
"""Seconds of asking the discriminators, of trainings that have been timed."""


def training_step(folder: Path) -> float:
    """SliceGAN at its recipe's sizes: a step, the median; keeps how long asking the discriminators took in it."""
    recipe, crops, runs = before_slices(folder)
    train_slices = either(TRAINING.format("slices"), "train_slices")
    module, ends, asked = sys.modules[train_slices.__module__], [], []
    name = "discriminator_loss" if hasattr(module, "discriminator_loss") else "critic_loss"
    loss = getattr(module, name)

    def watched(*arguments: object) -> object:
        start = time.process_time()
        found = loss(*arguments)
        asked.append(time.process_time() - start)
        return found

    setattr(module, name, watched)
    try:
        run = Path(tempfile.mkdtemp(dir=runs))
        train_slices(recipe, crops, run, runs, device="cpu", progress=lambda *_: ends.append(time.process_time()))
    finally:
        setattr(module, name, loss)
    ASKED.append(statistics.median(asked[2:]))
    return float(statistics.median(np.diff(ends)[1:].tolist()))


TASKS: dict[str, Task] = {
    "window": window,
    "cut": cut,
    "12MP": lambda folder: one_photo(folder, "12mp.jpg"),
    "50MP": lambda folder: one_photo(folder, "50mp.jpg"),
    "folder-1": lambda folder: folder_of_200(folder, 1),
    "folder-2": lambda folder: folder_of_200(folder, 2),
    "step": training_step,
    "discriminator": lambda folder: ASKED.pop(0),
}


def main() -> None:
    """Answer until nobody asks."""
    folder = Path(sys.argv[1])
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever else is printed
    for line in sys.stdin:
        print(json.dumps(TASKS[line.strip()](folder)), file=answers, flush=True)


if __name__ == "__main__":
    main()
