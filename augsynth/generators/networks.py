"""The encoder and the decoder of the conditional VAE, for any channel count and any size from 8 x 8."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

Size = tuple[int, int]
_SLOPE = 0.1
_LABEL_DIM = 16


def level_sizes(height: int, width: int) -> list[Size]:
    """Return the sizes from the image down, halved and rounded up until the shorter side is below 8."""
    sizes = [(height, width)]
    while min(sizes[-1]) >= 8:
        sizes.append(((sizes[-1][0] + 1) // 2, (sizes[-1][1] + 1) // 2))
    return sizes


def level_channels(levels: int, width: int) -> list[int]:
    """Return the channels of each level below the image: doubled at each, at most 8 x width."""
    return [width * min(2**level, 8) for level in range(levels)]


def _normalize(channels: int) -> nn.Module:
    # GroupNorm, unlike BatchNorm, keeps a sample independent of its batch; without a norm training takes twice as long.
    return nn.GroupNorm(4, channels)


class Encoder(nn.Module):
    """Images `(B, C, H, W)` in [0, 1] and labels `(B,)` to mean and log variance of the latent, `(B, Z)` each."""

    def __init__(self, image_shape: tuple[int, int, int], num_classes: int, latent_dim: int, width: int) -> None:
        super().__init__()
        sizes = level_sizes(*image_shape[1:])[1:]
        channels = level_channels(len(sizes), width)
        inputs = [image_shape[0], *channels[:-1]]
        self.convs = nn.ModuleList(
            nn.Sequential(nn.Conv2d(i, o, 3, stride=2, padding=1), _normalize(o), nn.LeakyReLU(_SLOPE))
            for i, o in zip(inputs, channels, strict=True)
        )
        self.embed = nn.Embedding(num_classes, _LABEL_DIM)
        features = channels[-1] * sizes[-1][0] * sizes[-1][1]
        self.head = nn.Linear(features + _LABEL_DIM, 2 * latent_dim)

    def forward(self, images: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = images
        for conv in self.convs:
            x = conv(x)
        mean, log_variance = self.head(torch.cat([x.flatten(1), self.embed(labels)], 1)).chunk(2, 1)
        return mean, log_variance.clamp(-8, 8)


class Decoder(nn.Module):
    """Latents `(B, Z)` and labels `(B,)` to images `(B, C, H, W)` in [0, 1].

    A class has its own coarse map, to which the latent adds: the label is never one weak input among many. The last
    doubling is a pixel shuffle, which spares all but one narrow convolution at full size.
    """

    def __init__(self, image_shape: tuple[int, int, int], num_classes: int, latent_dim: int, width: int) -> None:
        super().__init__()
        self.image_shape = image_shape
        self.sizes = level_sizes(*image_shape[1:])[:0:-1]
        channels = level_channels(len(self.sizes), width)[::-1]
        self.start = (channels[0], *self.sizes[0])
        features = channels[0] * self.sizes[0][0] * self.sizes[0][1]
        self.latent = nn.Linear(latent_dim, features)
        self.embed = nn.Embedding(num_classes, features)
        nn.init.normal_(self.embed.weight, std=0.5)
        self.first = nn.Sequential(_normalize(channels[0]), nn.LeakyReLU(_SLOPE))
        self.convs = nn.ModuleList(
            nn.Sequential(nn.Conv2d(i, o, 3, padding=1), _normalize(o), nn.LeakyReLU(_SLOPE))
            for i, o in zip([channels[0], *channels[:-1]], channels, strict=True)
        )
        self.shuffle = nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.PixelShuffle(2), nn.LeakyReLU(_SLOPE))
        self.head = nn.Conv2d(width // 4, image_shape[0], 3, padding=1)

    def forward(self, latents: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        x = self.first((self.latent(latents) + self.embed(labels)).view(-1, *self.start))
        for size, conv in zip(self.sizes, self.convs, strict=True):
            if x.shape[2:] != size:
                x = F.interpolate(x, size=size, mode="bilinear", align_corners=False)
            x = conv(x)
        height, width = self.image_shape[1:]
        return torch.sigmoid(self.head(self.shuffle(x))[:, :, :height, :width])
