"""The losses, against numbers computed by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck
from torch.nn import functional as F

from spiralage.training.losses import (
    adversarial_loss,
    distribution_loss,
    gram,
    hue_color_loss,
    make_age_loss,
    mean_variance_loss,
    perceptual_loss,
    style_loss,
)
from spiralage.training.recipes import CrossEntropy, DistributionLearning, MeanVariance
from spiralage.types import Doubles


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


@pytest.mark.parametrize(("mean_weight", "variance_weight"), [(0.2, 0.05), (2, 3), (0, 0)])
def test_mean_variance_has_the_right_gradient(mean_weight: float, variance_weight: float) -> None:
    logits = torch.randn(3, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    ages = torch.tensor([0, 3, 6])
    weights = {"mean_weight": mean_weight, "variance_weight": variance_weight}
    assert gradcheck(lambda x: mean_variance_loss(x, ages, **weights), (logits,))


def test_mean_variance_takes_bfloat16() -> None:
    logits = torch.randn(4, 101, generator=torch.Generator().manual_seed(0)).bfloat16()
    loss = mean_variance_loss(logits, torch.tensor([1, 20, 60, 90]))
    assert loss.dtype == torch.float32
    assert loss == mean_variance_loss(logits.float(), torch.tensor([1, 20, 60, 90]))


def normal_target(age: float, deviation: float, classes: int = 101) -> Doubles:
    """The discrete normal distribution around an age."""
    weights: Doubles = np.array([math.exp(-((year - age) ** 2) / (2 * deviation**2)) for year in range(classes)])
    return np.asarray(weights / weights.sum())


@pytest.mark.parametrize("age", [0, 1, 30, 100])
@pytest.mark.parametrize("deviation", [0.5, 2.0])
def test_distribution_loss_is_zero_at_its_target(age: int, deviation: float) -> None:
    logits = torch.from_numpy(np.log(np.maximum(normal_target(age, deviation), 1e-300)))[None]
    assert distribution_loss(logits, torch.tensor([age]), deviation=deviation).item() == pytest.approx(0, abs=1e-9)
    assert distribution_loss(logits + 1, torch.tensor([age + 1 if age < 100 else 99]), deviation=deviation) > 0.05


def test_distribution_loss_against_numpy() -> None:
    rng = np.random.default_rng(0)
    logits, ages = rng.standard_normal((3, 101)), [4, 50, 97]
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    divergences, distances = [], []
    for row, age in zip(p, ages, strict=True):
        q = normal_target(age, 3.0)
        kept = q > 0
        divergences.append((q[kept] * np.log(q[kept] / row[kept])).sum())
        distances.append(abs((np.arange(101) * row).sum() - age))
    found = distribution_loss(torch.from_numpy(logits), torch.tensor(ages), deviation=3.0)
    assert found.item() == pytest.approx(np.mean(divergences), rel=1e-9)
    found = distribution_loss(torch.from_numpy(logits), torch.tensor(ages), deviation=3.0, l1_weight=0.7)
    assert found.item() == pytest.approx(np.mean(divergences) + 0.7 * np.mean(distances), rel=1e-9)


def test_distribution_loss_by_hand() -> None:
    # Three ages, y = 1 and deviation 1: q ∝ (e^-½, 1, e^-½). p is uniform: KL = log 3 − entropy of q, m = y.
    side = math.exp(-0.5) / (1 + 2 * math.exp(-0.5))  # 0.2741
    entropy = -2 * side * math.log(side) - (1 - 2 * side) * math.log(1 - 2 * side)
    uniform = torch.zeros(1, 3)
    for l1 in (0.0, 1.0):
        loss = distribution_loss(uniform, torch.tensor([1]), deviation=1.0, l1_weight=l1)
        assert loss.item() == pytest.approx(math.log(3) - entropy, abs=1e-6)
        assert loss.item() == pytest.approx(0.0301, abs=1e-4)


def test_distribution_loss_counts_an_age_above_the_oldest_class_as_the_oldest() -> None:
    logits = torch.randn(3, 101, generator=torch.Generator().manual_seed(0))
    hundred = distribution_loss(logits, torch.full((3,), 100), l1_weight=1.0)
    assert distribution_loss(logits, torch.tensor([100, 110, 116]), l1_weight=1.0) == hundred


@pytest.mark.parametrize("l1", [0.0, 1.0])
def test_distribution_loss_has_the_right_gradient(l1: float) -> None:
    logits = torch.randn(3, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    ages = torch.tensor([0, 2, 6])
    means = logits.detach().softmax(dim=1) @ torch.arange(7.0, dtype=torch.float64)
    assert ((means - ages).abs() > 0.1).all()  # away from the kink of |m − y|
    assert gradcheck(lambda x: distribution_loss(x, ages, deviation=1.5, l1_weight=l1), (logits,))


def test_distribution_loss_takes_bfloat16() -> None:
    logits = torch.randn(4, 101, generator=torch.Generator().manual_seed(0)).bfloat16()
    ages = torch.tensor([1, 20, 60, 90])
    loss = distribution_loss(logits, ages, l1_weight=1.0)
    assert loss.dtype == torch.float32
    assert loss == distribution_loss(logits.float(), ages, l1_weight=1.0)


def test_a_recipe_picks_its_loss() -> None:
    logits = torch.randn(4, 101, generator=torch.Generator().manual_seed(0))
    ages = torch.tensor([1, 20, 60, 116])
    mean_variance = make_age_loss(MeanVariance(mean=0.3, variance=0.7))(logits, ages)
    assert mean_variance == mean_variance_loss(logits, ages, mean_weight=0.3, variance_weight=0.7)
    cross_entropy = make_age_loss(CrossEntropy(name="cross-entropy"))(logits, ages)
    assert cross_entropy.item() == pytest.approx(F.cross_entropy(logits, ages.clamp(max=100)).item())
    distribution = make_age_loss(DistributionLearning(name="dldl", deviation=3.0, l1=0.5))(logits, ages)
    assert distribution == distribution_loss(logits, ages, deviation=3.0, l1_weight=0.5)
    assert len({mean_variance.item(), cross_entropy.item(), distribution.item()}) == 3


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
