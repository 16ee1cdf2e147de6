"""The barrier: a transform of another library, or the user's own, that runs on one sample at a time as it is."""

from __future__ import annotations

import os
import pickle
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch

from augsynth.batch import describe, is_pil
from augsynth.errors import AugsynthError
from augsynth.transforms.base import Array, Standalone
from augsynth.transforms.fields import key_words

_GIVEN = {
    "pil": "a PIL image",
    "tensor": "a tensor",
    "image": "a tv_tensors.Image",
    "albumentations": "an array",
}
TAKES = tuple(_GIVEN)
# A result that lies further outside [0, 1] than this was normalized, or is no image.
_FAR = 1.0


@dataclass(frozen=True, eq=False)
class Foreign(Standalone):
    """Run `transform` on each sample with probability p; what it draws from torch, numpy or random is the sample's own.

    takes: what it is given: pil, tensor `(C, H, W)`, image (a tv_tensor), or albumentations (`image=` an array).
    dtype: uint8 or float32, None for the image's own. may_move: it may move pixels, so that masks, boxes and keypoints
    are refused. It runs on the CPU; the host waits for images on a device. The image's size and channels have to stay;
    values outside the range are cut off. Random state that it holds itself is reached in albumentations only.
    """

    transform: Any
    label: str
    takes: str = "tensor"
    dtype: str | None = None
    may_move: bool = True
    p: float = 1.0

    word: ClassVar[str] = "barrier"
    draws: ClassVar[int] = 2
    params: ClassVar[int] = 2

    def validate(self) -> None:
        if self.takes not in TAKES:
            self.fail("takes", "one of " + ", ".join(TAKES))
        if self.dtype not in (None, "uint8", "float32"):
            self.fail("dtype", "None, uint8 or float32")

    @property
    def moves(self) -> bool:  # type: ignore[override]
        """Tell whether targets would have to follow."""
        return self.may_move

    @property
    def followed(self) -> bool:  # type: ignore[override]
        """Tell whether targets can follow: never where pixels move."""
        return not self.may_move

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Foreign) or self._settings() != other._settings():
            return False
        # Equal settings are not enough: two of a user's modules may print alike and hold other numbers.
        return self.transform is other.transform or (self.transform == other.transform) is True

    def __hash__(self) -> int:
        return hash(self._settings())

    def _settings(self) -> tuple[Any, ...]:
        return self.label, self.takes, self.dtype, self.may_move, self.p

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (sealed(self.transform, self.label), *self._settings())

    def sample_params(self, u: Array, sizes: Array, strength: float) -> Array:
        """Return two whole numbers below 2**24: the seed."""
        return key_words(u)

    def apply(self, pixels: torch.Tensor, params: Array, white: float) -> torch.Tensor:
        if pixels.requires_grad and torch.is_grad_enabled():
            raise ValueError(
                f"{self.label} is a barrier and cannot be differentiated, and an image requires grad; "
                "take it out, or run under torch.no_grad()"
            )
        arrays = pixels.detach().permute(0, 2, 3, 1).to("cpu", torch.float32).numpy()
        flat = arrays.shape[3] == 1
        done = [self.apply_array(a[:, :, 0] if flat else a, row, white) for a, row in zip(arrays, params, strict=True)]
        stacked = torch.from_numpy(np.stack([np.atleast_3d(array) for array in done]))
        return stacked.permute(0, 3, 1, 2).to(pixels.device, pixels.dtype)

    def apply_array(self, pixels: Array, params: Array, white: float) -> Array:
        kind = self.dtype or ("uint8" if white == 255.0 else "float32")
        given = given_to(self.takes, kind, pixels, white)
        seed = (int(params[0]), int(params[1]))
        try:
            with seeded(seed):
                result = call(self.transform, self.takes, given, seed)
        except Exception as error:
            hint = '; if it wants PIL images, give images="pil"' if (self.takes, self.dtype) == ("tensor", None) else ""
            raise AugsynthError(
                f"barrier {self.label} raised {type(error).__name__} for {_GIVEN[self.takes]} of {given.dtype} and "
                f"shape {given.shape} (H, W, C): {error}{hint}"
            ) from error
        return self._checked(as_array(result, self.label), pixels, white)

    def _checked(self, array: Array, pixels: Array, white: float) -> Array:
        """Return the result in [0, white] and the shape of `pixels`. Raises ValueError saying what has changed."""
        before, after = np.atleast_3d(pixels).shape, np.atleast_3d(array).shape
        if after[:2] != before[:2]:
            raise ValueError(
                f"barrier {self.label} made {after[0]} x {after[1]} pixels of {before[0]} x {before[1]}; a barrier "
                "must keep the image's size. Apply it in the dataset, before the pipeline, or put a Resize or a crop "
                "of augsynth.transforms in its place"
            )
        if after[2] != before[2]:
            raise ValueError(
                f"barrier {self.label} made {after[2]} channels of {before[2]}; a barrier must keep their number. "
                "Apply it in the dataset, before the pipeline"
            )
        array = array.reshape(pixels.shape)
        if array.dtype == np.uint8:
            return array if white == 255.0 else array.astype(np.float32) / np.float32(255)
        if array.dtype.kind != "f":
            raise TypeError(f"barrier {self.label} returned {array.dtype}; give uint8 (0 to 255) or floats (0 to 1)")
        low, high = float(array.min()), float(array.max())
        if not (low >= -_FAR and high <= 1 + _FAR):
            raise ValueError(
                f"barrier {self.label} returned values from {low:.3g} to {high:.3g}; a float image lies in [0, 1]. "
                "If it normalizes, use Normalize in its place, which is rendered last"
            )
        return np.asarray(np.clip(array, 0.0, 1.0).astype(np.float32) * np.float32(white))


@contextmanager
def seeded(seed: tuple[int, int]) -> Iterator[None]:
    """Seed torch's CPU generator, numpy and random, and put their states back afterwards."""
    torch_state, python_state = torch.random.get_rng_state(), random.getstate()
    numpy_state = np.random.get_state()  # noqa: NPY002 - the state that foreign code draws from
    try:
        # Not torch.manual_seed, which would seed the devices too and cannot put them back without waiting for them.
        torch.default_generator.manual_seed(_number(seed))
        np.random.seed(seed)  # noqa: NPY002
        random.seed(_number(seed))
        yield
    finally:
        torch.random.set_rng_state(torch_state)
        np.random.set_state(numpy_state)  # noqa: NPY002
        random.setstate(python_state)


def given_to(takes: str, dtype: str, pixels: Array, white: float) -> Array:
    """Return pixels in [0, white] as the array that a transform of that kind is given; never the same memory."""
    if dtype == "float32" and takes != "pil":
        return pixels.astype(np.float32) / np.float32(white)
    if pixels.dtype == np.uint8:
        return pixels.copy()
    return np.rint(np.clip(pixels * np.float32(255 / white), 0, 255)).astype(np.uint8)


def call(transform: Any, takes: str, given: Array, seed: tuple[int, int]) -> Any:
    """Run a foreign transform on an array `(H, W, C)` or `(H, W)`, given as what it takes."""
    if takes == "albumentations":
        # One generator for all parts: a seed would start each of them alike.
        transform.set_random_state(np.random.default_rng(seed), random.Random(_number(seed)))
        return transform(image=given, force_apply=True)["image"]
    return transform(wrapped(given, takes))


def as_array(result: Any, label: str) -> Array:
    """Return what came out as an array `(H, W, C)` or `(H, W)`. Raises TypeError for what is no image."""
    if is_pil(result):
        return np.array(result if result.mode in ("L", "RGB") else result.convert("RGB"))
    if isinstance(result, torch.Tensor) and result.ndim == 3:
        planes = result.detach().as_subclass(torch.Tensor).cpu()
        planes = planes.to(torch.float32) if planes.is_floating_point() else planes
        return np.asarray(planes.permute(1, 2, 0).numpy())
    if isinstance(result, np.ndarray) and result.ndim in (2, 3):
        return result
    raise TypeError(f"barrier {label} returned {describe(result)}, not one image like the one it was given")


def _number(seed: tuple[int, int]) -> int:
    return (seed[0] << 24) + seed[1]


def wrapped(array: Array, takes: str) -> Any:
    """Return an array as a PIL image, a tensor `(C, H, W)` or a tv_tensor of it."""
    if takes == "pil":
        from PIL import Image

        return Image.fromarray(array)
    tensor = torch.from_numpy(np.ascontiguousarray(np.atleast_3d(array).transpose(2, 0, 1)))
    if takes == "image":
        from torchvision import tv_tensors

        return tv_tensors.Image(tensor)
    return tensor


def sealed(value: Any, label: str) -> bytes:
    """Pickle what a barrier holds. Raises TypeError that names it and says what workers need."""
    try:
        return pickle.dumps(value)
    except Exception as error:
        raise TypeError(
            f"{label} cannot be pickled ({error}), which workers that are spawned need: define functions and classes "
            "at the top level of a module, neither as a lambda nor inside a function"
        ) from error


def opened(payload: bytes) -> Any:
    """Unpickle what `sealed` returned."""
    # albumentations would ask a server for its newest version whenever a worker imports it.
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
    return pickle.loads(payload)


def _restored(payload: bytes, *settings: Any) -> Foreign:
    return Foreign(opened(payload), *settings)
