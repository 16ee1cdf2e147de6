"""Residual networks without normalization, for adversarial training: a generator, and a critic that mirrors it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn

from augsynth.generators.networks import Size, level_sizes

Shape = tuple[int, int, int]
_SLOPE = 0.2
# What a leaky rectifier leaves of a variance is made up for by the weights before it.
_GAIN = math.sqrt(2 / (1 + _SLOPE**2))


def plan(image_shape: Shape, width: int, max_width: int, patch: int) -> list[tuple[Size, int]]:
    """Return size and channels of each stage, the coarsest first; the finest is the image over `patch`, rounded up.

    Sizes are halved until the shorter side is below 8; channels are doubled on the way, up to `max_width`.
    """
    height, length = (-(-side // patch) for side in image_shape[1:])
    sizes = level_sizes(height, length)
    return [(size, min(width << level, max_width)) for level, size in enumerate(sizes)][::-1]


class Generator(nn.Module):
    """Noise `(B, Z)` and encoded conditions `(B, K)` to images `(B, C, H, W)`, values about -1 to 1, not bounded."""

    def __init__(
        self,
        image_shape: Shape,
        conditions: int,
        latent_dim: int,
        stages: Sequence[tuple[Size, int]],
        blocks: int,
        patch: int,
        block: str,
    ) -> None:
        super().__init__()
        self.sides = image_shape[1:]
        self.sizes = [size for size, _ in stages]
        channels = [width for _, width in stages]
        self.embed = nn.Linear(conditions, latent_dim, bias=False)
        self.project = nn.Linear(2 * latent_dim, channels[0], bias=False)
        self.basis = nn.Parameter(torch.randn(channels[0], *self.sizes[0]))
        self.widen = nn.ModuleList(_resized(a, b) for a, b in pairwise(channels))
        self.stages = _stages(channels, blocks, block)
        self.head = nn.Conv2d(channels[-1], image_shape[0] * patch**2, 1 if patch == 1 else 3, padding=int(patch > 1))
        self.shuffle = nn.PixelShuffle(patch)
        _scaled(self.embed, 1.0)
        _scaled(self.project, 1.0)
        _scaled(self.head, 1.0)

    def forward(self, noise: torch.Tensor, conditions: torch.Tensor) -> torch.Tensor:
        x = self.project(torch.cat([noise, self.embed(conditions)], 1))[:, :, None, None] * self.basis
        for number, stage in enumerate(self.stages):
            if number:
                x = self.widen[number - 1](x)
                x = F.interpolate(x, self.sizes[number], mode="bilinear", align_corners=False)
            x = stage(x)
        height, length = self.sides
        image: torch.Tensor = self.shuffle(self.head(x))[:, :, :height, :length]
        return image


class Critic(nn.Module):
    """Images `(B, C, H, W)` and encoded conditions `(B, K)` to scores `(B,)`, by projection (arXiv:1802.05637)."""

    def __init__(
        self,
        image_shape: Shape,
        conditions: int,
        stages: Sequence[tuple[Size, int]],
        blocks: int,
        patch: int,
        block: str,
        embedding: int,
    ) -> None:
        super().__init__()
        self.patch = patch
        self.sizes = [size for size, _ in reversed(stages)]
        channels = [width for _, width in reversed(stages)]
        # Windows of patches overlap, or what a generator does at their borders would go unseen.
        self.stem = nn.Conv2d(image_shape[0], channels[0], 1 if patch == 1 else 2 * patch, patch, patch // 2)
        self.narrow = nn.ModuleList(_resized(a, b) for a, b in pairwise(channels))
        self.stages = _stages(channels, blocks, block)
        self.basis = nn.Conv2d(channels[-1], channels[-1], self.sizes[-1], groups=channels[-1], bias=False)
        self.head = nn.Linear(channels[-1], embedding, bias=False)
        self.embed = nn.Linear(conditions, embedding, bias=False)
        for layer in (self.stem, self.basis, self.head):
            _scaled(layer, 1.0)
        # A score's variance is that of the image's features, whatever the size of the embedding.
        _scaled(self.embed, 1 / math.sqrt(embedding))

    def forward(self, images: torch.Tensor, conditions: torch.Tensor) -> torch.Tensor:
        height, length = (side * self.patch for side in self.sizes[0])
        x = F.pad(images, (0, length - images.shape[3], 0, height - images.shape[2]))
        x = self.stem(x)
        for number, stage in enumerate(self.stages):
            if number:
                x = self.narrow[number - 1](F.avg_pool2d(x, 2, ceil_mode=True, count_include_pad=False))
            x = stage(x)
        features = self.head(self.basis(x).flatten(1))
        scores: torch.Tensor = (features * self.embed(conditions)).sum(1)
        return scores


class Inverted(nn.Module):
    """Widen, convolve in groups of 16 channels, narrow: few weights for the width. After arXiv:2501.05441."""

    def __init__(self, channels: int, depth: int) -> None:
        super().__init__()
        inner = 2 * channels
        groups = inner // 16 if inner % 16 == 0 else 1
        self.first = nn.Conv2d(channels, inner, 1, bias=False)
        self.second = nn.Conv2d(inner, inner, 3, padding=1, groups=groups, bias=False)
        self.third = nn.Conv2d(inner, channels, 1, bias=False)
        self.biases = nn.ParameterList(nn.Parameter(torch.zeros(inner, 1, 1)) for _ in range(2))
        # Of three layers the last starts at zero, and the other two share the fixed-update scale (arXiv:1901.09321).
        _scaled(self.first, _GAIN * depth**-0.25)
        _scaled(self.second, _GAIN * depth**-0.25)
        nn.init.zeros_(self.third.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        inner = F.leaky_relu(self.first(x) + self.biases[0], _SLOPE)
        inner = F.leaky_relu(self.second(inner) + self.biases[1], _SLOPE)
        result: torch.Tensor = x + self.third(inner)
        return result


class Plain(nn.Module):
    """Two whole convolutions: more weights, and at widths below 32 the fastest on a CPU."""

    def __init__(self, channels: int, depth: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        _scaled(self.first, _GAIN * depth**-0.5)
        nn.init.zeros_(self.second.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = x + self.second(F.leaky_relu(self.first(x), _SLOPE))
        return result


BLOCKS = {"inverted": Inverted, "plain": Plain}


def _stages(channels: Sequence[int], blocks: int, block: str) -> nn.ModuleList:
    depth = blocks * len(channels)
    return nn.ModuleList(nn.Sequential(*(BLOCKS[block](width, depth) for _ in range(blocks))) for width in channels)


def _resized(inputs: int, outputs: int) -> nn.Module:
    """Bring features to another width, by nothing where it is the same."""
    if inputs == outputs:
        return nn.Identity()
    layer = nn.Conv2d(inputs, outputs, 1, bias=False)
    _scaled(layer, 1.0)
    return layer


def _scaled(layer: nn.Module, gain: float) -> None:
    """Draw a layer's weights so that it multiplies the standard deviation of its input by `gain`."""
    weight = layer.weight
    assert isinstance(weight, torch.Tensor)
    nn.init.normal_(weight, std=gain / math.sqrt(weight[0].numel()))
    bias = getattr(layer, "bias", None)
    if bias is not None:
        nn.init.zeros_(bias)
