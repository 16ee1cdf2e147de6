"""A picture of a pipeline: several draws of the whole, then a row for each of its transforms."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from augsynth.config import image_pipeline
from augsynth.pipeline import Pipeline
from augsynth.rng import Rng
from augsynth.transforms import CenterCrop, Normalize, RandomResizedCrop, Resize, Transform

if TYPE_CHECKING:
    from PIL.Image import Image

PAPER, INK, SOFT, LINE = (253, 253, 251), (29, 33, 37), (104, 112, 120), (223, 226, 224)

PARTS = 4  # of the image, which is mixed with them
PICTURES = (".png", ".jpg", ".webp")


@dataclass(frozen=True)
class Layout:
    """Sizes in pixels. width: of the whole picture; label: of the column on the left."""

    columns: int
    width: int = 1440
    margin: int = 36
    label: int = 264
    gap: int = 8
    row_gap: int = 20

    @property
    def tile(self) -> int:
        """Side of one small picture."""
        return (self.width - 2 * self.margin - self.label - self.gap * (self.columns - 1)) // self.columns

    def column(self, number: int) -> int:
        """Left edge of a column of small pictures."""
        return self.margin + self.label + number * (self.tile + self.gap)


def run(values: Mapping[str, Any], folder: Path) -> Path:
    """Draw the configured preview into `folder` and return the file's path.

    values: the resolved configuration `preview`. Raises: ValueError or AugsynthError that says which value is wrong.
    """
    if "texts" in values:
        # It needs this module.
        from augsynth.comparing_texts import preview_texts

        return preview_texts(values, folder)
    columns, seed = check_integer(values, "columns", 2, 12), check_integer(values, "seed", 0, 2**32 - 1)
    name = check_name(values, "output", PICTURES)
    pipeline = image_pipeline(values["augment"])
    picture = draw(pipeline, load(values["image"], values["data"]["image_size"]), columns=columns, seed=seed)
    path = folder / name
    picture.save(path)
    return path


def check_integer(values: Mapping[str, Any], key: str, low: int, high: int) -> int:
    """Return an integer of the configuration. Raises: ValueError where it is none, or outside [low, high]."""
    value = values[key]
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        top = "2**32 - 1" if high == 2**32 - 1 else high
        raise ValueError(f"{key}={value!r} must be an integer from {low} to {top}")
    return value


def check_name(values: Mapping[str, Any], key: str, endings: Sequence[str]) -> str:
    """Return a file name of the configuration. Raises: ValueError where it is a path or ends in nothing allowed."""
    name = str(values[key])
    if Path(name).name != name or Path(name).suffix.lower() not in endings:
        listed = " or ".join(filter(None, (", ".join(endings[:-1]), endings[-1])))
        raise ValueError(f"{key}={name!r} must be a file name that ends in {listed}")
    return name


def load(path: str | None, size: int | Sequence[int]) -> Image:
    """Read an image file, or the photograph that ships, and bring it to `size` by resizing and a crop in the middle."""
    from augsynth.data import demo
    from augsynth.data.datasets import read_image

    image = demo.photo() if path is None else read_image(path)
    target = size if isinstance(size, int) else (int(size[0]), int(size[1]))
    fitted: Image = Pipeline({"resize": Resize(target), "crop": CenterCrop(target)})(image, index=0)
    return fitted


def draw(pipeline: Pipeline, image: Image, *, columns: int = 6, seed: int = 0) -> Image:
    """Return the preview: the image, two rows of the whole pipeline, and a row of draws per transform.

    Normalize is left out, because what it makes cannot be looked at. In its own row a transform is applied to every
    draw, whatever its p, unless it has nothing else to draw; its label says p.
    """
    from PIL import Image as PILImage
    from PIL import ImageDraw

    layout = Layout(columns)
    shown = {name: t for name, t in pipeline.transforms.items() if not isinstance(t, Normalize)}
    whole = replace(pipeline, transforms=shown, dtype=torch.uint8)
    tops = _tops(layout, len(shown))
    height = tops[-1] - layout.row_gap + layout.margin
    canvas = PILImage.new("RGB", (layout.width, height), PAPER)
    pen = ImageDraw.Draw(canvas)
    scale = layout.tile / max(image.size)
    _paste(canvas, image, layout.margin, tops[0], layout.label - 24, (layout.label - 24) / max(image.size))
    title = tops[0] + layout.label - 24 + 12
    pen.text((layout.margin, title), "the whole pipeline", INK, font(20, bold=True))
    pen.multiline_text((layout.margin, title + 30), _wrap(_runs(whole), 34), SOFT, font(13), spacing=5)
    for number, picture in enumerate(_draws(whole, image, seed, 2 * columns)):
        top = tops[0] + (number // columns) * (layout.tile + layout.gap)
        _paste(canvas, picture, layout.column(number % columns), top, layout.tile, scale)
    for (name, transform), top in zip(shown.items(), tops[1:-1], strict=True):
        pen.line(
            (layout.margin, top - layout.row_gap // 2, layout.width - layout.margin, top - layout.row_gap // 2), LINE
        )
        _label(pen, layout, top, name, transform)
        alone = replace(whole, transforms={name: always(transform)})
        for number, picture in enumerate(_draws(alone, image, seed, columns)):
            _paste(canvas, picture, layout.column(number), top, layout.tile, scale)
    return canvas


def _tops(layout: Layout, rows: int) -> list[int]:
    """Return the top edge of the first block, of each row, and of what would follow."""
    # The block on top holds two rows of draws, and beside them the image with its two captions.
    first = max(2 * layout.tile + layout.gap, layout.label - 24 + 110) + layout.row_gap
    return [layout.margin, *(layout.margin + first + i * (layout.tile + layout.row_gap) for i in range(rows + 1))]


def _draws(pipeline: Pipeline, image: Image, seed: int, amount: int) -> list[Image]:
    from PIL import Image as PILImage

    if pipeline.mixes:
        # What mixes samples is shown on different pictures: the image, and parts of it. Labels are nobody's here.
        pictures = [image, *parts((image.height, image.width))([image] * PARTS, index=range(PARTS))]
        label = torch.ones(pipeline.plan.num_classes or 1)
        samples = [(pictures[i % len(pictures)], label) for i in range(amount)]
        mixed = replace(pipeline, seed=seed)(samples, index=range(amount))
        return [picture for picture, _ in mixed]
    outputs = pipeline.images([image] * amount, Rng.of(seed, np.arange(amount)))
    arrays = [output.permute(1, 2, 0).numpy() for output in outputs]
    return [PILImage.fromarray(a[..., 0] if a.shape[2] == 1 else np.ascontiguousarray(a)) for a in arrays]


def parts(size: tuple[int, int]) -> Pipeline:
    """Return what cuts a small part of an image and brings it to `size` (height, width): partners for a mix."""
    return Pipeline({"crop": RandomResizedCrop(size, scale=(0.15, 0.35), ratio=(0.9, 1.1))})


def always(transform: Transform) -> Transform:
    """Return the transform with p = 1, so that every draw shows it; one that draws nothing else keeps its p."""
    if is_dataclass(transform) and any(f.name == "p" for f in fields(transform)) and type(transform).draws:
        return replace(transform, p=1.0)
    return transform


def _paste(canvas: Image, image: Image, left: int, top: int, box: int, scale: float) -> None:
    """Paste in the middle of a square; every image of the preview has the same scale, so that crops look smaller."""
    from PIL import Image as PILImage

    size = (max(round(image.width * scale), 1), max(round(image.height * scale), 1))
    fitted = image.convert("RGB").resize(size, PILImage.Resampling.LANCZOS)
    dx, dy = (box - size[0]) // 2, (box - size[1]) // 2
    cropped = fitted.crop((max(-dx, 0), max(-dy, 0), size[0] - max(-dx, 0), size[1] - max(-dy, 0)))
    canvas.paste(cropped, (left + max(dx, 0), top + max(dy, 0)))


def _label(pen: Any, layout: Layout, top: int, name: str, transform: Transform) -> None:
    pen.text((layout.margin, top + 2), name, INK, font(20, bold=True))
    pen.text((layout.margin, top + 30), type(transform).__name__, INK, font(14))
    pen.multiline_text((layout.margin, top + 54), _wrap(arguments(transform), 34), SOFT, font(13), spacing=5)


def arguments(transform: Transform) -> str:
    """Return the arguments that differ from their defaults, such as "degrees=20, shear=10"."""
    if not is_dataclass(transform):
        return ""
    changed = []
    for field in fields(transform):
        value = getattr(transform, field.name)
        if field.name == "p" or field.default is MISSING or value != field.default:
            note = " (here always)" if field.name == "p" and value != always(transform).p else ""
            changed.append(f"{field.name}={_short(value)}{note}")
    return ", ".join(changed)


def _short(value: Any) -> str:
    if isinstance(value, Mapping):
        return "[" + ", ".join(value) + "]"
    if isinstance(value, (tuple, list)):
        inner = ", ".join(_short(entry) for entry in value)
        return f"({inner})"
    if isinstance(value, float):
        return f"{value:g}"
    return type(value).__name__ if isinstance(value, Transform) else str(value)


def _runs(pipeline: Pipeline) -> str:
    return pipeline.explain().split(" (")[0]


def _wrap(text: str, width: int) -> str:
    return "\n".join(textwrap.wrap(text, width))


def font(size: int, bold: bool = False) -> Any:
    """Return a font for PIL, `size` in pixels."""
    import matplotlib
    from PIL import ImageFont

    # The fonts of matplotlib are on every machine that has augsynth, those of the system are not.
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name), size)
