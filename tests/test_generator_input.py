from __future__ import annotations

from typing import Any

import pytest
import torch
from fakes import Own
from toy import CLASSES, SHAPE, Items, toy

from augsynth.generators import ConditionalVAE, LatentSMOTE, fit


def _data(images: Any = None, labels: Any = None) -> tuple[torch.Tensor, Any]:
    return toy()[0] if images is None else images, toy()[1] if labels is None else labels


def nan_images() -> torch.Tensor:
    images = toy()[0] / 255
    images[4, 0, 2, 3] = torch.nan
    return images


class Unlabelled(Items):
    def __getitem__(self, row: int) -> Any:
        return self.images[row], None if row == 7 else 0


BAD = {
    "empty": (_data(torch.zeros(0, *SHAPE), torch.zeros(0, dtype=torch.int64)), ValueError, "the dataset is empty"),
    "one class": (_data(labels=torch.ones(24, dtype=torch.int64)), ValueError, "all 24 samples are of class 1"),
    "few": (_data(toy(2)[0], toy(2)[1]), ValueError, "2 samples for 3 classes are too few"),
    "range": (
        _data(labels=torch.arange(24) % 4),
        ValueError,
        "sample 3: label 3 is outside the generator's classes, 0 to 2",
    ),
    "negative": (_data(labels=torch.arange(24) - 5), ValueError, "sample 0: label -5 is negative"),
    "nan": (_data(nan_images()), ValueError, "sample 4: the image has NaN pixels"),
    "normalized": (
        _data(toy()[0] / 64 - 1),
        ValueError,
        r"sample 0: a float image must lie in \[0, 1\].*already normalized",
    ),
    "size": (
        _data(toy(24, (1, 14, 10))[0]),
        ValueError,
        r"sample 0: the image is \(1, 14, 10\), .* makes \(1, 12, 10\)",
    ),
    "count": (_data(labels=toy(9)[1]), ValueError, "24 images and 9 labels"),
    "dimensions": (_data(toy()[0][:, 0]), ValueError, r"images must be \(N, C, H, W\), got \(24, 12, 10\)"),
    "unlabelled": (Unlabelled(None), ValueError, r"sample 7 has no label \(None\)"),
    "text label": (Items(lambda image, label: (image, "cat")), TypeError, "sample 0: a label is an integer, got str"),
    "no label": (Items(lambda image, label: image), TypeError, "no single class label"),
    "stream": (iter([]), TypeError, "map-style dataset"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_training_data_is_named(case: str) -> None:
    data, error, message = BAD[case]
    with pytest.raises(error, match=message):
        fit(ConditionalVAE(SHAPE, CLASSES), data, max_images=100)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image_shape": (28, 28)}, r"image_shape=\(28, 28\) must be \(channels, height, width\)"),
        ({"image_shape": (1, 7, 28)}, "sides of at least 8 pixels"),
        ({"num_classes": 0}, "num_classes=0 must be an integer of at least 1"),
        ({"width": 6}, "width=6 must be a multiple of 4"),
        ({"beta": -1.0}, "beta=-1.0 must be at least 0"),
        ({"neighbors": 0}, "neighbors=0 must be an integer"),
    ],
)
def test_bad_arguments_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LatentSMOTE(**{"image_shape": SHAPE, "num_classes": CLASSES, **options})


def test_fit_refuses_bad_budgets_and_foreign_generators() -> None:
    with pytest.raises(ValueError, match="max_images=0"):
        fit(ConditionalVAE(SHAPE, CLASSES), toy(), max_images=0)
    with pytest.raises(TypeError, match="train a Own by its own means"):
        fit(Own(), toy(), max_images=10)  # type: ignore[type-var]
