"""What a recipe's shares hide in a step's faces."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from synthetic import age_recipe, drawn_crop, imagine_recipe
from torch import Tensor

from spiralage.errors import RecipeError
from spiralage.mean_face import mean_landmarks
from spiralage.networks.views import CentredSquare
from spiralage.occlusion.occluders import OCCLUDERS, OccluderName
from spiralage.occlusion.window import PAPER_WINDOW, margin_mask
from spiralage.training.augment import cover_some
from spiralage.training.covers import cover_faces, draw_cover, draw_masks
from spiralage.training.recipes import AgeRecipe, ImagineRecipe


def test_kinds_are_drawn_by_their_shares() -> None:
    def paper_share(shares: dict[OccluderName, float], count: int = 600) -> float:
        masks = draw_masks(np.tile(mean_landmarks(), (count, 1, 1)), shares, np.random.default_rng(0))
        assert masks.shape == (count, 256, 256)
        assert masks.dtype == np.bool_
        return float((masks == margin_mask(PAPER_WINDOW)).all(axis=(1, 2)).mean())

    assert paper_share({"random-window": 0, "paper": 1, "edge": 0}, 20) == 1
    assert paper_share({"random-window": 1, "paper": 0, "scarf": 1}, 50) == 0
    assert paper_share({"random-window": 2, "paper": 1, "edge": 1}) == pytest.approx(0.25, abs=0.06)


@pytest.mark.parametrize("name", OCCLUDERS)
def test_a_kind_alone_is_drawn_as_it_is(name: OccluderName) -> None:
    picture, mask, *_ = draw_cover(mean_landmarks() + 7, {name: 0.1}, np.random.default_rng(3))
    rng = np.random.default_rng(3)
    rng.random()  # the kind
    expected = OCCLUDERS[name](mean_landmarks() + 7, rng)
    np.testing.assert_array_equal(mask, expected.mask)
    np.testing.assert_array_equal(picture, expected.picture)


def test_an_occluder_lies_where_the_face_is() -> None:
    faces = np.full((2, 256, 256, 3), 255, np.uint8)
    points = np.stack([mean_landmarks(), mean_landmarks() + (0, 60)])
    covered, has_one = cover_faces(faces, points, {"sunglasses": 1.0}, np.random.default_rng(0))
    assert has_one.all()
    one, other = (float(np.nonzero((face < 250).any(axis=(1, 2)))[0].mean()) for face in covered)
    assert other - one == pytest.approx(60, abs=15)


def test_the_order_of_shares_does_not_matter() -> None:
    shares: dict[OccluderName, float] = {"edge": 0.2, "paper": 0.3, "random-window": 0.5}
    other: dict[OccluderName, float] = {"random-window": 0.5, "paper": 0.3, "edge": 0.2, "scarf": 0.0}
    for seed in range(40):
        one, two = (draw_cover(mean_landmarks(), order, np.random.default_rng(seed)).mask for order in (shares, other))
        np.testing.assert_array_equal(one, two)


def test_former_keys_are_read() -> None:
    former = imagine_recipe().model_dump() | {"windows": {"random": 0.8, "edge": 0.0}}
    assert ImagineRecipe.model_validate(former).windows == {"random-window": 0.8, "paper": 0.3, "edge": 0.0}
    assert imagine_recipe().windows == {"random-window": 0.5, "paper": 0.3, "edge": 0.2}
    assert imagine_recipe(windows={"scarf": 1.0}).windows == {"scarf": 1.0}
    dumped = age_recipe().model_dump(mode="json")
    del dumped["occluders"]
    assert AgeRecipe.model_validate(dumped | {"masked": 0.0}) == age_recipe()
    assert AgeRecipe.model_validate(dumped | {"masked": 0.4}) == age_recipe(occluders={"paper": 0.4})
    assert age_recipe(masked=0.4).masked == 0.4


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"occluders": {"hat": 0.1}}, "Input should be 'paper'"),
        ({"occluders": {"scarf": float("nan")}}, "finite number"),
        ({"occluders": {"scarf": -0.1}}, "greater than or equal to 0"),
        ({"occluders": {"scarf": 0.6, "paper": 0.5}}, "together 1 at most"),
        ({"occluders": {"scarf": 0.6}, "masked": 0.1}, "give one of the two"),
        ({"masked": 1.5}, "less than or equal to 1"),
    ],
)
def test_shares_that_make_no_sense_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises((ValueError, RecipeError), match=message):
        age_recipe(**changes)
    with pytest.raises((ValueError, RecipeError), match="at least one share"):
        imagine_recipe(windows={"paper": 0.0})


def test_faces_are_covered_by_their_share_and_as_the_occluder_looks() -> None:
    rng = np.random.default_rng(0)
    faces = np.stack([drawn_crop(40, rng) for _ in range(400)])
    before, points = faces.copy(), np.tile(mean_landmarks(), (400, 1, 1))
    covered, has_one = cover_faces(faces, points, {"sunglasses": 0.1, "scarf": 0.2}, np.random.default_rng(1))
    np.testing.assert_array_equal(faces, before)
    changed = (covered != faces).any(axis=(1, 2, 3))
    np.testing.assert_array_equal(changed, has_one)
    assert has_one.mean() == pytest.approx(0.3, abs=0.07)
    below = (covered[:, -1] != faces[:, -1]).any(axis=(1, 2))  # a scarf reaches the lower edge, glasses don't
    assert below.mean() == pytest.approx(0.2, abs=0.07)
    same, nobody = cover_faces(faces, points, {}, rng)
    assert same is faces
    assert not nobody.any()


def test_who_has_an_occluder_gets_no_mask() -> None:
    pictures = torch.ones(400, 3, 32, 32)
    has_one = torch.arange(400) % 2 == 0
    out = cover_some(pictures, CentredSquare(crop=256, pool=8), 0.5, has_one)

    def masked(of: Tensor) -> Tensor:
        return (out[of] == 0).flatten(1).any(dim=1).float().mean()

    assert masked(has_one) == 0
    assert masked(~has_one) == pytest.approx(0.5, abs=0.12)
