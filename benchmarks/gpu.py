"""Batched augmentation on one GPU, against the peers and against memory, in one run. The cases: `gpu_peers.py`.

Parameters are drawn inside the timed call, by the host, or by the device in the rows "graph"; "keys on the device" says
that no key crosses: what a user's own kernel filled in is drawn from. Every candidate is timed once per round, in
random order, after one untimed call; medians and quartiles.

wall: time per call when calls follow each other without a pause, what a loop pays that does nothing else. device: sum
of all kernels of one call, by the profiler. roofline: the share of the device time that reading every input byte and
writing every output byte once would take, at the speed of a copy kernel in this run; of_crops: the same without the
bytes that the crops leave out, which no kernel has to read. A batch that fits the cache can pass 100 %. waits: how
often one call makes the host wait, as torch reports it, and as the profiler sees it.

    python benchmarks/gpu.py [--rounds 15] [--calls 20] [--json FILE] [--quick] [--dry-run]

--dry-run needs no GPU: it runs every call once on tiny images, ours in Triton's interpreter, and times nothing.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

# Triton reads this when it is imported, which others do too.
os.environ.setdefault("TRITON_INTERPRET", str(int("--dry-run" in sys.argv)))
import numpy as np
import torch
from gpu_peers import CASES, DRY_CASES, GRAPH, OURS, REPLAY, Case, candidates, ours
from protocol import SEED, Candidate, Failed, Table, head, save

from augsynth.rng import Rng

DRY = "--dry-run"
COPY_BYTES = 2**30
WAITS = ("cudaStreamSynchronize", "cudaEventSynchronize", "cudaMemcpy")
NEEDS_CUDA = (
    "benchmarks/gpu.py needs a CUDA device, and torch finds none. benchmarks/throughput.py measures the CPU; "
    f"{DRY} checks this script without a device"
)


def roofline_percent(least_bytes: int, bytes_per_second: float, seconds: float) -> float:
    """Return which share of `seconds` moving `least_bytes` takes at that speed, in per cent."""
    return round(100 * least_bytes / bytes_per_second / seconds, 1) if seconds > 0 else 0.0


def wall_seconds(table: Table, rounds: int, calls: int) -> dict[str, list[float]]:
    """Return seconds per call, one entry per round."""
    works = {name: c.call for name, c in table.items() if isinstance(c, Candidate)}
    seconds: dict[str, list[float]] = {name: [] for name in works}
    order = random.Random(SEED)
    for _ in range(rounds):
        for name in order.sample(list(works), len(works)):
            works[name]()
            torch.cuda.synchronize()
            start = time.perf_counter()
            for _ in range(calls):
                works[name]()
            torch.cuda.synchronize()
            seconds[name].append((time.perf_counter() - start) / calls)
    return seconds


def profiled(call: Callable[[], Any], calls: int) -> dict[str, float]:
    """Return per call: seconds that kernels and copies run, how many there are, and how often the host waits."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
        for _ in range(calls):
            call()
        torch.cuda.synchronize()
    events = list(profile.events())
    work = [event for event in events if event.device_type == torch.autograd.DeviceType.CUDA]
    waits = sum(event.name in WAITS for event in events)
    return {
        "seconds": sum(event.device_time for event in work) / 1e6 / calls,
        "kernels": len(work) / calls,
        "waits": waits / calls,
    }


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
    if not isinstance(mine, torch.Tensor) or not isinstance(theirs, torch.Tensor):
        raise TypeError(f"{case}: a batch of one size came out as a list")
    return float((mine.float() - theirs.float()).abs().max())


def measure(case: Case, speed: float, rounds: int, calls: int, limit_s: float) -> dict[str, Any]:
    """Measure one case; one row per candidate, with what failed where one did."""
    images = case.images("cuda")
    table = candidates(case, images, limit_s)
    seconds = wall_seconds(table, rounds, calls)
    rows = [_row(case, name, c, seconds.get(name, []), speed, calls) for name, c in table.items()]
    return {"case": str(case), "difference_to_torch_engine": disagreement(case, images), "rows": rows}


def _row(
    case: Case, name: str, candidate: Candidate | Failed, seconds: list[float], speed: float, calls: int
) -> dict[str, Any]:
    if isinstance(candidate, Failed):
        return {"name": name, "failed": candidate.why}
    found, wall = profiled(candidate.call, calls), statistics.median(seconds)
    low, high = np.percentile(seconds, (25, 75))
    return {
        "name": name,
        "per_sample": candidate.per_sample,
        "images_per_second": round(case.batch / wall),
        "wall_us": round(1e6 * wall, 1),
        "wall_quartiles": [round(1e6 * float(low), 1), round(1e6 * float(high), 1)],
        "device_us": round(1e6 * found["seconds"], 1),
        "roofline_percent": roofline_percent(case.bytes, speed, found["seconds"]),
        "roofline_of_crops_percent": roofline_percent(case.bytes_of_crops, speed, found["seconds"]),
        "kernels": round(found["kernels"], 1),
        "waits": waits(candidate.call),
        "waits_profiled": round(found["waits"], 1),
    }


def show(result: dict[str, Any]) -> None:
    """Print one case's table."""
    print(f"\n{result['case']}; kernel against torch engine: {result['difference_to_torch_engine']:.2g}")
    print(f"{'':42} {'images/s':>10} {'wall us':>9} {'device us':>10} {'roofline':>9} {'of crops':>9} kernels waits")
    for row in result["rows"]:
        if "failed" in row:
            print(f"{row['name']:42} {row['failed']}")
            continue
        print(
            f"{row['name']:42} {row['images_per_second']:>10} {row['wall_us']:>9} {row['device_us']:>10} "
            f"{row['roofline_percent']:>8}% {row['roofline_of_crops_percent']:>8}% {row['kernels']:>7} "
            f"{row['waits']} / {row['waits_profiled']}"
        )


def dry_run() -> list[dict[str, Any]]:
    """Run every call once on tiny images on the CPU, and return what works and what fails; times nothing."""
    results = []
    for case in DRY_CASES:
        images = case.images("cpu")
        table = candidates(case, images, compile_limit_s=0)
        rows = [
            {"name": name, "failed": c.why} if isinstance(c, Failed) else {"name": name, "shape": _shape(name, c)}
            for name, c in table.items()
        ]
        results.append({"case": str(case), "difference_to_torch_engine": disagreement(case, images), "rows": rows})
    return results


def _shape(name: str, candidate: Candidate) -> list[int] | None:
    """Return the output's shape; a replayed graph returns nothing, it fills the batch of the graph before it."""
    made = candidate.call()
    return None if name == REPLAY else list(made.shape)


def launch_bound(results: list[dict[str, Any]]) -> dict[str, float]:
    """Return what a call of 32 small images costs, in microseconds of wall time: as called, by graph, replayed."""
    small = next(result for result in results if result["case"].startswith("imagenet, 32 "))
    walls = {row["name"]: row["wall_us"] for row in small["rows"] if "wall_us" in row}
    return {name: walls[name] for name in (OURS, GRAPH, REPLAY) if name in walls}


def main(arguments: list[str] | None = None) -> None:
    """Measure every case, print the tables, and save them where the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--calls", type=int, default=20)
    parser.add_argument("--compile-limit", type=float, default=60.0, help="seconds for torch.compile; 0: no")
    parser.add_argument("--quick", action="store_true", help="three rounds of five calls, nothing compiled")
    parser.add_argument(DRY, action="store_true", help="check the script without a device; times nothing")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args(arguments)
    if args.dry_run:
        for result in dry_run():
            print(f"\n{result['case']}; kernel against torch engine: {result['difference_to_torch_engine']:.2g}")
            for row in result["rows"]:
                print(f"{row['name']:42} {row.get('failed') or row['shape'] or 'runs'}")
        return
    if not torch.cuda.is_available():
        sys.exit(NEEDS_CUDA)
    rounds, calls = (3, 5) if args.quick else (args.rounds, args.calls)
    speed, device = copy_speed(), torch.cuda.get_device_name()
    about = {
        **head(rounds),
        "quick": args.quick,
        "calls": calls,
        "device": device,
        "copy_bytes_per_second": round(speed),
    }
    print(f"{device}; a copy moves {speed / 1e9:.0f} GB/s; {about['versions']}")
    results = []
    for case in CASES:
        results.append(measure(case, speed, rounds, calls, 0 if args.quick else args.compile_limit))
        show(results[-1])
    bound = launch_bound(results)
    print(f"\nbatch of 32, microseconds per call: {bound}")
    save(args.json, {**about, "cases": results, "launch_bound_us": bound})


if __name__ == "__main__":
    main()
