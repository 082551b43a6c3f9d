"""An age network: views + backbone + head, whatever the three are."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

from spiralage.errors import RecipeError
from spiralage.networks.backbones import Backbone
from spiralage.networks.heads import Head
from spiralage.networks.heads.losses import teaching_loss
from spiralage.networks.views import CentredSquare


class AgeNetwork(nn.Module):
    """Aligned crops in, P(age = j) out.

    Cutting, shrinking, normalising and the softmax are part of the network, so training, evaluation and the exported
    ONNX file can't disagree on them.

    Args:
        views: what of the crops it sees: (N, 256, 256, 3) uint8 → pictures in [0, 1].
        backbone: what the views show, normalised → (N, width) features.
        head: features → probabilities, and the loss.
        mirror: answer with the mean of the probabilities for a crop and for its mirror image, for twice the work.
        told_mask: it is told what is hidden, by a fourth channel: the backbone's first convolution gets an input more,
            whose weights begin at 0, so that weights of a network that isn't told answer as they did.
    """

    MEAN, STD = 0.5, 0.25
    """Of pictures in [0, 1]; the backbone sees them with mean about 0 and standard deviation about 1."""

    def __init__(
        self, views: CentredSquare, backbone: Backbone, head: Head, *, mirror: bool = False, told_mask: bool = False
    ) -> None:
        super().__init__()
        self.mirror, self.told_mask = mirror, told_mask
        self.views, self.backbone, self.head = views, backbone, head
        if told_mask:
            _, first = self._first_convolution()
            first.weight = nn.Parameter(_with_a_channel(first.weight.detach()))
            first.in_channels += 1
        self.register_load_state_dict_pre_hook(_rename)  # type: ignore[no-untyped-call]
        self.register_load_state_dict_pre_hook(_tell)  # type: ignore[no-untyped-call]

    def normalise(self, pictures: Tensor) -> Tensor:
        """(N, 3, S, S) float in [0, 1] → the backbone's range; a mask, the fourth channel, stays as it is."""
        colours = (pictures[:, :3] - self.MEAN) / self.STD
        return torch.cat([colours, pictures[:, 3:]], dim=1) if self.told_mask else colours

    def features(self, pictures: Tensor) -> Tensor:
        """(N, 3, S, S) float in [0, 1], or (N, 4, S, S) with the mask, → (N, width)."""
        features: Tensor = self.backbone(self.normalise(pictures))
        return features

    def loss(self, pictures: Tensor, ages: Tensor) -> Tensor:
        """The head's loss on what the views showed, (N, 3, S, S) float in [0, 1], and (N,) ages in years."""
        return self.head.loss(self.features(pictures), ages)

    def taught_loss(self, pictures: Tensor, ages: Tensor, answers: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
        """The head's loss, and how far its answers are from a teacher's.

        Args:
            pictures: what the views showed, (N, 3, S, S) float in [0, 1].
            ages: (N,) in years.
            answers: the teacher's P(age = j), (N, 101) float32.
            temperature: see ``teaching_loss``.
        """
        features = self.features(pictures)
        log_p = self.head.log_probabilities(features)
        return self.head.loss(features, ages), teaching_loss(log_p, answers, temperature=temperature)

    def seen(self, crops: Tensor, masks: Tensor | None = None, **where: Any) -> Tensor:
        """What the backbone is shown of crops, before it is normalised.

        Args:
            crops: (N, 256, 256, 3) uint8 RGB.
            masks: (N, 256, 256), True or 1 = hidden; for a network that is told, and None = nothing is.
            where: see ``views``.

        Returns:
            (N, 3, S, S) float32 in [0, 1]; (N, 4, S, S) with the mask, where the network is told it.
        """
        pictures = self.views(crops, **where)
        if not self.told_mask:
            return pictures  # type: ignore[no-any-return]
        if masks is None:
            return torch.cat([pictures, torch.zeros_like(pictures[:, :1])], dim=1)
        return torch.cat([pictures, self.views.masks(masks, **where)], dim=1)

    def forward(self, crops: Tensor, masks: Tensor | None = None) -> Tensor:
        """Ages of aligned crops.

        Args:
            crops: (N, 256, 256, 3) uint8 RGB; 0 where they are hidden, if the network is told.
            masks: (N, 256, 256) bool or uint8, see ``seen``.

        Returns:
            P(age = j) for j = 0…100, (N, 101) float32.
        """
        pictures = self.seen(crops, masks)
        if self.mirror:
            both = torch.cat([pictures, pictures.flip(3)])
            answers = self.head.probabilities(self.features(both))  # (2N, 101)
            return answers.reshape(2, -1, answers.shape[1]).mean(dim=0)
        return self.head.probabilities(self.features(pictures))

    def _first_convolution(self) -> tuple[str, nn.Conv2d]:
        """The convolution that sees the pictures, and its name."""
        return next((name, part) for name, part in self.named_modules() if isinstance(part, nn.Conv2d))

    def split(self, freeze: int) -> tuple[nn.Module, Tail]:
        """The first layers of the backbone, and all that comes after them; they share this network's weights.

        Args:
            freeze: how many layers.

        Raises:
            RecipeError: the backbone isn't a sequence of that many layers.
        """
        backbone = self.get_submodule("backbone")
        if freeze == 0:
            return nn.Identity(), Tail(backbone, self.head)
        if not isinstance(backbone, nn.Sequential) or freeze > len(backbone):
            name, most = type(backbone).__name__, len(backbone) if isinstance(backbone, nn.Sequential) else 0
            raise RecipeError(f"freeze = {freeze}, but at most {most} layers of {name} can be frozen; lower it")
        layers = list(backbone)  # a slice of the network would be built by its own class, with other arguments
        return nn.Sequential(*layers[:freeze]), Tail(nn.Sequential(*layers[freeze:]), self.head)


class Tail(nn.Module):
    """The last layers of an age network: what is fine-tuned.

    Args:
        layers: the backbone's last.
        head: as in ``AgeNetwork``.
    """

    def __init__(self, layers: nn.Module, head: Head) -> None:
        super().__init__()
        self.layers, self.head = layers, head

    def loss(self, x: Tensor, ages: Tensor) -> Tensor:
        """The head's loss on what the frozen layers answered."""
        return self.head.loss(self.layers(x), ages)

    def forward(self, x: Tensor) -> Tensor:
        """What the frozen layers answered → P(age = j), (N, 101) float32."""
        return self.head.probabilities(self.layers(x))


def _rename(network: nn.Module, tensors: dict[str, Any], prefix: str, *_: object) -> None:
    """Bring names of files from before backbones and heads were apart to today's; see ``former`` of the backbones."""
    former = cast(AgeNetwork, network).backbone.former
    for name in [name for name in tensors if name.startswith(prefix)]:
        for old, new in former.items():
            if name.startswith(prefix + old):
                tensors[prefix + new + name.removeprefix(prefix + old)] = tensors.pop(name)


def _tell(network: nn.Module, tensors: dict[str, Any], prefix: str, *_: object) -> None:
    """Weights of a network that isn't told what is hidden get weights of 0 for it."""
    told = cast(AgeNetwork, network)
    first, convolution = told._first_convolution()
    name = f"{prefix}{first}.weight"
    if told.told_mask and name in tensors and tensors[name].shape[1] == convolution.in_channels - 1:
        tensors[name] = _with_a_channel(tensors[name])


def _with_a_channel(weight: Tensor) -> Tensor:
    """The weights of a convolution, (outputs, inputs, height, width), with an input more that counts nothing."""
    return torch.cat([weight, torch.zeros_like(weight[:, :1])], dim=1)
