"""The torch engine is differentiable in the pixels: numerical gradients in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

from augsynth import Pipeline
from augsynth import transforms as T
from augsynth.engines.torch import warp

GEOMETRY = {
    "flip": [T.RandomHorizontalFlip(1.0), T.RandomVerticalFlip(1.0)],
    "turn": [T.RandomRotation((30, 30), "bilinear", fill=0.3)],
    "bicubic": [T.RandomRotation((30, 30), "bicubic", fill=0.5)],
    "nearest": [T.RandomAffine((20, 20), scale=(1.3, 1.3))],
    "reflect": [T.Pad(2, padding_mode="reflect"), T.RandomAffine((20, 20), scale=(1.2, 1.2))],
    "crop": [T.RandomResizedCrop((4, 5), (0.3, 0.6))],
    "shrink": [T.Resize((3, 4))],
    "shrink and turn": [T.Resize((3, 3)), T.RandomRotation((40, 40), "bilinear")],
    "erase": [T.RandomErasing(1.0, value=0.2)],
}
COLOR = {
    "all": [T.ColorJitter(0.3, 0.3, 0.3, 0.1)],
    "contrast": [T.ColorJitter(contrast=(0.5, 0.6))],
    "hue": [T.ColorJitter(hue=(0.2, 0.2))],
    "gray": [T.RandomGrayscale(1.0)],
    "after a warp": [T.RandomRotation((20, 20), "bilinear"), T.ColorJitter(0.3, 0.3, 0.3), T.Normalize((0.5,), (0.3,))],
}


def pixels(channels=3):
    values = np.random.default_rng(0).uniform(0.25, 0.75, (1, channels, 6, 7))
    return torch.from_numpy(values).requires_grad_()


def render(steps, **arguments):
    pipeline = Pipeline(steps, seed=1, engine="torch", **arguments)
    return lambda x: pipeline(x, index=[3])


@pytest.mark.parametrize("name", GEOMETRY)
def test_geometry_has_the_right_gradient(name):
    assert gradcheck(render(GEOMETRY[name]), pixels(2))


@pytest.mark.parametrize("color", ["exact", "linear"])
@pytest.mark.parametrize("name", [name for name in COLOR if name != "after a warp"])
def test_color_has_the_right_gradient(name, color):
    assert gradcheck(render(COLOR[name], color=color), pixels())


@pytest.mark.parametrize("color", ["exact", "linear"])
def test_a_whole_pipeline_passes_gradients_to_every_pixel_it_shows(color):
    x = pixels()
    render(COLOR["after a warp"], color=color)(x).sum().backward()
    assert x.grad.shape == x.shape
    assert (x.grad.abs() > 0).double().mean() > 0.8


@pytest.mark.parametrize("mode", ["constant", "edge", "reflect", "symmetric"])
@pytest.mark.parametrize("kind", [1, 2])
def test_the_warp_can_be_differentiated_twice(mode, kind):
    matrix = np.array([[[0.8, -0.5, 1.2], [0.4, 0.9, -1.1], [0.0, 0.0, 1.0]]])
    bounds, fill = np.array([[0, 0, 6, 7]]), np.full(2, 0.3)
    assert gradgradcheck(lambda x: warp(x, matrix, (5, 4), bounds, mode, fill, kind).square(), pixels(2))


def test_a_batch_of_mixed_operations_keeps_every_gradient():
    pipeline = Pipeline([T.RandomHorizontalFlip(), T.RandomRotation(30, "bilinear"), T.ColorJitter(0.2, 0.2)], seed=1)
    x = pixels().detach().repeat(6, 1, 1, 1).requires_grad_()
    pipeline(x, index=range(6)).sum().backward()
    assert (x.grad.flatten(1).abs().sum(1) > 0).all()
