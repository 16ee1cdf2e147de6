"""Where the time of a recipe goes, and how far it is from a floor: `throughput.py --floor`.

For each recipe, on one core: microseconds per image of the whole (exact colour; linear beside it), and of the same
recipe without one of its steps; what a step takes is the difference, so that shared work counts for none of them, and
the rest is called "shared". Beside it stand, copy: numpy copies the bytes that must be read (the part of the image that
the crop shows, by the mean of its range) and written (float32), in memory that is warm; the floor. convert: torch turns
bytes of the output's size into normalized float32 by copy_, sub_ and div_, as a recipe of torch calls would have to.
call: the same recipe on one image, less what an image takes in a batch: the fixed cost of a call. gigabytes: bytes read
and written per second.

    python benchmarks/throughput.py --floor [RECIPE ...] [--rounds 5] [--images DIR] [--json FILE] [--quick]
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import peers
import torch
from protocol import MEAN, STD, Candidate, Timing, measure, photos
from recipes import RECIPES, Recipe

from augsynth import transforms as T

CROPS = (T.RandomResizedCrop, T.RandomCrop, T.Resize)


def run(names: Sequence[str], rounds: int, folder: str | None, quick: bool, results: dict[str, Any]) -> dict[str, Any]:
    """Measure the recipes that are not in `results`, print them, and return what the file keeps."""
    for name in names or RECIPES:
        if name in results:
            continue
        recipe = RECIPES[name]
        if quick:
            recipe = replace(recipe, batch=max(2, recipe.batch // 8))
        results[name] = of_recipe(recipe, rounds, folder)
        show(name, results[name])
    return {"floor": dict(results)}


def of_recipe(recipe: Recipe, rounds: int, folder: str | None) -> dict[str, Any]:
    """Measure one recipe, its parts and its floors."""
    images = photos(recipe.batch, recipe.size, folder)
    table = candidates(recipe, images)
    times = measure(table, rounds)
    whole = _median(times["whole"])
    steps = {name: whole - _median(times[name]) for name in table if name.startswith("without ")}
    read, written = bytes_of(recipe, images)
    floors = {name: _median(times[name]) for name in ("copy", "convert")}
    return {
        "microseconds": times["whole"].microseconds(),
        "linear_microseconds": round(_median(times["linear"]), 2) if "linear" in times else None,
        "steps": {name.removeprefix("without "): round(value, 2) for name, value in steps.items()},
        "shared": round(whole - sum(steps.values()), 2),
        "floors": {name: round(value, 2) for name, value in floors.items()},
        "call": round(_median(times["one image"]) - whole, 2),
        "bytes_read": read,
        "bytes_written": written,
        "gigabytes_per_second": round((read + written) / whole / 1e3, 2),
        "percent_of_copy": round(100 * floors["copy"] / whole, 1),
    }


def _median(timing: Timing) -> float:
    return 1e6 * float(np.median(timing.seconds))


def candidates(recipe: Recipe, images: Sequence[np.ndarray]) -> dict[str, Candidate]:
    """Return what is timed: the recipe, the recipe without each of its steps, and the floors."""
    steps = recipe.ours()
    table = {"whole": peers.ours(steps, images, "exact"), "one image": peers.ours(steps, images[:1], "exact")}
    if recipe.color:
        table["linear"] = peers.ours(steps, images, "linear")
    for at, step in enumerate(steps):
        rest = [*steps[:at], *steps[at + 1 :]]
        if isinstance(step, CROPS):  # something has to bring the image to its size
            rest.insert(at, T.CenterCrop(recipe.out))
        table[f"without {_name(step)}"] = peers.ours(rest, images, "exact")
    return {**table, "copy": copy(*bytes_of(recipe, images), len(images)), "convert": convert(recipe)}


def _name(step: Any) -> str:
    inner = getattr(step, "transforms", None)
    parts = inner.values() if isinstance(inner, Mapping) else inner or ()
    return " of ".join([type(step).__name__, *(type(part).__name__ for part in parts)])


def bytes_of(recipe: Recipe, images: Sequence[np.ndarray]) -> tuple[int, int]:
    """Return the bytes that must be read of an image, on average, and written."""
    size = images[0].size
    return round(size * shown(recipe)), 3 * recipe.out**2 * np.dtype(np.float32).itemsize


def shown(recipe: Recipe) -> float:
    """Return the mean share of the image that the recipe's crop reads."""
    height, width = recipe.size
    for step in recipe.ours():
        if isinstance(step, T.RandomResizedCrop):
            return float(np.mean(step.scale))
        if isinstance(step, (T.RandomCrop, T.CenterCrop)):
            return min(1.0, recipe.out**2 / (height * width))
    return 1.0


def copy(read: int, written: int, batch: int) -> Candidate:
    """Copy as many bytes as must move."""
    half = (read + written) // 2
    source, target = np.zeros((batch, half), np.uint8), np.ones((batch, half), np.uint8)
    return Candidate(lambda: np.copyto(target, source), batch)


def convert(recipe: Recipe) -> Candidate:
    """Turn bytes of the output's size into normalized floats, plane by plane."""
    images = torch.zeros(recipe.batch, 3, recipe.out, recipe.out, dtype=torch.uint8)
    batch = torch.empty(images.shape)
    mean, std = (torch.tensor(value).view(3, 1, 1) * 255 for value in (MEAN, STD))

    def work() -> None:
        for row, image in zip(batch, images, strict=True):
            row.copy_(image).sub_(mean).div_(std)

    return Candidate(work, recipe.batch)


def show(name: str, row: Mapping[str, Any]) -> None:
    """Print one recipe."""
    whole = row["microseconds"]["microseconds_per_image"]
    parts = ", ".join(f"{step} {value:.1f}" for step, value in row["steps"].items())
    floors = ", ".join(f"{floor} {value:.1f}" for floor, value in row["floors"].items())
    print(f"{name}: {whole:.1f} us = {parts}, shared {row['shared']:.1f}")
    print(f"    floors: {floors}; {row['gigabytes_per_second']:.1f} GB/s; a call costs {row['call']:.1f}", flush=True)
