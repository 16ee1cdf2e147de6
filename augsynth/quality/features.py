"""What distances between sets of images are measured on: features of networks that need no download."""

from __future__ import annotations

import hashlib
import pickle
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import nn

from augsynth.errors import AugsynthError
from augsynth.pipeline import Pipeline
from augsynth.provenance import weights_hash
from augsynth.quality.models import SmallCNN, seeded
from augsynth.quality.samples import Labelled
from augsynth.quality.training import Batches, forward, train
from augsynth.transforms import Normalize

DIMENSIONS = 64
_RATE, _DECAY, _BATCH = 0.006, 0.05, 64
_KEPT = 4
_networks: OrderedDict[str, FeatureNet] = OrderedDict()


class FeatureNet(nn.Module):
    """The small network with a narrow layer before its logits; the values of that layer are the features.

    Few features, because a Fréchet distance needs more samples than features. `(B, C, H, W)` to `(B, num_classes)`.
    """

    def __init__(self, num_classes: int, in_channels: int, dimensions: int = DIMENSIONS) -> None:
        super().__init__()
        *body, last = SmallCNN(num_classes, in_channels).children()
        self.body = nn.Sequential(*body, nn.Linear(cast(nn.Linear, last).in_features, dimensions))
        self.head = nn.Sequential(nn.ReLU(), nn.Linear(dimensions, num_classes))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.body(images))
        return logits


@dataclass(frozen=True, eq=False)
class Extractor:
    """A map from images `(N, C, H, W)` uint8 to features `(N, D)` float64 on the CPU.

    kind: "cnn", "random" or "inception". name: kind and the start of its weights' hash, such as "cnn@1a2b".
    center `(D,)` and scale: subtracted and divided by; they give the real training data mean 0 and mean variance 1.
    """

    kind: str
    name: str
    model: nn.Module
    prepare: Pipeline
    device: torch.device
    center: torch.Tensor | None = None
    scale: float = 1.0

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        values = forward(self.model, images, self.prepare, self.device).double()
        return values if self.center is None else (values - self.center) / self.scale

    def fitted(self, images: torch.Tensor) -> Extractor:
        """Return the extractor with center and scale of these images, so that distances of two networks compare."""
        values = self(images)
        scale = float(values.var(0, correction=0).mean().sqrt())
        return replace(self, center=values.mean(0), scale=max(scale, 1e-12))


def normalization(images: torch.Tensor) -> Pipeline:
    """Return the pipeline that brings uint8 images to mean 0 and standard deviation 1 per channel of `images`."""
    values = images.double() / 255
    mean, std = values.mean((0, 2, 3)), values.std((0, 2, 3), correction=0)
    return Pipeline({"normalize": Normalize(tuple(mean.tolist()), tuple(std.clamp_min(1e-3).tolist()))})


def classifier(
    real: Labelled, num_classes: int, prepare: Pipeline, *, steps: int, seed: int, device: torch.device
) -> FeatureNet:
    """Train a `FeatureNet` on real samples, or return the one that was trained on the same before."""
    key = f"{data_hash(real)} {num_classes} {steps} {seed} {device}"
    if key not in _networks:
        with seeded(seed):
            model = FeatureNet(num_classes, real.image.shape[1])
        train([model], [_RATE], Batches(real, prepare, _BATCH, steps, seed), _DECAY, device)
        _networks[key] = model.eval()
        while len(_networks) > _KEPT:
            _networks.popitem(last=False)
    _networks.move_to_end(key)
    return _networks[key]


def data_hash(data: Labelled) -> str:
    """Return 16 hex digits of the SHA-256 over images and labels."""
    digest = hashlib.sha256(str(tuple(data.image.shape)).encode())
    for part in (data.image, data.label):
        digest.update(np.ascontiguousarray(part.numpy()).tobytes())
    return digest.hexdigest()[:16]


def extractors(
    network: FeatureNet, real: torch.Tensor, prepare: Pipeline, seed: int, device: torch.device
) -> tuple[Extractor, Extractor]:
    """Return two opinions: the features of the trained network, and those of one as it was before any training.

    The trained one sees what its classes differ in, and little else; the random one knows nothing of the labels.
    real: the training images, which the features are brought to mean 0 and variance 1 of.
    """
    with seeded(seed):
        untrained = FeatureNet(2, real.shape[1])
    found = []
    for kind, model in (("cnn", network), ("random", untrained)):
        name = f"{kind}@{weights_hash(model.state_dict())[:4]}"
        found.append(Extractor(kind, name, model.body, prepare, device).fitted(real))
    return found[0], found[1]


class _Levels(nn.Module):
    """Feed a network that takes uint8 images of three channels with floats in [0, 1]."""

    def __init__(self, network: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        levels = (images * 255).round().to(torch.uint8)
        features = self.network(levels.expand(-1, 3, -1, -1) if levels.shape[1] == 1 else levels[:, :3])
        return features.flatten(1)


def inception(path: str | Path, device: torch.device) -> Extractor:
    """Return the features of the FID (arXiv:1706.08500), from a weights file that torch-fidelity reads.

    path: such as weights-inception-2015-12-05-6726825d.pth. Raises: AugsynthError without the file or the package.
    """
    if not Path(path).is_file():
        raise AugsynthError(
            f"there is no file {path}: inception_weights is the path of torch-fidelity's "
            "weights-inception-2015-12-05-6726825d.pth; leave it out for distances on features of small networks alone"
        )
    if find_spec("torch_fidelity") is None:
        raise AugsynthError(
            "a true FID needs the package torch-fidelity, which runs the Inception network of torchmetrics: "
            "pip install torch-fidelity"
        )
    from torchmetrics.image.fid import FrechetInceptionDistance

    try:
        metric = FrechetInceptionDistance(feature=2048, feature_extractor_weights_path=str(path))
    except (RuntimeError, pickle.UnpicklingError, KeyError, EOFError, TypeError) as error:
        raise AugsynthError(
            f"{path} does not hold the weights of torch-fidelity's Inception network: {error}"
        ) from error
    prepare = Pipeline({}, dtype=torch.float32)
    return Extractor("inception", "inception", _Levels(metric.inception), prepare, device)
