"""What the plugin itself costs, apart from augmentation: import, the first batch, and a wrapped dataset.

Import and first batch: whole processes, in turn, wall clock until the batch is there; torch alone, and the ways of
torchvision and albumentations, stand beside it. Wrapped: a DataLoader over a dataset of tensors in memory, by processor
time of a pass in this process: bare (PyTorch's own collate) against wrapped with an empty pipeline, and with a pipeline
whose transforms are all gated out (p=0). The passes of a round stand in turn first and last; the table has medians and
quartiles of the ratios within a round. Reading is nearly free here, so that these are the most that it can cost.

    python benchmarks/loader.py --overhead [--rounds 15] [--json FILE] [--quick]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch
from protocol import head, one_core, save
from torch.utils.data import DataLoader, TensorDataset

import augsynth as ag
from augsynth import transforms as T

BATCH, SIDES = 64, (32, 224)
TV = "from torchvision.transforms import v2; f = v2.Compose([v2.RandomResizedCrop(224), v2.RandomHorizontalFlip()])"
ALB = "import albumentations as A; f = A.Compose([A.RandomResizedCrop((224, 224)), A.HorizontalFlip()])"
AG = "import augsynth as ag; from augsynth import transforms as T"
STEPS = "ag.Pipeline([T.RandomResizedCrop(224), T.RandomHorizontalFlip()])"
# name -> a program that ends when its first batch of 8 is there, or when it has imported what it names.
PROGRAMS = {
    "import torch": "import torch",
    "import augsynth": "import augsynth",
    "import augsynth, Pipeline, transforms": f"{AG}; ag.Pipeline",
    "import torchvision.transforms.v2": "import torchvision.transforms.v2",
    "import albumentations": "import albumentations",
    "first batch, augsynth": (
        f"import torch; {AG}; data = [(torch.zeros(3, 256, 256, dtype=torch.uint8), 0)] * 64; "
        f"next(iter(ag.loader(ag.wrap(data, {STEPS}), 8)))"
    ),
    "first batch, torchvision": (
        f"import torch; {TV}; from torch.utils.data import DataLoader; "
        "next(iter(DataLoader([torch.zeros(3, 256, 256, dtype=torch.uint8)] * 64, 8, "
        "collate_fn=lambda rows: torch.stack([f(row) for row in rows]))))"
    ),
    "first batch, albumentations": (
        f"import torch, numpy; {ALB}; from torch.utils.data import DataLoader; "
        "next(iter(DataLoader([numpy.zeros((256, 256, 3), numpy.uint8)] * 64, 8, "
        "collate_fn=lambda rows: torch.stack([torch.from_numpy(f(image=row)['image']) for row in rows]))))"
    ),
}


def started(program: str) -> float:
    """Return the seconds that a process takes for a program."""
    checkout = str(Path(__file__).resolve().parent.parent)
    path = os.pathsep.join(filter(None, [checkout, os.environ.get("PYTHONPATH")]))
    settings = {"PYTHONPATH": path, "OMP_NUM_THREADS": "1", "NO_ALBUMENTATIONS_UPDATE": "1"}
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", program], env=os.environ | settings, check=True)
    return time.perf_counter() - start


def processes(rounds: int) -> dict[str, list[float]]:
    """Run each program once a round, one after another."""
    table: dict[str, list[float]] = {name: [] for name in PROGRAMS}
    for program in PROGRAMS.values():  # files into the page cache, byte code onto the disk
        started(program)
    for _ in range(rounds):
        for name, program in PROGRAMS.items():
            table[name].append(started(program))
    return table


def gated() -> ag.Pipeline:
    """Return a pipeline of usual transforms that are all gated out."""
    steps = [T.RandomHorizontalFlip(p=0.0), T.RandomGrayscale(p=0.0), T.RandomErasing(p=0.0), T.RandomInvert(p=0.0)]
    return ag.Pipeline([*steps, T.RandomApply([T.ColorJitter(0.4)], p=0.0)])


def loaders(side: int, batches: int) -> dict[str, Any]:
    """Return loaders over one dataset of uint8 images and labels: bare, and wrapped."""
    count = BATCH * batches
    data = TensorDataset(torch.zeros(count, 3, side, side, dtype=torch.uint8), torch.zeros(count, dtype=torch.int64))

    def plain(dataset: Any, **options: Any) -> Any:
        return DataLoader(dataset, BATCH, **options)

    empty, closed = ag.wrap(data, ag.Pipeline([])), ag.wrap(data, gated())
    return {
        "bare": plain(data),
        "empty pipeline": plain(empty, collate_fn=ag.collate),
        "all gated out": plain(closed, collate_fn=ag.collate),
        "empty pipeline, ag.loader": ag.loader(empty, BATCH),
        "all gated out, ag.loader": ag.loader(closed, BATCH),
    }


def passed(loader: Any) -> float:
    """Return the processor seconds of one pass."""
    start = time.process_time()
    for _ in loader:
        pass
    return time.process_time() - start


def ratios(side: int, batches: int, rounds: int) -> dict[str, list[float]]:
    """Return, for each way, its time over the bare loader's in the same round."""
    table = loaders(side, batches)
    for loader in table.values():
        passed(loader)
    found: dict[str, list[float]] = {name: [] for name in table}
    for number in range(rounds):
        names = list(table) if number % 2 else list(table)[::-1]
        taken = {name: passed(table[name]) for name in names}
        for name in table:
            found[name].append(taken[name] / taken["bare"])
    return found


def quartiles(values: list[float]) -> dict[str, float]:
    """Return median and quartiles."""
    low, middle, high = statistics.quantiles(values, n=4) if len(values) > 1 else values * 3
    return {"median": middle, "low": low, "high": high}


def main(arguments: list[str] | None = None) -> None:
    """Measure and print; write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--quick", action="store_true", help="under a minute: two rounds of a few batches")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args(arguments)
    rounds = 2 if args.quick else args.rounds
    one_core()
    results: dict[str, Any] = {"wrapped": {}}
    for side in SIDES:
        batches = 3 if args.quick else 6400 // (BATCH * (side // 32))
        rows = {name: quartiles(values) for name, values in ratios(side, batches, rounds).items()}
        results["wrapped"][str(side)] = rows
        for name, row in rows.items():
            print(f"{side:3d} px  {name:28s} {row['median']:.3f} of the bare ({row['low']:.3f} to {row['high']:.3f})")
    results["seconds"] = {name: quartiles(values) for name, values in processes(1 if args.quick else 5).items()}
    for name, row in results["seconds"].items():
        print(f"{name:40s} {row['median']:.2f} s ({row['low']:.2f} to {row['high']:.2f})")
    save(args.json, {**head(rounds), "batch": BATCH, **results})


if __name__ == "__main__":
    main()
