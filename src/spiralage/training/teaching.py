"""A teacher (Hinton et al. 2015): a trained age network whose distributions an age network learns from besides labels.

The teacher answers once to every training crop, before the first step: to the whole face as it is and to its mirror
image, averaged. What a step does to the face that the learner sees, occluders included, the teacher never sees; so a
learner of occluded faces is taught what the whole face says (Georgescu et al. 2021). The answers are kept in the run's
folder until the run is finished, and are made only as far as they aren't there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from spiralage.datasets.crops import Indices
from spiralage.datasets.joined import AnyCrops
from spiralage.distribution import MAX_AGE
from spiralage.errors import CheckpointError
from spiralage.files import sha256_of
from spiralage.networks.age import AgeNetwork
from spiralage.training.checkpoint import load_tensors, save_tensors
from spiralage.training.loop import channels_last
from spiralage.training.pretrained import learned_from
from spiralage.training.recipes import Teaching
from spiralage.training.run import WEIGHTS, read_record

ANSWERS = "teaching.safetensors"
BATCH = 32
SAVE_EVERY = 2048
"""Crops between two writings of the answers."""


@dataclass(frozen=True)
class Teacher:
    """A teacher's answers, and how much they count.

    Args:
        settings: the recipe's.
        train: the positions of the training crops, ascending, (N,).
        answers: to each of them, P(age = j), (N, 101) float16.
    """

    settings: Teaching
    train: Indices
    answers: Tensor

    def losses(self, model: nn.Module, pictures: Tensor, ages: Tensor, chosen: Indices) -> dict[str, Tensor]:
        """The loss of a step, and the teacher's part in it before it is weighed.

        Args:
            model: the ``AgeNetwork`` that learns, or what Fabric made of it.
            pictures: what it sees, (n, 3, S, S) float in [0, 1].
            ages: (n,) in years.
            chosen: the positions of the crops that the pictures were made of, (n,).
        """
        rows = torch.from_numpy(np.searchsorted(self.train, chosen))
        answers = self.answers[rows].to(pictures.device).float()
        learner = cast(AgeNetwork, model)
        labels, divergence = learner.taught_loss(pictures, ages, answers, self.settings.temperature)
        return {"loss": labels + self.settings.weight * divergence, "teaching": divergence}


def teacher_facts(run: Path) -> dict[str, Any]:
    """What a taught run remembers of its teacher: name, what that has learned from, and its weights' hash.

    Raises:
        CheckpointError: the teacher's run isn't finished.
    """
    return {
        "taught_by": run.name,
        "teacher_data": learned_from(read_record(run)),
        "teacher_sha256": sha256_of(run / WEIGHTS),
    }


def write_answers(
    path: Path,
    teacher: AgeNetwork,
    weights_sha256: str,
    crops: AnyCrops,
    fabric: Fabric,
    progress: Callable[[int, int], object],
) -> None:
    """Write a teacher's answers to the training crops, as far as they aren't there.

    Args:
        path: where; what is there of another teacher or of other crops is replaced.
        teacher: in evaluation mode.
        weights_sha256: tells teachers apart.
        crops: whose training split is answered to.
        fabric: where and how precisely to compute; one process of those that share a training writes.
        progress: told (crops answered to, crops in all).

    Raises:
        CheckpointError: what is there is damaged.
        OutputError: it can't be written.
    """
    if fabric.is_global_zero:
        train, key = crops.indices("train"), _key(weights_sha256, crops)
        kept = _read(path, key)
        teacher = channels_last(teacher).to(fabric.device)
        teacher.mirror = True
        for start in range(len(kept), len(train), SAVE_EVERY):
            new = []
            for first in range(start, min(start + SAVE_EVERY, len(train)), BATCH):
                chosen = train[first : min(first + BATCH, start + SAVE_EVERY)]
                new.append(_answers(teacher, crops, chosen, fabric))
                progress(first + len(chosen), len(train))
            kept = torch.cat([kept, *new])
            save_tensors(path, {"probabilities": kept}, key)
    fabric.barrier()


def read_answers(path: Path, settings: Teaching, weights_sha256: str, crops: AnyCrops) -> Teacher:
    """What ``write_answers`` wrote; raises CheckpointError where that is damaged or not all there."""
    train = crops.indices("train")
    answers = _read(path, _key(weights_sha256, crops))
    if len(answers) != len(train):
        raise _damaged(path, f"{len(answers)} answers for {len(train)} crops")
    return Teacher(settings, train, answers)


@torch.no_grad()
def _answers(teacher: AgeNetwork, crops: AnyCrops, chosen: Indices, fabric: Fabric) -> Tensor:
    faces = torch.from_numpy(crops.take(chosen)).to(fabric.device)
    with fabric.autocast():
        answers: Tensor = teacher(faces)
    return answers.half().cpu()


def _key(weights_sha256: str, crops: AnyCrops) -> dict[str, str]:
    return {"teacher": weights_sha256, "crops": crops.identity}


def _read(path: Path, key: dict[str, str]) -> Tensor:
    """The answers so far; none where the file is of another teacher or of other crops."""
    none = torch.empty(0, MAX_AGE + 1, dtype=torch.float16)
    if not path.exists():
        return none
    try:
        tensors, found = load_tensors(path)
    except CheckpointError as error:
        raise _damaged(path, str(error)) from error
    if found != key:
        return none
    answers = tensors.get("probabilities", torch.empty(0))
    if answers.shape[1:] != none.shape[1:] or answers.dtype != none.dtype or not bool(answers.isfinite().all()):
        raise _damaged(path, "no distributions of ages")
    return answers


def _damaged(path: Path, why: str) -> CheckpointError:
    return CheckpointError(f"{path}: damaged ({why}); remove it, it is made anew")
