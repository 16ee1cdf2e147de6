"""Images per second of batched augmentation on one GPU, against the peers and against memory, in one run.

Recipe "imagenet": RandomResizedCrop 256 -> 224, horizontal flip, ColorJitter(0.4, 0.4, 0.4, 0.1), Normalize; uint8
images on the device become bfloat16. Recipe "affine": the steps and the four sizes that triton-augment publishes
(degrees=15, float32 in and out). Parameters are drawn inside the timed call, except for "kernel alone".

wall: time per call when calls follow each other without a pause, what a loop pays that does nothing else; median of
rounds in random order. device: sum of all kernels of one call, by the profiler. roofline: the share of the device time
that reading every input byte and writing every output byte once would take, at the speed of a copy kernel in this run.
waits: how often one call makes the host wait for the device. draws: parameters per sample, or one set for the batch.

    python benchmarks/gpu.py [--rounds 15] [--calls 20] [--json FILE]
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torchvision
from torchvision.transforms import v2

import augsynth as ag
from augsynth import transforms as T
from augsynth.fuse import fuse
from augsynth.images import Form
from augsynth.rng import Rng

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
COPY_BYTES = 2**30


@dataclass(frozen=True)
class Case:
    """One recipe at one size: B images of `size` squared become `out` squared."""

    name: str
    batch: int
    size: int
    out: int
    source: torch.dtype
    target: torch.dtype

    def images(self) -> torch.Tensor:
        """Return random images on the device."""
        generator = torch.Generator("cuda").manual_seed(0)
        shape = (self.batch, 3, self.size, self.size)
        pixels = torch.randint(0, 256, shape, dtype=torch.uint8, device="cuda", generator=generator)
        return pixels if self.source == torch.uint8 else pixels.to(self.source) / 255

    @property
    def bytes(self) -> int:
        """How many bytes have to be read and written at least, the whole input counted."""
        return 3 * self.batch * (self.size**2 * self.source.itemsize + self.out**2 * self.target.itemsize)


CASES = [
    Case("imagenet", 256, 256, 224, torch.uint8, torch.bfloat16),
    Case("imagenet", 32, 256, 224, torch.uint8, torch.bfloat16),
    Case("affine", 32, 256, 224, torch.float32, torch.float32),
    Case("affine", 64, 256, 224, torch.float32, torch.float32),
    Case("affine", 32, 600, 512, torch.float32, torch.float32),
    Case("affine", 32, 1280, 1024, torch.float32, torch.float32),
]


@dataclass(frozen=True)
class Candidate:
    """What is timed, and whether each sample has parameters of its own."""

    call: Callable[[], Any]
    draws: str = "per sample"


def ours(case: Case, engine: str = "triton") -> ag.Pipeline:
    steps: list[Any] = [T.RandomResizedCrop(case.out), T.RandomHorizontalFlip(), T.ColorJitter(0.4, 0.4, 0.4, 0.1)]
    if case.name == "affine":
        steps = [T.RandomAffine(15), T.RandomCrop(case.out), T.RandomHorizontalFlip()]
        steps += [T.ColorJitter(0.2, 0.2, 0.2), T.RandomGrayscale(0.1)]
    return ag.Pipeline([*steps, T.Normalize(MEAN, STD)], engine=engine, dtype=case.target)


def augsynth_calls(case: Case, images: torch.Tensor) -> dict[str, Candidate]:
    """Return the pipeline as users call it, its graph, and what is left of the graph when nothing is drawn."""
    from augsynth.engines.triton import Recorded

    pipeline, epochs = ours(case), itertools.count()
    recorded = Recorded(pipeline._output(Form.of(images[0], "")), exact=True)
    rows = list(images)
    sizes = [(case.size, case.size)] * case.batch

    def runs() -> Any:
        return fuse(pipeline.draw(sizes, index=range(case.batch), epoch=next(epochs)), exact_color=True)

    fixed, torch_engine = runs(), ours(case, "torch")
    recorded.render(rows, fixed)
    [recording] = recorded._recordings.values()
    return {
        "augsynth": Candidate(lambda: pipeline.images(images, Rng.of(0, range(case.batch), next(epochs)))),
        "augsynth, graph": Candidate(lambda: recorded.render(rows, runs())),
        "augsynth, kernel alone": Candidate(recording._replay),
        "augsynth, torch engine": Candidate(
            lambda: torch_engine.images(images, Rng.of(0, range(case.batch), next(epochs)))
        ),
    }


def torchvision_calls(case: Case, images: torch.Tensor) -> dict[str, Candidate]:
    if case.name == "affine":
        steps: list[Any] = [v2.RandomAffine(15), v2.RandomCrop(case.out), v2.RandomHorizontalFlip()]
        steps += [v2.ColorJitter(0.2, 0.2, 0.2), v2.RandomGrayscale(0.1)]
    else:
        steps = [v2.RandomResizedCrop(case.out), v2.RandomHorizontalFlip(), v2.ColorJitter(0.4, 0.4, 0.4, 0.1)]
    chain = v2.Compose([*steps, v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, STD)])
    return {"torchvision v2": Candidate(lambda: chain(images).to(case.target), "per batch")}


def kornia_calls(case: Case, images: torch.Tensor) -> dict[str, Candidate]:
    import kornia.augmentation as K

    if case.name == "affine":
        steps = [K.RandomAffine(15.0, p=1.0), K.RandomCrop((case.out, case.out)), K.RandomHorizontalFlip()]
        steps += [K.ColorJitter(0.2, 0.2, 0.2, p=1.0), K.RandomGrayscale(p=0.1)]
    else:
        steps = [K.RandomResizedCrop((case.out, case.out), scale=(0.08, 1.0)), K.RandomHorizontalFlip()]
        steps += [K.ColorJitter(0.4, 0.4, 0.4, 0.1, p=1.0)]
    chain = K.AugmentationSequential(*steps, K.Normalize(torch.tensor(MEAN), torch.tensor(STD)), data_keys=["input"])

    def call() -> torch.Tensor:
        floats = images.float() / 255 if images.dtype == torch.uint8 else images
        result: torch.Tensor = chain(floats)
        return result.to(case.target)

    return {"kornia": Candidate(call), "kornia, compiled": Candidate(torch.compile(call))}


def triton_augment_calls(case: Case, images: torch.Tensor) -> dict[str, Candidate]:
    import triton_augment as ta

    if case.name != "affine":
        return {}
    fused = ta.TritonFusedAugment(
        crop_size=case.out,
        degrees=15,
        horizontal_flip_p=0.5,
        brightness=0.2,
        contrast=0.2,
        saturation=0.2,
        grayscale_p=0.1,
        mean=MEAN,
        std=STD,
    )
    return {"triton-augment": Candidate(lambda: fused(images))}


def candidates(case: Case, images: torch.Tensor) -> dict[str, Candidate]:
    """Return all that can be imported and runs; say what does not."""
    table: dict[str, Candidate] = {}
    for make in (augsynth_calls, torchvision_calls, kornia_calls, triton_augment_calls):
        try:
            table |= make(case, images)
        except ImportError as error:
            print(f"left out: {error}")
    for name, candidate in list(table.items()):
        try:
            for _ in range(3):
                candidate.call()
            torch.cuda.synchronize()
        except Exception as error:
            print(f"left out: {name} fails: {type(error).__name__}: {str(error).splitlines()[0][:200]}")
            del table[name]
    return table


def wall_seconds(table: dict[str, Candidate], rounds: int, calls: int) -> dict[str, list[float]]:
    """Return seconds per call, one entry per round."""
    seconds: dict[str, list[float]] = {name: [] for name in table}
    for _ in range(rounds):
        for name in random.sample(list(table), len(table)):
            table[name].call()
            torch.cuda.synchronize()
            start = time.perf_counter()
            for _ in range(calls):
                table[name].call()
            torch.cuda.synchronize()
            seconds[name].append((time.perf_counter() - start) / calls)
    return seconds


def device_seconds(call: Callable[[], Any], calls: int) -> tuple[float, float]:
    """Return how long the kernels and copies of one call run, and how many there are."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
        for _ in range(calls):
            call()
        torch.cuda.synchronize()
    events = [event for event in profile.events() if event.device_type == torch.autograd.DeviceType.CUDA]
    return sum(event.device_time for event in events) / 1e6 / calls, len(events) / calls


def waits(call: Callable[[], Any]) -> int:
    """Count what torch reports as synchronizing in one call."""
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            call()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    return sum("synchronizing" in str(warning.message) for warning in caught)


def copy_speed() -> float:
    """Return bytes per second, read and written, of a copy kernel over a gibibyte."""
    source = torch.empty(COPY_BYTES, dtype=torch.uint8, device="cuda")
    target = torch.empty_like(source)
    target.copy_(source)
    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    start.record()
    for _ in range(20):
        target.copy_(source)
    end.record()
    torch.cuda.synchronize()
    return 20 * 2 * COPY_BYTES / (start.elapsed_time(end) / 1e3)


def disagreement(case: Case, images: torch.Tensor) -> float:
    """Return the largest difference between the kernel and the torch engine on this batch, in output units."""
    mine, theirs = (ours(case, engine).images(images, Rng.of(0, range(case.batch))) for engine in ("triton", "torch"))
    assert isinstance(mine, torch.Tensor)
    assert isinstance(theirs, torch.Tensor)
    return float((mine.float() - theirs.float()).abs().max())


def measure(case: Case, speed: float, rounds: int, calls: int) -> list[dict[str, Any]]:
    """Return one row per candidate."""
    images = case.images()
    table = candidates(case, images)
    seconds = wall_seconds(table, rounds, calls)
    rows = []
    for name, candidate in table.items():
        busy, kernels = device_seconds(candidate.call, calls)
        wall = statistics.median(seconds[name])
        rows.append(
            {
                "candidate": name,
                "images_per_second": round(case.batch / wall),
                "wall_ms": round(1e3 * wall, 4),
                "wall_ms_low_high": [round(1e3 * min(seconds[name]), 4), round(1e3 * max(seconds[name]), 4)],
                "device_ms": round(1e3 * busy, 4),
                "roofline_percent": round(100 * case.bytes / speed / busy, 1),
                "kernels": round(kernels, 1),
                "waits": waits(candidate.call),
                "draws": candidate.draws,
            }
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--calls", type=int, default=20)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit(
            "benchmarks/gpu.py needs a CUDA device, and torch finds none; benchmarks/throughput.py measures the CPU"
        )
    speed, report = copy_speed(), []
    device = torch.cuda.get_device_name()
    print(f"{device}, torch {torch.__version__}; a copy moves {speed / 1e9:.0f} GB/s")
    for case in CASES:
        rows = measure(case, speed, args.rounds, args.calls)
        title = f"{case.name}, {case.batch} x {case.size} -> {case.out}, {case.source} -> {case.target}"
        error = disagreement(case, case.images())
        print(f"\n{title}; kernel against torch engine: {error:.2g}")
        print(f"{'':24} {'images/s':>10} {'wall ms':>9} {'device ms':>10} {'roofline':>9} {'kernels':>8} {'waits':>6}")
        for row in rows:
            print(
                f"{row['candidate']:24} {row['images_per_second']:>10} {row['wall_ms']:>9} {row['device_ms']:>10} "
                f"{row['roofline_percent']:>8}% {row['kernels']:>8} {row['waits']:>6}  {row['draws']}"
            )
        report.append({"case": title, "largest_difference_to_torch_engine": error, "rows": rows})
    if args.json:
        versions = {"torch": torch.__version__, "torchvision": torchvision.__version__, "augsynth": ag.__version__}
        head = {"device": device, "versions": versions, "copy_bytes_per_second": round(speed)}
        head |= {"rounds": args.rounds, "calls": args.calls}
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps({**head, "cases": report}, indent=1))


if __name__ == "__main__":
    main()
