"""What each kernel of a replayed graph costs on the device, for ways to start the render kernel. Needs CUDA.

Rows: one case and one way, with the microseconds that each kernel runs (median over the calls, by the profiler), and of
a replay's wall time. The ways are a tile's height and width, warps, registers, and whether tiles find a mean by waiting
for each other; the first one is what the engine uses. Each compiles in a process of its own before anything is timed.

    python benchmarks/gpu_kernels.py [--calls 20] [--cases 0 1 2 5] [--json FILE]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from gpu import copy_speed, roofline_percent
from gpu_peers import CASES, Case, ours
from protocol import head, save

from augsynth.engines import triton_launch, triton_layout

Way = tuple[int, int, tuple[int, int | None], tuple[int, int | None], int | None]
ROWS, PIXELS, MOST = triton_layout.ROWS, triton_layout.PIXELS, triton_launch.most_together
# A tile's height and width; warps and registers by rows and by pixels; how many tiles may wait, None: as many as ever.
WAYS: tuple[Way, ...] = (
    (8, 32, ROWS, PIXELS, None),
    (8, 32, ROWS, PIXELS, 0),
    (8, 32, (1, 64), (4, 56), None),
    (8, 32, (1, 80), (4, 80), None),
    (8, 32, (1, 96), (8, 64), None),
    (4, 32, (1, 64), (2, 64), None),
    (8, 64, (2, 72), (4, 96), None),
)


def use(way: Way) -> None:
    """Let launches be started in this way."""
    height, width, rows, pixels, waiting = way
    triton_layout.TILE_Y, triton_layout.TILE_X = height, width
    triton_layout.ROWS, triton_layout.PIXELS = rows, pixels
    triton_launch.most_together = MOST if waiting is None else lambda device: waiting  # type: ignore[assignment]


def started(case: Case) -> Callable[[], object]:
    """Record a case's graph in the way that is used, start it once, and return what replays it."""
    images = case.images("cuda")
    graph = ours(case).graphed(images)
    graph(images, index=range(case.batch))
    torch.cuda.synchronize()
    return graph.replay


def kernels(replay: Callable[[], object], calls: int) -> dict[str, float]:
    """Return the median microseconds of each kernel of a replay, in their order."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA], acc_events=True) as profile:
        for _ in range(calls):
            replay()
        torch.cuda.synchronize()
    ran = [event for event in profile.events() if event.device_type == torch.autograd.DeviceType.CUDA]
    each = len(ran) // calls
    return {
        f"{i} {ran[i].name}": round(statistics.median(event.device_time for event in ran[i::each]), 1)
        for i in range(each)
    }


def wall(replay: Callable[[], object], calls: int) -> float:
    """Return microseconds per replay where replays follow each other."""
    replay()
    torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(calls):
        replay()
    torch.cuda.synchronize()
    return round(1e6 * (time.perf_counter() - start) / calls, 1)


def compile_all(cases: list[int]) -> None:
    """Compile every way in a process of its own, all at the same time."""
    command = [sys.executable, __file__, "--cases", *map(str, cases), "--only"]
    for process in [subprocess.Popen([*command, str(i)]) for i in range(len(WAYS))]:
        process.wait()


def main(arguments: list[str] | None = None) -> None:
    """Measure every way in every chosen case, print a line for each, and save them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=20)
    parser.add_argument("--cases", type=int, nargs="+", default=[0, 1, 2, 5])
    parser.add_argument("--only", type=int, help="compile this way, and time nothing")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args(arguments)
    if not torch.cuda.is_available():
        sys.exit("benchmarks/gpu_kernels.py needs a CUDA device, and torch finds none")
    if args.only is not None:
        use(WAYS[args.only])
        for number in args.cases:
            started(CASES[number])
        return
    compile_all(args.cases)
    speed, rows = copy_speed(), []
    for case in (CASES[number] for number in args.cases):
        for way in WAYS:
            use(way)
            replay = started(case)
            row: dict[str, Any] = {"case": str(case), "way": way, "kernels": kernels(replay, args.calls)}
            row["wall_us"] = wall(replay, args.calls)
            row["roofline_percent"] = roofline_percent(case.bytes, speed, sum(row["kernels"].values()) / 1e6)
            rows.append(row)
            print(*row.values(), sep="; ", flush=True)
    about = {**head(1), "calls": args.calls, "device": torch.cuda.get_device_name()}
    save(args.json, {**about, "copy_bytes_per_second": round(speed), "rows": rows})


if __name__ == "__main__":
    main()
