"""What the benchmarks share: photographs, clock, ratios, how far outputs differ, and the head of a result file.

Clock: the processor time of the whole process, so that what else runs on the machine does not count and work that a
library hands to other threads does. Beside it runs the calling thread's own time; `elsewhere` is the share of the work
that other threads did, near 0 wherever "one core" is true.
"""

from __future__ import annotations

import importlib.metadata
import json
import math
import os
import platform
import random
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
# What is measured is the checkout that this file lies in, whatever is installed.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import cv2
import numpy as np
import torch
from PIL import Image
from threadpoolctl import threadpool_limits

import augsynth as ag
from augsynth.data import demo

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
SEED = 0
SCHEMA = 2
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# A timing shorter than this is repeated within one measurement: the clock itself takes about a microsecond.
SHORTEST_SECONDS = 0.004
PACKAGES: tuple[str, ...] = (
    "torch",
    "torchvision",
    "albumentations",
    "kornia",
    "fuse-augmentations",
    "triton",
    "triton-augment",
)
PACKAGES += ("opencv-python-headless", "numpy", "pillow", "scikit-learn", "imbalanced-learn")


@dataclass(frozen=True)
class Candidate:
    """One way to render a batch: `call` draws parameters and renders `images` images.

    per_sample: every image has its own draw; otherwise one draw serves the whole batch.
    """

    call: Callable[[], Any]
    images: int
    per_sample: bool = True


@dataclass(frozen=True)
class Failed:
    """A candidate that cannot do the job, and why in one line: it stands in the results as that."""

    why: str

    @classmethod
    def of(cls, error: BaseException) -> Failed:
        """Say what went wrong in at most 160 characters, without paths."""
        lines = [line for line in str(error).splitlines() if line.strip()] or [""]
        return cls(f"{type(error).__name__}: {lines[0].strip()}".replace(str(ROOT), "")[:160])


Table = Mapping[str, Candidate | Failed]


@dataclass(frozen=True)
class Timing:
    """Seconds of processor time per image, one entry per round, and the share that other threads did."""

    seconds: list[float]
    elsewhere: float

    def microseconds(self) -> dict[str, Any]:
        """Return the median and the quartiles over the rounds."""
        low, middle, high = (1e6 * float(v) for v in np.percentile(self.seconds, (25, 50, 75)))
        return {
            "microseconds_per_image": round(middle, 1),
            "microseconds_quartiles": [round(low, 1), round(high, 1)],
            "elsewhere": round(self.elsewhere, 3),
        }

    def times(self, base: Timing) -> tuple[float, list[float]]:
        """Return how many times as fast as `base` this is: median and quartiles of the ratios within a round."""
        ratios = [other / own for other, own in zip(base.seconds, self.seconds, strict=True)]
        low, middle, high = np.percentile(ratios, (25, 50, 75))
        return round(float(middle), 2), [round(float(low), 2), round(float(high), 2)]


def one_core() -> None:
    """Tell every library to stay in one thread, and seed the generators that peers draw from."""
    threadpool_limits(1)  # numpy's BLAS, which no other call reaches
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    random.seed(SEED)
    np.random.seed(SEED)  # noqa: NPY002 - the generator that some transforms of albumentations draw from
    torch.manual_seed(SEED)


def attempt(make: Callable[[], Candidate]) -> Candidate | Failed:
    """Make a candidate and call it once; a failure becomes a row of the results."""
    try:
        candidate = make()
        candidate.call()
    except Exception as error:
        return Failed.of(error)
    return candidate


def measure(table: Table, rounds: int) -> dict[str, Timing]:
    """Time every candidate once per round in random order, after one untimed call each time."""
    runs = {name: (c, _repeats(c.call)) for name, c in table.items() if isinstance(c, Candidate)}
    process: dict[str, list[float]] = {name: [] for name in runs}
    thread: dict[str, list[float]] = {name: [] for name in runs}
    order = random.Random(SEED)
    for _ in range(rounds):
        for name in order.sample(list(runs), len(runs)):
            candidate, count = runs[name]
            candidate.call()
            whole, own = _clocked(candidate.call, count)
            process[name].append(whole / count / candidate.images)
            thread[name].append(own / count / candidate.images)
    return {name: Timing(v, max(0.0, 1 - sum(thread[name]) / sum(v))) for name, v in process.items()}


def _clocked(call: Callable[[], Any], count: int) -> tuple[float, float]:
    """Return the seconds that the process and this thread work while `call` runs `count` times."""
    thread, start = time.thread_time(), time.process_time()
    for _ in range(count):
        call()
    return time.process_time() - start, time.thread_time() - thread


def _repeats(call: Callable[[], Any]) -> int:
    """Return how many calls make one measurement that is long enough for the clock."""
    return max(1, math.ceil(SHORTEST_SECONDS / max(_clocked(call, 1)[0], 1e-5)))


def pixels_of(output: Any) -> torch.Tensor:
    """Return the images of what a candidate made: of a dict its "image", of a list all in one row."""
    if isinstance(output, Mapping):
        output = output["image"]
    if isinstance(output, (list, tuple)):
        return torch.cat([torch.as_tensor(image).flatten() for image in output])
    return torch.as_tensor(output)


def moments(candidate: Candidate, draws: int = 4) -> tuple[float, float]:
    """Return mean and standard deviation of the pixels that a candidate makes, over several draws."""
    values = [pixels_of(candidate.call()).float() for _ in range(draws)]
    return statistics.mean(float(v.mean()) for v in values), statistics.mean(float(v.std()) for v in values)


def photos(count: int, size: tuple[int, int], folder: str | None = None) -> list[np.ndarray]:
    """Return `count` different uint8 `(H, W, 3)` crops of real photographs; of the demo's one without a folder."""
    files = sorted(Path(folder).glob("*.jpg")) if folder else []
    if folder and not files:
        raise ValueError(f"--images {folder}: there is no .jpg file in this folder")
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


def head(rounds: int, images: str | None = None) -> dict[str, Any]:
    """Return what a reader of a result file has to know: versions, machine, commit, command, seeds, rounds."""
    count = len(list(Path(images).glob("*.jpg"))) if images else 1
    return {
        "schema": SCHEMA,
        "command": shlex.join(["python", *(_relative(word) for word in sys.argv)]),
        "commit": commit(),
        "versions": versions(),
        "machine": {"cpu": cpu_model(), "cores": os.cpu_count(), "system": f"{platform.system()} {platform.machine()}"},
        "seed": SEED,
        "rounds": rounds,
        "photographs": count,
    }


def _relative(word: str) -> str:
    """Return a word of the command line without the places of this machine."""
    path = Path(word)
    if not path.is_absolute():
        return word
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else path.name


def versions() -> dict[str, str]:
    """Return the versions of Python, of this library, and of every peer that is installed."""
    found = {"python": platform.python_version(), "augsynth": ag.__version__}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def cpu_model() -> str:
    """Return the processor's name, from /proc/cpuinfo where there is one."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def commit() -> str:
    """Return the short hash of the checkout, with "+" where code has changed since; "unknown" outside git.

    Raises RuntimeError where another copy of augsynth was imported than the checkout's.
    """
    if not Path(ag.__file__).is_relative_to(ROOT):
        raise RuntimeError(
            f"{ag.__file__} would be measured, not the checkout in {ROOT}: import protocol before augsynth"
        )
    try:
        short = _git("rev-parse", "--short", "HEAD")
        changed = _git("status", "--porcelain", "--", "augsynth", "benchmarks/*.py")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return short + ("+" if changed else "")


def _git(*words: str) -> str:
    return subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True, check=True).stdout.strip()


class Kept(dict[str, Any]):
    """What was measured, by name: each entry is written at once to a file beside `path` that ends in .partial.

    A run of the same command, commit, versions and machine begins with the entries of one that was stopped.
    """

    def __init__(self, path: Path | None, about: Mapping[str, Any]) -> None:
        super().__init__()
        self.partial = None if path is None else path.with_suffix(".partial")
        self.about = json.loads(json.dumps(about))
        if self.partial is not None and self.partial.exists():
            content = json.loads(self.partial.read_text())
            if content["about"] == self.about:
                self.update(content["kept"])
                print(f"goes on behind {', '.join(self)}", flush=True)

    def __setitem__(self, name: str, value: Any) -> None:
        super().__setitem__(name, value)
        save(self.partial, {"about": self.about, "kept": dict(self)})

    def end(self) -> None:
        """Take the file away: all is measured."""
        if self.partial is not None:
            self.partial.unlink(missing_ok=True)


def save(path: Path | None, content: Mapping[str, Any]) -> None:
    """Write a result file, floats as they are rounded by whoever measured; no path, no file."""
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content, indent=1) + "\n")
