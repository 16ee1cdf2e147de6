"""What a transform declares: its arguments, how many numbers it draws, and what one sample's parameters mean."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import Field, dataclass, fields
from functools import cached_property
from pathlib import PurePath
from typing import Any, ClassVar

import numpy as np
import torch

from augsynth.errors import Checked

Array = np.ndarray
INTERPOLATIONS = ("nearest", "bilinear", "bicubic")
_PIL_INTERPOLATIONS = {0: "nearest", 2: "bilinear", 3: "bicubic"}
BORDER_MODES = ("constant", "edge", "reflect", "symmetric")


@dataclass(frozen=True)
class Border:
    """What lies outside the image: mode of `BORDER_MODES`, fill in image space (one value or one per channel)."""

    mode: str = "constant"
    fill: tuple[float, ...] = (0.0,)


class RowError(ValueError):
    """One row of a batch cannot be augmented; whoever holds the batch turns `row`, its position, into an index."""

    def __init__(self, row: int, message: str) -> None:
        super().__init__(message)
        self.row = row


class Transform(Checked):
    """Base of every transform: a frozen dataclass whose fields are its arguments.

    draws: uniform numbers it consumes per sample. params: numbers that describe one drawn sample.
    p: probability of being applied; a field where the user may set it, else always 1.
    """

    p: float = 1.0
    draws: ClassVar[int] = 0
    params: ClassVar[int] = 0

    def __post_init__(self) -> None:
        for item in self._fields():
            object.__setattr__(self, item.name, _freeze(getattr(self, item.name)))
        self.validate()
        if not (is_number(self.p) and 0.0 <= self.p <= 1.0):
            self.fail("p", "a probability from 0 to 1")

    def _fields(self) -> tuple[Field[Any], ...]:
        return fields(self)  # type: ignore[arg-type]  # this base is a plain class, so that p keeps its place

    def validate(self) -> None:
        """Check the arguments; raise ValueError through `fail`."""

    def fail(self, field: str, allowed: str) -> None:
        """Raise ValueError that names class, field, value and what is allowed."""
        raise ValueError(f"{type(self).__name__}: {field}={getattr(self, field)!r} is not valid; expected {allowed}")

    @cached_property
    def gated(self) -> bool:
        """True when `p` is an argument of this class."""
        return any(item.name == "p" for item in self._fields())

    def parts(self) -> Mapping[str, Transform]:
        """Return the transforms this one is made of; empty for one that acts on pixels itself."""
        return {}

    @property
    def constant(self) -> tuple[float, ...]:
        """The value it writes into pixels, in image space, one or one per channel."""
        return (0.0,)

    def sample_params(self, u: Array, sizes: Array, strength: float) -> Array:
        """Turn uniforms `(B, draws)` and sizes `(B, 2)` (height, width) into parameters `(B, params)`."""
        return np.empty((len(u), 0))


class Leaf(Transform):
    """A transform that acts on pixels itself. Its class among the fuse classes says how.

    word: what `Pipeline.explain` calls a run of it. channels: how many an image must have, any by default.
    followed: False for one that moves pixels in a way that masks, boxes and keypoints cannot follow.
    """

    word: ClassVar[str] = "apply"
    channels: ClassVar[tuple[int, ...]] = ()
    followed: ClassVar[bool] = True


class Composite(Transform):
    """A transform made of others: it only decides which of them run, and in what order, per sample."""

    def arrange(self, rows: Sequence[Array], u: Array) -> Array:
        """Merge the parts' op codes `[(B, w_i)]` into one row `(B, width)`; 0 means nothing."""
        raise TypeError(f"{type(self).__name__} does not arrange its parts")

    def width(self, widths: Sequence[int]) -> int:
        """Return how many slots the row takes, from the widths of the parts."""
        return sum(widths)


class Geometric(Leaf):
    """A transform that moves pixels by a homography; neighbours fuse into one resample."""

    word: ClassVar[str] = "warp"
    opens_run: ClassVar[bool] = False
    may_stay_inside: ClassVar[bool] = False  # has a border, but whether it matters depends on the sample
    resizes: ClassVar[bool] = False  # changes the number of pixels that show the same thing
    cuts: ClassVar[bool] = False  # cuts a window out before it resizes
    default_interpolation: ClassVar[str] = "nearest"

    def matrix(self, params: Array, sizes: Array) -> Array:
        """Return `(B, 3, 3)` float64: output to input, continuous coordinates (pixel i covers [i, i + 1))."""
        raise TypeError(f"{type(self).__name__} has no matrix")

    def output_size(self, params: Array, sizes: Array) -> Array:
        """Return the output's `(B, 2)` height and width in pixels."""
        return sizes

    @property
    def border(self) -> Border | None:
        """What this transform wants outside the image; None when it never looks there."""
        return None

    @property
    def constant(self) -> tuple[float, ...]:
        return self.border.fill if self.border else (0.0,)

    def looks_outside(self, params: Array, sizes: Array) -> Array:
        """Tell per sample `(B,)` whether `border` matters; asked only where `may_stay_inside`."""
        return np.full(len(params), self.border is not None)

    @cached_property
    def sampling(self) -> tuple[int, bool]:
        """The interpolation's position in `INTERPOLATIONS` and whether minification is antialiased."""
        name = getattr(self, "interpolation", self.default_interpolation)
        return INTERPOLATIONS.index(name), bool(getattr(self, "antialias", True))


class Color(Leaf):
    """A transform that maps each pixel's channels by `x' = A x + m v`, m the mean luma of the image before it."""

    word: ClassVar[str] = "color"
    channels: ClassVar[tuple[int, ...]] = (1, 3)
    chroma: ClassVar[bool] = False  # nothing to do on one channel
    hue: ClassVar[bool] = False  # in exact colour, params[:, 0] is a shift of the HSV hue and the matrix is not used

    def matrix(self, params: Array, exact: bool) -> tuple[Array, Array]:
        """Return A `(B, 3, 3)` and v `(B, 3)`."""
        raise TypeError(f"{type(self).__name__} has no matrix")

    def expands(self, params: Array) -> Array:
        """Tell per sample `(B,)` whether the result can leave the value range, so that a clamp is needed."""
        return np.zeros(len(params), bool)


class Pixelwise(Leaf):
    """A transform that overwrites pixels without looking at their neighbours: a rectangle top, left, height, width."""

    word: ClassVar[str] = "erase"

    @property
    def textured(self) -> bool:
        """Tell whether it paints no single value; it is then a `Standalone` too, and rendered as one."""
        return False

    def rectangle(self, params: Array) -> Array:
        """Return `(B, 4)` int64 top, left, height, width in pixels."""
        raise TypeError(f"{type(self).__name__} has no rectangle")


class Standalone(Leaf):
    """A transform that renders itself and is a run of its own: it fuses with no neighbour.

    Images that came as uint8 hold values from 0 to 255 in either method, and may hold fractions of them.
    """

    moves: ClassVar[bool] = False  # moves pixels, so that targets must follow
    kernel_step: ClassVar[str] = ""  # its name in the compiled engine, which knows some on whole levels

    def kernel_numbers(self, params: Array) -> Array:
        """Return what the compiled engine's step needs, `(R, 3)`."""
        return np.zeros((len(params), 3))

    def apply(self, pixels: torch.Tensor, params: Array, white: float) -> torch.Tensor:
        """Render float `(R, C, H, W)` in [0, white] by parameters `(R, params)`: on any device, same range out."""
        raise TypeError(f"{type(self).__name__} cannot be rendered")

    def apply_array(self, pixels: Array, params: Array, white: float) -> Array:
        """Render one uint8 or float32 array `(H, W, 3)` or `(H, W)` on the CPU; never writes into `pixels`."""
        planes = pixels.transpose(2, 0, 1) if pixels.ndim == 3 else pixels[None]
        tensor = torch.from_numpy(np.ascontiguousarray(planes, np.float32))[None]
        done = self.apply(tensor, params[None], white)[0]
        if pixels.dtype == np.uint8:
            done = done.round().clamp(0, 255).to(torch.uint8)
        array = done.permute(1, 2, 0).contiguous().numpy()
        return array if pixels.ndim == 3 else array[:, :, 0]

    def apply_levels(self, pixels: Array, params: Array) -> Array | None:
        """Render small uint8 arrays `(R, H, W, 3)` or `(R, H, W)` at once, the same bytes as `apply_array` makes.

        None where that is no faster than one by one.
        """
        return None


class Tone(Standalone):
    """A transform of single channel values, on uint8 images of whole levels: a table there, arithmetic on floats."""

    word: ClassVar[str] = "tone"

    def table_of(self, params: Array) -> Array | None:
        """Return what parameters `(P,)` make of levels 0 to 255, `(256,)` uint8; None if the image decides that too."""
        return None


class Neighbourhood(Standalone):
    """A transform whose pixels depend on their neighbours: blur, sharpness, compression."""

    word: ClassVar[str] = "filter"


class Noise(Standalone):
    """A transform that changes each pixel by random numbers of its own, keyed by words among its parameters."""

    word: ClassVar[str] = "noise"


class Distortion(Standalone):
    """A transform that moves pixels by a field that is no homography."""

    word: ClassVar[str] = "distort"
    moves: ClassVar[bool] = True

    def field(self, params: Array, size: tuple[int, int]) -> Array:
        """Return `(R, H, W, 2)` float32: the x and y of the source point of each output pixel's centre, continuous."""
        raise TypeError(f"{type(self).__name__} has no field")

    def points(self, params: Array, size: tuple[int, int], xy: Array) -> Array:
        """Return where the points xy `(N, 2)` of one source image land `(N, 2)`, by parameters `(params,)`."""
        raise TypeError(f"{type(self).__name__} has no points")


def _freeze(value: Any) -> Any:
    """Turn lists (YAML has no tuples) into tuples, torchvision's enums and paths into names; keep mappings as dicts."""
    if isinstance(value, (list, tuple)) or type(value).__name__ == "ListConfig":  # of OmegaConf
        return tuple(map(_freeze, value))
    if isinstance(value, PurePath):
        return str(value)
    if type(value).__name__ == "InterpolationMode":
        return value.value
    return value


def check_interpolation(transform: Transform) -> None:
    """Replace PIL's integers by names, and raise ValueError for an interpolation that is not supported."""
    value = getattr(transform, "interpolation")  # noqa: B009 - not every transform has the field
    if isinstance(value, int) and not isinstance(value, bool):
        value = _PIL_INTERPOLATIONS.get(value, value)
        object.__setattr__(transform, "interpolation", value)
    if value not in INTERPOLATIONS:
        transform.fail("interpolation", "one of " + ", ".join(INTERPOLATIONS))


def check_fill(transform: Transform, field: str = "fill") -> tuple[float, ...]:
    """Return the fill as a tuple of finite numbers, or raise ValueError."""
    value = getattr(transform, field)
    entries = value if isinstance(value, tuple) else (value,)
    if not entries or not all(is_number(v) and v >= 0 for v in entries):
        transform.fail(field, "a number or one per channel, 0 to 255 for uint8 images, 0 to 1 for floats")
    return tuple(float(v) for v in entries)


def is_number(value: Any) -> bool:
    """Tell a finite real number (bool excluded)."""
    return (
        isinstance(value, (int, float, np.integer, np.floating))
        and not isinstance(value, bool)
        and bool(np.isfinite(value))
    )


def is_pair(value: Any) -> bool:
    """Tell a tuple of two numbers."""
    return isinstance(value, tuple) and len(value) == 2 and all(map(is_number, value))


def is_range(value: Any, low: float = -np.inf, high: float = np.inf) -> bool:
    """Tell a `(low, high)` pair in ascending order within inclusive bounds."""
    return is_pair(value) and bool(low <= value[0] <= value[1] <= high)


def check_inplace(transform: Transform) -> None:
    """Refuse `inplace=True`: augsynth never changes its input."""
    if getattr(transform, "inplace", False):
        transform.fail("inplace", "False: the input is never changed")


def affine_matrix(
    a: Array | float, b: Array | float, c: Array | float, d: Array | float, tx: Array, ty: Array
) -> Array:
    """Stack `x' = a x + b y + tx, y' = c x + d y + ty` into `(B, 3, 3)`."""
    result = np.zeros((len(tx), 3, 3))
    result[:, 0, 0], result[:, 0, 1], result[:, 0, 2] = a, b, tx
    result[:, 1, 0], result[:, 1, 1], result[:, 1, 2] = c, d, ty
    result[:, 2, 2] = 1.0
    return result


def lerp(u: Array, low: Any, high: Any) -> Array:
    """Map uniforms in [0, 1) to [low, high)."""
    return np.asarray(low + u * (high - low))


def normals(u: Array) -> Array:
    """Turn an even number of uniforms in [0, 1) `(B, 2 n)` into as many standard normals (Box-Muller)."""
    radius, angle = np.sqrt(-2.0 * np.log1p(-u[:, 0::2])), 2.0 * np.pi * u[:, 1::2]
    return np.concatenate([radius * np.cos(angle), radius * np.sin(angle)], 1)


def snake(name: str) -> str:
    """`RandomHorizontalFlip` -> `random_horizontal_flip`: the default name of a transform in a list."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def named(transforms: Any, owner: str) -> dict[str, Transform]:
    """Name a list's transforms by their class, repeats numbered; check a mapping's.

    Raises TypeError naming the entry that is not a transform, ValueError for a name that contains "/".
    """
    items: list[tuple[str | None, Any]]
    if isinstance(transforms, Mapping):
        # A mapping entry set to None is switched off, which is how a configuration removes one.
        items = [(str(name), value) for name, value in transforms.items() if value is not None]
    elif isinstance(transforms, Sequence) and not isinstance(transforms, str):
        items = [(None, value) for value in transforms]
    else:
        got = _type_name(transforms).removeprefix("of type ")
        raise TypeError(f"{owner} takes a list or a mapping of transforms, got {got}{_hint(transforms)}")
    result: dict[str, Transform] = {}
    for position, (name, value) in enumerate(items):
        if not isinstance(value, Transform):
            where = f"entry {position}" if name is None else repr(name)
            what = f"{_type_name(value)}, not a transform of augsynth.transforms"
            raise TypeError(f"{owner}: {where} is {what}{_hint(value)}")
        base = name if name is not None else snake(type(value).__name__)
        if "/" in base:
            raise ValueError(f"{owner}: the name {base!r} contains '/', which separates levels of names")
        unique, count = base, 1
        while unique in result:
            count += 1
            unique = f"{base}_{count}"
        result[unique] = value
    return result


_PEERS = {"torchvision": "from_torchvision", "albumentations": "from_albumentations"}


def _origin(value: Any) -> tuple[str, str]:
    """Return the library and the name of a class, or of an object's class."""
    found = value if isinstance(value, type) else type(value)
    return found.__module__.partition(".")[0], found.__name__


def _type_name(value: Any) -> str:
    library, name = _origin(value)
    if library in _PEERS:
        return f"{library}'{'' if library[-1] == 's' else 's'} {'class ' if isinstance(value, type) else ''}{name}"
    return f"the class {name}" if isinstance(value, type) else f"of type {name}"


def _hint(value: Any) -> str:
    """Say what to give instead of something that is no transform of this library."""
    hints = ["give an instance, not the class"] if isinstance(value, type) else []
    library, name = _origin(value)
    if library in _PEERS:
        # Late, because the registry is made of classes that derive from this module's.
        from augsynth.transforms import REGISTRY

        if name in REGISTRY:
            hints.append(f"augsynth.transforms has a {name} with torchvision's arguments")
        hints.append(f"augsynth.{_PEERS[library]}(...) converts a whole pipeline")
    if name in ("DictConfig", "ListConfig"):
        hints.append("write _convert_: all beside _target_, or Hydra turns what it has built into configuration again")
    return "".join(f"; {hint}" for hint in hints)
