"""The losses, against numbers computed by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck

from spiralage.training.losses import adversarial_loss, hue_color_loss, mean_variance_loss, perceptual_loss


def one_colour(red: float, green: float, blue: float) -> Tensor:
    return torch.tensor([red, green, blue], dtype=torch.float32).reshape(1, 3, 1, 1).expand(1, 3, 4, 4)


def test_mean_variance_by_hand() -> None:
    logits = torch.tensor([[0.5, 0.25, 0.25], [0.25, 0.25, 0.5]]).log()
    ages = torch.tensor([0, 1])
    # Row 0: m = ¾, v = 11/16, CE = ln 2, ½(m − 0)² = 9/32. Row 1: m = 1¼, v = 11/16, CE = ln 4, ½(m − 1)² = 1/32.
    cross_entropy = (math.log(2) + math.log(4)) / 2
    mean, variance = (9 / 32 + 1 / 32) / 2, 11 / 16
    loss = mean_variance_loss(logits, ages, mean_weight=0.3, variance_weight=0.7)
    assert loss.item() == pytest.approx(cross_entropy + 0.3 * mean + 0.7 * variance, abs=1e-6)
    default = mean_variance_loss(logits, ages)
    assert default.item() == pytest.approx(cross_entropy + 0.2 * mean + 0.05 * variance, abs=1e-6)
    plain = mean_variance_loss(logits, ages, mean_weight=0, variance_weight=0)
    assert plain.item() == pytest.approx(cross_entropy, abs=1e-6)


def test_an_age_above_the_oldest_class_counts_as_the_oldest() -> None:
    logits = torch.randn(3, 101, generator=torch.Generator().manual_seed(0))
    old = torch.tensor([100, 110, 116])
    assert mean_variance_loss(logits, old) == mean_variance_loss(logits, torch.full((3,), 100))


def test_mean_variance_has_the_right_gradient() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 7, dtype=torch.float64, generator=generator).requires_grad_()
    ages = torch.tensor([0, 3, 6])
    # The loss is computed in float32 whatever comes in, so the steps must be long and the tolerance wide.
    assert gradcheck(lambda x: mean_variance_loss(x, ages), (logits,), eps=1e-2, atol=1e-3, rtol=1e-2)
    assert gradcheck(
        lambda x: mean_variance_loss(x, ages, mean_weight=2, variance_weight=3), (logits,), eps=1e-2, atol=5e-3
    )


def test_mean_variance_takes_bfloat16() -> None:
    logits = torch.randn(4, 101, generator=torch.Generator().manual_seed(0)).bfloat16()
    loss = mean_variance_loss(logits, torch.tensor([1, 20, 60, 90]))
    assert loss.dtype == torch.float32
    assert loss == mean_variance_loss(logits.float(), torch.tensor([1, 20, 60, 90]))


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


def test_adversarial_by_hand() -> None:
    logits = torch.tensor([0.0, 2.0]).reshape(2, 1, 1, 1)
    real = (math.log(2) + math.log(1 + math.exp(-2))) / 2
    generated = (math.log(2) + math.log(1 + math.exp(2))) / 2
    assert adversarial_loss(logits, real=True).item() == pytest.approx(real)
    assert adversarial_loss(logits, real=False).item() == pytest.approx(generated)
