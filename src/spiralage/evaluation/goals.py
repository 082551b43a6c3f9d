"""``spiralage evaluate goals``: what the project set itself against what its tables say."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import MappingProxyType

from spiralage.evaluation.goal import Goal, Where
from spiralage.evaluation.goals_occluded import OCCLUDED
from spiralage.evaluation.results import HoldoutRow, LopoRow, PairedRow, RestorationRow, SpeedRow
from spiralage.files import write_text


def _original(recipe: str) -> Where:
    return MappingProxyType({"recipe": recipe, "condition": "original"})


def _unmasked(recipe: str) -> Where:
    return MappingProxyType({**_original(recipe), "faces": "unmasked"})


SPIRAL = MappingProxyType(
    {"recipe": "lopo-paper", "faces": "unmasked", "condition": "restored", "occluder": "paper", "restorer": "spiral"}
)


def _spiral_or(condition: str, restorer: str) -> Where:
    return MappingProxyType({**SPIRAL, "against_condition": condition, "against_restorer": restorer})


def _tested(data: str, recipe: str) -> Where:
    return MappingProxyType({**_original(recipe), "data": data})


PYTORCH, ORT, OPENVINO, OPENVINO_INT8 = (
    f"ours, {how}" for how in ("PyTorch fp32", "ONNX Runtime fp32", "OpenVINO fp32", "OpenVINO int8")
)


def _way(name: str, batch: int) -> Where:
    return MappingProxyType({"way": name, "batch": batch})


def _faster(batch: int) -> tuple[Goal, ...]:
    """How many times as fast as the plain loop, which takes pictures one by one."""
    pictures = "a picture alone" if batch == 1 else f"{batch} pictures at once"
    return (
        Goal(
            f"SpiralNet's speed, {pictures}: PyTorch, fp32",
            "speed.csv",
            SpeedRow,
            _way(PYTORCH, batch),
            1.5,
            "ratio",
            True,
        ),
        Goal(
            f"the same, {pictures}: OpenVINO, int8", "speed.csv", SpeedRow, _way(OPENVINO_INT8, batch), 6, "ratio", True
        ),
    )


def _restored(column: str, what: str, bound: float, digits: int = 2) -> tuple[Goal, ...]:
    """What SpiralNet's authors reach on CelebA-HQ with windows anywhere and in the middle."""
    return tuple(
        Goal(
            f"CelebA-HQ restored by SpiralNet, {occluder} (its authors' {what})",
            "restore.csv",
            RestorationRow,
            MappingProxyType({"data": "CelebA-HQ test", "occluder": occluder, "restorer": "spiral"}),
            bound,
            column,
            True,
            digits,
        )
        for occluder in ("random-window", "centre-window")
    )


def _same(name: str) -> Goal:
    what = f"{name.removeprefix('ours, ')}: largest difference to the plain loop, 1/255"
    return Goal(what, "speed.csv", SpeedRow, _way(name, 16), 2, "most")


GOALS = (
    Goal(
        "FG-NET originals, the paper's AlexNet (the paper's own error)",
        "table1.csv",
        LopoRow,
        _unmasked("lopo-paper"),
        4.47,
    ),
    Goal("FG-NET originals, `best`", "table1.csv", LopoRow, _unmasked("lopo-best"), 3.2),
    Goal("UTKFace test originals, `best`", "holdout.csv", HoldoutRow, _tested("utkface", "best"), 4.3),
    Goal("AAF test originals, `best`", "holdout.csv", HoldoutRow, _tested("aaf", "best"), 4.7),
    Goal("FG-NET restored by SpiralNet, the paper's AlexNet (the paper: 7.86)", "table1.csv", LopoRow, SPIRAL, 6.5),
    *(
        Goal(f"the same less {name}, upper end of the 95 % interval", "paired.csv", PairedRow, where, 0, "high")
        for name, where in (
            ("masked", _spiral_or("masked", "none")),
            ("OpenCV's inpainting", _spiral_or("restored", "inpaint")),
            ("ImagineGAN alone", _spiral_or("restored", "imagine")),
        )
    ),
    *_restored("psnr", "PSNR, dB", 16.05),
    *_restored("ssim", "SSIM", 0.6815, 4),
    *_faster(16),
    *_faster(1),
    *map(_same, (PYTORCH, ORT, OPENVINO)),
    Goal("OpenVINO int8: PSNR to the plain loop, dB", "speed.csv", SpeedRow, _way(OPENVINO_INT8, 16), 40, "psnr", True),
    *OCCLUDED,
)

HEAD = """# Goals

Written by `spiralage evaluate goals` from the tables beside it. Mean absolute error in years; speed as a ratio to the
plain loop of `make bench`.

| what | goal | measured | |
|---|---:|---:|---|
"""


def goals_page(folder: Path, goals: Sequence[Goal] = GOALS) -> str:
    """The goals and what was measured, as Markdown.

    Args:
        folder: the results folder.
        goals: which.

    Raises:
        InputError: a table is damaged.
    """
    return HEAD + "".join(map(_line, goals, (goal.measured(folder) for goal in goals)))


def _line(goal: Goal, measured: float | None) -> str:
    if measured is None:
        return f"| {goal.what} | {goal.words} | | not measured |\n"
    verdict = "met" if goal.is_met(measured) else f"missed by {goal.lacks(measured):.{goal.digits}f}"
    return f"| {goal.what} | {goal.words} | {measured:.{goal.digits}f} | {verdict} |\n"


def write_goals(folder: Path) -> str:
    """Write ``goals.md`` into the results folder; returns its text."""
    text = goals_page(folder)
    write_text(folder / "goals.md", text)
    return text
