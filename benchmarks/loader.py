"""Images per second through a DataLoader, by number of workers, against the peers, in one run.

Recipe: RandomResizedCrop 256 -> 224, horizontal flip, ColorJitter(0.4, 0.4, 0.4, 0.1), Normalize to float32. Everybody
gets uint8 images in memory in their own layout; reading and decoding are not timed. The loop copies each batch into one
buffer, as the transfer to a GPU would. Every process works in one thread; workers stay alive; a pass is timed by the
wall clock from its sixth batch on, when the first batches that were fetched ahead are used up. Each round times every
candidate once, in random order; the table shows the median over rounds and the median and quartiles of the ratios
within a round, which a slow phase of the machine does not bend.

    python benchmarks/loader.py [--workers 0 1 2] [--rounds 7] [--batch 64] [--images DIR] [--json FILE] [--quick]
    python benchmarks/loader.py --decode [--workers 0 1 2] [--step 50] [--json FILE] [--quick]
    python benchmarks/loader.py --overhead [--rounds 15] [--json FILE] [--quick]

--decode: from JPEG files, and how long a training step waits (`decoding.py`). --overhead: what the plugin itself costs
(`overhead.py`).
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import albumentations as A
import cv2
import numpy as np
import torch
from albumentations.pytorch import ToTensorV2
from PIL import Image
from protocol import MEAN, SEED, STD, head, one_core, photos, save
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

import augsynth as ag
from augsynth import transforms as T
from augsynth.data import slots

SIZE, OUT, DISTINCT = 256, 224, 256
WARM_BATCHES = 6
BASE = "albumentations"


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
    """Return the recipe for PIL images or for tensors."""
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
    """Return the wrapped dataset: a worker augments a whole batch at once."""
    steps = [
        T.RandomResizedCrop(OUT),
        T.RandomHorizontalFlip(),
        T.ColorJitter(0.4, 0.4, 0.4, 0.1),
        T.Normalize(MEAN, STD),
    ]
    return ag.wrap(InMemory(images, length), ag.Pipeline(steps, color=color))


def one_thread(_: int) -> None:
    """Start a worker: one thread, as many workers share the cores."""
    torch.set_num_threads(1)
    cv2.setNumThreads(0)


def one_thread_without_slots(worker: int) -> None:
    """Start a worker that sends ordinary tensors, to show what the shared slots are worth."""
    one_thread(worker)
    slots.is_active = lambda: False


def candidates(images: list[np.ndarray], length: int, batch: int, workers: int) -> dict[str, Any]:
    """Return a loader per candidate, all over the same images."""
    common: dict[str, Any] = {"batch_size": batch, "shuffle": True, "num_workers": workers}
    common["persistent_workers"] = workers > 0
    pictures = [Image.fromarray(image) for image in images]
    tensors = [torch.from_numpy(image).permute(2, 0, 1).contiguous() for image in images]

    def per_sample(inputs: list[Any], transform: Callable[[Any], Any]) -> Any:
        return DataLoader(InMemory(inputs, length, transform), worker_init_fn=one_thread, **common)

    table = {
        BASE: per_sample(images, Albumentations(area=False)),
        "albumentations, area": per_sample(images, Albumentations(area=True)),
        "torchvision, tensor": per_sample(tensors, torchvision_v2(pil=False)),
        "torchvision, PIL": per_sample(pictures, torchvision_v2(pil=True)),
    }
    for color in ("linear", "exact"):
        data = ours(images, length, color)
        if workers:
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
    """Return images per second, one entry per round and candidate."""
    rates: dict[str, list[float]] = {name: [] for name in table}
    for loader in table.values():
        next(iter(loader))  # starts the workers
    order = random.Random(SEED)
    for _ in range(rounds):
        for name in order.sample(list(table), len(table)):
            rates[name].append(timed(table[name], staging))
    return rates


def summary(rates: dict[str, list[float]]) -> list[dict[str, Any]]:
    """Return one row per candidate: medians, and the quartiles of the ratios within a round."""
    rows = []
    for name, values in rates.items():
        ratios = [value / base for value, base in zip(values, rates[BASE], strict=True)]
        low, middle, high = np.percentile(ratios, (25, 50, 75))
        rows.append(
            {
                "name": name,
                "images_per_second": round(statistics.median(values)),
                "times_albumentations": round(float(middle), 2),
                "quartiles": [round(float(low), 2), round(float(high), 2)],
            }
        )
    return rows


def show(workers: int, rows: list[dict[str, Any]]) -> None:
    """Print the table of one number of workers."""
    print(f"\n{workers} workers\n{'':28} {'images / s':>10} {'times albumentations (quartiles)':>34}")
    for row in rows:
        low, high = row["quartiles"]
        ratio = f"{row['times_albumentations']} ({low} to {high})"
        print(f"{row['name']:28} {row['images_per_second']:>10} {ratio:>34}", flush=True)


def main(arguments: list[str] | None = None) -> None:
    """Measure every number of workers that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--batches", type=int, default=24, help="timed batches of each pass")
    parser.add_argument("--only", default="", help="candidates whose name contains this, beside albumentations")
    parser.add_argument("--images", help="folder of .jpg photographs; the demo photograph by default")
    parser.add_argument("--quick", action="store_true", help="under two minutes: batches of 8, two rounds")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--overhead", action="store_true", help="what the plugin itself costs: see overhead.py")
    parser.add_argument("--decode", action="store_true", help="from files, and the wait of a step: see decoding.py")
    args, others = parser.parse_known_args(arguments)
    for flag, asked in (("overhead", args.overhead), ("decoding", args.decode)):
        if asked:
            given = sys.argv[1:] if arguments is None else arguments
            import_module(flag).main([word for word in given if word not in ("--overhead", "--decode")])
            return
    if others:
        parser.error(f"unrecognized arguments: {' '.join(others)}")
    if args.quick:
        args.rounds, args.batch, args.batches = 2, 8, 6
    one_core()
    about = {**head(args.rounds, args.images), "quick": args.quick, "batch": args.batch, "batches": args.batches}
    about["recipe"] = "RandomResizedCrop, flip, ColorJitter, Normalize; 256 to 224 px"
    print(f"{about['machine']}; batch {args.batch}, {args.rounds} rounds; {about['versions']}")
    images = photos(DISTINCT, (SIZE, SIZE), args.images)
    staging = torch.from_numpy(np.zeros((args.batch, 3, OUT, OUT), np.float32))
    results: dict[str, Any] = {}
    for workers in args.workers:
        table = candidates(images, (WARM_BATCHES + args.batches) * args.batch, args.batch, workers)
        table = {name: loader for name, loader in table.items() if name == BASE or args.only in name}
        results[str(workers)] = summary(measure(table, args.rounds, staging))
        show(workers, results[str(workers)])
        del table  # its workers end with it
    save(args.json, {**about, "workers": results})


if __name__ == "__main__":
    main()
