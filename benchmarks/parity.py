"""How far each transform is from torchvision's, over 32 photographs, in steps of 1/255.

Both get the same parameters and the same uint8 images. Where pixels are interpolated neither is exact: beside the
difference stands how far each of the two is from a float64 renderer, the one of the tests.

    python benchmarks/parity.py [--images DIR] [--json FILE] [--quick]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision.transforms.v2.functional as F
from protocol import head, photos, save
from torchvision.transforms.v2 import InterpolationMode

import augsynth as ag
from augsynth import transforms as T

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from reference import expected

PHOTOS, QUICK_PHOTOS, SIDE = 32, 4, 256
BILINEAR, NEAREST = InterpolationMode.BILINEAR, InterpolationMode.NEAREST
Theirs = Callable[[torch.Tensor, tuple[float, ...]], torch.Tensor]


def _perspective(image: torch.Tensor, p: tuple[float, ...]) -> torch.Tensor:
    last = SIDE - 1
    ends = [[int(p[i]), int(p[i + 1])] for i in range(0, 8, 2)]
    return F.perspective(image, [[0, 0], [last, 0], [last, last], [0, last]], ends, BILINEAR, 0.0)


def _affine(image: torch.Tensor, p: tuple[float, ...]) -> torch.Tensor:
    return F.affine(image, p[0], [int(p[1]), int(p[2])], p[3], [p[4], p[5]], BILINEAR, 0.0)


def _resized_crop(image: torch.Tensor, p: tuple[float, ...]) -> torch.Tensor:
    top, left, height, width = (int(v) for v in p)
    return F.resized_crop(image, top, left, height, width, [224, 224], BILINEAR, antialias=True)


# Name: ours, torchvision's with the parameters that were drawn, and whether pixels are interpolated.
CASES: dict[str, tuple[Any, Theirs, bool]] = {
    "RandomHorizontalFlip": (T.RandomHorizontalFlip(1.0), lambda i, p: F.horizontal_flip(i), False),
    "RandomVerticalFlip": (T.RandomVerticalFlip(1.0), lambda i, p: F.vertical_flip(i), False),
    "CenterCrop": (T.CenterCrop(180), lambda i, p: F.center_crop(i, [180, 180]), False),
    "RandomCrop": (T.RandomCrop(180), lambda i, p: F.crop(i, int(p[0]), int(p[1]), 180, 180), False),
    "Pad": (T.Pad(12, 40.0), lambda i, p: F.pad(i, [12], fill=40.0), False),
    "Pad, reflect": (T.Pad(12, 0, "reflect"), lambda i, p: F.pad(i, [12], padding_mode="reflect"), False),
    "RandomRotation, nearest": (T.RandomRotation(40), lambda i, p: F.rotate(i, p[0], NEAREST), False),
    "RandomRotation": (T.RandomRotation(40, "bilinear"), lambda i, p: F.rotate(i, p[0], BILINEAR), True),
    "RandomAffine": (T.RandomAffine(20, (0.1, 0.1), (1.0, 1.3), 10, "bilinear"), _affine, True),
    "RandomPerspective": (T.RandomPerspective(0.3, 1.0), _perspective, True),
    "Resize, smaller": (T.Resize((150, 160)), lambda i, p: F.resize(i, [150, 160], antialias=True), True),
    "Resize, larger": (T.Resize((300, 310)), lambda i, p: F.resize(i, [300, 310], antialias=True), True),
    "RandomResizedCrop": (T.RandomResizedCrop(224), _resized_crop, True),
    "ColorJitter, brightness": (T.ColorJitter(0.5), lambda i, p: F.adjust_brightness(i, p[0]), False),
    "ColorJitter, contrast": (T.ColorJitter(0, 0.5), lambda i, p: F.adjust_contrast(i, p[0]), False),
    "ColorJitter, saturation": (T.ColorJitter(0, 0, 0.5), lambda i, p: F.adjust_saturation(i, p[0]), False),
    "ColorJitter, hue": (T.ColorJitter(0, 0, 0, 0.3), lambda i, p: F.adjust_hue(i, p[0]), False),
    "RandomGrayscale": (T.RandomGrayscale(1.0), lambda i, p: F.rgb_to_grayscale(i, 3), False),
    "RandomInvert": (T.RandomInvert(1.0), lambda i, p: F.invert(i), False),
    "RandomPosterize": (T.RandomPosterize(3, 1.0), lambda i, p: F.posterize(i, 3), False),
    "RandomSolarize": (T.RandomSolarize(128, 1.0), lambda i, p: F.solarize(i, 128), False),
    "RandomAutocontrast": (T.RandomAutocontrast(1.0), lambda i, p: F.autocontrast(i), False),
    "RandomEqualize": (T.RandomEqualize(1.0), lambda i, p: F.equalize(i), False),
    "RandomAdjustSharpness": (T.RandomAdjustSharpness(2, 1.0), lambda i, p: F.adjust_sharpness(i, 2), False),
    "GaussianBlur": (T.GaussianBlur(9, (0.3, 2.0)), lambda i, p: F.gaussian_blur(i, [9, 9], [p[0], p[0]]), False),
    "JPEG": (T.JPEG((60, 60)), lambda i, p: F.jpeg(i, 60), False),
}


def difference(one: torch.Tensor, other: torch.Tensor) -> tuple[float, float]:
    """Return the largest and the mean difference."""
    gap = (one.double() - other.double()).abs()
    return float(gap.max()), float(gap.mean())


def row_of(name: str, images: list[torch.Tensor]) -> dict[str, Any]:
    """Compare one transform over all images; the largest and the mean difference, and each one's from the oracle."""
    transform, theirs, interpolates = CASES[name]
    pipeline = ag.Pipeline({"it": transform}, seed=5)
    index = range(len(images))
    program = pipeline.draw([tuple(image.shape[1:]) for image in images], index=index)
    done = [pipeline(image, index=i) for i, image in enumerate(images)]
    drawn = [next(iter(program.parameters(i).values())) for i in index]
    other = [theirs(image, p) for image, p in zip(images, drawn, strict=True)]
    pairs = [difference(a, b) for a, b in zip(done, other, strict=True)]
    row = {"name": name, "largest": max(p[0] for p in pairs), "mean": float(np.mean([p[1] for p in pairs]))}
    if interpolates:
        for who, results in (("ours", done), ("torchvision's", other)):
            gaps = []
            for i in list(index)[:8]:
                truth = expected(pipeline, [images[i]], index=[i])[0].pixels
                gaps.append(difference(results[i], torch.from_numpy(truth).permute(2, 0, 1)))
            row[f"{who} from float64"] = [max(g[0] for g in gaps), float(np.mean([g[1] for g in gaps]))]
    return row


def main(arguments: list[str] | None = None) -> None:
    """Compare every case, print the table, and save it where the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", help="folder of .jpg photographs; the demo photograph by default")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_PHOTOS} photographs instead of {PHOTOS}")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args(arguments)
    count = QUICK_PHOTOS if args.quick else PHOTOS
    arrays = photos(count, (SIDE, SIDE), args.images)
    images = [torch.from_numpy(array).permute(2, 0, 1).contiguous() for array in arrays]
    print("| transform | largest | mean | ours from float64: largest, mean | torchvision's: largest, mean |")
    print("|---|--:|--:|--:|--:|")
    rows = []
    for name in CASES:
        row = row_of(name, images)
        rows.append(row)
        pairs = [row.get(f"{who} from float64") for who in ("ours", "torchvision's")]
        oracle = " | ".join("" if pair is None else f"{pair[0]:.2f}, {pair[1]:.3f}" for pair in pairs)
        print(f"| {name} | {row['largest']:.0f} | {row['mean']:.3f} | {oracle} |", flush=True)
    save(args.json, {**head(1, args.images), "quick": args.quick, "crops": count, "side": SIDE, "rows": rows})


if __name__ == "__main__":
    main()
