"""From JPEG files to a batch that is ready for the device: images a second, and how long a training step waits for it.

Files of 500 x 375 pixels lie in a folder (and, after the first pass, in the page cache); each candidate decodes as its
users do: albumentations by OpenCV, torchvision by Pillow or by its own decoder, augsynth by either of the first two.
Recipe and copy as in `loader.py`. Images a second: of a loop that does nothing else. `waiting`: the share of its time
in which a loop has no batch that sleeps for `--step` milliseconds after each, as long as a training step on a device
that leaves the processor alone. Both are counted from the seventh batch on. "Decoding alone" bounds what any can reach.

    python benchmarks/loader.py --decode [--workers 0 1 2] [--step 50] [--images DIR] [--json FILE] [--quick]
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import loader
import numpy as np
import torch
from PIL import Image
from protocol import SEED, head, one_core, photos, save
from torch.utils.data import DataLoader, Dataset
from torchvision.io import ImageReadMode, decode_jpeg, read_file

import augsynth as ag
from augsynth import Pipeline
from augsynth import transforms as T

SIZE, DISTINCT, QUALITY = (375, 500), 256, 90
BASE = "albumentations, OpenCV"


class Files(Dataset[Any]):
    """Images in files, repeated up to a length, decoded and transformed one by one."""

    def __init__(self, paths: list[str], length: int, decode: Callable[[str], Any], transform: Any = None) -> None:
        self.paths, self.length, self.decode, self.transform = paths, length, decode, transform

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, i: int) -> tuple[Any, int]:
        image = self.decode(self.paths[i % len(self.paths)])
        return image if self.transform is None else self.transform(image), i % 10


def by_opencv(path: str) -> np.ndarray:
    """Decode to `(H, W, 3)` RGB."""
    return cv2.cvtColor(cv2.imread(path), cv2.COLOR_BGR2RGB)


def by_pillow(path: str) -> Image.Image:
    """Decode as torchvision's ImageFolder does."""
    with Image.open(path) as image:
        return image.convert("RGB")


def by_torchvision(path: str) -> torch.Tensor:
    """Decode to `(3, H, W)` uint8."""
    return decode_jpeg(read_file(path), ImageReadMode.RGB)


def written(folder: Path, count: int, images: str | None) -> list[str]:
    """Write photographs as JPEG files and return their paths."""
    paths = []
    for i, pixels in enumerate(photos(count, SIZE, images)):
        paths.append(str(folder / f"{i}.jpg"))
        Image.fromarray(pixels).save(paths[-1], quality=QUALITY)
    return paths


def candidates(paths: list[str], length: int, batch: int, workers: int) -> dict[str, Any]:
    """Return a loader per candidate, all over the same files."""
    common: dict[str, Any] = {"batch_size": batch, "shuffle": True, "num_workers": workers}
    common |= {"persistent_workers": workers > 0, "worker_init_fn": loader.one_thread}

    def per_sample(decode: Callable[[str], Any], transform: Any) -> Any:
        return DataLoader(Files(paths, length, decode, transform), **common)

    steps = [T.RandomResizedCrop(loader.OUT), T.RandomHorizontalFlip(), T.ColorJitter(0.4, 0.4, 0.4, 0.1)]
    steps += [T.Normalize(loader.MEAN, loader.STD)]

    def ours(decode: Callable[[str], Any]) -> Any:
        return ag.loader(ag.wrap(Files(paths, length, decode), Pipeline(steps)), **common)

    return {
        BASE: per_sample(by_opencv, loader.Albumentations(area=False)),
        "torchvision, Pillow": per_sample(by_pillow, loader.torchvision_v2(pil=True)),
        "torchvision, its decoder": per_sample(by_torchvision, loader.torchvision_v2(pil=False)),
        "augsynth exact, Pillow": ours(by_pillow),
        "augsynth exact, OpenCV": ours(by_opencv),
        "decoding alone, Pillow": per_sample(by_pillow, _corner),
        "decoding alone, OpenCV": per_sample(by_opencv, _corner),
    }


def _corner(image: Any) -> torch.Tensor:
    """Take a corner of what was decoded, which costs next to nothing: the bound of every candidate."""
    pixels = np.asarray(image.crop((0, 0, 8, 8)) if isinstance(image, Image.Image) else image[:8, :8])
    return torch.from_numpy(pixels.copy())


def timed(batches: Any, staging: torch.Tensor, step: float) -> tuple[float, float]:
    """Return images per second over one pass, without its first batches, and the share of time spent waiting."""
    waited, started, count = 0.0, 0.0, 0
    before = time.perf_counter()
    for number, (images, _) in enumerate(batches):
        if images.shape[-1] == loader.OUT:
            staging[: len(images)].copy_(images)
        arrived = time.perf_counter()
        if number >= loader.WARM_BATCHES:
            waited, count = waited + arrived - before, count + len(images)
        time.sleep(step)
        before = time.perf_counter()
        if number == loader.WARM_BATCHES - 1:
            started = before
    spent = time.perf_counter() - started
    return count / spent, waited / spent


def measure(table: dict[str, Any], rounds: int, staging: torch.Tensor, step: float) -> list[dict[str, Any]]:
    """Return one row per candidate: medians over rounds, the order drawn anew in each."""
    for batches in table.values():
        next(iter(batches))  # starts the workers
    free: dict[str, list[float]] = {name: [] for name in table}
    shares: dict[str, list[float]] = {name: [] for name in table}
    order = random.Random(SEED)
    for _ in range(rounds):
        for name in order.sample(list(table), len(table)):
            free[name].append(timed(table[name], staging, 0.0)[0])
            shares[name].append(timed(table[name], staging, step)[1])
    return [_row(name, free[name], free[BASE], shares[name]) for name in table]


def _row(name: str, speeds: list[float], base: list[float], shares: list[float]) -> dict[str, Any]:
    low, middle, high = np.percentile([a / b for a, b in zip(speeds, base, strict=True)], (25, 50, 75))
    return {
        "name": name,
        "images_per_second": round(statistics.median(speeds)),
        "times_albumentations": round(float(middle), 2),
        "quartiles": [round(float(low), 2), round(float(high), 2)],
        "waiting": round(statistics.median(shares), 3),
    }


def main(arguments: list[str] | None = None) -> None:
    """Measure every number of workers that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--step", type=float, default=50, help="milliseconds of a training step")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--batches", type=int, default=18, help="timed batches of each pass")
    parser.add_argument("--images", help="folder of .jpg photographs; the demo photograph by default")
    parser.add_argument("--quick", action="store_true", help="under two minutes: batches of 8, one round")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args(arguments)
    distinct = DISTINCT
    if args.quick:
        args.rounds, args.batch, args.batches, distinct = 1, 8, 4, 16
    one_core()
    about = {**head(args.rounds, args.images), "quick": args.quick, "batch": args.batch, "step_ms": args.step}
    about["recipe"] = "JPEG of 500 x 375 px; RandomResizedCrop to 224 px, flip, ColorJitter, Normalize"
    print(f"{about['machine']}; batch {args.batch}, {args.rounds} rounds, a step of {args.step:g} ms")
    results: dict[str, Any] = {}
    staging = torch.zeros(args.batch, 3, loader.OUT, loader.OUT)
    with tempfile.TemporaryDirectory() as folder:
        paths = written(Path(folder), distinct, args.images)
        for workers in args.workers:
            table = candidates(paths, (loader.WARM_BATCHES + args.batches) * args.batch, args.batch, workers)
            results[str(workers)] = measure(table, args.rounds, staging, args.step / 1000)
            show(workers, results[str(workers)])
            del table  # its workers end with it
    save(args.json, {**about, "workers": results})


def show(workers: int, rows: list[dict[str, Any]]) -> None:
    """Print the table of one number of workers."""
    print(f"\n{workers} workers\n{'':28} {'images / s':>10} {'times albumentations (quartiles)':>34} {'waiting':>8}")
    for row in rows:
        low, high = row["quartiles"]
        ratio = f"{row['times_albumentations']} ({low} to {high})"
        print(f"{row['name']:28} {row['images_per_second']:>10} {ratio:>34} {row['waiting']:>8.0%}", flush=True)
