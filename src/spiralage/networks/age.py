"""An age network: aligned crops in, logits over the ages 0…100 out."""

from __future__ import annotations

from torch import Tensor, nn

from spiralage.networks.backbones import Backbone


class AgeNetwork(nn.Module):
    """A backbone with its preprocessing: aligned crops in, logits out.

    Cutting, shrinking and normalising are part of the network, so training, evaluation and the exported
    ONNX file can't disagree on them.

    Args:
        backbone: takes (N, 3, side, side) float32 with mean about 0 and deviation about 1.
        crop: side of the centred square that it sees, in crop pixels.
        pool: that square is average-pooled by this factor; side = crop / pool.
    """

    MEAN, DEVIATION = 0.5, 0.25

    def __init__(self, backbone: Backbone, *, crop: int, pool: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.crop, self.pool = crop, pool

    def normalise(self, pictures: Tensor) -> Tensor:
        """(N, 3, S, S) float in [0, 1] → the backbone's range."""
        return (pictures - self.MEAN) / self.DEVIATION

    def view(self, crops: Tensor) -> Tensor:
        """(N, 256, 256, 3) uint8 RGB → the backbone's input, (N, 3, side, side) float32."""
        start = (crops.shape[1] - self.crop) // 2
        seen = crops[:, start : start + self.crop, start : start + self.crop]
        x = seen.permute(0, 3, 1, 2).float() / 255  # (N, 3, crop, crop)
        if self.pool > 1:
            x = nn.functional.avg_pool2d(x, self.pool)
        return self.normalise(x)

    def forward(self, crops: Tensor) -> Tensor:
        """(N, 256, 256, 3) uint8 RGB → (N, 101) logits."""
        logits: Tensor = self.backbone(self.view(crops))
        return logits
