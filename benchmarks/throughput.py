"""Images per second of one augmentation recipe on one core, against the peers, in one run.

Recipe: RandomResizedCrop 256 -> 224, horizontal flip, affine (15 degrees, 10 % shift, 0.9 to 1.1 scale, 5 degrees
shear, bilinear), ColorJitter(0.4, 0.4, 0.4, 0.1), Normalize to float32. Every peer gets uint8 images in memory in its
own layout and fills a batch; reading and decoding are not timed. Each round times every candidate once, in random
order, after one untimed call; the table shows the median over rounds and the median of the ratios within a round,
which a slow phase of the machine does not bend.

    python benchmarks/throughput.py [--rounds 9] [--batch 64] [--images DIR] [--json FILE]
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import random
import statistics
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
import albumentations as A
import cv2
import numpy as np
import torch
import torchvision
from PIL import Image
from torchvision.transforms import v2

import augsynth as ag
from augsynth import transforms as T
from augsynth.data import demo
from augsynth.rng import Rng

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SIZE, OUT = 256, 224
Candidate = Callable[[], object]


def photos(count: int, folder: str | None) -> list[np.ndarray]:
    """Return `count` different uint8 `(256, 256, 3)` crops of real photographs."""
    files = sorted(Path(folder).glob("*.jpg")) if folder else []
    sources = [Image.open(file).convert("RGB") for file in files] or [demo.photo()]
    crops = []
    for i in range(count):
        source, draw = sources[i % len(sources)], random.Random(i)
        side = min(source.size) * draw.uniform(0.5, 1.0)
        left, top = draw.uniform(0, source.size[0] - side), draw.uniform(0, source.size[1] - side)
        crops.append(np.array(source.resize((SIZE, SIZE), box=(left, top, left + side, top + side))))
    return crops


def recipe(color: str) -> ag.Pipeline:
    return ag.Pipeline(
        [
            T.RandomResizedCrop(OUT),
            T.RandomHorizontalFlip(),
            T.RandomAffine(15, (0.1, 0.1), (0.9, 1.1), 5, interpolation="bilinear"),
            T.ColorJitter(0.4, 0.4, 0.4, 0.1),
            T.Normalize(MEAN, STD),
        ],
        color=color,
    )


def ours(images: list[np.ndarray], color: str) -> Candidate:
    pipeline, epochs = recipe(color), itertools.count()
    return lambda: pipeline.images(images, Rng.of(0, range(len(images)), next(epochs)))


def ours_one_by_one(images: list[np.ndarray], color: str) -> Candidate:
    pipeline, batch = recipe(color), torch.from_numpy(np.empty((len(images), 3, OUT, OUT), np.float32))
    inputs = [Image.fromarray(image) for image in images]

    def run() -> object:
        for row, image in zip(batch, inputs, strict=True):
            row.copy_(pipeline(image))
        return batch

    return run


def image_tensor(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(image).permute(2, 0, 1)


def albumentations(images: list[np.ndarray], area: bool) -> Candidate:
    extra = {"area_for_downscale": "image"} if area else {}
    chain = A.Compose(
        [
            A.RandomResizedCrop((OUT, OUT), **extra),
            A.HorizontalFlip(),
            A.Affine(rotate=(-15, 15), translate_percent=(-0.1, 0.1), scale=(0.9, 1.1), shear=(-5, 5), p=1.0),
            A.ColorJitter((0.6, 1.4), (0.6, 1.4), (0.6, 1.4), (-0.1, 0.1), p=1.0),
            A.Normalize(MEAN, STD),
        ]
    )

    batch = np.empty((len(images), OUT, OUT, 3), np.float32)

    def run() -> object:
        for row, image in zip(batch, images, strict=True):
            row[...] = chain(image=image)["image"]
        return batch

    return run


def torchvision_v2(images: list[np.ndarray], pil: bool) -> Candidate:
    head = [v2.ToImage()] if pil else []
    mode = v2.InterpolationMode.BILINEAR
    chain = v2.Compose(
        [
            v2.RandomResizedCrop(OUT, antialias=True),
            v2.RandomHorizontalFlip(),
            v2.RandomAffine(15, (0.1, 0.1), (0.9, 1.1), 5, interpolation=mode),
            v2.ColorJitter(0.4, 0.4, 0.4, 0.1),
            *head,
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(MEAN, STD),
        ]
    )
    inputs = [Image.fromarray(i) if pil else image_tensor(i).contiguous() for i in images]
    return lambda: torch.stack([chain(i) for i in inputs])


def kornia_batch(images: list[np.ndarray]) -> Candidate | None:
    try:
        import kornia.augmentation as K
    except ImportError:
        return None
    chain = K.AugmentationSequential(
        K.RandomResizedCrop((OUT, OUT), scale=(0.08, 1.0)),
        K.RandomHorizontalFlip(),
        K.RandomAffine(15.0, (0.1, 0.1), (0.9, 1.1), 5.0, p=1.0),
        K.ColorJiggle(0.4, 0.4, 0.4, 0.1, p=1.0),
        K.Normalize(torch.tensor(MEAN), torch.tensor(STD)),
        data_keys=["input"],
    )
    batch = torch.stack([image_tensor(i).contiguous() for i in images])
    return lambda: chain(batch.float().div(255))


def candidates(images: list[np.ndarray]) -> dict[str, Candidate]:
    table: dict[str, Candidate | None] = {
        "augsynth linear": ours(images, "linear"),
        "augsynth exact": ours(images, "exact"),
        "augsynth exact, transform=": ours_one_by_one(images, "exact"),
        "albumentations": albumentations(images, area=False),
        "albumentations, area": albumentations(images, area=True),
        "torchvision v2, PIL": torchvision_v2(images, pil=True),
        "torchvision v2, tensor": torchvision_v2(images, pil=False),
        "kornia, batch": kornia_batch(images),
    }
    return {name: candidate for name, candidate in table.items() if candidate is not None}


def measure(table: dict[str, Candidate], rounds: int) -> dict[str, list[float]]:
    """Return seconds per call, one entry per round and candidate."""
    seconds: dict[str, list[float]] = {name: [] for name in table}
    for _ in range(rounds):
        for name in random.sample(list(table), len(table)):
            table[name]()
            start = time.perf_counter()
            table[name]()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--images", help="folder of .jpg photographs; the demo photograph by default")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    images = photos(args.batch, args.images)
    seconds = measure(candidates(images), args.rounds)
    base = "albumentations"
    rows = []
    for name, values in seconds.items():
        ratios = [b / v for b, v in zip(seconds[base], values, strict=True)]
        rows.append(
            {
                "name": name,
                "microseconds_per_image": round(1e6 * statistics.median(values) / args.batch, 1),
                "times_albumentations": round(statistics.median(ratios), 2),
                "ratio_low_high": [round(min(ratios), 2), round(max(ratios), 2)],
            }
        )
    versions = {m.__name__: m.__version__ for m in (torch, torchvision, A, cv2, np)}
    print(f"one core, batch {args.batch}, {args.rounds} rounds; {versions}")
    print(f"{'':28} {'us / image':>10} {'times albumentations':>22}")
    for row in rows:
        low, high = row["ratio_low_high"]
        print(
            f"{row['name']:28} {row['microseconds_per_image']:>10} {row['times_albumentations']:>10}  ({low} to {high})"
        )
    if args.json:
        result = {
            "recipe": "rrc-flip-affine-jitter-normalize 256->224",
            "cpu": platform.processor(),
            "versions": versions,
        }
        args.json.write_text(json.dumps({**result, "rounds": args.rounds, "batch": args.batch, "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
