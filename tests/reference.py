"""A float64 renderer in plain numpy: what a drawn program means, by formulas of its own.

It shares with the library only the draw (op codes and parameters). Maps, runs, windows, filters and colours are derived
here again from the documented semantics, so that a fault in the library's own arithmetic shows.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import reference_blur
import reference_boxcrop
import reference_channels
import reference_distort
import reference_mix
import reference_moves
import reference_noise
import reference_policy
import reference_resize
import reference_tone
import reference_weather
from reference_geometry import PLACES, as_pair, as_tuple, place, resample
from reference_steps import ColorStep, Step

STEPS: dict[str, Step] = {}
COLORS: dict[str, ColorStep] = {}
BORDERS: dict[str, Callable[..., Any]] = {}  # as `wanted_border`, by class name
KINDS = {"RandomErasing": "erase", "AugMix": "mix"}  # by class name, what is neither geometry nor colour nor a step
RESIZES = {"Resize"}  # classes that resize the whole image
_FAMILIES = (
    reference_blur,
    reference_boxcrop,
    reference_channels,
    reference_distort,
    reference_moves,
    reference_noise,
    reference_policy,
    reference_resize,
    reference_tone,
    reference_weather,
)
for _family in _FAMILIES:
    STEPS |= _family.STEPS
    COLORS |= _family.COLORS
    PLACES |= _family.PLACES
    BORDERS |= getattr(_family, "BORDERS", {})
    RESIZES |= getattr(_family, "RESIZES", set())

# How far from this reference an engine may be, in 1/255 of the value range: what each run of a pipeline adds to the
# error, images of up to 640 pixels of pure noise included. A colour step multiplies what came before by its gain,
# bicubic interpolation by 1.6; uint8 output adds 0.5 by rounding, and so does a fill that is not a whole number of it.
TOLERANCES = {
    "flip, crop, pad, quarter turn, erase": {"opencv uint8": 0.0, "opencv float": 0.0, "torch": 0.0},
    "resample": {"opencv uint8": 0.53, "opencv float": 0.03, "torch": 0.03},
    "resample that shrinks": {"opencv uint8": 1.6, "opencv float": 0.03, "torch": 0.03},
    "color": {"opencv uint8": 0.01, "opencv float": 0.01, "torch": 0.01},
}

RANK = {"nearest": 0, "bilinear": 1, "bicubic": 2}  # flips, crops and padding do not interpolate: 0
LUMA = np.array([0.2989, 0.587, 0.114])


@dataclass(frozen=True)
class Expected:
    """pixels `(H, W, C)` float64 in the output's units, before rounding; doubt `(H, W)`: nearest-neighbour ties."""

    pixels: np.ndarray
    doubt: np.ndarray


@dataclass
class _Run:
    kind: str
    parts: list
    border: tuple | None = None


def expected(pipeline, images, *, index, epoch=0, occurrence=0, strength=1.0):
    """Render CHW or HWC images of one dtype (uint8, or floats in [0, 1]) as `pipeline` should; one `Expected` each."""
    arrays = [_to_float64(image) for image in images]
    sizes = [array.shape[:2] for array in arrays]
    program = pipeline.draw(sizes, index=index, epoch=epoch, occurrence=occurrence, strength=strength)
    white = 255.0 if "uint8" in str(images[0].dtype) else 1.0
    if program.plan.mixes:
        exact, joined = pipeline.color == "exact", pipeline.fuse
        return [
            Expected(*found)
            for found in reference_mix.render(
                pipeline,
                program,
                arrays,
                (index, epoch, occurrence),
                lambda steps, pixels, doubt: _render_steps(steps, pixels, doubt, white, exact, joined),
                lambda pixels: _finish(pipeline, pixels, white),
            )
        ]
    return [_render(pipeline, program, i, array, white) for i, array in enumerate(arrays)]


def _to_float64(image):
    if hasattr(image, "detach"):
        return image.detach().double().permute(1, 2, 0).numpy()
    array = np.asarray(image, np.float64)
    return array if array.ndim == 3 else array[:, :, None]


def steps_of(program, sample):
    """List one sample's `(transform, parameters)` in order of application."""
    result = []
    for slot, code in enumerate(program.ops[sample]):
        if code:
            transform = program.plan.leaves[code - 1].transform
            result.append((transform, program.params[sample, slot, : transform.params]))
    return result


def tolerance(pipeline, program, sample, size, engine, dtype):
    """Return the allowed error of one sample in 1/255, from `TOLERANCES` and what was drawn for it."""
    column = (
        "torch" if engine in ("native", "torch", "triton") else f"opencv {'uint8' if dtype == 'uint8' else 'float'}"
    )
    if program.plan.mixes:
        return reference_mix.tolerance(program, sample, size, column, dtype, pipeline.fuse, TOLERANCES, _error)
    return _error(steps_of(program, sample), size, column, pipeline.fuse, 0.0)


def _error(steps, size, column, joined, error):
    for run in split_runs(steps, size, joined):
        if run.kind == "geometry":
            ranks = [RANK[getattr(t, "interpolation", "nearest")] for t, _ in run.parts]
            antialias = all(getattr(t, "antialias", True) for t, _ in run.parts)
            row = "resample that shrinks" if antialias else "resample"
            row = row if max(ranks) else "flip, crop, pad, quarter turn, erase"
            error = error * (1.6 if max(ranks) == 2 else 1.0) + TOLERANCES[row][column]
        elif run.kind == "color":
            for transform, params in run.parts:
                error *= gain(transform, params)
            error += TOLERANCES["color"][column]
        elif run.kind == "mix":
            own, chains = reference_policy.chains_of(*run.parts[0])
            found = [weight * _error(chain, size, column, joined, error) for weight, chain in chains]
            error = own * error + sum(found) + 0.01
        elif run.kind == "alone":
            transform, params = run.parts[0]
            step = STEPS[type(transform).__name__]
            error = error * step.gain(transform, params) + step.error[column]
    return error


def gain(transform, params):
    """Return by how much a colour step can enlarge an error: a hue shift up to 3, a factor f up to f + |1 - f|."""
    name = type(transform).__name__
    if name in COLORS:
        return COLORS[name].gain(transform, params)
    if name == "Hue":
        return 3.0
    return 1.0 if name == "RandomGrayscale" else max(1.0, params[0] + (name != "Brightness") * abs(1 - params[0]))


def assert_agrees(pipeline, images, **key):
    """Compare what a pipeline with a named engine makes of CHW images with this reference, within the tolerances.

    Returns the largest share of pixels that were not compared, because a nearest-neighbour choice was a tie.
    """
    targets = expected(pipeline, images, **key)
    sizes = [tuple(image.shape[1:]) for image in images]
    program = pipeline.draw(sizes, **key)
    for i, (got, target) in enumerate(zip(pipeline(images, **key), targets, strict=True)):
        pixels = got.double().permute(1, 2, 0).numpy()
        assert pixels.shape == target.pixels.shape
        normalize = pipeline.plan.normalize
        unit = 1.0 if str(got.dtype) == "torch.uint8" else 255.0 * (np.array(normalize.std) if normalize else 1.0)
        error = (np.abs(pixels - target.pixels) * unit).max(2)[~target.doubt].max(initial=0)
        allowed = tolerance(pipeline, program, i, sizes[i], pipeline.engine, str(images[0].dtype)[6:])
        allowed += 0.001 + 0.5 * (str(got.dtype) == "torch.uint8")
        assert error <= allowed, f"sample {i}: {error} > {allowed}: {program.parameters(i)}"
    return max(target.doubt.mean() for target in targets)


def _render(pipeline, program, sample, pixels, white):
    doubt = np.zeros(pixels.shape[:2], bool)
    exact = pipeline.color == "exact"
    pixels, doubt = _render_steps(steps_of(program, sample), pixels, doubt, white, exact, pipeline.fuse)
    return Expected(_finish(pipeline, pixels, white), doubt)


def _finish(pipeline, pixels, white):
    normalize = [t for t in pipeline.transforms.values() if type(t).__name__ == "Normalize"]
    if normalize:
        pixels = (pixels / white - np.array(normalize[0].mean)) / np.array(normalize[0].std)
    elif pipeline.dtype is not None:
        pixels = pixels / white * (255.0 if "uint8" in str(pipeline.dtype) else 1.0)
    return pixels


def _render_steps(steps, pixels, doubt, white, exact, joined):
    for run in split_runs(steps, pixels.shape[:2], joined):
        if run.kind == "geometry":
            pixels, doubt = _resample_run(run, pixels, doubt, white)
        elif run.kind == "erase":
            pixels = _erase(*run.parts[0], pixels)
        elif run.kind == "mix":
            own, chains = reference_policy.chains_of(*run.parts[0])
            done = [_render_steps(chain, pixels, doubt, white, exact, joined) for _, chain in chains]
            pixels = own * pixels + sum(weight * part for (weight, _), (part, _) in zip(chains, done, strict=True))
            doubt = np.any([doubt, *(part for _, part in done)], axis=0)
        elif run.kind == "alone":
            transform, params = run.parts[0]
            pixels = STEPS[type(transform).__name__].apply(transform, params, pixels, white)
        elif exact:
            for transform, params in run.parts:
                pixels = exact_color(transform, params, pixels, white)
        else:
            gray = np.full((1, 1, pixels.shape[2]), _luma(pixels, LUMA / LUMA.sum()).mean())
            for transform, params in run.parts:
                pixels, gray = (linear_color(transform, params, image, white, gray) for image in (pixels, gray))
            pixels = np.clip(pixels, 0, white)
    return pixels, doubt


def split_runs(steps, size, joined=True):
    """Group geometry with geometry and colour with colour, until the border changes or padding opens a canvas."""
    runs = []
    for transform, params in steps:
        name = type(transform).__name__
        border, opens = None, False
        if name in PLACES:
            kind = "geometry"
            border, opens = wanted_border(transform, params, size)
            size = place(transform, params, size)[1]
        else:
            kind = KINDS.get(name, "alone" if name in STEPS else "color")
            kind = "alone" if getattr(transform, "value", None) == "random" else kind
        last = runs[-1] if runs else None
        same = last is not None and last.kind == kind and kind in ("geometry", "color") and joined and not opens
        if same and not (border and last.border and border != last.border):
            last.parts.append((transform, params))
            last.border = last.border or border
        else:
            runs.append(_Run(kind, [(transform, params)], border))
    return runs


def wanted_border(transform, params, size):
    """Return what lies outside the image for this transform, or None where it never looks; and if it opens a canvas."""
    name = type(transform).__name__
    if name in BORDERS:
        return BORDERS[name](transform, params, size)
    if name in ("RandomRotation", "RandomAffine"):
        return ("constant", as_tuple(transform.fill)), False
    if name == "CenterCrop":
        small = size[0] < as_pair(transform.size)[0] or size[1] < as_pair(transform.size)[1]
        return (("constant", (0.0,)) if small else None), False
    if name == "Pad" or (name == "RandomCrop" and (transform.padding or transform.pad_if_needed)):
        return (transform.padding_mode, as_tuple(transform.fill)), True
    return None, False


def _resample_run(run, pixels, doubt, white):
    matrix, size, rank, antialias, cut_first = np.eye(3), pixels.shape[:2], 0, True, False
    for transform, params in run.parts:
        name = type(transform).__name__
        cut_first |= name in ("RandomResizedCrop", "RandomSizedBBoxSafeCrop")
        cut_first |= name in RESIZES and size != pixels.shape[:2]
        step, size = place(transform, params, size)
        matrix = matrix @ step
        rank = max(rank, RANK[getattr(transform, "interpolation", "nearest")])
        antialias = antialias and getattr(transform, "antialias", True)
    antialias = antialias and rank > 0
    result, ties = resample(pixels, matrix, size, rank, antialias, run.border, cut_first)
    if doubt.any():
        border = run.border and (run.border[0], (0.0,))
        spread, _ = resample(doubt[:, :, None] * 1.0, matrix, size, rank, antialias, border, cut_first)
        ties = ties | (np.abs(spread[:, :, 0]) > 1e-9)
    return (np.clip(result, 0, white) if rank == 2 else result), ties


# --- colour -----------------------------------------------------------------------------------------------------------


def _luma(pixels, weights=LUMA):
    return pixels[:, :, 0] if pixels.shape[2] == 1 else pixels @ weights


def exact_color(transform, params, pixels, white):
    """Apply one colour step with torchvision's semantics, the clamp included."""
    name, gray = type(transform).__name__, pixels.shape[2] == 1
    if name in COLORS:
        return COLORS[name].exact(transform, params, pixels, white)
    if gray and name in ("Saturation", "Hue", "RandomGrayscale"):
        return pixels
    if name == "Hue":
        return _rotate_hsv(pixels, params[0])
    if name == "RandomGrayscale":
        return np.repeat(_luma(pixels)[:, :, None], 3, 2)
    if name == "Brightness":
        other = np.zeros((1, 1, 1))
    else:
        luma = _luma(pixels)
        other = luma.mean().reshape(1, 1, 1) if name == "Contrast" else luma[:, :, None]
    return np.clip(params[0] * pixels + (1 - params[0]) * other, 0, white)


def linear_color(transform, params, pixels, white, middle):
    """Apply one colour step of `color="linear"`: no clamp, luma weights that sum to 1, the hue turned in YIQ.

    middle: what the steps before made of a gray image of the run's mean luma; a contrast turns about its luma.
    """
    name, gray = type(transform).__name__, pixels.shape[2] == 1
    weights = LUMA / LUMA.sum()
    if name in COLORS:
        return COLORS[name].linear(transform, params, pixels, white)
    if gray and name in ("Saturation", "Hue", "RandomGrayscale"):
        return pixels
    if name == "Brightness":
        return params[0] * pixels
    if name == "Contrast":
        return params[0] * pixels + (1 - params[0]) * _luma(middle, weights).mean()
    if name == "Saturation":
        return params[0] * pixels + (1 - params[0]) * _luma(pixels, weights)[:, :, None]
    if name == "RandomGrayscale":
        return np.repeat(_luma(pixels, weights)[:, :, None], 3, 2)
    to_yiq = np.array([weights, [0.595716, -0.274453, -0.321263], [0.211456, -0.522591, 0.311135]])
    yiq = pixels @ to_yiq.T
    # From red over yellow to green the angle of (I, Q) falls.
    turned = (yiq[..., 1] + 1j * yiq[..., 2]) * np.exp(-2j * math.pi * params[0])
    return np.stack([yiq[..., 0], turned.real, turned.imag], -1) @ np.linalg.inv(to_yiq).T


def _rotate_hsv(pixels, shift):
    value, low = pixels.max(2), pixels.min(2)
    chroma = value - low
    r, g, b = np.moveaxis(pixels, 2, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        sector = np.select([value == r, value == g], [(g - b) / chroma % 6, (b - r) / chroma + 2], (r - g) / chroma + 4)
    hue = (np.where(chroma > 0, sector, 0.0) / 6 + shift) % 1 * 6
    middle = chroma * (1 - np.abs(hue % 2 - 1))
    zero = np.zeros_like(chroma)
    whole = np.floor(hue).astype(int) % 6
    red = np.choose(whole, [chroma, middle, zero, zero, middle, chroma])
    green = np.choose(whole, [middle, chroma, chroma, middle, zero, zero])
    blue = np.choose(whole, [zero, zero, middle, chroma, chroma, middle])
    return np.stack([red, green, blue], 2) + low[:, :, None]


def _erase(transform, params, pixels):
    top, left, height, width = (int(v) for v in params)
    pixels = pixels.copy()
    pixels[top : top + height, left : left + width] = as_tuple(transform.value)
    return pixels
