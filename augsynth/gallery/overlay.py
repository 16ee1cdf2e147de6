"""Boxes, masks and keypoints drawn on a small picture, smooth at its own size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from augsynth.gallery.subject import Sample

if TYPE_CHECKING:
    from PIL.Image import Image

BOX, MASK, POINT, HALO = (20, 120, 255), (38, 208, 124), (255, 40, 96), (255, 255, 255)
# Lines and dots are drawn this many times as large and reduced.
FINE = 4


def picture(sample: Sample, size: tuple[int, int]) -> Image:
    """Return a sample's image at (width, height) pixels with its targets drawn over it."""
    from PIL import Image as PILImage

    image = PILImage.fromarray(np.ascontiguousarray(sample["image"]))
    if image.size != size:
        image = image.resize(size, PILImage.Resampling.LANCZOS)
    scale = np.array(size) / sample["image"].shape[1::-1]
    # Lines are as wide on a picture that became smaller, but not on one that is hardly there.
    pen = _Pen(image, width=float(np.clip(max(size) / 110, 1.2, 2.6)))
    if "mask" in sample:
        pen.mask(sample["mask"])
    for box in sample.get("boxes", ()):
        pen.box(np.asarray(box, float).reshape(2, 2) * scale)
    for point in sample.get("keypoints", ()):
        pen.point(np.asarray(point, float)[:2] * scale)
    return pen.image


class _Pen:
    def __init__(self, image: Image, width: float) -> None:
        self.image, self.width = image.copy(), width

    def mask(self, mask: np.ndarray) -> None:
        """Tint what is above 0 in a mask `(H, W)` and draw its outline."""
        from PIL import Image as PILImage
        from PIL import ImageFilter

        inside = PILImage.fromarray(np.where(mask > 0, 255, 0).astype(np.uint8))
        smooth = inside.resize(self.image.size, PILImage.Resampling.BICUBIC).filter(
            ImageFilter.GaussianBlur(0.5 * self.width)
        )
        share = np.asarray(smooth) / 255
        # Across the edge the share goes from 0 to 1: this is 1 on the edge and 0 away from it.
        edge = 4 * share * (1 - share)
        self._paint(MASK, np.maximum(0.42 * share, 0.9 * edge))

    def box(self, corners: np.ndarray) -> None:
        """Outline a box ((left, top), (right, bottom)), as far as it lies inside the picture."""
        low, high = corners
        # The line is kept whole where the box ends at the picture's edge.
        half = self.width / 2 + 0.5
        low = np.maximum(low, half)
        high = np.minimum(high, np.array(self.image.size) - half)
        if (high > low).all():
            self._outline(low, high, self.width + 1.2, HALO, 0.55)
            self._outline(low, high, self.width, BOX, 1.0)

    def point(self, at: np.ndarray) -> None:
        """Draw a keypoint as a dot with a light rim, if it lies inside the picture."""
        if (at >= 0).all() and (at <= self.image.size).all():
            radius = 1.35 * self.width
            self._disk(at, radius + 0.8, HALO)
            self._disk(at, radius, POINT)

    def _outline(self, low: np.ndarray, high: np.ndarray, width: float, color: tuple[int, ...], alpha: float) -> None:
        def draw(pen: Any, origin: np.ndarray) -> None:
            for grow, ink in ((width / 2, 255), (-width / 2, 0)):
                edges = ((low - grow - origin) * FINE, (high + grow - origin) * FINE - 1)
                if (edges[1] > edges[0]).all():
                    pen.rectangle([*edges[0], *edges[1]], fill=ink)

        self._drawn(low - width, high + width, color, alpha, draw)

    def _disk(self, at: np.ndarray, radius: float, color: tuple[int, ...]) -> None:
        def draw(pen: Any, origin: np.ndarray) -> None:
            # The last pixel of an ellipse belongs to it.
            pen.ellipse([*((at - radius - origin) * FINE), *((at + radius - origin) * FINE - 1)], fill=255)

        self._drawn(at - radius - 1, at + radius + 1, color, 1.0, draw)

    def _drawn(self, low: np.ndarray, high: np.ndarray, color: tuple[int, ...], alpha: float, draw: Any) -> None:
        """Paint what `draw` draws, four times as large, into the window from `low` to `high`."""
        from PIL import Image as PILImage
        from PIL import ImageDraw

        origin = np.floor(low)
        width, height = (int(side) * FINE for side in np.ceil(high) - origin)
        fine = PILImage.new("L", (width, height))
        draw(ImageDraw.Draw(fine), origin)
        cover = fine.reduce(FINE).point(lambda value: round(alpha * value))
        self.image.paste(color, (int(origin[0]), int(origin[1])), cover)

    def _paint(self, color: tuple[int, ...], share: np.ndarray) -> None:
        from PIL import Image as PILImage

        cover = PILImage.fromarray(np.rint(255 * share).astype(np.uint8))
        self.image.paste(color, (0, 0), cover)
