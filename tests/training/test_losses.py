"""The losses of SpiralNet, against numbers computed by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck

from spiralage.networks.restorers.discriminators import DenseDiscriminator, PatchDiscriminator
from spiralage.training.losses import (
    adversarial_loss,
    discrimination_loss,
    gram,
    hue_color_loss,
    perceptual_loss,
    style_loss,
)


def one_colour(red: float, green: float, blue: float) -> Tensor:
    return torch.tensor([red, green, blue], dtype=torch.float32).reshape(1, 3, 1, 1).expand(1, 3, 4, 4)


@pytest.mark.parametrize(
    "colour", [(0.0, 0.0, 0.0), (1.0, 1.0, 1.0), (1.0, 0.0, 0.0), (0.5, 0.5, 0.5), (0.2, 0.9, 0.4), (1e-4, 0.0, 0.0)]
)
def test_hue_color_of_equal_pictures_is_zero(colour: tuple[float, float, float]) -> None:
    picture = one_colour(*colour)
    assert hue_color_loss(picture, picture.clone()).item() == pytest.approx(0, abs=1e-6)


def test_hue_color_of_a_random_picture_with_itself_is_zero() -> None:
    picture = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    assert hue_color_loss(picture, picture.clone()).item() == pytest.approx(0, abs=1e-4)


def test_hue_color_ignores_the_brightness_of_gray() -> None:
    # Gray pictures x = g·(1, 1, 1) and their inverses all point along (1, 1, 1): c = 1 for any brightness.
    for brightness in (0.1, 0.3, 0.8):
        loss = hue_color_loss(one_colour(brightness, brightness, brightness), one_colour(0.5, 0.5, 0.5))
        assert loss.item() == pytest.approx(0, abs=1e-4)


def test_hue_color_by_hand() -> None:
    # c(x, y) of (.8, .4, .4) and (.4, .2, .2) is 1; of their inverses (.2, .6, .6), (.6, .8, .8) it is 0.9488.
    cosine = (0.2 * 0.6 + 2 * 0.6 * 0.8) / math.sqrt((0.04 + 0.72) * (0.36 + 1.28))
    loss = hue_color_loss(one_colour(0.8, 0.4, 0.4), one_colour(0.4, 0.2, 0.2))
    assert loss.item() == pytest.approx((1 - cosine + 0.001) ** 0.4 - 0.001**0.4, abs=1e-5)
    # Orthogonal colours: c = 0, the inverses (0, 1, 1) and (1, 0, 1) have ½; the smaller counts.
    loss = hue_color_loss(one_colour(1, 0, 0), one_colour(0, 1, 0))
    assert loss.item() == pytest.approx(1.001**0.4 - 0.001**0.4, abs=1e-5)


def test_hue_color_grows_with_the_difference_in_hue() -> None:
    skin = one_colour(0.8, 0.6, 0.5)
    near, far = one_colour(0.8, 0.62, 0.5), one_colour(0.5, 0.6, 0.8)
    assert 0 < hue_color_loss(near, skin) < hue_color_loss(far, skin)


def test_hue_color_sees_a_tint_on_black_and_on_white() -> None:
    assert hue_color_loss(one_colour(0.5, 0, 0), one_colour(0, 0, 0)) > 0.1
    assert hue_color_loss(one_colour(1, 0.5, 0.5), one_colour(1, 1, 1)) > 0.1


def test_hue_color_averages_over_pixels_and_has_finite_gradients() -> None:
    real = torch.cat([one_colour(0, 1, 0), one_colour(0, 0, 0), one_colour(1, 1, 1), one_colour(0.3, 0.3, 0.3)])
    generated = torch.cat([one_colour(1, 0, 0)] + [one_colour(0.5, 0.5, 0.5)] * 3).clone().requires_grad_()
    loss = hue_color_loss(generated, real)
    torch.autograd.backward(loss)
    assert loss.item() == pytest.approx((1.001**0.4 - 0.001**0.4) / 4, abs=1e-4)  # only the first differs in hue
    assert generated.grad is not None
    assert generated.grad.isfinite().all()
    assert generated.grad[0].abs().sum() > 0


def test_perceptual_is_the_mean_over_layers() -> None:
    fine, coarse = torch.zeros(2, 4, 8, 8), torch.ones(2, 6, 2, 2)
    assert perceptual_loss([fine, coarse], [fine + 3, coarse - 1]).item() == 2  # (3 + 1) / 2, whatever their sizes
    assert perceptual_loss([fine, coarse], [fine, coarse]) == 0
    with pytest.raises(ValueError, match="shorter"):
        perceptual_loss([fine, coarse], [fine])


def test_distances_of_layers_are_summed_where_asked() -> None:
    fine, coarse = torch.zeros(2, 4, 8, 8), torch.ones(2, 6, 2, 2)
    assert perceptual_loss([fine, coarse], [fine + 3, coarse - 1], reduction="sum").item() == 4
    ones, zeros = torch.ones(1, 2, 3, 3), torch.zeros(1, 2, 3, 3)
    assert style_loss([ones, ones], [zeros, zeros], reduction="sum").item() == pytest.approx(1)  # 9 / 18 twice


def test_adversarial_by_hand() -> None:
    logits = torch.tensor([0.0, 2.0]).reshape(2, 1, 1, 1)
    real = (math.log(2) + math.log(1 + math.exp(-2))) / 2
    generated = (math.log(2) + math.log(1 + math.exp(2))) / 2
    assert adversarial_loss(logits, real=True).item() == pytest.approx(real)
    assert adversarial_loss(logits, real=False).item() == pytest.approx(generated)


def test_gram_by_hand() -> None:
    features = torch.tensor([[[[1.0, 2.0]], [[3.0, -1.0]]]])  # 2 channels, 2 pixels
    expected = torch.tensor([[[5.0, 1.0], [1.0, 10.0]]]) / 4
    torch.testing.assert_close(gram(features), expected)


def test_style_loss_does_not_see_where() -> None:
    torch.manual_seed(0)
    layers = [torch.randn(2, 3, 4, 6), torch.randn(2, 5, 2, 3)]
    moved = [layer.flip(3).roll(1, 2) for layer in layers]
    assert style_loss(moved, layers).item() == pytest.approx(0, abs=1e-6)
    assert perceptual_loss(moved, layers).item() > 0.1


def test_style_loss_is_the_mean_over_layers() -> None:
    ones, zeros = torch.ones(1, 2, 3, 3), torch.zeros(1, 2, 3, 3)
    assert style_loss([ones], [zeros]).item() == pytest.approx(9 / 18)  # every entry of the Gram matrix
    assert style_loss([ones, zeros], [zeros, zeros]).item() == pytest.approx(9 / 36)


def test_the_gradient_of_style_loss_is_right() -> None:
    torch.manual_seed(0)
    real = [torch.randn(1, 2, 3, 3, dtype=torch.float64) + 1]
    generated = torch.randn(1, 2, 3, 3, dtype=torch.float64, requires_grad=True)
    assert gradcheck(lambda x: style_loss([x], real), (generated,))


@torch.no_grad()
def test_one_call_for_real_and_generated_has_the_loss_of_two() -> None:
    torch.manual_seed(0)
    whole, patch = DenseDiscriminator(8, 4).eval(), PatchDiscriminator(8).eval()
    real, generated, visible = (torch.rand(3, 3, 64, 64) for _ in range(3))
    found = discrimination_loss(whole(torch.cat([real, generated])))
    expected = (adversarial_loss(whole(real), real=True) + adversarial_loss(whole(generated), real=False)) / 2
    torch.testing.assert_close(found, expected)
    found = discrimination_loss(patch(torch.cat([real, generated]), torch.cat([visible] * 2)))
    expected = adversarial_loss(patch(real, visible), real=True) + adversarial_loss(
        patch(generated, visible), real=False
    )
    torch.testing.assert_close(found, expected / 2)
