"""One round of adversarial training: the critic learns on its own real batch, then the generator on another."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from augsynth.generators.losses import LOSSES, finite_slope, squared_slopes
from augsynth.generators.samples import ORDER, Samples
from augsynth.generators.variety import Health, variety
from augsynth.rng import Rng

if TYPE_CHECKING:
    from augsynth.generators.gan import ConditionalGAN

Figures = dict[str, torch.Tensor]
Part = tuple[torch.Tensor, torch.Tensor, torch.Tensor]  # images in [0, 1], labels, attributes
Backward = Callable[[torch.Tensor], None]
# The places of augmentation in a round: of real and fake images, for critic and generator.
_REAL_CRITIC, _FAKE_CRITIC, _REAL_GENERATOR, _FAKE_GENERATOR = range(4)
# Step of the finite difference, in units of pixel values that go from -1 to 1.
_STEP = 0.01
# Rounds between two readings of the sign statistic: each reading waits for the device.
_ADAPT_EVERY = 4


def cosine(ends: tuple[float, float], share: float, burn_in: float) -> float:
    """Go from one end to the other by half a cosine while `share` goes from 0 to `burn_in`, then stay."""
    turn = min(share / burn_in, 1.0) if burn_in else 1.0
    return ends[1] + (ends[0] - ends[1]) * (0.5 + 0.5 * math.cos(math.pi * turn))


class Round:
    """Losses and updates of one pair of batches; weights and settings are those of `gan`.

    optimizers: of the generator and of the critic. backward: called with a loss.
    """

    def __init__(self, gan: ConditionalGAN, optimizers: tuple[Any, Any], backward: Backward) -> None:
        self.gan, self.settings, self.optimizers, self.backward = gan, gan.hparams, optimizers, backward
        self.losses = LOSSES[gan.hparams["loss"]]
        # Kept beside the module and not in it, where its weights would stand twice.
        self.make = torch.compile(gan.net) if gan.hparams["compile"] else gan.net
        self.strength = 0.0
        self._signs: list[torch.Tensor] = []

    def __call__(self, mine: Part, other: Part, seen: int, share: float, seed: int) -> Figures:
        """Update critic and generator and their average. mine, other: real batches of critic and generator.

        seen: images before this round, the key of all that is random. share: of the training that is done.
        """
        burn_in = self.settings["burn_in"]
        self._set_optimizers(share, burn_in)
        if self.settings["augment_strength"] != "adaptive":
            self.strength = cosine((0.0, self.settings["augment_strength"]), share, burn_in)
        rng = Rng.of(seed, np.arange(len(mine[1])) + seen)
        figures = self._criticize(mine, rng, cosine(self.settings["gamma"], share, burn_in))
        figures |= self._generate(other, rng)
        self._average(seen, len(mine[1]))
        if self.settings["augment_strength"] == "adaptive":
            self._adapt(figures["sign"], len(mine[1]))
        return figures

    def _criticize(self, part: Part, rng: Rng, gamma: float) -> Figures:
        real, conditions = self._placed(part)
        with torch.no_grad(), self._precision():
            fake = self._fakes(rng, "critic noise", conditions)
        if gamma:
            real, fake = real.requires_grad_(True), fake.requires_grad_(True)
        both = torch.cat([conditions, conditions])
        with self._precision():
            shown = [self._augmented(real, rng, _REAL_CRITIC), self._augmented(fake, rng, _FAKE_CRITIC)]
            scores = self.gan.critic_net(torch.cat(shown), both).float()
            above, below = scores.chunk(2)
            loss = self.losses[0](above, below)
            slopes = self._slopes(scores, real, fake, shown, both, rng) if gamma else scores.new_zeros(2, 1)
        self._update(1, loss + gamma / 2 * slopes.mean(1).sum())
        r1, r2 = slopes.detach().mean(1)
        sign = (above - below if self.settings["loss"] == "relativistic" else above).detach().sign().mean()
        return {"loss": loss.detach(), "r1": r1, "r2": r2, "sign": sign}

    def _generate(self, part: Part, rng: Rng) -> Figures:
        real, conditions = self._placed(part)
        with self._precision(), _frozen(self.gan.critic_net):
            fake = self._fakes(rng, "generator noise", conditions)
            shown = torch.cat(
                [self._augmented(real, rng, _REAL_GENERATOR), self._augmented(fake, rng, _FAKE_GENERATOR)]
            )
            above, below = self.gan.critic_net(shown, torch.cat([conditions, conditions])).float().chunk(2)
            loss = self.losses[1](above, below)
            self._update(0, loss)
        return {"generator": loss.detach(), "outside": (fake.detach().abs() > 1).float().mean()}

    def _slopes(
        self,
        scores: torch.Tensor,
        real: torch.Tensor,
        fake: torch.Tensor,
        shown: list[torch.Tensor],
        conditions: torch.Tensor,
        rng: Rng,
    ) -> torch.Tensor:
        """Return the squared slopes `(2, B)` at real and at fake images."""
        if self.settings["penalty"] == "exact":
            return squared_slopes(scores, real, fake)  # at the images before their augmentation
        images = torch.cat(shown).detach()
        noise = torch.cat([self._noise(rng, name, images[0].numel()) for name in ("r1", "r2")]).view_as(images)
        moved = finite_slope(lambda x: self.gan.critic_net(x, conditions).float(), scores, images, noise, _STEP)
        return moved.view(2, -1)

    def _fakes(self, rng: Rng, slot: str, conditions: torch.Tensor) -> torch.Tensor:
        images: torch.Tensor = self.make(self._noise(rng, slot, self.settings["latent_dim"]), conditions)
        return images.float()

    def _noise(self, rng: Rng, slot: str, size: int) -> torch.Tensor:
        return torch.from_numpy(rng.normal(slot, size)).to(self.gan.device, torch.float32)

    def _placed(self, part: Part) -> tuple[torch.Tensor, torch.Tensor]:
        images, labels, attributes = part
        images = (2 * images - 1).contiguous(memory_format=torch.channels_last)
        return images, self.gan.conditions.encode(labels, attributes)

    def _augmented(self, images: torch.Tensor, rng: Rng, place: int) -> torch.Tensor:
        if self.gan.pipeline is None or not self.strength:
            return images
        keys = Rng.of(rng.seed, rng.index, place)
        augmented = self.gan.pipeline.images(images, keys, self.strength)
        assert isinstance(augmented, torch.Tensor)
        return augmented

    def _precision(self) -> torch.autocast:
        device = self.gan.device.type
        wanted = self.settings["precision"]
        half = wanted == "bfloat16" or (wanted == "auto" and device == "cuda")
        return torch.autocast(device, torch.bfloat16, enabled=half)

    def _set_optimizers(self, share: float, burn_in: float) -> None:
        rate, beta = (cosine(self.settings[name], share, burn_in) for name in ("lr", "beta2"))
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"], group["betas"] = rate, (0.0, beta)

    def _update(self, number: int, loss: torch.Tensor) -> None:
        optimizer = self.optimizers[number]
        optimizer.zero_grad()
        self.backward(loss)
        optimizer.step()

    @torch.no_grad()
    def _average(self, seen: int, count: int) -> None:
        """Move the average toward the weights; its half-life is a share of the images seen, so it starts as a copy."""
        half_life = self.settings["ema_share"] * seen
        keep = 0.5 ** (count / half_life) if half_life else 0.0
        averages, weights = list(self.gan.average.parameters()), list(self.gan.net.parameters())
        torch._foreach_lerp_(averages, weights, 1 - keep)

    def _adapt(self, sign: torch.Tensor, count: int) -> None:
        """Raise the strength where the critic is too sure of real images, else lower it. Source: arXiv:2006.06676."""
        self._signs.append(sign)
        if len(self._signs) < _ADAPT_EVERY:
            return
        mean = float(torch.stack(self._signs).mean())
        self._signs.clear()
        step = count * _ADAPT_EVERY / self.settings["adapt_images"]
        self.strength = min(max(self.strength + math.copysign(step, mean - self.settings["adapt_target"]), 0.0), 1.0)


class GanTraining:
    """What trains a `ConditionalGAN` inside `fit`."""

    def __init__(self, gan: ConditionalGAN, samples: Samples, seed: int) -> None:
        self.gan, self.samples, self.seed = gan, samples, seed
        self.optimizers = gan.new_optimizers()
        self.round = Round(gan, self.optimizers, lambda loss: loss.backward())  # type: ignore[no-untyped-call]
        self.health = Health()
        gan.remember(samples.labels, samples.attributes)

    def step(self, seen: int, count: int, share: float) -> Mapping[str, torch.Tensor]:
        """Show `count` images to the critic, and as many others to the generator."""
        device = self.gan.device
        mine, other = (self.samples.batch(seen, count, device, name) for name in (ORDER, "fit order generator"))
        figures = self.round(mine, other, seen, share, self.seed)
        self.gan.images_seen.fill_(seen + count)
        return figures

    def sick(self, figures: Mapping[str, float], seen: int, share: float) -> str | None:
        """Say what has gone wrong: not a number, samples of a class all alike, or slopes far apart."""
        return self.health.verdict(figures, variety(self.gan, self.samples), share)

    def finish(self) -> None:
        """Nothing is left to do."""

    def state(self) -> dict[str, Any]:
        """Return optimisers, strength of the augmentation, and what the watch over the training remembers."""
        return {
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "strength": self.round.strength,
            "signs": [float(sign) for sign in self.round._signs],
            "strikes": self.health.strikes,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take what `state` gave."""
        for optimizer, content in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(content)
        self.round.strength = state["strength"]
        self.round._signs = [torch.tensor(sign, device=self.gan.device) for sign in state["signs"]]
        self.health.strikes = state["strikes"]


@contextmanager
def _frozen(module: torch.nn.Module) -> Iterator[None]:
    """Let gradients pass through a module without being kept for its weights."""
    module.requires_grad_(False)
    try:
        yield
    finally:
        module.requires_grad_(True)
