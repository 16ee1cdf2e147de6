"""Is a GAN trained for minutes on one GPU worth learning from? CIFAR-10, accuracy after training on its samples alone.

The preset cgan_32 on the 50,000 training images, for the given minutes; called again with the same --checkpoint, the
training goes on. Then 50,000 samples are made, a network in the manner of airbench (arXiv:2404.00498: three blocks of
convolutions, Nesterov momentum, flips and moves, smoothed labels; not its whitening) is trained on them alone, and
tested on the 10,000 real test images, with ten seeds; the same network on real images beside it. The number to pass is
76.35 %, of a projection GAN (arXiv:1905.10887, another network). Images per second, and what share of the device's peak
in bfloat16 (PEAKS) the counted operations are.

    python benchmarks/generator.py cifar [--data DIR] [--minutes 10] [--checkpoint FILE] [--json FILE] [--dry-run]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from bench_data import add_data, cifar, find
from protocol import head, save
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from augsynth import config
from augsynth.generators import ConditionalGAN, fit, load
from augsynth.generators.checkpoint import training_of
from augsynth.generators.samples import Samples
from augsynth.pipeline import Pipeline
from augsynth.quality.models import seeded
from augsynth.rng import Rng
from augsynth.transforms import Normalize, RandomCrop, RandomHorizontalFlip

MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
CLASSES, SIDE = 10, 32
# Operations per second in bfloat16 without sparsity, by the maker's data sheets.
PEAKS = {"NVIDIA H100 80GB HBM3": 989e12, "NVIDIA H200": 989e12}
BATCH, RATE, MOMENTUM, DECAY, SMOOTHING = 512, 0.4, 0.85, 5e-4, 0.2
Data = tuple[torch.Tensor, torch.Tensor]


class Fast(nn.Sequential):
    """Three blocks of two 3x3 convolutions with batch normalization: `(B, 3, 32, 32)` to logits `(B, 10)`."""

    def __init__(self, width: int) -> None:
        widths = [3, width, 4 * width, 4 * width]
        blocks = [_block(a, b) for a, b in pairwise(widths)]
        super().__init__(*blocks, nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(4 * width, CLASSES, bias=False))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = super().forward(images)
        return logits / 9


def _block(inputs: int, outputs: int) -> nn.Module:
    def norm() -> nn.Module:
        return nn.Sequential(nn.BatchNorm2d(outputs, momentum=0.4), nn.GELU())

    first = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
    second = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
    return nn.Sequential(first, nn.MaxPool2d(2), norm(), second, norm())


def learned(data: Data, epochs: float, seed: int, width: int, device: torch.device) -> nn.Module:
    """Train `Fast` on labelled images from nothing."""
    with seeded(seed):
        model = Fast(width).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    images, labels = data[0].to(device), data[1].to(device)
    moved = {"flip": RandomHorizontalFlip(), "crop": RandomCrop(SIDE, padding=2, padding_mode="reflect")}
    pipeline = Pipeline(
        {**moved, "normalize": Normalize(MEAN, STD)}, engine="auto" if device.type == "cuda" else "torch"
    )
    steps = max(round(epochs * len(labels) / BATCH), 2)
    optimizer = torch.optim.SGD(
        model.parameters(), RATE, momentum=MOMENTUM, nesterov=True, weight_decay=DECAY, fused=device.type == "cuda"
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, RATE, total_steps=steps, pct_start=0.2, anneal_strategy="linear", cycle_momentum=False
    )
    order = np.concatenate([Rng.of(seed, e).permutation("order", len(labels))[0] for e in range(int(epochs) + 1)])
    for step in range(steps):
        rows = np.take(order, range(step * BATCH, (step + 1) * BATCH), mode="wrap")
        chosen = torch.from_numpy(rows).to(device)
        batch = pipeline.images(images[chosen], Rng.of(seed, rows, step))
        with torch.autocast(device.type, torch.bfloat16):
            loss = F.cross_entropy(model(batch).float(), labels[chosen], label_smoothing=SMOOTHING)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    return model.eval()


@torch.no_grad()
def accuracy(model: nn.Module, data: Data, device: torch.device) -> float:
    """Return the share of images classified rightly, the mean of each image and its mirror image."""
    mean, std = (torch.tensor(value, device=device).view(1, 3, 1, 1) for value in (MEAN, STD))
    right = 0
    for images, labels in zip(data[0].split(1000), data[1].split(1000), strict=True):
        batch = (images.to(device).float() / 255 - mean) / std
        with torch.autocast(device.type, torch.bfloat16):
            logits = model(batch) + model(batch.flip(3))
        right += int((logits.argmax(1).cpu() == labels).sum())
    return right / len(data[1])


def operations(gan: ConditionalGAN, data: Data, batch: int) -> float:
    """Count the floating-point operations of one training round, per image that the critic is shown."""
    samples = Samples(*data, torch.zeros(len(data[1]), 0))
    training = gan.begin(samples, batch, 0)
    with FlopCounterMode(display=False) as counter:
        training.step(0, batch, 0.5)
    return counter.get_total_flops() / batch


def train(args: argparse.Namespace, data: Data, device: torch.device) -> dict[str, Any]:
    """Train the GAN or go on with its training; return how fast that went."""
    preset = config.generator("cgan_32", args.set)
    gan: ConditionalGAN = preset.make((3, SIDE, SIDE), CLASSES).to(device)
    before = training_of(args.checkpoint)["seen"] if args.checkpoint.exists() else 0  # type: ignore[index]
    images = preset.config["fit"]["max_images"] if args.images is None else args.images
    started = time.perf_counter()
    seconds = args.minutes * 60
    fit(gan, data, max_images=images, max_time=seconds, checkpoint=args.checkpoint, every=10**9, progress=True)
    spent, seen = time.perf_counter() - started, int(gan.images_seen) - before
    speed = seen / spent
    needed = operations(preset.make((3, SIDE, SIDE), CLASSES).to(device), data, gan.hparams["batch_size"])
    found = {"images": before + seen, "seconds": spent, "images_per_second": speed, "operations_per_image": needed}
    peak = PEAKS.get(torch.cuda.get_device_name(device)) if device.type == "cuda" else None
    return {**found, "share_of_peak": None if peak is None else speed * needed / peak}


def judged(gan: Any, real: Data, test: Data, args: argparse.Namespace, device: torch.device) -> Mapping[str, Any]:
    """Return accuracies after training on samples alone, one per seed, and after real images; label agreement."""
    labels = torch.arange(args.samples) % CLASSES
    images = torch.cat(
        [gan.generate(part, 1, index=part.new_tensor(rows)).image.cpu() for rows, part in _parts(labels)]
    )
    made = (images * 255).round().to(torch.uint8), labels
    judge = learned(real, args.epochs, 0, args.width, device)
    networks = [learned(made, args.epochs, seed, args.width, device) for seed in range(args.seeds)]
    return {
        "accuracies": [accuracy(network, test, device) for network in networks],
        "real": accuracy(judge, test, device),
        "agreement": accuracy(judge, made, device),
    }


def _parts(labels: torch.Tensor) -> list[tuple[range, torch.Tensor]]:
    starts = range(0, len(labels), 1000)
    return [(range(s, min(s + 1000, len(labels))), labels[s : s + 1000]) for s in starts]


def command(args: argparse.Namespace) -> None:
    """Train, judge and print; write the JSON."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if args.dry_run:
        args.minutes, args.images, args.samples, args.seeds, args.epochs, args.width = 0.05, 64, 200, 1, 0.1, 8
        args.set = [*args.set, "model.width=16", "model.max_width=32", "model.batch_size=16"]
    elif device.type == "cpu":
        raise SystemExit("benchmarks/generator.py cifar needs a CUDA device, and torch finds none; --dry-run checks it")
    folder = args.folder or find(args, "cifar10")
    real, test = cifar(folder, "train"), cifar(folder, "test")
    if args.dry_run:
        real, test = (real[0][:500], real[1][:500]), (test[0][:500], test[1][:500])
    speed = train(args, real, device)
    print(
        f"{speed['images']:,} images, {speed['images_per_second']:,.0f} a second, "
        f"share of peak {speed['share_of_peak']}"
    )
    found = judged(load(args.checkpoint).to(device), real, test, args, device)
    print(
        f"after samples alone {100 * np.mean(found['accuracies']):.2f} % ({args.seeds} seeds), after real images "
        f"{100 * found['real']:.2f} %, label agreement {100 * found['agreement']:.2f} %"
    )
    if args.json:
        name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU, a dry run: no measurement"
        save(args.json, {**head(1), "device": name, "training": speed, **found})


def add_command(commands: Any) -> None:
    """Add the subcommand cifar."""
    form = argparse.RawDescriptionHelpFormatter
    parser = commands.add_parser(
        "cifar", help="what cgan_32 is worth on a GPU", description=__doc__, formatter_class=form
    )
    parser.add_argument(
        "folder", type=Path, nargs="?", help="holds the sprites train_0.webp to train_4.webp, test.webp, and labels"
    )
    add_data(parser)
    parser.add_argument("--checkpoint", type=Path, default=Path("cifar.ckpt"))
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--images", type=int, help="at which the schedules end; default that of the preset")
    parser.add_argument("--samples", type=int, default=50_000)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--epochs", type=float, default=16)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--set", action="append", default=[], help="an override of the preset, such as model.width=64")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--dry-run", action="store_true")
    parser.set_defaults(run=command)
