"""A network of the user's own, trained anywhere, as a generator of labelled images."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from augsynth.batch import Batch
from augsynth.generators.keyed import (
    CHUNK,
    check_counts,
    check_truncation,
    checked_labels,
    checked_shape,
    evaluating,
    keys_of,
    marked,
    versions,
)
from augsynth.provenance import weights_hash
from augsynth.verdict import Verdict, record

Network = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


class AdaptedGenerator(nn.Module):
    """A network `(z, y) -> image` that makes labelled, marked and keyed samples; see `from_module`."""

    def __init__(
        self,
        module: nn.Module | Network,
        image_shape: Sequence[int],
        num_classes: int,
        *,
        latent_dim: int,
        value_range: tuple[float, float] = (-1.0, 1.0),
        name: str | None = None,
    ) -> None:
        super().__init__()
        who = type(self).__name__
        if not callable(module):
            raise TypeError(f"{who}: module={module!r} must be an nn.Module or a function of (z, y)")
        check_counts(who, num_classes=num_classes, latent_dim=latent_dim)
        self.module, self.num_classes, self.latent_dim = module, num_classes, latent_dim
        self.image_shape = checked_shape(who, image_shape, least=1)
        self.value_range = _checked_range(who, value_range)
        self.name = name or _name(module)
        self._hashed: tuple[Any, str] | None = None

    @property
    def config(self) -> dict[str, Any]:
        """The constructor's arguments but the module, which `name` stands for."""
        names = ("image_shape", "num_classes", "latent_dim", "value_range", "name")
        return {name: getattr(self, name) for name in names}

    @torch.no_grad()
    def generate(
        self,
        labels: torch.Tensor | Sequence[int],
        seed: int = 0,
        *,
        index: torch.Tensor | Sequence[int] | None = None,
        epoch: int = 0,
        truncation: float = 1.0,
    ) -> Batch:
        """Make one image per label `(B,)`; sample j is a function of (seed, epoch, index[j], labels[j]) alone.

        index: default 0 to B - 1, each 0 to 2**32 - 1, as are seed and epoch. truncation: factor on the noise, 0 to 1.
        The module is in eval mode meanwhile.
        Raises: TypeError or ValueError for wrong labels; ValueError for a module that makes other than images
        `(B, C, H, W)` of finite values.
        """
        device, dtype = self._place()
        target = checked_labels(labels, self.num_classes, device)
        rng = keys_of(len(target), seed, index, epoch)
        check_truncation(truncation)
        noise = torch.from_numpy(truncation * rng.normal("latent", self.latent_dim)).to(device, torch.float32).to(dtype)
        with evaluating(self.module):
            parts = zip(torch.split(noise, CHUNK), torch.split(target, CHUNK), strict=True)
            images = [self._made(*part) for part in parts if len(part[0])]
        image = torch.cat(images) if images else torch.zeros(0, *self.image_shape, device=device)
        return marked(image, target, rng, (self.name, self.checkpoint_hash()), truncation=truncation)

    def checkpoint_hash(self) -> str:
        """Return the hash of the module's state dict; "" for a function, whose weights nobody can watch."""
        if not isinstance(self.module, nn.Module):
            return ""
        tensors = [*self.module.parameters(), *self.module.buffers()]
        # Averages of weights are often written through `.data`, which torch does not count: the norms tell of it.
        floating = [tensor for tensor in tensors if tensor.is_floating_point()]
        norms = torch.stack([norm.cpu() for norm in torch._foreach_norm(floating)]).tolist() if floating else []
        state = (versions(tensors), tuple(norms))
        if self._hashed is None or self._hashed[0] != state:
            self._hashed = (state, weights_hash(self.module.state_dict()))
        return self._hashed[1]

    def save(self, path: str | Path) -> None:
        """Write the module's state dict and what `from_module` was told; read it with `load_weights`.

        Raises: CheckpointError for a function, which has no weights, and where the file cannot be written.
        """
        from augsynth.generators.checkpoint import CheckpointError, content_of, write

        if not isinstance(self.module, nn.Module):
            raise CheckpointError(f"{self.name} is a function: it has no weights to save")
        write(content_of(self, self.config, self.module.state_dict()), Path(path))

    def load_weights(self, path: str | Path) -> AdaptedGenerator:
        """Give the module the weights that `save` wrote, and the generator its verdict; return the generator.

        The file has no code: build the module first, and tell `from_module` the same again. Raises: CheckpointError.
        """
        from augsynth.generators.checkpoint import CheckpointError, check_same, read

        if not isinstance(self.module, nn.Module):
            raise CheckpointError(f"{self.name} is a function: it has no weights to read")
        content = read(Path(path))
        check_same(content, self, self.config, Path(path))
        try:
            self.module.load_state_dict(content["state"])
        except RuntimeError as error:
            raise CheckpointError(f"{path} holds the weights of another {self.name}: {error}") from error
        if "verdict" in content:
            record(self, Verdict.from_dict(content["verdict"]))
        return self

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_hashed": None}

    def _place(self) -> tuple[torch.device, torch.dtype]:
        """Return where the module computes and in which type, by its first weight."""
        if isinstance(self.module, nn.Module):
            for tensor in (*self.module.parameters(), *self.module.buffers()):
                if tensor.is_floating_point():
                    return tensor.device, tensor.dtype
        return torch.device("cpu"), torch.float32

    def _made(self, noise: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        images: Any = self.module(noise, labels)
        expected = (len(labels), *self.image_shape)
        seen = tuple(images.shape) if isinstance(images, torch.Tensor) else type(images).__name__
        if seen != expected:
            raise ValueError(f"generate: {self.name} gave {seen}; images {expected} were expected")
        images = images.to(noise.device, torch.float32)
        low, high = self.value_range
        if bad := int((~images.isfinite().flatten(1).all(1)).sum()):
            raise ValueError(
                f"generate: {self.name} gave NaN or infinity in {bad} of {len(labels)} images; "
                f"values from {low:g} to {high:g} were expected"
            )
        scaled: torch.Tensor = ((images - low) / (high - low)).clamp(0, 1)
        return scaled


def from_module(
    module: nn.Module | Network,
    image_shape: Sequence[int],
    num_classes: int,
    *,
    latent_dim: int,
    value_range: tuple[float, float] = (-1.0, 1.0),
    name: str | None = None,
) -> AdaptedGenerator:
    """Take a network of your own, trained anywhere, for a generator: `SyntheticDataset`, `blend`, `evaluate` take it.

    module: `(z, y) -> image`: z `(B, latent_dim)` standard normals, y `(B,)` int64 labels from 0 to num_classes - 1,
    image `(B, C, H, W)` as `image_shape` says, values over value_range, (low, high), what is beyond is clamped.
    name: in the samples' provenance, default the module's class. It is called in eval mode, on its device, in chunks.
    A module that draws noise of its own makes samples that cannot be repeated. A function in place of a module has no
    weights to save or to watch. Raises: ValueError or TypeError for a wrong argument.
    """
    return AdaptedGenerator(module, image_shape, num_classes, latent_dim=latent_dim, value_range=value_range, name=name)


def _checked_range(who: str, value_range: Sequence[float]) -> tuple[float, float]:
    pair = tuple(float(value) for value in value_range)
    if len(pair) != 2 or not all(map(math.isfinite, pair)) or pair[0] >= pair[1]:
        raise ValueError(f"{who}: value_range={value_range!r} must be (low, high), low below high")
    return pair[0], pair[1]


def _name(module: Any) -> str:
    kind = type(module).__name__
    return kind if isinstance(module, nn.Module) else str(getattr(module, "__name__", kind))
