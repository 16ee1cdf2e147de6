"""The cost of every transform of the registry beside each library that has it too: `throughput.py --transforms`.

uint8 in and a uint8 batch out, in one core; kornia takes and gives floats, so its call includes the conversion of what
comes in, and Normalize gives floats everywhere. Ours and kornia get the whole batch in one call, torchvision and
albumentations are called per image and their results stacked; torchvision's call of the whole batch is there too.

Difference: where parameters can be pinned, pixel by pixel from the reference (torchvision, else albumentations, else
kornia), largest and mean; elsewhere mean and standard deviation of the pixels over several draws. In steps of 1/255.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Mapping
from typing import Any

import albumentations as A
import numpy as np
import pairs
import targets
import torch
from pair import Pair
from PIL import Image
from protocol import SEED, Candidate, Failed, Table, Timing, attempt, measure, photos
from torchvision.transforms import v2

import augsynth as ag
from augsynth.rng import Rng
from augsynth.transforms import REGISTRY

OURS = "augsynth"
PER_SAMPLE = ("torchvision, tensor", "torchvision, PIL", "albumentations", "albumentations, area", "kornia, batch")
SHARED = "torchvision, batch (one draw for all)"
REFERENCES = ("torchvision, tensor", "albumentations", "kornia, batch")
NAMES = tuple(REGISTRY)
BATCH, QUICK_BATCH = 64, 4
SLOW_SECONDS, FEW = 0.01, 2
Images = list[np.ndarray]
Sample = dict[str, Any]


def run(
    names: list[str], side: int, rounds: int, folder: str | None, quick: bool, results: dict[str, Any]
) -> dict[str, Any]:
    """Measure these classes, or all, but for those in `results`; a table per pair, and why the others have none."""
    batch = QUICK_BATCH if quick else BATCH
    images = photos(batch, (side, side), folder)
    lonely: dict[str, str] = {}
    for name, pair in pairs.listing(side).items():
        if names and name.split(",")[0] not in names:
            continue
        if isinstance(pair, str):
            lonely[name] = pair
            print(f"{name}: {pair}")
            continue
        if name not in results:
            results[name] = compare(pair, images, rounds)
            show(name, results[name])
    return {"size": side, "batch": batch, "transforms": dict(results), "no_peer": lonely}


def compare(pair: Pair, images: Images, rounds: int) -> dict[str, Any]:
    """Time one pair in every library that has it, and say how far their outputs are from the reference's."""
    table = candidates(pair, pair.timed, images)
    if isinstance(failed := table[OURS], Failed):
        raise RuntimeError(f"augsynth itself fails: {failed.why}")
    timings = measure(table, rounds)
    differences = _pinned(pair, images) if pair.pinned is not None else _moments(pair, table)
    rows = [_row(name, candidate, timings, differences) for name, candidate in table.items()]
    rivals = {name: t.seconds for name, t in timings.items() if name in PER_SAMPLE and table[name].per_sample}  # type: ignore[union-attr]
    best = min(rivals, key=lambda name: float(np.median(rivals[name])), default=None)
    times = next((row["times"] for row in rows if row["name"] == best), None)
    return {
        "rows": rows,
        "best_peer": best,
        "times_best_peer": times,
        "difference": "pixels" if pair.pinned is not None else "moments",
        "reference": next((name for name in REFERENCES if isinstance(table.get(name), Candidate)), None),
        "note": pair.note,
    }


def _row(
    name: str,
    candidate: Candidate | Failed,
    timings: Mapping[str, Timing],
    differences: Mapping[str, list[float] | str],
) -> dict[str, Any]:
    """Return one candidate's row; `times` is how many times as fast as it ours is."""
    if isinstance(candidate, Failed):
        return {"name": name, "failed": candidate.why}
    row = {"name": name, "per_sample": candidate.per_sample, **timings[name].microseconds()}
    row["times"], row["times_quartiles"] = timings[OURS].times(timings[name])
    return {**row, "difference": differences.get(name)}


def candidates(pair: Pair, arguments: tuple[Any, ...], images: Images) -> dict[str, Candidate | Failed]:
    """Return what renders the images in each library that has the transform."""
    if pair.boxes:
        return _with_boxes(pair, arguments, images)
    makers: dict[str, Callable[[], Candidate]] = {OURS: lambda: _ours(pair.ours(*arguments), images)}
    if pair.torchvision is not None:
        make = pair.torchvision
        makers["torchvision, tensor"] = lambda: _torchvision(make(*arguments), images, pair, pil=False)
        if not pair.normalized:
            makers["torchvision, PIL"] = lambda: _torchvision(make(*arguments), images, pair, pil=True)
        makers[SHARED] = lambda: _torchvision_batch(make(*arguments), images)
    if pair.albumentations is not None:
        other = pair.albumentations
        makers["albumentations"] = lambda: _albumentations(other(*arguments), images, pair)
    if pair.filtered is not None:
        smooth = pair.filtered
        makers["albumentations, area"] = lambda: _albumentations(smooth(*arguments), images, pair)
    if pair.kornia is not None:
        third, alike = pair.kornia, "kornia" not in pair.shared
        makers["kornia, batch"] = lambda: _kornia(lambda K: third(K, *arguments), images, alike)
    return {name: attempt(maker) for name, maker in makers.items()}


def _steps(made: Any) -> list[Any]:
    return made if isinstance(made, list) else [made]


def _ours(made: Any, images: Images) -> Candidate:
    pipeline, epochs = ag.Pipeline(_steps(made)), itertools.count()
    return Candidate(lambda: pipeline.images(images, Rng.of(SEED, range(len(images)), next(epochs))), len(images))


def _planes(images: Images) -> list[torch.Tensor]:
    return [torch.from_numpy(image).permute(2, 0, 1).contiguous() for image in images]


def _torchvision(made: Any, images: Images, pair: Pair, pil: bool) -> Candidate:
    chain = v2.Compose([*_steps(made), *([v2.ToImage()] if pil else [])])
    inputs: list[Any] = [Image.fromarray(image) for image in images] if pil else _planes(images)
    inputs = _affordable(chain, inputs)
    if pair.varies:
        return Candidate(lambda: [chain(image) for image in inputs], len(inputs))
    first = chain(inputs[0])
    batch = torch.empty((len(inputs), *first.shape), dtype=first.dtype)
    return Candidate(lambda: torch.stack([chain(image) for image in inputs], out=batch), len(inputs))


def _affordable(chain: Callable[[Any], Any], inputs: list[Any]) -> list[Any]:
    """Return the inputs, or the first two where one image takes long: called per image, the rest says nothing more."""
    chain(inputs[0])
    start = time.process_time()
    chain(inputs[-1])
    return inputs[:FEW] if time.process_time() - start > SLOW_SECONDS else inputs


def _torchvision_batch(made: Any, images: Images) -> Candidate:
    chain, batch = v2.Compose(_steps(made)), torch.stack(_planes(images))
    return Candidate(lambda: chain(batch), len(images), per_sample=False)


def _albumentations(made: Any, images: Images, pair: Pair) -> Candidate:
    chain = A.Compose(_steps(made), seed=SEED)
    images = _affordable(lambda image: chain(image=image), images)
    if pair.varies:
        render = lambda: [torch.from_numpy(chain(image=i)["image"]).permute(2, 0, 1) for i in images]  # noqa: E731
        return Candidate(render, len(images))
    first = chain(image=images[0])["image"]
    batch = np.empty((len(images), *first.shape), first.dtype)

    def call() -> torch.Tensor:
        for row, image in zip(batch, images, strict=True):
            row[...] = chain(image=image)["image"]
        return torch.from_numpy(batch).permute(0, 3, 1, 2)

    return Candidate(call, len(images))


def _kornia(make: Callable[[Any], Any], images: Images, per_sample: bool) -> Candidate:
    import kornia.augmentation as K

    chain = K.AugmentationSequential(*_steps(make(K)), data_keys=["input"])
    batch = torch.stack(_planes(images))
    return Candidate(lambda: chain(batch.float().div(255)), len(images), per_sample)


def _with_boxes(pair: Pair, arguments: tuple[Any, ...], images: Images) -> dict[str, Candidate | Failed]:
    """Return candidates that get boxes and labels too: what they are about. Images come back as a list."""
    rng = np.random.default_rng(SEED)
    data = [{"image": image, **targets.draw_boxes(rng, image.shape[:2])} for image in images]
    pipeline, epochs = ag.Pipeline(_steps(pair.ours(*arguments))), itertools.count()
    makers = {OURS: lambda: Candidate(lambda: pipeline(data, index=range(len(data)), epoch=next(epochs)), len(data))}
    if pair.torchvision is not None:
        chain = v2.Compose(_steps(pair.torchvision(*arguments)))
        inputs = [targets.as_tv(sample, images[0].shape[:2]) for sample in data]
        makers["torchvision, tensor"] = lambda: Candidate(lambda: [chain(sample) for sample in inputs], len(data))
    if pair.albumentations is not None:
        rules = A.BboxParams("pascal_voc", label_fields=["labels"])
        other = A.Compose(_steps(pair.albumentations(*arguments)), bbox_params=rules, seed=SEED)
        named = [targets.as_albumentations(sample) for sample in data]
        makers["albumentations"] = lambda: Candidate(lambda: [other(**sample) for sample in named], len(data))
    return {name: attempt(maker) for name, maker in makers.items()}


def planes_of(output: Any) -> list[torch.Tensor]:
    """Return `(C, H, W)` float64 images, 0 to 255 where they were uint8 or floats from 0 to 1."""
    images = [item["image"] if isinstance(item, dict) else item for item in output]
    made = []
    for image in images:
        tensor = torch.from_numpy(image).permute(2, 0, 1) if isinstance(image, np.ndarray) else image
        made.append(torch.as_tensor(tensor).double() * (255.0 if torch.as_tensor(tensor).is_floating_point() else 1.0))
    return made


def _pinned(pair: Pair, images: Images) -> dict[str, list[float] | str]:
    """Return each candidate's largest and mean difference from the reference, parameters pinned."""
    assert pair.pinned is not None
    table = candidates(pair, pair.pinned, images)
    outputs = {name: planes_of(c.call()) for name, c in table.items() if isinstance(c, Candidate)}
    reference = next((outputs[name] for name in REFERENCES if name in outputs), None)
    if reference is None:
        return {}
    return {name: _gap(planes, reference) for name, planes in outputs.items()}


def _gap(planes: list[torch.Tensor], reference: list[torch.Tensor]) -> list[float] | str:
    if any(one.shape != other.shape for one, other in zip(planes, reference, strict=False)):
        return f"{tuple(planes[0].shape)} is another shape than {tuple(reference[0].shape)}"
    gaps = [(one - other).abs() for one, other in zip(planes, reference, strict=False)]
    largest, mean = max(float(gap.max()) for gap in gaps), sum(float(gap.mean()) for gap in gaps) / len(gaps)
    return [round(largest, 2), round(mean, 3)]


def _moments(pair: Pair, table: Table, draws: int = 4) -> dict[str, list[float] | str]:
    """Return the difference of mean and standard deviation from the reference's, over several draws."""
    works = {name: c for name, c in table.items() if isinstance(c, Candidate)}
    common = min(c.images for c in works.values())
    found = {name: _mean_std(c, draws, common) for name, c in works.items()}
    reference = next((found[name] for name in REFERENCES if name in found), None)
    if reference is None:
        return {}
    return {name: [round(own - other, 1) for own, other in zip(m, reference, strict=True)] for name, m in found.items()}


def _mean_std(candidate: Candidate, draws: int, images: int) -> tuple[float, float]:
    values = torch.cat([plane.flatten() for _ in range(draws) for plane in planes_of(candidate.call())[:images]])
    mean = float(values.mean())
    return mean, math.sqrt(float((values - mean).square().mean()))


def show(name: str, result: Mapping[str, Any]) -> None:
    """Print one transform's rows."""
    best = f"{result['times_best_peer']} times {result['best_peer']}" if result["best_peer"] else "no peer works"
    print(f"\n{name}: {best}" + (f" ({result['note']})" if result["note"] else ""))
    for row in result["rows"]:
        if "failed" in row:
            print(f"    {row['name']:38} {row['failed']}")
            continue
        times = f"{row['times']:.2f} ({row['times_quartiles'][0]:.2f} to {row['times_quartiles'][1]:.2f})"
        speed = f"{row['microseconds_per_image']:>9} us {'' if row['name'] == OURS else times:>24}"
        print(f"    {row['name']:38} {speed}  {result['difference']} {row['difference']}", flush=True)
