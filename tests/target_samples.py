"""What the tests of targets share: pictures, masks, boxes, chains of moves, and maps that no transform draws."""

from __future__ import annotations

import numpy as np
import torch

from augsynth import Pipeline
from augsynth import transforms as T
from augsynth.transforms.base import Border, Geometric

SIZE = (61, 80)
IMAGE = torch.zeros(3, *SIZE, dtype=torch.uint8)
LEVELS = np.random.default_rng(1).integers(0, 100, SIZE)
MASK = torch.from_numpy(LEVELS)
BOX = torch.tensor([[1.0, 2, 30, 40]])
FLIP_X = T.RandomHorizontalFlip(1.0)
FLIP = Pipeline([FLIP_X])
CHAINS = {
    "crop-turn-jitter-flip": [
        T.RandomResizedCrop((48, 56), scale=(0.5, 1.0)),
        T.RandomRotation(40, "bilinear"),
        T.ColorJitter(0.1),
        T.RandomHorizontalFlip(),
    ],
    "pad-perspective-resize": [T.Pad(7), T.RandomPerspective(0.4, 1.0), T.Resize((40, 52)), T.RandomVerticalFlip()],
    "turn-blur-affine": [
        T.RandomRotation((80, 100), "bilinear", expand=True),
        T.GaussianBlur(3),
        T.RandomAffine(20, (0.1, 0.1), (0.8, 1.2), 8, "bilinear"),
        T.CenterCrop(50),
    ],
}


class Warp(Geometric):
    """A homography without parameters: its matrix from output to input, what lies outside, and the output's size."""

    def __init__(self, matrix, mode=None, size=None):
        object.__setattr__(self, "_matrix", np.array(matrix, np.float64))
        object.__setattr__(self, "mode", mode)
        object.__setattr__(self, "size", size)

    border = property(lambda self: Border(self.mode) if self.mode else None)

    def _fields(self):
        return ()

    def matrix(self, params, sizes):
        return np.broadcast_to(self._matrix, (len(sizes), 3, 3))

    def output_size(self, params, sizes):
        return sizes if self.size is None else np.broadcast_to(np.array(self.size, float), sizes.shape)


def window(left, top, right, bottom):
    """Cut a window out, given by its edges."""
    return Warp([[1, 0, left], [0, 1, top], [0, 0, 1]], size=(bottom - top, right - left))


def detection(n=6):
    """Return samples whose boxes differ in number, some of them without any."""
    return [
        {
            "image": torch.full((3, *SIZE), i, dtype=torch.uint8),
            "mask": np.full(SIZE, i, np.uint8),
            "boxes": torch.tensor([[5.0 * k, 3, 5 * k + 9, 20] for k in range(i % 4)]).reshape(-1, 4),
            "labels": torch.arange(i % 4),
            "keypoints": torch.ones(17, 3),
            "name": f"image {i}",
        }
        for i in range(n)
    ]
