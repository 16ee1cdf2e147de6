"""How the cost per image grows with batch, image side and number of transforms: `throughput.py --curves`.

batch: the ImageNet recipe from 256 to 224 px, 1 to 256 images a call. side: crop, flip, turn and jitter at 32 to 512
px, four megapixels a call, at most 256 images. number: the first 1 to 10 of ten transforms at 224 px, geometric,
colour, or both in turn, 16 images a call. uint8 in, normalized float32 out, as in the recipes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import albumentations as A
import peers
from protocol import Candidate, Failed, attempt, measure, photos
from recipes import BILINEAR, RECIPES
from torchvision.transforms import v2

from augsynth import transforms as T

BATCHES, QUICK_BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256), (1, 8)
SIDES, QUICK_SIDES = (32, 64, 128, 224, 320, 512), (32, 224)
NUMBERS, QUICK_NUMBERS = tuple(range(1, 11)), (1, 4)
PIXELS_PER_CALL, MOST_IMAGES = 2**22, 256
NUMBER_SIDE, NUMBER_BATCH = 224, 16


@dataclass(frozen=True)
class Steps:
    """One pipeline in three libraries, without Normalize."""

    ours: list[Any]
    torchvision: list[Any]
    albumentations: list[Any]


@dataclass(frozen=True)
class Point:
    """One place on a curve: what is varied, its value, and the call that is timed there, with colour steps or none."""

    value: int
    steps: Callable[[], Steps]
    side: int
    out: int
    images: int
    color: bool = True


def _color(strength: float) -> list[Steps]:
    """Return five colour steps, none of which undoes another."""
    low, high = 1 - strength, 1 + strength
    one = (1.0, 1.0)
    jitters = [
        ((low, high), one, one, (0.0, 0.0)),
        (one, (low, high), one, (0.0, 0.0)),
        (one, one, (low, high), (0.0, 0.0)),
        (one, one, one, (-0.05, 0.05)),
    ]
    steps = [Steps([T.ColorJitter(*j)], [v2.ColorJitter(*j)], [A.ColorJitter(*j, p=1.0)]) for j in jitters]
    return [*steps, Steps([T.RandomGrayscale(0.2)], [v2.RandomGrayscale(0.2)], [A.ToGray(p=0.2)])]


def _moves(size: int, degrees: float) -> list[Steps]:
    """Return five steps that move pixels and keep the size."""
    return [
        Steps(
            [T.RandomResizedCrop(size, (0.5, 1.0))],
            [v2.RandomResizedCrop(size, (0.5, 1.0))],
            [A.RandomResizedCrop((size, size), (0.5, 1.0))],
        ),
        Steps([T.RandomHorizontalFlip()], [v2.RandomHorizontalFlip()], [A.HorizontalFlip()]),
        Steps(
            [T.RandomRotation(degrees, "bilinear")],
            [v2.RandomRotation(degrees, BILINEAR)],
            [A.Rotate((-degrees, degrees), border_mode=0, p=1.0)],
        ),
        Steps(
            [T.RandomAffine(0, (0.05, 0.05), (0.9, 1.1), interpolation="bilinear")],
            [v2.RandomAffine(0, (0.05, 0.05), (0.9, 1.1), interpolation=BILINEAR)],
            [A.Affine(translate_percent=(-0.05, 0.05), scale=(0.9, 1.1), p=1.0)],
        ),
        Steps(
            [T.RandomPerspective(0.1, 1.0)],
            [v2.RandomPerspective(0.1, 1.0)],
            [A.Perspective((0.02, 0.05), keep_size=True, p=1.0)],
        ),
    ]


def _ten(kind: str) -> list[Steps]:
    moves = _moves(NUMBER_SIDE, 15.0) + _moves(NUMBER_SIDE, 10.0)
    colors = _color(0.2) + _color(0.1)
    mixed = [step for both in zip(moves, colors, strict=True) for step in both]
    return {"geometric": moves, "colour": colors, "mixed": mixed[:10]}[kind]


def _joined(steps: list[Steps]) -> Steps:
    parts = ("ours", "torchvision", "albumentations")
    return Steps(*([one for step in steps for one in getattr(step, part)] for part in parts))


def _imagenet() -> Steps:
    recipe = RECIPES["imagenet 256"]
    return Steps(recipe.ours(), recipe.torchvision(), recipe.albumentations({}))


def _batches(quick: bool) -> Iterator[Point]:
    for count in QUICK_BATCHES if quick else BATCHES:
        yield Point(count, _imagenet, 256, 224, count)


def _sides(quick: bool) -> Iterator[Point]:
    for side in QUICK_SIDES if quick else SIDES:
        steps = lambda side=side: _joined([*_moves(side, 15.0)[:3], *_color(0.4)[:4]])  # noqa: E731
        images = min(PIXELS_PER_CALL // side**2, MOST_IMAGES)
        yield Point(side, steps, side, side, max(1, images // 8 if quick else images))


def _numbers(kind: str) -> Callable[[bool], Iterator[Point]]:
    def points(quick: bool) -> Iterator[Point]:
        for number in QUICK_NUMBERS if quick else NUMBERS:
            steps = lambda number=number: _joined(_ten(kind)[:number])  # noqa: E731
            yield Point(number, steps, NUMBER_SIDE, NUMBER_SIDE, 2 if quick else NUMBER_BATCH, kind != "geometric")

    return points


# Name: what is varied, and the points.
CURVES: dict[str, tuple[str, Callable[[bool], Iterator[Point]]]] = {
    "batch": ("images per call", _batches),
    "side": ("side of the images, px", _sides),
    "number, geometric": ("number of geometric transforms", _numbers("geometric")),
    "number, colour": ("number of colour transforms", _numbers("colour")),
    "number, mixed": ("number of transforms, half of them colour", _numbers("mixed")),
}


def candidates(point: Point, folder: str | None) -> dict[str, Candidate | Failed]:
    """Return what renders one point's pipeline in each library; ours without colour is one candidate."""
    images = photos(point.images, (point.side, point.side), folder)
    steps = point.steps
    makers: dict[str, Callable[[], Candidate]] = {}
    for color in ("linear", "exact") if point.color else ("exact",):
        name = f"augsynth {color}" if point.color else "augsynth"
        makers[name] = lambda color=color: peers.ours(steps().ours, images, color)  # type: ignore[misc]
    makers["albumentations"] = lambda: peers.albumentations(steps().albumentations, images, point.out)
    makers["torchvision, tensor"] = lambda: peers.torchvision(steps().torchvision, images, point.out, pil=False)
    return {name: attempt(make) for name, make in makers.items()}


def run(names: list[str], rounds: int, folder: str | None, quick: bool, results: dict[str, Any]) -> dict[str, Any]:
    """Measure these curves, or all, but for those in `results`; each a list of points with microseconds per image."""
    for name in names or CURVES:
        if name in results:
            continue
        varied, points = CURVES[name]
        print(f"\n{name}: microseconds per image")
        results[name] = {"varied": varied, "points": [_measured(point, rounds, folder) for point in points(quick)]}
    return {"curves": dict(results)}


def _measured(point: Point, rounds: int, folder: str | None) -> dict[str, Any]:
    table = candidates(point, folder)
    timings = {name: timing.microseconds() for name, timing in measure(table, rounds).items()}
    failed = {name: {"failed": c.why} for name, c in table.items() if isinstance(c, Failed)}
    cells = ", ".join(f"{name} {row['microseconds_per_image']}" for name, row in timings.items())
    print(f"{point.value:>6} ({point.images} images): {cells}", flush=True)
    return {"value": point.value, "images": point.images, "rows": timings | failed}
