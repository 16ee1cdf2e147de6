"""Which engine renders a batch, and the images as that engine reads them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import torch

from augsynth.engines.output import Output
from augsynth.images import FLOATS, Form, Forms, check_values, to_arrays, to_tensor, to_views
from augsynth.mixing import Render
from augsynth.program import Plan
from augsynth.rng import Rng
from augsynth.targets import Targets
from augsynth.transforms.base import Leaf

if TYPE_CHECKING:
    from augsynth.engines.triton_riders import Riders

ENGINES = ("auto", "native", "opencv", "torch", "triton")
_TRITON_DTYPES = (torch.uint8, torch.float32, torch.bfloat16, torch.float16)


def choose(engine: str, images: Sequence[Any], forms: Forms, free: bool = False) -> str:
    """Return the engine that renders these images. Raises ValueError where the one that is asked for cannot.

    free: values are not kept in [0, 1], which only the torch engine does, and only with floats.
    """
    distinct = forms.distinct
    if free:
        if distinct[0].dtype == torch.uint8:
            raise ValueError(f"clamp=False and value_range= are for float images; {distinct[0].where} is torch.uint8")
        if engine not in ("auto", "torch"):
            raise ValueError(f"engine={engine} keeps values in [0, 1]; clamp=False and value_range= need engine=torch")
        return "torch"
    fits = all(form.device == "cpu" and form.dtype in (torch.uint8, torch.float32) for form in distinct)
    fits = fits and all(form.channels in (1, 3) for form in distinct)
    if engine == "native" and on_cpu() != "native":
        raise ValueError(
            "engine=native was not compiled when augsynth was installed: have gcc or clang at hand and install it "
            "again, or use engine=opencv"
        )
    if engine in ("native", "opencv") and not fits:
        form = next(f for f in forms if f.device != "cpu" or f.dtype in FLOATS[1:] or f.channels not in (1, 3))
        raise ValueError(
            f"engine={engine} renders uint8 or float32 images of 1 or 3 channels on the CPU; {form.where} is "
            f"{form.dtype} with {form.channels} channels on {form.device}. Use engine=auto or torch"
        )
    traced = distinct[0].dtype != torch.uint8 and any(
        isinstance(image, torch.Tensor) and image.requires_grad for image in images
    )
    if engine in ("native", "opencv") and traced:
        raise ValueError(f"engine={engine} cannot be differentiated, and an image requires grad; use auto or torch")
    if engine == "triton":
        _check_triton(forms, traced)
    if engine != "auto":
        return engine
    if not traced and all(map(_suits_triton, distinct)) and _triton_knows(images[0].device):
        return "triton"
    return on_cpu() if fits and not traced else "torch"


@cache
def on_cpu() -> str:
    """Return the engine for the CPU: the compiled one, where there is one."""
    from augsynth.engines import native

    return "native" if native.SETS else "opencv"


def board(engine: str, images: Sequence[Any], targets: Targets) -> Riders | None:
    """Let masks and keypoints on a CUDA device move in the launch of their images, where triton renders those."""
    if engine != "triton":
        return None
    from augsynth.engines.triton_riders import Riders

    riders = Riders(images[0].device if isinstance(images[0], torch.Tensor) else torch.device("cpu"))
    targets.board(riders)
    return riders


def renderer(engine: str, exact: bool, riders: Riders | None = None) -> Render:
    """Return what renders images, as `prepared` gives them, on an engine; riders come along."""
    if engine == "native":
        from augsynth.engines import native

        return lambda images, runs, sizes, output: native.render(images, runs, sizes, output, exact)
    if engine == "opencv":
        from augsynth.engines import opencv

        return lambda images, runs, sizes, output: opencv.render(images, runs, sizes, output, exact)
    if engine == "triton":
        from augsynth.engines import triton as triton_engine

        return lambda images, runs, sizes, output: triton_engine.render(
            images, runs, output, exact, riders.ride if riders else None
        )
    from augsynth.engines import torch as torch_engine

    return lambda images, runs, sizes, output: torch_engine.render(images, runs, output, exact)


def render_drawn(
    plan: Plan, rng: Rng, images: Sequence[Any], forms: Forms, output: Output, strength: float, exact: bool
) -> torch.Tensor | list[torch.Tensor] | None:
    """Let the compiled engine draw and render at once; None for plans and images that numpy has to draw."""
    from augsynth.engines import native
    from augsynth.engines.native_plan import instructions

    found = instructions(plan, strength)
    if found is None:
        return None
    return native.render_drawn(prepared("native", images, forms, output), found, rng, output, exact)


def prepared(engine: str, images: Sequence[Any], forms: Forms, output: Output) -> Sequence[Any]:
    """Return images as the engine reads them, arrays or tensors; raises ValueError for values that are none of one."""
    if engine == "native":
        found: Sequence[Any] = to_views(images, forms)
    elif engine == "opencv":
        found = to_arrays(images, forms)
    elif engine == "triton":
        # It reads tensors of any dtype and layout where they lie.
        plain = [i.as_subclass(torch.Tensor) if isinstance(i, torch.Tensor) else i for i in images]
        found = [i if isinstance(i, torch.Tensor) else to_tensor(i, form) for i, form in zip(plain, forms, strict=True)]
    else:
        found = [to_tensor(image, form) for image, form in zip(images, forms, strict=True)]
        low, high = output.span
        if (low, high) != (0.0, 1.0):
            found = [(image - low) / (high - low) for image in found]
    if output.clamp:
        check_values(found, forms, output.span)
    return found


@cache
def _triton_device() -> str | None:
    """Return the kind of device that the triton engine works on: cpu under TRITON_INTERPRET=1; None without triton."""
    try:
        from augsynth.engines import triton
    except ImportError:
        return None
    return "cpu" if triton.INTERPRETED else "cuda"


def _suits_triton(form: Form) -> bool:
    """Tell whether images of this form can be left to triton on a CUDA device."""
    return form.device == "cuda" and form.dtype in _TRITON_DTYPES and form.channels in (1, 3)


def _triton_knows(device: torch.device) -> bool:
    """Tell whether triton is there and compiles for this CUDA device: from compute capability 8.0."""
    return _triton_device() == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0)


def _check_triton(forms: Sequence[Form], traced: bool) -> None:
    """Raise ValueError where engine=triton cannot render; say what can."""
    device = _triton_device()
    if device is None:
        raise ValueError("engine=triton needs the package triton, which cannot be imported; use engine=auto or torch")
    if traced:
        raise ValueError("engine=triton cannot be differentiated, and an image requires grad; use auto or torch")
    for form in forms:
        if form.dtype not in _TRITON_DTYPES or form.channels not in (1, 3):
            raise ValueError(
                f"engine=triton renders uint8, float16, bfloat16 or float32 images of 1 or 3 channels; {form.where} is "
                f"{form.dtype} with {form.channels} channels. Use engine=auto or torch"
            )
        if form.device != device:
            raise ValueError(
                f"engine=triton renders on a {device} device here, and {form.where} is on {form.device}; move the "
                "batch, or use engine=auto. With TRITON_INTERPRET=1 in the environment it renders on the CPU, slowly"
            )


def check_channels(plan: Plan, forms: Sequence[Form]) -> None:
    """Refuse colour on images that are neither gray nor RGB, and fills that do not suit channels or value range."""
    for form in {form.channels: form for form in reversed(forms)}.values():
        for leaf in plan.leaves:
            needs = leaf.transform.channels if isinstance(leaf.transform, Leaf) else ()
            if needs and form.channels not in needs:
                wanted = " or ".join(map(str, needs))
                raise ValueError(f"{form.where}: {leaf.name} needs {wanted} channels, not {form.channels}")
            fill = leaf.transform.constant
            if len(fill) not in (1, form.channels):
                raise ValueError(
                    f"{form.where}: {leaf.name} has a fill of {len(fill)} values for {form.channels} channels"
                )
            if max(fill) > (white := 255 if form.dtype == torch.uint8 else 1):
                raise ValueError(
                    f"{form.where}: {leaf.name} has a fill of {max(fill):g}; {form.dtype} goes from 0 to {white}"
                )


def check_alike(forms: Sequence[Form]) -> None:
    """Refuse a batch of more than one dtype."""
    first = forms[0]
    for form in forms:
        if form.dtype != first.dtype:
            raise TypeError(
                f"{form.where} is {form.dtype} and {first.where} is {first.dtype}: give one dtype per batch"
            )
