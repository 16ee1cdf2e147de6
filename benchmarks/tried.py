"""What did not help: other ways to do what the engine does, timed beside it on one core in one run.

Each row is a way that looks reasonable, on the same 64 images of 256 px to 224 px (photographs), with the time of ours
for the same work. A ratio above 1 says how many times as long the other way takes; below 1 we are the slower one.

    python benchmarks/tried.py [--rounds 5] [--images DIR] [--json FILE] [--quick]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from protocol import MEAN, STD, Candidate, head, measure, one_core, photos, save
from torch.nn.functional import affine_grid, grid_sample
from torchvision.transforms import v2

import augsynth as ag
from augsynth import transforms as T
from augsynth.rng import Rng

SIZE, OUT = 256, 224
NORMALIZE = T.Normalize(MEAN, STD)
CROP = [T.RandomResizedCrop(OUT), T.RandomHorizontalFlip()]
IMAGENET = [*CROP, T.ColorJitter(0.4, 0.4, 0.4, 0.1)]
AFFINE = [T.RandomAffine(15, (0.1, 0.1), (0.9, 1.1), 5, interpolation="bilinear")]
Images = list[np.ndarray]


@dataclass(frozen=True)
class Try:
    """what: the other way, in words. ours, other: what is timed; each renders all images once a call."""

    what: str
    ours: Callable[[], Any]
    other: Callable[[], Any]


def batch(steps: list[Any], images: Images, **options: Any) -> Callable[[], Any]:
    """Return a keyed call of a pipeline on the batch, a new epoch each time."""
    pipeline, epoch = ag.Pipeline(steps, **options), iter(range(1 << 30))
    return lambda: pipeline.images(images, Rng.of(0, range(len(images)), next(epoch)))


def one_by_one(steps: list[Any], images: Images) -> Callable[[], Any]:
    """Return a call for each image."""
    pipeline = ag.Pipeline(steps)
    return lambda: [pipeline.images([image], Rng.of(0, [i])) for i, image in enumerate(images)]


def stacked(steps: list[Any], images: Images) -> Callable[[], Any]:
    """Return a call for each image, with a stack after them, as a collate function does."""
    single = one_by_one(steps, images)
    return lambda: torch.cat(single())


def afterwards(images: Images) -> Callable[[], Any]:
    """Return a pipeline that gives bytes, and torchvision to normalize them."""
    bytes_of = batch(IMAGENET, images)
    return lambda: v2.functional.normalize(bytes_of().float().div_(255), list(MEAN), list(STD), inplace=True)


def matrices(count: int) -> torch.Tensor:
    """Return small turns, moves and zooms, `(B, 2, 3)`, as torch's affine_grid wants them."""
    rng = np.random.default_rng(0)
    angle, zoom = rng.uniform(-0.26, 0.26, count), rng.uniform(0.9, 1.1, count)
    rows = [[zoom * np.cos(angle), -np.sin(angle), rng.uniform(-0.1, 0.1, count)]]
    rows += [[np.sin(angle), zoom * np.cos(angle), rng.uniform(-0.1, 0.1, count)]]
    return torch.tensor(np.array(rows).transpose(2, 0, 1), dtype=torch.float32)


def sampled(images: Images, chunk: int) -> Callable[[], Any]:
    """Return grid_sample over float images, `chunk` of them a call."""
    data = torch.stack([torch.from_numpy(image).permute(2, 0, 1) for image in images])
    maps = matrices(len(images))

    def run() -> None:
        for rows in torch.arange(len(images)).split(chunk):
            part = data[rows].float()
            grid_sample(part, affine_grid(maps[rows], list(part.shape), False), align_corners=False)

    return run


def warped(images: Images, channels: int) -> Callable[[], Any]:
    """Return cv2.warpAffine on pixels of so many channels, into one batch."""
    maps = matrices(len(images)).numpy().astype(np.float64)
    maps[:, :, 2] *= SIZE
    out = np.empty((len(images), SIZE, SIZE, 3), np.uint8)

    def run() -> None:
        for row, image, matrix in zip(out, images, maps, strict=True):
            if channels == 4:
                four = cv2.warpAffine(cv2.cvtColor(image, cv2.COLOR_RGB2RGBA), matrix, (SIZE, SIZE))
                cv2.cvtColor(four, cv2.COLOR_RGBA2RGB, dst=row)
            else:
                cv2.warpAffine(image, matrix, (SIZE, SIZE), dst=row)

    return run


def draws(count: int) -> Callable[[], Any]:
    """Return nine numbers for each image, from a generator of torch that is seeded for each."""
    generator = torch.Generator()
    return lambda: [torch.rand(9, generator=generator.manual_seed(i)) for i in range(count)]


def keyed(count: int) -> Callable[[], Any]:
    """Return nine numbers for each image from the keys."""
    return lambda: Rng.of(0, range(count)).uniform("slot", 9)


def tries(images: Images) -> Iterator[Try]:
    """Yield all of them."""
    whole = [*IMAGENET, NORMALIZE]
    ours = batch(whole, images)
    yield Try("the ImageNet recipe by OpenCV's calls (engine='opencv')", ours, batch(whole, images, engine="opencv"))
    yield Try("the ImageNet recipe by tensors (engine='torch')", ours, batch(whole, images, engine="torch"))
    yield Try("its steps one after the other (fuse=False)", ours, batch(whole, images, fuse=False))
    yield Try("a call for each image", ours, one_by_one(whole, images))
    yield Try("a call for each image, and a stack", ours, stacked(whole, images))
    yield Try("bytes out, normalized by torchvision", ours, afterwards(images))
    yield Try("colour folded into one matrix (color='linear')", ours, batch(whole, images, color="linear"))
    turns = batch(AFFINE, images)
    yield Try("an affine map by grid_sample, the batch at once", turns, sampled(images, len(images)))
    yield Try("an affine map by grid_sample, four images at once", turns, sampled(images, 4))
    yield Try("an affine map by OpenCV, pixels of three bytes", turns, warped(images, 3))
    yield Try("an affine map by OpenCV, pixels of four bytes", turns, warped(images, 4))
    yield Try("draws from a torch.Generator seeded for each image", keyed(len(images)), draws(len(images)))


def rows_of(images: Images, rounds: int) -> list[dict[str, Any]]:
    """Measure all and return a row for each."""
    rows = []
    for one in tries(images):
        table = {"ours": Candidate(one.ours, len(images)), "other": Candidate(one.other, len(images))}
        timings = measure(table, rounds)
        ratio, quartiles = timings["ours"].times(timings["other"])
        mine, theirs = (timings[name].microseconds()["microseconds_per_image"] for name in ("ours", "other"))
        rows.append({"what": one.what, "ours": mine, "other": theirs, "times": ratio, "quartiles": quartiles})
        print(f"{one.what:55s} {theirs:9.1f} us, ours {mine:7.1f}: {ratio:6.2f} times as long", flush=True)
    return rows


def main(arguments: list[str] | None = None) -> None:
    """Measure, print, and save where the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--images", help="folder of .jpg photographs; the demo photograph by default")
    parser.add_argument("--quick", action="store_true", help="under a minute: four images, one round")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args(arguments)
    rounds, count = (1, 4) if args.quick else (args.rounds, 64)
    one_core()
    images = photos(count, (SIZE, SIZE), args.images)
    about = {**head(rounds, args.images), "quick": args.quick}
    save(args.json, {**about, "tried": rows_of(images, rounds)})


if __name__ == "__main__":
    main()
