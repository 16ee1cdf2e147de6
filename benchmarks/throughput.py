"""Images per second of augmentation recipes on one core, against the peers, in one run.

Every peer gets uint8 images in memory in its own layout and fills a normalized float32 batch; parameters are drawn
inside the timed call, reading and decoding are not timed. Each round times every candidate once, in random order, after
one untimed call; the table shows medians, with quartiles of the ratios within a round, which a slow phase of the
machine does not bend. Beside each speed stands how far the candidate's output is from torchvision's in distribution:
the difference of mean and standard deviation over the whole batch, in units of the normalized output.

    python benchmarks/throughput.py [RECIPE ...] [--rounds 9] [--images DIR] [--json FILE] [--plot FILE]
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import statistics
import time
from pathlib import Path
from typing import Any

import albumentations as A
import cv2
import numpy as np
import torch
import torchvision
from PIL import Image
from recipes import RECIPES, Candidate, Recipe, candidates

from augsynth.data import demo

BASE, REFERENCE = "albumentations", "torchvision, tensor"


def photos(count: int, size: tuple[int, int], folder: str | None) -> list[np.ndarray]:
    """Return `count` different uint8 `(H, W, 3)` crops of real photographs."""
    files = sorted(Path(folder).glob("*.jpg")) if folder else []
    sources = [Image.open(file).convert("RGB") for file in files] or [demo.photo()]
    height, width = size
    crops = []
    for i in range(count):
        source, draw = sources[i % len(sources)], random.Random(i)
        share = draw.uniform(0.5, 1.0) * min(source.size[0] / width, source.size[1] / height)
        w, h = share * width, share * height
        left, top = draw.uniform(0, source.size[0] - w), draw.uniform(0, source.size[1] - h)
        crops.append(np.array(source.resize((width, height), box=(left, top, left + w, top + h))))
    return crops


def measure(table: dict[str, Candidate], rounds: int) -> dict[str, list[float]]:
    """Return seconds per call, one entry per round and candidate.

    The thread's own time: everything runs in one thread, and what else runs on the machine does not count.
    """
    seconds: dict[str, list[float]] = {name: [] for name in table}
    for _ in range(rounds):
        for name in random.sample(list(table), len(table)):
            table[name]()
            start = time.thread_time()
            table[name]()
            seconds[name].append(time.thread_time() - start)
    return seconds


def moments(candidate: Candidate, calls: int = 4) -> tuple[float, float]:
    """Return mean and standard deviation of what a candidate makes, over several draws."""
    values = [torch.as_tensor(candidate()).float() for _ in range(calls)]
    return statistics.mean(float(v.mean()) for v in values), statistics.mean(float(v.std()) for v in values)


def rows_of(recipe: Recipe, rounds: int, folder: str | None) -> list[dict[str, Any]]:
    """Measure one recipe; one row per candidate."""
    images = photos(recipe.batch, recipe.size, folder)
    table = candidates(recipe, images)
    seconds = measure(table, rounds)
    mean, std = moments(table[REFERENCE])
    rows = []
    for name, values in seconds.items():
        ratios = sorted(base / value for base, value in zip(seconds[BASE], values, strict=True))
        low, middle, high = np.percentile(ratios, (25, 50, 75))
        own_mean, own_std = moments(table[name])
        rows.append(
            {
                "name": name,
                "microseconds_per_image": round(1e6 * statistics.median(values) / recipe.batch, 1),
                "times_albumentations": round(float(middle), 2),
                "quartiles": [round(float(low), 2), round(float(high), 2)],
                "mean_difference": round(own_mean - mean, 3),
                "std_difference": round(own_std - std, 3),
            }
        )
    return rows


def show(name: str, recipe: Recipe, rows: list[dict[str, Any]]) -> None:
    """Print one recipe's table."""
    print(f"\n{name}: batch of {recipe.batch}")
    print(f"{'':40} {'us / image':>10} {'times albumentations':>28} {'mean, std - torchvision':>26}")
    for row in rows:
        ratio = f"{row['times_albumentations']:.2f} ({row['quartiles'][0]:.2f} to {row['quartiles'][1]:.2f})"
        parity = f"{row['mean_difference']:+.3f}, {row['std_difference']:+.3f}"
        print(f"{row['name']:40} {row['microseconds_per_image']:>10} {ratio:>28} {parity:>26}", flush=True)


def plot(results: dict[str, list[dict[str, Any]]], path: Path) -> None:
    """Draw the ratios of all recipes, ours and the peers', on one logarithmic axis."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    names = list(dict.fromkeys(row["name"] for rows in results.values() for row in rows))
    figure, axes = plt.subplots(figsize=(9, 0.5 + 0.62 * len(results)), layout="constrained")
    for position, rows in enumerate(results.values()):
        for row in rows:
            color = f"C{names.index(row['name']) % 10}"
            axes.scatter(row["times_albumentations"], -position, color=color, s=28, label=row["name"])
    axes.axvline(1, color="gray", linewidth=0.8)
    axes.set(xscale="log", xlabel="speed, times albumentations (one core)")
    axes.set_yticks([-i for i in range(len(results))], list(results))
    handles, labels = axes.get_legend_handles_labels()
    unique = dict(zip(labels, handles, strict=True))
    axes.legend(unique.values(), unique.keys(), fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
    figure.savefig(path, dpi=130)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipes", nargs="*", help=f"of {', '.join(RECIPES)}; all by default")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--images", help="folder of .jpg photographs; the demo photograph by default")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    args = parser.parse_args()
    unknown = set(args.recipes) - set(RECIPES)
    if unknown:
        parser.error(f"no recipe {', '.join(sorted(unknown))}; there are {', '.join(RECIPES)}")
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    versions = {m.__name__: m.__version__ for m in (torch, torchvision, A, cv2, np)}
    print(f"one core, {args.rounds} rounds; {versions}")
    results = {}
    for name in args.recipes or RECIPES:
        results[name] = rows_of(RECIPES[name], args.rounds, args.images)
        show(name, RECIPES[name], results[name])
    if args.json:
        about = {"cpu": platform.processor(), "versions": versions, "rounds": args.rounds}
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps({**about, "recipes": results}, indent=1) + "\n")
    if args.plot:
        plot(results, args.plot)


if __name__ == "__main__":
    main()
