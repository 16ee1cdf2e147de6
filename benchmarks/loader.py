"""Images per second through a DataLoader with worker processes, against the peers, in one run.

Recipe: RandomResizedCrop 256 -> 224, horizontal flip, ColorJitter(0.4, 0.4, 0.4, 0.1), Normalize to float32. Everybody
gets uint8 images in memory in their own layout; reading and decoding are not timed. The loop copies each batch into one
buffer, as the transfer to a GPU would. Workers stay alive; a pass is timed from its sixth batch on. Each round times
every candidate once, in random order; the table shows the median over rounds and the median and quartiles of the ratios
within a round, which a slow phase of the machine does not bend.

    python benchmarks/loader.py [--rounds 9] [--batch 64] [--workers 2] [--images DIR] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
import albumentations as A
import cv2
import numpy as np
import torch
import torchvision
from albumentations.pytorch import ToTensorV2
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

import augsynth as ag
from augsynth import transforms as T
from augsynth.data import demo, slots

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SIZE, OUT = 256, 224
DISTINCT = 256
WARM_BATCHES = 6
BASE = "albumentations"


def photos(folder: str | None) -> list[np.ndarray]:
    """Return different uint8 `(256, 256, 3)` crops of real photographs."""
    files = sorted(Path(folder).glob("**/*.jpg")) if folder else []
    sources = [Image.open(file).convert("RGB") for file in files] or [demo.photo()]
    crops = []
    for i in range(DISTINCT):
        source, draw = sources[i % len(sources)], random.Random(i)
        side = min(source.size) * draw.uniform(0.5, 1.0)
        left, top = draw.uniform(0, source.size[0] - side), draw.uniform(0, source.size[1] - side)
        crops.append(np.array(source.resize((SIZE, SIZE), box=(left, top, left + side, top + side))))
    return crops


class InMemory(Dataset[Any]):
    """Images that are repeated up to a length, transformed one by one where a transform is given."""

    def __init__(self, images: list[Any], length: int, transform: Callable[[Any], Any] | None = None) -> None:
        self.images, self.length, self.transform = images, length, transform

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, i: int) -> tuple[Any, int]:
        image = self.images[i % len(self.images)]
        return image if self.transform is None else self.transform(image), i % 10


class Albumentations:
    """RandomResizedCrop as it comes, without antialiasing; area=True for its area filter where it shrinks."""

    def __init__(self, area: bool) -> None:
        extra = {"area_for_downscale": "image"} if area else {}
        self.chain = A.Compose(
            [
                A.RandomResizedCrop((OUT, OUT), **extra),
                A.HorizontalFlip(),
                A.ColorJitter((0.6, 1.4), (0.6, 1.4), (0.6, 1.4), (-0.1, 0.1), p=1.0),
                A.Normalize(MEAN, STD),
                ToTensorV2(),
            ]
        )

    def __call__(self, image: np.ndarray) -> torch.Tensor:
        return self.chain(image=image)["image"]


def torchvision_v2(pil: bool) -> v2.Compose:
    return v2.Compose(
        [
            v2.RandomResizedCrop(OUT, antialias=True),
            v2.RandomHorizontalFlip(),
            v2.ColorJitter(0.4, 0.4, 0.4, 0.1),
            *([v2.ToImage()] if pil else []),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(MEAN, STD),
        ]
    )


def ours(images: list[np.ndarray], length: int, color: str) -> Any:
    steps = [
        T.RandomResizedCrop(OUT),
        T.RandomHorizontalFlip(),
        T.ColorJitter(0.4, 0.4, 0.4, 0.1),
        T.Normalize(MEAN, STD),
    ]
    return ag.wrap(InMemory(images, length), ag.Pipeline(steps, color=color))


def one_thread(_: int) -> None:
    torch.set_num_threads(1)
    cv2.setNumThreads(0)


def one_thread_without_slots(worker: int) -> None:
    one_thread(worker)
    slots.is_active = lambda: False


def candidates(images: list[np.ndarray], length: int, batch: int, workers: int) -> dict[str, Any]:
    common = {"batch_size": batch, "shuffle": True, "num_workers": workers, "persistent_workers": True}
    pictures = [Image.fromarray(image) for image in images]
    tensors = [torch.from_numpy(image).permute(2, 0, 1).contiguous() for image in images]

    def per_sample(inputs: list[Any], transform: Callable[[Any], Any]) -> Any:
        return DataLoader(InMemory(inputs, length, transform), worker_init_fn=one_thread, **common)

    table = {
        BASE: per_sample(images, Albumentations(area=False)),
        "albumentations, area": per_sample(images, Albumentations(area=True)),
        "torchvision v2, tensor": per_sample(tensors, torchvision_v2(pil=False)),
        "torchvision v2, PIL": per_sample(pictures, torchvision_v2(pil=True)),
    }
    for color in ("linear", "exact"):
        data = ours(images, length, color)
        table[f"augsynth {color}, no slots"] = ag.loader(data, worker_init_fn=one_thread_without_slots, **common)
        table[f"augsynth {color}"] = ag.loader(data, worker_init_fn=one_thread, **common)
    return table


def timed(loader: Any, staging: torch.Tensor) -> float:
    """Return images per second over one pass, without its first batches."""
    start, count = 0.0, 0
    for step, (images, _) in enumerate(loader):
        staging.copy_(images)
        if step >= WARM_BATCHES:
            count += len(images)
        elif step == WARM_BATCHES - 1:
            start = time.perf_counter()
    return count / (time.perf_counter() - start)


def measure(table: dict[str, Any], rounds: int, staging: torch.Tensor) -> dict[str, list[float]]:
    rates: dict[str, list[float]] = {name: [] for name in table}
    for name, loader in table.items():
        timed(loader, staging)  # starts the workers
        print(f"started {name}", flush=True)
    for number in range(rounds):
        for name in random.sample(list(table), len(table)):
            rates[name].append(timed(table[name], staging))
        print(f"round {number + 1} of {rounds}", flush=True)
    return rates


def summary(rates: dict[str, list[float]]) -> list[dict[str, Any]]:
    rows = []
    for name, values in rates.items():
        ratios = [value / base for value, base in zip(values, rates[BASE], strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else ratios * 3
        rows.append(
            {
                "name": name,
                "images_per_second": round(statistics.median(values)),
                "times_albumentations": round(middle, 2),
                "ratio_quartiles": [round(low, 2), round(high, 2)],
            }
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--batches", type=int, default=24, help="timed batches of each pass")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", help="candidates whose name contains this, beside albumentations")
    parser.add_argument("--images", help="folder of .jpg photographs; the demo photograph by default")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    length = (WARM_BATCHES + args.batches) * args.batch
    table = candidates(photos(args.images), length, args.batch, args.workers)
    table = {name: loader for name, loader in table.items() if name == BASE or (args.only or "") in name}
    staging = torch.from_numpy(np.zeros((args.batch, 3, OUT, OUT), np.float32))
    rows = summary(measure(table, args.rounds, staging))
    versions = {m.__name__: m.__version__ for m in (torch, torchvision, A, cv2, np)}
    print(f"{args.workers} workers, batch {args.batch}, {args.rounds} rounds; {versions}")
    print(f"{'':28} {'images / s':>10} {'times albumentations (quartiles)':>34}")
    for row in rows:
        low, high = row["ratio_quartiles"]
        print(f"{row['name']:28} {row['images_per_second']:>10} {row['times_albumentations']:>14}  ({low} to {high})")
    if args.json:
        about = {"recipe": "rrc-flip-jitter-normalize 256->224", "cpu": platform.processor(), "versions": versions}
        setting = {"workers": args.workers, "batch": args.batch, "rounds": args.rounds}
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps({**about, **setting, "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
