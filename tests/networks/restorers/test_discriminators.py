"""The discriminator: a map of logits, spectral norms, and a gradient that reaches the generator."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from spiralage.networks.restorers.discriminators import DenseDiscriminator, PatchDiscriminator
from spiralage.networks.restorers.imagine import ImagineGenerator
from spiralage.networks.restorers.projected import ProjectedDiscriminator, reference_pictures
from spiralage.training.losses import adversarial_loss


@pytest.mark.parametrize("size", [32, 64, 128])
def test_one_logit_per_patch(size: int) -> None:
    picture = torch.rand(2, 3, size, size)
    assert PatchDiscriminator(8)(picture, picture).shape == (2, 1, size // 8 - 2, size // 8 - 2)


def test_the_visible_picture_matters() -> None:
    torch.manual_seed(0)
    discriminator = PatchDiscriminator(8).eval()
    picture = torch.rand(1, 3, 32, 32)
    assert not torch.allclose(
        discriminator(picture, torch.zeros_like(picture)), discriminator(picture, torch.ones_like(picture))
    )


def test_every_convolution_has_spectral_norm_one() -> None:
    torch.manual_seed(0)
    discriminator = PatchDiscriminator(8).train()
    picture = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        for _ in range(50):  # each pass is a step of the power iteration
            discriminator(picture, picture)
    convolutions = [m for m in discriminator.modules() if isinstance(m, nn.Conv2d)]
    assert len(convolutions) == 5
    for convolution in convolutions:
        largest = torch.linalg.matrix_norm(convolution.weight.flatten(1), ord=2)
        assert largest.item() == pytest.approx(1, abs=0.02)


def test_the_gradient_reaches_every_weight_of_the_generator() -> None:
    torch.manual_seed(0)
    generator, discriminator = ImagineGenerator(8, 1), PatchDiscriminator(8)
    discriminator.requires_grad_(False)
    visible, hidden = torch.rand(2, 3, 32, 32), torch.ones(2, 1, 32, 32)
    generated = generator(visible, hidden, torch.rand(2, 3, 32, 32))
    torch.autograd.backward(adversarial_loss(discriminator(generated, visible), real=True))
    weights = {name: p for name, p in generator.named_parameters() if p.ndim > 1}
    assert len(weights) == 8  # three down, two in the block, two up, one out
    for name, weight in weights.items():
        assert weight.grad is not None, name
        assert weight.grad.abs().sum() > 0, name
    assert all(p.grad is None for p in discriminator.parameters())


@pytest.mark.parametrize("size", [32, 64])
def test_the_dense_discriminator_judges_whole_pictures(size: int) -> None:
    assert DenseDiscriminator(8, 4)(torch.rand(3, 3, size, size)).shape == (3, 1)


def test_a_dense_layer_sees_all_maps_before_it() -> None:
    discriminator = DenseDiscriminator(8, 4, blocks=2, layers=3)
    seen = [m.in_channels for m in discriminator.modules() if isinstance(m, nn.Conv2d) and m.kernel_size == (3, 3)]
    assert seen == [8, 12, 16, 10, 14, 18]  # 20 and 22 maps are halved after each block


def test_all_of_the_dense_discriminator_has_spectral_norm_one() -> None:
    torch.manual_seed(0)
    discriminator = DenseDiscriminator(8, 4, blocks=2, layers=2).train()
    with torch.no_grad():
        for _ in range(50):
            discriminator(torch.rand(1, 3, 32, 32))
    layers = [m for m in discriminator.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert len(layers) == 1 + 2 * (2 + 1) + 1
    for layer in layers:
        assert torch.linalg.matrix_norm(layer.weight.flatten(1), ord=2).item() == pytest.approx(1, abs=0.02)


def test_the_dense_discriminator_learns_to_tell_noise_from_flat_pictures() -> None:
    torch.manual_seed(0)
    discriminator = DenseDiscriminator(8, 4, blocks=2, layers=2)
    optimiser = torch.optim.Adam(discriminator.parameters(), 0.01)
    for _ in range(30):
        noise, flat = torch.rand(4, 3, 16, 16), torch.rand(4, 3, 1, 1).expand(4, 3, 16, 16)
        loss = adversarial_loss(discriminator(noise), real=True) + adversarial_loss(discriminator(flat), real=False)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    assert (
        discriminator(torch.rand(8, 3, 16, 16)).min() > discriminator(torch.rand(8, 3, 1, 1).expand(8, 3, 16, 16)).max()
    )


def test_projected_heads_see_every_layer_and_what_is_visible() -> None:
    torch.manual_seed(0)
    layers = [torch.randn(1, 8, 32, 32), torch.randn(1, 16, 16, 16)]
    discriminator = ProjectedDiscriminator(layers, 8).eval()
    visible = torch.rand(1, 3, 64, 64)
    logits = discriminator(layers, visible)
    for other in ([layers[0] + 1, layers[1]], [layers[0], layers[1] + 1]):
        changed = (discriminator(other, visible) - logits).abs().reshape(2, -1).amax(dim=1) > 1e-4
        assert changed.tolist() == [other[0] is not layers[0], other[1] is not layers[1]]
    assert not torch.allclose(discriminator(layers, 1 - visible), logits, atol=1e-4)
    assert not any(mixer.weight.requires_grad for mixer in discriminator.mixers)


def test_layers_are_mixed_to_one_size_however_small_they_are() -> None:
    torch.manual_seed(0)
    layers = [0.01 * torch.rand(2, 8, 32, 32), 30 + 5 * torch.rand(2, 16, 16, 16)]
    discriminator = ProjectedDiscriminator(layers, 32)
    for mixer, layer in zip(discriminator.mixers, layers, strict=True):
        mixed = mixer(layer)
        assert (mixed - mixed.mean(dim=(0, 2, 3), keepdim=True)).std().item() == pytest.approx(1, abs=0.25)


def test_reference_pictures_are_always_the_same_and_smoother_than_noise() -> None:
    pictures = reference_pictures(64)
    assert torch.equal(pictures, reference_pictures(64))
    assert pictures.shape == (2, 3, 64, 64)
    assert 0 <= pictures.min() < 0.1 < 0.9 < pictures.max() <= 1
    assert pictures.diff(dim=3).std() < 0.6 * pictures.std()  # of noise that no neighbours share it is 1.41
