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
    """

    MEAN, STD = 0.5, 0.25
    """Of pictures in [0, 1]; the backbone sees them with mean about 0 and standard deviation about 1."""

    def __init__(self, views: CentredSquare, backbone: Backbone, head: Head, *, mirror: bool = False) -> None:
        super().__init__()
        self.mirror = mirror
        self.views, self.backbone, self.head = views, backbone, head
        self.register_load_state_dict_pre_hook(_rename)  # type: ignore[no-untyped-call]

    def normalise(self, pictures: Tensor) -> Tensor:
        """(N, 3, S, S) float in [0, 1] → the backbone's range."""
        return (pictures - self.MEAN) / self.STD

    def features(self, pictures: Tensor) -> Tensor:
        """(N, 3, S, S) float in [0, 1] → (N, width)."""
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

    def forward(self, crops: Tensor) -> Tensor:
        """(N, 256, 256, 3) uint8 RGB → P(age = j) for j = 0…100, (N, 101) float32."""
        pictures = self.views(crops)
        if self.mirror:
            both = torch.cat([pictures, pictures.flip(3)])
            answers = self.head.probabilities(self.features(both))  # (2N, 101)
            return answers.reshape(2, -1, answers.shape[1]).mean(dim=0)
        return self.head.probabilities(self.features(pictures))

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
