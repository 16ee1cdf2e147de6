"""A pipeline as one of another library's, where both do exactly the same."""

from __future__ import annotations

from importlib import import_module
from typing import Any


class Convertible:
    """The methods of `Pipeline` for code that may not depend on augsynth. They reach upwards, so that it is late."""

    def to_torchvision(self) -> Any:
        """Return a `torchvision.transforms.v2.Compose` that does the same to one image at a time.

        The same distribution, and the same pixels under the same parameters, as far as the tests of `from_torchvision`
        tell them apart. Where the pipeline normalizes or has a dtype, it makes tensors of what comes as PIL or array.
        Raises ValueError that lists every transform and setting which has no exact equal there, and why.
        """
        return import_module("augsynth.adapters.to_torchvision").to_torchvision(self)

    def to_albumentations(self, **arguments: Any) -> Any:
        """Return an `albumentations.Compose` that does the same to one array `(H, W, C)` at a time.

        arguments: of Compose, such as bbox_params, keypoint_params and seed; what is exact is as in `to_torchvision`.
        Raises ValueError that lists every transform and setting which has no exact equal there, and why.
        """
        return import_module("augsynth.adapters.to_albumentations").to_albumentations(self, **arguments)
