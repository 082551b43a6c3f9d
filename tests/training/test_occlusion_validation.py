"""The threshold: the best overlap among those that leave clean faces whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from occlusion_faces import face_crops, joined_crops, occlusion_recipe
from torch import Tensor, nn

from spiralage.datasets.hidden_labels import Known
from spiralage.training.fabric import make_fabric
from spiralage.training.occlusion_examples import Examples
from spiralage.training.occlusion_validation import THRESHOLDS, Validation, choose_threshold, validation_of


class Answers(nn.Module):
    """Says of every pixel what its red is, in 255ths."""

    def forward(self, crops: Tensor) -> Tensor:
        return crops[..., 0].float() / 255


def examples(answers: list[float], known: list[Known]) -> Validation:
    """Crops in stripes: what a network says of each, and what is known of it; the same as drawn and clean faces."""
    stripes = np.repeat(np.array(answers), 256 // len(answers))
    pictures = np.broadcast_to((stripes * 255).round().astype(np.uint8)[None, None, :, None], (1, 256, 256, 3)).copy()
    kinds = np.repeat(np.array([int(kind) for kind in known], np.uint8), 256 // len(known))
    drawn = np.broadcast_to(kinds, (1, 256, 256)).copy()
    clean = np.where(drawn == Known.HIDDEN, np.uint8(Known.UNKNOWN), drawn)
    return Validation(None, Examples(pictures, drawn), Examples(pictures, clean))


def test_the_best_overlap_among_those_that_leave_clean_faces_whole() -> None:
    fabric = make_fabric("cpu", precision="32-true")
    # At 0.3 all that is hidden is found, and a quarter of what is visible too; from 0.5 on the half of what is hidden.
    faces = examples([0.95, 0.45, 0.35, 0.1], [Known.HIDDEN, Known.HIDDEN, Known.VISIBLE, Known.VISIBLE])
    chosen = choose_threshold(Answers(), faces, fabric)
    assert chosen.threshold == 0.4
    assert chosen.drawn_iou == pytest.approx(1)
    assert chosen.falsely_hidden == 0
    assert np.isnan(chosen.outlined_iou)
    hopeless = examples([1.0, 1.0, 0.85, 0.1], [Known.HIDDEN, Known.HIDDEN, Known.VISIBLE, Known.VISIBLE])
    assert choose_threshold(Answers(), hopeless, fabric).threshold == THRESHOLDS[-1]
    never = examples([1.0, 1.0], [Known.HIDDEN, Known.VISIBLE])
    assert choose_threshold(Answers(), never, fabric).falsely_hidden == 1


def test_validation_faces_are_the_same_at_every_look(tmp_path: Path) -> None:
    crops, recipe = joined_crops(tmp_path), occlusion_recipe()
    one, other = validation_of(crops, recipe), validation_of(crops, recipe)
    assert one.outlined is not None
    assert len(one.outlined.known) == len(one.drawn.known) == len(one.clean.known) == 3
    np.testing.assert_array_equal(one.drawn.pictures, other.drawn.pictures)
    assert (one.drawn.known == Known.HIDDEN).any(axis=(1, 2)).all()
    assert not (one.clean.known == Known.HIDDEN).any()
    assert not one.clean.pictures[one.clean.known == Known.BEYOND].any()


def test_a_recipe_may_have_one_set(tmp_path: Path) -> None:
    faces = validation_of(face_crops(tmp_path, "aaf"), occlusion_recipe(also=[], times={}))
    assert faces.outlined is None
    assert len(faces.drawn.known) == 3


def test_no_validation_faces_are_no_numbers(tmp_path: Path) -> None:
    faces = validation_of(face_crops(tmp_path, "aaf"), occlusion_recipe(also=[], times={}))
    none = Validation(None, *(type(one)(one.pictures[:0], one.known[:0]) for one in (faces.drawn, faces.clean)))
    chosen = choose_threshold(Answers(), none, make_fabric("cpu", precision="32-true"))
    assert np.isnan(chosen.drawn_iou)
    assert torch.isfinite(torch.tensor(chosen.threshold))
