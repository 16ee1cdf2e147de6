"""What the gallery is drawn on: a photograph with boxes, a mask and keypoints, and partners for what mixes samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from augsynth import transforms as T
from augsynth.pipeline import Pipeline
from augsynth.preview import parts

Sample = dict[str, Any]
PARTNERS = 3


@dataclass(frozen=True)
class Marks:
    """What is marked on a photograph, in shares of its width and height.

    boxes: left, top, right, bottom. ellipses: centre x, y and the two radii; their insides are the mask. points: x, y.
    """

    boxes: tuple[tuple[float, float, float, float], ...]
    ellipses: tuple[tuple[float, float, float, float], ...]
    points: tuple[tuple[float, float], ...]


def _shares(values: Sequence[Sequence[float]]) -> Any:
    return tuple(tuple(value / 512 for value in row) for row in values)


# Placed by hand on the 512 x 512 pixels of the photograph that ships.
ASTRONAUT = Marks(
    # Head, model of the shuttle, name tag.
    boxes=_shares([(152, 14, 302, 189), (353, 0, 461, 288), (277, 337, 331, 380)]),
    # Helmet, mission patch.
    ellipses=_shares([(388, 463, 109, 119), (171, 385.5, 37.5, 37.5)]),
    # Eyes, tip of the nose, corners of the mouth.
    points=_shares([(203.5, 101.5), (245.5, 103.5), (223, 127), (204, 140.5), (246, 140.5)]),
)
# On a picture that nobody knows: marks that show at least where its pixels went.
ANYTHING = Marks(
    boxes=((0.2, 0.15, 0.55, 0.6), (0.6, 0.1, 0.9, 0.35)),
    ellipses=((0.65, 0.7, 0.2, 0.18),),
    points=((0.3, 0.3), (0.45, 0.3), (0.375, 0.4), (0.32, 0.5), (0.43, 0.5)),
)


@dataclass(frozen=True, eq=False)
class Subject:
    """A sample, as a user would hold it: image `(H, W, 3)` uint8, boxes, labels, mask `(H, W)` and keypoints."""

    sample: Sample

    @classmethod
    def of(cls, path: str | None, size: int | Sequence[int]) -> Subject:
        """Read an image, None for the photograph that ships, and bring it and its marks to `size` as `preview` does.

        Raises: SampleError for a file that cannot be read.
        """
        from augsynth.data import demo
        from augsynth.data.datasets import read_image

        target = size if isinstance(size, int) else (int(size[0]), int(size[1]))
        fit = Pipeline({"resize": T.Resize(target), "crop": T.CenterCrop(target)})
        if path is None:
            return cls(fit(marked(np.asarray(demo.photo()), ASTRONAUT), index=0))
        return cls(marked(fit(np.asarray(read_image(path).convert("RGB")), index=0), ANYTHING))

    @property
    def side(self) -> int:
        """The shorter side in pixels."""
        return int(min(self.sample["image"].shape[:2]))

    def on(self, ground: str) -> Sample:
        """Return the sample as an original of the gallery: "marked" with all targets, "plain" or "faded" with none."""
        if ground == "marked":
            return self.sample
        image = self.sample["image"]
        return {"image": image // 2 + 72 if ground == "faded" else image, "label": self.sample["label"]}

    @cached_property
    def partners(self) -> list[Sample]:
        """Other pictures for what mixes samples: parts of the same one, with what is marked there."""
        height, width = self.sample["image"].shape[:2]
        found: list[Sample] = parts((height, width))([self.sample] * PARTNERS, index=range(PARTNERS))
        return [{**sample, "label": number + 1} for number, sample in enumerate(found)]


def marked(image: np.ndarray, marks: Marks) -> Sample:
    """Return an image `(H, W, 3)` uint8 as a sample with the targets of `marks`."""
    height, width = image.shape[:2]
    y, x = np.mgrid[:height, :width] + 0.5
    mask = np.zeros((height, width), np.uint8)
    for cx, cy, rx, ry in marks.ellipses:
        inside = ((x / width - cx) / rx) ** 2 + ((y / height - cy) / ry) ** 2 <= 1
        mask[inside] = 1
    return {
        "image": image,
        "mask": mask,
        "boxes": np.array(marks.boxes) * [width, height, width, height],
        "labels": np.arange(len(marks.boxes)),
        "keypoints": np.array(marks.points) * [width, height],
        "label": 0,
    }
