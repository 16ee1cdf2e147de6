"""Losses of adversarial training, and penalties on the critic's slope."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F

Scores = torch.Tensor
Critic = Callable[[torch.Tensor], Scores]


def relativistic_critic(real: Scores, fake: Scores) -> torch.Tensor:
    """Ask each real sample `(B,)` to score above the fake one it is paired with. Source: arXiv:1807.00734."""
    return F.softplus(fake - real).mean()


def relativistic_generator(real: Scores, fake: Scores) -> torch.Tensor:
    """Ask each fake sample `(B,)` to score above the real one it is paired with."""
    return F.softplus(real - fake).mean()


def hinge_critic(real: Scores, fake: Scores) -> torch.Tensor:
    """Ask for scores above 1 of real samples and below -1 of fake ones. Source: arXiv:1705.02894."""
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()


def hinge_generator(real: Scores, fake: Scores) -> torch.Tensor:
    """Ask for high scores of fake samples; the real ones do not matter."""
    return -fake.mean()


def plain_critic(real: Scores, fake: Scores) -> torch.Tensor:
    """Tell real from fake samples by logistic regression: the non-saturating loss of arXiv:1406.2661."""
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def plain_generator(real: Scores, fake: Scores) -> torch.Tensor:
    """Ask that fake samples pass for real ones."""
    return F.softplus(-fake).mean()


LOSSES = {
    "relativistic": (relativistic_critic, relativistic_generator),
    "hinge": (hinge_critic, hinge_generator),
    "plain": (plain_critic, plain_generator),
}


def squared_slopes(scores: Scores, *images: torch.Tensor) -> torch.Tensor:
    """Return `|d score / d image|**2` `(n, B)` at n sets of images, which can be differentiated itself.

    scores: `(n B,)`, each of its own image alone; images: `(B, C, H, W)`, with gradients on.
    """
    # One pass back for all: the sum's gradient at an image is that of its own score.
    slopes = torch.autograd.grad(scores.sum(), images, create_graph=True)
    return torch.stack([slope.square().sum((1, 2, 3)) for slope in slopes])


def finite_slope(critic: Critic, scores: Scores, images: torch.Tensor, noise: torch.Tensor, step: float) -> Scores:
    """Estimate the squared slope `(B,)` by one difference along `noise`, standard normals: no second derivatives.

    Without bias for small steps, since the mean of `(noise . slope)**2` is `|slope|**2`. After arXiv:2501.08316.
    """
    return ((critic(images + step * noise) - scores) / step).square()
