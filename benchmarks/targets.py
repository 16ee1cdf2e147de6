"""The recipes with boxes and with a mask: what moves along is inside the timed call, and is compared too.

detection: a random part of a 480x640 photograph becomes 640 px, is flipped and coloured; up to fifteen boxes follow,
are clipped, and those that end with less than one square pixel go together with their labels. segmentation: the same to
512 px, from a quarter of the area upwards, with a mask of 21 classes that is resampled by the nearest pixel.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import albumentations as A
import numpy as np
import torch
from PIL import Image
from protocol import MEAN, SEED, STD, Candidate, Failed, attempt, photos
from recipes import Recipe
from torchvision import tv_tensors
from torchvision.transforms import v2

import augsynth as ag
from augsynth import transforms as T

CLASSES, MOST_BOXES = 21, 15
JITTER = (0.4, 0.4, 0.4, 0.1)
Sample = dict[str, Any]


def _recipe(out: int, scale: tuple[float, float], targets: str) -> Recipe:
    size = (out, out)
    return Recipe(
        (480, 640),
        out,
        8,
        lambda: [T.RandomResizedCrop(size, scale), T.RandomHorizontalFlip(), T.ColorJitter(*JITTER)],
        lambda: [v2.RandomResizedCrop(size, scale), v2.RandomHorizontalFlip(), v2.ColorJitter(*JITTER)],
        lambda area: [
            A.RandomResizedCrop(size, scale, **area),
            A.HorizontalFlip(),
            A.ColorJitter((0.6, 1.4), (0.6, 1.4), (0.6, 1.4), (-0.1, 0.1), p=1.0),
        ],
        lambda K: [
            K.RandomResizedCrop(size, scale=scale),
            K.RandomHorizontalFlip(),
            K.ColorJitter(*JITTER, p=1.0),
        ],
        targets=targets,
    )


RECIPES: dict[str, Recipe] = {
    "detection 640": _recipe(640, (0.3, 1.0), "boxes"),
    "segmentation 512": _recipe(512, (0.25, 1.0), "mask"),
}


def samples(recipe: Recipe, folder: str | None = None) -> list[Sample]:
    """Return B samples with image `(H, W, 3)` uint8 and boxes `(N, 4)` xyxy with labels `(N,)`, or mask `(H, W)`."""
    rng = np.random.default_rng(SEED)
    made: list[Sample] = []
    for image in photos(recipe.batch, recipe.size, folder):
        extra = draw_boxes(rng, recipe.size) if recipe.targets == "boxes" else {"mask": _mask(rng, recipe.size)}
        made.append({"image": image, **extra})
    return made


def draw_boxes(rng: np.random.Generator, size: tuple[int, ...]) -> Sample:
    """Return one to fifteen boxes `(N, 4)` in an image of `size`, up to half its sides, with labels `(N,)`."""
    count = rng.integers(1, MOST_BOXES + 1)
    limits = np.array([size[1], size[0]], np.float64)
    extent = rng.uniform(0.03, 0.5, (count, 2)) * limits
    corner = rng.uniform(0, 1, (count, 2)) * (limits - extent)
    boxes = np.concatenate([corner, corner + extent], 1).astype(np.float32)
    return {"boxes": boxes, "labels": rng.integers(0, CLASSES, count)}


def _mask(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """Return large cells of classes, as segmentations have them."""
    cells = rng.integers(0, CLASSES, (6, 8), dtype=np.uint8)
    return np.ascontiguousarray(cells.repeat(-(-size[0] // 6), 0).repeat(-(-size[1] // 8), 1)[: size[0], : size[1]])


@dataclass(frozen=True)
class _Recorded:
    """Samples as a dataset."""

    samples: Sequence[Sample]

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, i: int) -> Sample:
        return self.samples[i]


def candidates(recipe: Recipe, data: list[Sample]) -> dict[str, Candidate | Failed]:
    """Return what renders these samples, their targets included, in each library."""
    makers: dict[str, Callable[[], Candidate]] = {}
    for color in ("linear", "exact"):
        makers[f"augsynth {color}"] = lambda color=color: ours(recipe, data, color)  # type: ignore[misc]
    makers["albumentations"] = lambda: albumentations(recipe, data)
    makers["torchvision, tensor"] = lambda: torchvision(recipe, data, pil=False)
    makers["torchvision, PIL"] = lambda: torchvision(recipe, data, pil=True)
    if recipe.targets == "mask":  # the boxes of a batch would lose their images
        makers["torchvision, batch (one draw for all)"] = lambda: torchvision_batch(recipe, data)
    kept = " (boxes are not filtered)" if recipe.targets == "boxes" else ""
    makers[f"kornia, batch{kept}"] = lambda: kornia(recipe, data)
    makers[f"fuse-augmentations (some draws shared){kept}"] = lambda: fuse_augmentations(recipe, data)
    return {name: attempt(make) for name, make in makers.items()}


def ours(recipe: Recipe, data: list[Sample], color: str) -> Candidate:
    """Do what a DataLoader's worker does with a wrapped dataset: fetch, augment and collate a batch."""
    pipeline = ag.Pipeline([*recipe.ours(), T.Normalize(MEAN, STD)], color=color, min_area=1.0)
    dataset, rows = ag.wrap(_Recorded(data), pipeline), list(range(len(data)))
    return Candidate(lambda: ag.collate(dataset.__getitems__(rows)), len(data))


def albumentations(recipe: Recipe, data: list[Sample]) -> Candidate:
    """Augment one by one into the rows of a batch."""
    boxes = A.BboxParams("pascal_voc", label_fields=["labels"], min_area=1.0) if recipe.targets == "boxes" else None
    chain = A.Compose([*recipe.albumentations({}), A.Normalize(MEAN, STD)], bbox_params=boxes, seed=SEED)
    renamed = [as_albumentations(sample) for sample in data]
    batch = np.empty((len(data), recipe.out, recipe.out, 3), np.float32)

    def run() -> Sample:
        done = [chain(**sample) for sample in renamed]
        for row, sample in zip(batch, done, strict=True):
            row[...] = sample["image"]
        rest = {key: [sample[key] for sample in done] for key in done[0] if key != "image"}
        return {"image": torch.from_numpy(batch).permute(0, 3, 1, 2), **rest}

    return Candidate(run, len(data))


def as_albumentations(sample: Sample) -> Sample:
    """Return the sample under albumentations' names."""
    return {"bboxes" if key == "boxes" else key: value for key, value in sample.items()}


def _tail(pil: bool) -> list[Any]:
    floats = v2.ToDtype({tv_tensors.Image: torch.float32, "others": None}, scale=True)
    return [*([v2.ToImage()] if pil else []), floats, v2.Normalize(MEAN, STD)]


def torchvision(recipe: Recipe, data: list[Sample], pil: bool) -> Candidate:
    """Augment one by one, targets as tv_tensors, and stack the images."""
    clean = [v2.SanitizeBoundingBoxes()] if recipe.targets == "boxes" else []
    chain = v2.Compose([*recipe.torchvision(), *clean, *_tail(pil)])
    inputs = [as_tv(sample, recipe.size, pil) for sample in data]
    batch = torch.empty((len(data), 3, recipe.out, recipe.out))

    def run() -> Sample:
        done = [chain(sample) for sample in inputs]
        rest = {key: [sample[key] for sample in done] for key in done[0] if key != "image"}
        return {"image": torch.stack([sample["image"] for sample in done], out=batch), **rest}

    return Candidate(run, len(data))


def torchvision_batch(recipe: Recipe, data: list[Sample]) -> Candidate:
    """Augment images and masks in one call, which draws once for all."""
    chain = v2.Compose([*recipe.torchvision(), *_tail(pil=False)])
    images, masks, _ = _together(data)
    inputs = {"image": tv_tensors.Image(images), "mask": tv_tensors.Mask(masks.byte())}
    return Candidate(lambda: chain(inputs), len(data), per_sample=False)


def as_tv(sample: Sample, size: tuple[int, ...], pil: bool = False) -> Sample:
    """Return the sample as tv_tensors, or with a PIL image."""
    pixels = torch.from_numpy(sample["image"]).permute(2, 0, 1).contiguous()
    made: Sample = {"image": Image.fromarray(sample["image"]) if pil else tv_tensors.Image(pixels)}
    if "mask" in sample:
        made["mask"] = tv_tensors.Mask(torch.from_numpy(sample["mask"]))
    if "boxes" in sample:
        made["boxes"] = tv_tensors.BoundingBoxes(torch.from_numpy(sample["boxes"]), format="XYXY", canvas_size=size)
        made["labels"] = torch.from_numpy(sample["labels"])
    return made


def _together(data: list[Sample]) -> tuple[torch.Tensor, torch.Tensor, list[str]]:
    """Return images `(B, 3, H, W)`, targets of one shape as floats, and their names, for calls of whole batches."""
    images = torch.stack([torch.from_numpy(sample["image"]).permute(2, 0, 1) for sample in data]).contiguous()
    if "mask" in data[0]:
        masks = torch.stack([torch.from_numpy(sample["mask"]) for sample in data])[:, None].float()
        return images, masks, ["input", "mask"]
    boxes = torch.zeros(len(data), max(len(sample["boxes"]) for sample in data), 4)
    for row, sample in zip(boxes, data, strict=True):
        row[: len(sample["boxes"])] = torch.from_numpy(sample["boxes"])
    return images, boxes, ["input", "bbox_xyxy"]


def kornia(recipe: Recipe, data: list[Sample]) -> Candidate:
    """Augment all in one call; boxes are padded to one number, and none is dropped."""
    import kornia.augmentation as K

    images, targets, keys = _together(data)
    normalize = K.Normalize(torch.tensor(MEAN), torch.tensor(STD))
    chain = K.AugmentationSequential(*recipe.kornia(K), normalize, data_keys=keys)  # type: ignore[misc]

    def run() -> Sample:
        image, moved = chain(images.float().div(255), targets)
        return {"image": image, "mask" if keys[1] == "mask" else "boxes": moved}

    return Candidate(run, len(data))


def fuse_augmentations(recipe: Recipe, data: list[Sample]) -> Candidate:
    """Fuse torchvision's objects, with its setting for draws per sample."""
    from fuse_augmentations import Compose

    images, targets, keys = _together(data)
    chain = Compose(recipe.torchvision(), data_keys=keys, randomness="per_sample")

    def run() -> Sample:
        image, moved = chain(images.float().div(255), targets)
        image = v2.functional.normalize(image, MEAN, STD)
        return {"image": image, "mask" if keys[1] == "mask" else "boxes": moved}

    return Candidate(run, len(data), per_sample=False)


def followed(recipe: Recipe, candidate: Candidate, draws: int = 4) -> dict[str, Any]:
    """Say what became of the targets, over several draws: boxes per image and their area, or how often classes are.

    box_area: share of the image, in the mean over boxes of at least a square pixel. classes: share of each class.
    """
    outputs = [candidate.call() for _ in range(draws)]
    if recipe.targets == "boxes":
        return _kept([boxes for output in outputs for boxes in output["boxes" if "boxes" in output else "bboxes"]])
    masks = [torch.as_tensor(np.asarray(mask)).flatten() for output in outputs for mask in output["mask"]]
    counts = torch.bincount(torch.cat(masks).long(), minlength=CLASSES).double()
    return {"classes": [round(float(share), 4) for share in counts / counts.sum()]}


def _kept(boxes: list[Any]) -> dict[str, Any]:
    areas = []
    for per_image in boxes:
        corners = torch.as_tensor(np.asarray(per_image), dtype=torch.float64).reshape(-1, 4).clamp(0, 640)
        area = (corners[:, 2:] - corners[:, :2]).clamp(min=0).prod(1)
        areas.append(area[area >= 1] / 640**2)
    mean = float(torch.cat(areas).mean()) if sum(map(len, areas)) else 0.0
    return {"boxes_per_image": round(statistics.mean(map(len, areas)), 2), "box_area": round(mean, 4)}
