"""A conditional generative adversarial network that trains stably on small data."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from augsynth.generators.adversarial import GanTraining, Part, Round
from augsynth.generators.base import ImageGenerator
from augsynth.generators.conditions import Conditions
from augsynth.generators.keyed import CHUNK
from augsynth.generators.losses import LOSSES
from augsynth.generators.residual import BLOCKS, Critic, Generator, plan
from augsynth.generators.samples import Samples
from augsynth.pipeline import Pipeline
from augsynth.rng import Rng

Pair = float | Sequence[float]
# Rows of attributes that are kept, to draw from where a caller gives none.
_BANK = 4096
_CHOICES = {
    "loss": tuple(LOSSES),
    "penalty": ("exact", "fd"),
    "block": tuple(BLOCKS),
    "precision": ("auto", "float32", "bfloat16"),
}
_STEPS = ("flip", "translation", "cutout", "color")


class ConditionalGAN(ImageGenerator):
    """A GAN conditional on the class label: the recipe of R3GAN (arXiv:2501.05441) in networks of any size.

    image_shape: (C, H, W), any C, H and W from 8. num_classes: labels are 0 to num_classes - 1; 1 for none at all.
    attributes: name -> number of categories, or (low, high) of a number: further entries of the samples, which are
    dicts then. latent_dim: size of the noise. width, max_width: channels of the finest stage and of the widest one.
    blocks: residual blocks of a stage, "inverted" (grouped, for wide ones) or "plain" (block). patch: the finest stage
    is the image over `patch`. loss: "relativistic", "hinge" (with spectral normalization) or "plain".
    penalty: of the critic's slope at real and fake images, weighted gamma / 2; "exact", or "fd" by differences.
    lr, beta2, gamma: a number, or (start, end) over the first `burn_in` of the images. ema_share: half-life of the
    averaged weights, which make the samples, as a share of the images seen.
    augment: what real and generated images pass before the critic sees them: flip, translation, cutout, color.
    augment_strength: 0 to 1, or "adaptive": so that the critic's sign on real images stays at adapt_target, from 0 to 1
    in adapt_images at most. precision: "auto" is bfloat16 on CUDA. compile: the generator, by torch.compile.
    Train with `augsynth.generators.fit`, or with a Lightning Trainer on batches (images, labels).
    """

    images_seen: torch.Tensor

    def __init__(
        self,
        image_shape: Sequence[int],
        num_classes: int,
        *,
        attributes: Mapping[str, Any] | None = None,
        latent_dim: int = 64,
        width: int = 24,
        max_width: int = 48,
        blocks: int = 1,
        block: str = "plain",
        patch: int = 2,
        loss: str = "relativistic",
        penalty: str = "exact",
        gamma: Pair = 10.0,
        lr: Pair = (2e-3, 2e-4),
        beta2: Pair = (0.9, 0.99),
        burn_in: float = 1.0,
        ema_share: float = 0.05,
        augment: Sequence[str] = ("translation", "cutout"),
        augment_strength: float | str = 0.0,
        adapt_target: float = 0.6,
        adapt_images: int = 100_000,
        batch_size: int = 64,
        precision: str = "auto",
        compile: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__(image_shape, num_classes)
        given = {key: value for key, value in locals().items() if key not in ("self", "__class__")}
        self.conditions = Conditions(num_classes, attributes, type(self).__name__)
        self.save_hyperparameters(self._checked(given))
        self.automatic_optimization = False
        self.pipeline = _pipeline(self.hparams["augment"], self.image_shape)
        self.register_buffer("images_seen", torch.zeros((), dtype=torch.int64))
        self.remember(torch.zeros(0, dtype=torch.int64), torch.zeros(0, len(self.conditions.attributes)))
        self._round: Round | None = None
        self.reset(seed)

    def reset(self, seed: int) -> None:
        """Start over with the initial weights of `seed`; torch's global generator is left as it was."""
        h, device = self.hparams, self.class_counts.device
        stages = plan(self.image_shape, h["width"], h["max_width"], h["patch"])
        shape, width = self.image_shape, self.conditions.width
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            net = Generator(shape, width, h["latent_dim"], stages, h["blocks"], h["patch"], h["block"])
            critic = Critic(shape, width, stages, h["blocks"], h["patch"], h["block"], h["latent_dim"])
            if h["loss"] == "hinge":
                _spectral(critic)
        self.net = net.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.critic_net = critic.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = copy.deepcopy(self.net).requires_grad_(False)
        self.class_counts.zero_()
        self._buffers["images_seen"] = torch.zeros((), dtype=torch.int64, device=device)

    def begin(self, samples: Samples, max_images: int, seed: int) -> GanTraining:
        """Return what trains this generator on `samples`."""
        return GanTraining(self, samples, seed)

    def make(
        self, labels: torch.Tensor, rng: Rng, attributes: torch.Tensor | None, truncation: float = 1.0
    ) -> torch.Tensor:
        """Make an image `(B, C, H, W)` in [0, 1] for each label `(B,)` by the averaged weights."""
        assert attributes is not None
        noise = torch.from_numpy(rng.normal("latent", self.hparams["latent_dim"])).to(self.device, torch.float32)
        conditions = self.conditions.encode(labels, attributes)
        parts = zip(torch.split(truncation * noise, CHUNK), torch.split(conditions, CHUNK), strict=True)
        images = [self.average(*part) for part in parts]
        if not len(labels):
            return noise.new_zeros(0, *self.image_shape)
        return (torch.cat(images).contiguous() / 2 + 0.5).clamp(0, 1)

    def chosen(
        self, labels: torch.Tensor, attributes: Mapping[str, Any] | None, rng: Rng
    ) -> tuple[torch.Tensor, tuple[dict[str, float] | None, ...]]:
        """Return attributes `(B, A)`: those given, the others of a training sample of the class drawn by each key."""
        self.conditions.check_names(attributes or {})
        names, bank = list(self.conditions.attributes), self._bank
        if not names:
            return torch.zeros(len(labels), 0, device=self.device), (None,) * len(labels)
        order = np.argsort(bank["labels"].numpy(), kind="stable")
        counts = np.bincount(bank["labels"].numpy(), minlength=self.num_classes)
        classes = labels.cpu().numpy()
        place = (np.cumsum(counts) - counts)[classes] + (rng.uniform("attributes")[:, 0] * counts[classes]).astype(int)
        values = bank["attributes"][torch.from_numpy(order[place])].clone()
        for name, given in (attributes or {}).items():
            values[:, names.index(name)] = self._column(name, given, len(labels))
        said = tuple(dict(zip(names, row, strict=True)) for row in values.tolist())
        return values.to(self.device), said

    def remember(self, labels: torch.Tensor, attributes: torch.Tensor) -> None:
        """Keep what sampling needs of the training data: labels `(N,)` and attributes `(N, A)`."""
        self.class_counts.copy_(torch.bincount(labels, minlength=self.num_classes))
        keep = np.unique(np.linspace(0, max(len(labels) - 1, 0), _BANK).astype(int))[: len(labels)]
        order = torch.argsort(labels, stable=True)
        # One of each class at least, however rare.
        first = np.unique(labels.cpu().numpy(), return_index=True)[1]
        rows = torch.from_numpy(np.union1d(order.cpu().numpy()[keep], first))
        self._bank = {"labels": labels[rows].cpu(), "attributes": attributes[rows].float().cpu()}

    def get_extra_state(self) -> dict[str, torch.Tensor]:
        """Put the attributes seen into the state dict."""
        return self._bank

    def set_extra_state(self, state: dict[str, torch.Tensor]) -> None:
        """Take the attributes seen from a state dict."""
        self._bank = state

    def sampling_state(self) -> dict[str, Any]:
        """Return the averaged weights and the attributes seen."""
        return {**self.average.state_dict(), **self._bank}

    @torch.no_grad()
    def critic(
        self, images: torch.Tensor, labels: torch.Tensor, attributes: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Score images `(B, C, H, W)` in [0, 1] of these labels `(B,)`: `(B,)`, higher for what looks real."""
        if attributes is None:
            attributes = self.chosen(labels, None, Rng.of(0, np.arange(len(labels))))[0]
        conditions = self.conditions.encode(labels.to(self.device), attributes.to(self.device))
        pairs = zip(torch.split(2 * images.to(self.device) - 1, CHUNK), torch.split(conditions, CHUNK), strict=True)
        scores = [self.critic_net(*pair) for pair in pairs]
        return torch.cat(scores)

    def new_optimizers(self) -> tuple[torch.optim.Optimizer, torch.optim.Optimizer]:
        """Return the optimisers of a new training: of the generator and of the critic."""
        rate, beta = self.hparams["lr"][0], self.hparams["beta2"][0]
        made = [torch.optim.Adam(net.parameters(), rate, betas=(0.0, beta)) for net in (self.net, self.critic_net)]
        return made[0], made[1]

    def configure_optimizers(self) -> Any:
        """Adam for each of the two networks."""
        return list(self.new_optimizers())

    def on_fit_start(self) -> None:
        """Make ready for a Trainer, after its optimisers exist. Raises: ValueError where attributes are wanted."""
        if self.conditions.attributes:
            raise ValueError(
                f"{type(self).__name__}: a Trainer's batches have no attributes; use augsynth.generators.fit"
            )
        optimizers = self.optimizers()
        assert isinstance(optimizers, list)
        self._round = Round(self, (optimizers[0], optimizers[1]), self.manual_backward)

    def training_step(self, batch: Any, batch_idx: int = 0) -> None:
        """Lightning's step: one half of the batch is shown to the critic, the other to the generator."""
        images, labels = self.unpack(batch)
        half, seen = len(labels) // 2, int(self.images_seen)
        if not half:
            return
        assert self._round is not None
        self.class_counts += torch.bincount(labels, minlength=self.num_classes)
        none = images.new_zeros(half, 0)
        parts: list[Part] = [(images[s], labels[s], none) for s in (slice(half), slice(half, 2 * half))]
        # Each rank has noise of its own.
        key = self.hparams["seed"] + self.global_rank
        figures = self._round(parts[0], parts[1], seen, min(seen / self._horizon(half), 1.0), key)
        self.images_seen += half
        self.log_dict(dict(figures), batch_size=half)

    def _horizon(self, half: int) -> int:
        trainer = self.trainer
        steps = trainer.max_steps if trainer.max_steps > 0 else None
        if steps is None and trainer.max_epochs and trainer.max_epochs > 0:
            steps = trainer.max_epochs * int(trainer.num_training_batches)
        elif steps is not None:
            steps //= 2  # two optimisers, and Lightning counts each step of either
        if not steps:
            raise ValueError(f"{type(self).__name__}: give the Trainer max_epochs or max_steps: schedules need an end")
        return steps * half

    def _column(self, name: str, given: Any, count: int) -> torch.Tensor:
        many = given.tolist() if isinstance(given, (torch.Tensor, np.ndarray)) else given
        row = list(many) if isinstance(many, (list, tuple)) else [many] * count
        if len(row) != count:
            raise ValueError(f"generate: attribute {name} has {len(row)} values for {count} labels")
        return torch.tensor([self.conditions.value(name, one, f"generate: sample {i}") for i, one in enumerate(row)])

    def _checked(self, given: dict[str, Any]) -> dict[str, Any]:
        counts = ("num_classes", "latent_dim", "width", "max_width", "blocks", "patch", "batch_size", "adapt_images")
        self.check_counts(**{name: given[name] for name in counts})
        for name, allowed in _CHOICES.items():
            if given[name] not in allowed:
                self._fail(name, given[name], " or ".join(map(repr, allowed)))
        pairs = {name: _pair(given[name]) for name in ("lr", "beta2", "gamma")}
        for name, pair in pairs.items():
            low = 0 if name == "gamma" else 1e-12
            if pair is None or not all(low <= value < (1 if name == "beta2" else 1e9) for value in pair):
                self._fail(name, given[name], "a number or (start, end)" + ("" if name == "gamma" else ", above 0"))
        for name in ("burn_in", "ema_share"):
            if not (isinstance(given[name], (int, float)) and 0 <= given[name] <= 1):
                self._fail(name, given[name], "a share from 0 to 1")
        strength = given["augment_strength"]
        if strength != "adaptive" and not (isinstance(strength, (int, float)) and 0 <= strength <= 1):
            self._fail("augment_strength", strength, 'a number from 0 to 1, or "adaptive"')
        wrong = [step for step in given["augment"] if step not in _STEPS]
        if wrong or isinstance(given["augment"], str):
            self._fail("augment", given["augment"], f"a list of {', '.join(_STEPS)}")
        kept = {"image_shape": self.image_shape, "attributes": self.conditions.attributes or None}
        return {**given, **pairs, **kept, "augment": tuple(given["augment"])}

    def _fail(self, name: str, value: Any, allowed: str) -> None:
        raise ValueError(f"{type(self).__name__}: {name}={value!r} must be {allowed}")


def _pair(value: Any) -> tuple[float, float] | None:
    """Return (start, end) of a number or a pair of numbers, None for anything else."""
    pair = [value, value] if isinstance(value, (int, float)) else value
    if isinstance(pair, (list, tuple)) and len(pair) == 2 and all(isinstance(v, (int, float)) for v in pair):
        return float(pair[0]), float(pair[1])
    return None


def _pipeline(steps: Sequence[str], image_shape: tuple[int, int, int]) -> Any:
    """Return the augmentation before the critic, on the engine that can be differentiated; None for no steps."""
    from augsynth import transforms as T

    sides = image_shape[1:]
    moves = (max(round(sides[0] / 8), 1), max(round(sides[1] / 8), 1))
    everything: dict[str, Any] = {
        "flip": T.RandomHorizontalFlip(0.5),
        # By whole pixels, so that nothing is blurred.
        "translation": T.RandomCrop(sides, padding=(moves[1], moves[0])),
        "cutout": T.RandomErasing(1.0, (0.25, 0.25), (1.0, 1.0), 0.5),
        "color": T.ColorJitter(0.5, 0.5, *((0.5,) if image_shape[0] == 3 else ())),
    }
    chosen = {name: everything[name] for name in _STEPS if name in steps}
    return Pipeline(chosen, engine="torch", clamp=False, value_range=(-1.0, 1.0)) if chosen else None


def _spectral(critic: nn.Module) -> None:
    """Keep every layer from stretching its input. Source: arXiv:1802.05957."""
    for layer in critic.modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            if not layer.weight.any():
                nn.init.normal_(layer.weight, std=0.02)  # of nothing there is no largest singular value
            nn.utils.parametrizations.spectral_norm(layer)
