"""A compact 68-point heat-map network of FAN's design: an hourglass of hierarchical, parallel, multi-scale blocks.

Bulat & Tzimiropoulos, "How far are we from solving the 2D & 3D face alignment problem?", ICCV 2017; the block:
"Binarized convolutional landmark localizers", ICCV 2017. Where theirs stacks four hourglasses over 64×64 maps, this one
has one over 32×32, few and wide convolutions that a CPU runs in some milliseconds, and reads its maps below a cell.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from spiralage.networks.initialise import initialise
from spiralage.networks.views import shrink
from spiralage.types import CROP_SIZE

POINTS = 68
SIDE = 128
"""Of what the convolutions see, pixels: the crop, each pixel the mean of four."""
CELLS = 32
"""A side of the heat maps."""
CELL = CROP_SIZE / CELLS
"""Crop pixels a cell."""
DEPTH = 3
"""How often the hourglass halves its maps: 32, 16, 8, 4."""
BLUR = 1.0
"""Standard deviation of the heat maps' targets, cells."""
SHARPEST = 0.05
"""The least spread that is told, cells."""


class ScaleBlock(nn.Module):
    """Three 3×3 convolutions in a row, to 1/2, 1/4 and 1/4 of the channels; x + their answers side by side.

    FAN normalises before each convolution. Here it is done after, where it can be folded into the convolution.

    Args:
        channels: in and out, a multiple of 4.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        half, quarter = channels // 2, channels // 4
        self.wide = _normed(channels, half, 3)
        self.middle = _normed(half, quarter, 3)
        self.narrow = _normed(quarter, quarter, 3)

    def forward(self, x: Tensor) -> Tensor:
        wide = self.wide(x)
        middle = self.middle(torch.relu(wide))
        narrow = self.narrow(torch.relu(middle))
        return torch.relu(x + torch.cat([wide, middle, narrow], dim=1))


def _normed(inputs: int, outputs: int, side: int, stride: int = 1) -> nn.Sequential:
    conv = nn.Conv2d(inputs, outputs, side, stride, padding=(side - 1) // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs))


class Hourglass(nn.Module):
    """Maps at full, half, … resolution, coarser ones within finer ones; channels and size are kept.

    Args:
        channels: of all maps.
        depth: how often they are halved.
    """

    def __init__(self, channels: int, depth: int) -> None:
        super().__init__()
        self.beside, self.before, self.after = (ScaleBlock(channels) for _ in range(3))
        self.within: nn.Module = Hourglass(channels, depth - 1) if depth > 1 else ScaleBlock(channels)

    def forward(self, x: Tensor) -> Tensor:
        coarse = self.after(self.within(self.before(F.max_pool2d(x, 2))))
        whole: Tensor = self.beside(x) + F.interpolate(coarse, scale_factor=2.0, mode="nearest")
        return whole


class LandmarkNetwork(nn.Module):
    """Crops of faces in, 68 points and how sure each is out.

    Shrinking, normalising and reading the heat maps are part of the network, so training and the exported ONNX file
    can't disagree on them.

    A softmax makes each map a distribution over its cells. The point is its mean (integral regression, Sun et al.
    2018), the spread its standard deviation less the targets' blur: one map tells both, so that a point that may be in
    two places has a wide spread, and no second head can be sure where the map isn't. Cross-entropy, a proper score,
    keeps it honest.

    Args:
        width: channels, a multiple of 4.
        stacks: hourglasses, one after the other; each but the first sees what the one before said.
    """

    MEAN, STD = 0.5, 0.25
    """Of pictures in [0, 1]."""
    along: Tensor

    def __init__(self, width: int = 96, stacks: int = 1) -> None:
        super().__init__()
        first = max(8, width // 3)
        self.stem = nn.Sequential(
            _normed(3, first, 5, 2), nn.ReLU(), _normed(first, width, 3, 2), nn.ReLU(), ScaleBlock(width)
        )
        self.hourglasses = nn.ModuleList(
            nn.Sequential(Hourglass(width, DEPTH), ScaleBlock(width)) for _ in range(stacks)
        )
        self.heads = nn.ModuleList(nn.Conv2d(width, POINTS, 1) for _ in range(stacks))
        self.returns = nn.ModuleList(nn.Conv2d(width + POINTS, width, 1) for _ in range(stacks - 1))
        self.register_buffer("along", cells_along(), persistent=False)
        initialise(self)
        for head in self.heads:
            nn.init.normal_(head.weight, std=0.01)  # type: ignore[arg-type]  # every map starts flat

    def pictures(self, crops: Tensor) -> Tensor:
        """(N, 256, 256, 3) uint8 RGB → (N, 3, 128, 128) float32 in [0, 1]."""
        return shrink(crops.permute(0, 3, 1, 2).float() / 255, SIDE)

    def maps(self, pictures: Tensor) -> list[Tensor]:
        """(N, 3, 128, 128) float in [0, 1] → each hourglass's heat maps, (N, 68, 1024) float32: log of shares."""
        x = self.stem((pictures - self.MEAN) / self.STD)
        found = []
        for index, hourglass in enumerate(self.hourglasses):
            features = hourglass(x)
            logits = self.heads[index](features)
            found.append(F.log_softmax(logits.flatten(2).float(), dim=-1))
            if index < len(self.returns):
                x = x + self.returns[index](torch.cat([features, logits], dim=1))
        return found

    def read(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """Heat maps, (N, 68, 1024) logarithms of shares → points, (N, 68, 2), and spreads, (N, 68), see ``forward``."""
        shares = maps.exp().reshape(-1, POINTS, CELLS, CELLS)
        sides = torch.stack([shares.sum(dim=-2), shares.sum(dim=-1)], dim=-2)  # over x and over y: (N, 68, 2, 32)
        # Sums, not a matrix product: that would be of bfloat16 in training, which tells no places below a cell.
        mean = (sides * self.along).sum(dim=-1)
        variance = ((sides * self.along.square()).sum(dim=-1) - mean.square()).mean(dim=-1) - BLUR**2
        spreads = variance.clamp(min=SHARPEST**2).sqrt()
        return mean * CELL + (CROP_SIZE - 1) / 2, spreads * CELL

    def forward(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        """Where the 68 points are.

        Args:
            crops: (N, 256, 256, 3) uint8 RGB, see ``faces.heatmap`` for what of a face they show.

        Returns:
            The points, (N, 68, 2) float32, (x, y) in crop pixels, and the spread of each, (N, 68) float32, its standard
            deviation along either axis (the root of their mean square) in crop pixels.
        """
        return self.read(self.maps(self.pictures(crops))[-1])

    def losses(self, pictures: Tensor, points: Tensor) -> dict[str, Tensor]:
        """What all hourglasses lose on points that lie in the crop, each loss the mean over them.

        Args:
            pictures: (N, 3, 128, 128) float in [0, 1].
            points: the true ones, (N, 68, 2) float32, (x, y) in crop pixels.

        Returns:
            "maps", the cross-entropy to a Gaussian of ``BLUR`` cells round the point, in nats above the least that it
            can be, and "points", the distance of the point, in cells.
        """
        places = (points - (CROP_SIZE - 1) / 2) / CELL  # in cells from the middle
        counted = (places.abs() <= CELLS / 2).all(dim=-1).float()  # (N, 68)
        counted = counted / counted.sum().clamp(min=1)
        targets = gaussians(places, self.along)
        least = -(targets * targets.clamp(min=1e-12).log()).sum(dim=-1)
        found: dict[str, Tensor] = {"maps": points.new_zeros(()), "points": points.new_zeros(())}
        for maps in self.maps(pictures):
            entropy = -(targets * maps).sum(dim=-1) - least
            distance = torch.linalg.vector_norm(self.read(maps)[0] - points, dim=-1) / CELL
            found["maps"] = found["maps"] + (entropy * counted).sum()
            found["points"] = found["points"] + (distance * counted).sum()
        return found


def cells_along() -> Tensor:
    """Where the cells of a side are, in cells from the middle, (32,) float32."""
    return torch.arange(CELLS) - (CELLS - 1) / 2


def gaussians(places: Tensor, along: Tensor) -> Tensor:
    """Round each place a Gaussian of ``BLUR`` cells, its sum over the cells 1.

    Args:
        places: (…, 2), (x, y) in cells.
        along: (S,), where the cells of a side are.

    Returns:
        (…, S·S), row after row.

    Example:
        >>> gaussians(torch.tensor([0.0, 9.0]), torch.tensor([-1.0, 0.0, 1.0]))[6:].round(decimals=2).tolist()
        [0.27000001072883606, 0.44999998807907104, 0.27000001072883606]
    """
    sides = torch.softmax((places[..., None] - along).square() / (-2 * BLUR**2), dim=-1)  # (…, 2, S)
    return (sides[..., 1, :, None] * sides[..., 0, None, :]).flatten(-2)


def multiplications(network: LandmarkNetwork) -> int:
    """The multiplications of the convolutions for one face; twice as many operations, since each is added too.

    Example:
        >>> round(multiplications(LandmarkNetwork()) / 1e6)
        277
    """
    total = 0

    def count(module: nn.Module, _: object, output: Tensor) -> None:
        nonlocal total
        total += module.weight[0].numel() * math.prod(output.shape[1:])  # type: ignore[index]

    hooks = [module.register_forward_hook(count) for module in network.modules() if isinstance(module, nn.Conv2d)]
    training = network.training
    with torch.no_grad():
        network.eval().maps(torch.zeros(1, 3, SIDE, SIDE))
    network.train(training)
    for hook in hooks:
        hook.remove()
    return total
