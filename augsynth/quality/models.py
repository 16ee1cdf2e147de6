"""The classifier that judges: a small default network, and the check of a user's own."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

ModelFactory = Callable[..., nn.Module]


class SmallCNN(nn.Sequential):
    """Three convolutions and a linear layer: trains in seconds on two cores, for images of 12 pixels and more.

    num_classes, in_channels: of the data. width: channels of the first layer, doubled twice.
    Maps `(B, in_channels, H, W)` to logits `(B, num_classes)`.
    """

    def __init__(self, num_classes: int, in_channels: int = 3, width: int = 16) -> None:
        channels = (width, 2 * width, 4 * width)
        super().__init__(
            *_block(in_channels, channels[0], kernel=5, stride=2),
            *_block(channels[0], channels[1]),
            nn.MaxPool2d(2),
            *_block(channels[1], channels[2]),
            nn.MaxPool2d(2),
            # Nine positions, not one: what a garment is shows in where its edges are.
            nn.AdaptiveAvgPool2d(3),
            nn.Flatten(),
            nn.Linear(9 * channels[2], num_classes),
        )


def _block(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> tuple[nn.Module, ...]:
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)
    return convolution, nn.BatchNorm2d(outputs), nn.ReLU()


@contextmanager
def seeded(seed: int, device: torch.device | None = None) -> Iterator[None]:
    """Seed torch's global generators inside the block (weights, dropout) and restore their states afterwards."""
    cuda = [device] if device is not None and device.type == "cuda" else []
    with torch.random.fork_rng(devices=cuda):
        torch.manual_seed(seed)
        yield


def make_model(factory: ModelFactory, num_classes: int, image_shape: tuple[int, int, int], seed: int) -> nn.Module:
    """Build a network with seeded weights and check that it maps images to `(B, num_classes)`.

    factory: called with those of num_classes and in_channels that its signature accepts.
    image_shape: (C, H, W). Raises: TypeError or ValueError that name the network and the shape it gave.
    """
    name = str(getattr(getattr(factory, "func", factory), "__qualname__", type(factory).__name__))
    offered = {"num_classes": num_classes, "in_channels": image_shape[0]}
    with seeded(seed):
        model = factory(**accepted(factory, offered))
        if not isinstance(model, nn.Module):
            raise TypeError(f"model {name} must be a torch.nn.Module, got {type(model).__name__}")
        # Inside the block, because lazy layers draw their weights at the first forward pass.
        _check_output(model, name, num_classes, image_shape)
    return model


def accepted(factory: Callable[..., Any], offered: dict[str, Any]) -> dict[str, Any]:
    """Keep those of `offered` that `factory` takes by name and was not given already.

    Of a factory with `**kwargs` (torchvision's models) only num_classes is expected to arrive where it belongs.
    """
    parameters = inspect.signature(factory).parameters
    named = {key for key, value in parameters.items() if value.kind is not inspect.Parameter.VAR_POSITIONAL}
    if any(value.kind is inspect.Parameter.VAR_KEYWORD for value in parameters.values()):
        named.add("num_classes")
    given = getattr(factory, "keywords", {})
    return {key: value for key, value in offered.items() if key in named and key not in given}


@torch.no_grad()
def _check_output(model: nn.Module, name: str, num_classes: int, image_shape: tuple[int, int, int]) -> None:
    training = model.training
    try:
        output = model.eval()(torch.zeros(2, *image_shape))
    except (RuntimeError, ValueError, TypeError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ValueError(f"model {name} fails on a batch of shape {(2, *image_shape)}: {reason}") from error
    model.train(training)
    if not isinstance(output, torch.Tensor):
        raise TypeError(f"model {name} must return a tensor of logits (B, {num_classes}), got {type(output).__name__}")
    if tuple(output.shape) != (2, num_classes):
        raise ValueError(
            f"model {name} gives shape {tuple(output.shape)} for 2 images, but this data has {num_classes} classes: "
            f"it must give (2, {num_classes})"
        )
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise ValueError(f"model {name} has no parameters to train")
