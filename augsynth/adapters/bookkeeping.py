"""What albumentations' bbox_params and keypoint_params say, as arguments of a pipeline and as conventions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from augsynth.adapters.adapted import Part
from augsynth.adapters.conventions import Conventions
from augsynth.transforms.boxcrop import SanitizeBoundingBoxes

# Format -> ours, and whether boxes are shares of width and height.
_FORMATS = {
    "coco": ("xywh", False),
    "pascal_voc": ("xyxy", False),
    "yolo": ("cxcywh", True),
    "albumentations": ("xyxy", True),
}
_MASKS = ("mask", "masks")


def read_targets(compose: Any, conventions: Conventions) -> tuple[list[Part], Conventions, dict[str, Any]]:
    """Return parts to add, the conventions and the arguments of a pipeline for a Compose's targets.

    Raises ValueError, naming the argument, for what a pipeline does not do.
    """
    arguments: dict[str, Any] = {}
    parts: list[Part] = []
    processors = getattr(compose, "processors", {})
    extra = getattr(compose, "additional_targets", {})
    for name, kind in extra.items():
        if kind not in _MASKS:
            _refuse(f"additional_targets={{{name!r}: {kind!r}}}", "a pipeline has one image and further masks only")
    if extra:
        arguments["keys"] = dict.fromkeys(extra, "mask")
    if "bboxes" in processors:
        params = processors["bboxes"].params
        parts = _least_side(params)
        if params.max_accept_ratio is not None:
            _refuse(f"max_accept_ratio={params.max_accept_ratio}", "boxes are dropped by size and visibility only")
        kind, shares = _FORMATS[params.format]
        conventions = replace(conventions, unit_boxes=shares)
        arguments |= {"box_format": kind, "min_area": params.min_area, "min_visibility": params.min_visibility}
        arguments["label_keys"] = tuple(params.label_fields or ())
    if "keypoints" in processors:
        params = processors["keypoints"].params
        if params.format != "xy":
            _refuse(f"format={params.format!r} of keypoints", "they are xy here, with a visibility if there is one")
        labels = tuple(params.label_fields or ())
        conventions = replace(conventions, pixel_points=True, drop_points=params.remove_invisible, point_labels=labels)
    return parts, conventions, arguments


def _least_side(params: Any) -> list[Part]:
    if not params.min_width and not params.min_height:
        return []
    if params.min_width != params.min_height or params.min_width < 1:
        _refuse(
            f"min_width={params.min_width}, min_height={params.min_height}",
            "both sides have one limit, of at least a pixel",
        )
    return [("sanitize_bounding_boxes", SanitizeBoundingBoxes(float(params.min_width)))]


def _refuse(what: str, why: str) -> None:
    raise ValueError(f"from_albumentations: {what} has no equal: {why}")
