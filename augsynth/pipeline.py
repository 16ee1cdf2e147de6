"""`Pipeline`: named transforms, drawn per sample, fused, and rendered by the engine that suits the images."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import InitVar, dataclass, field, replace
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch

from augsynth.batch import Path, describe, find_image, get_image, is_dataclass, is_image, set_image
from augsynth.columns import as_columns, rows_of_columns
from augsynth.configured import Configured
from augsynth.converting import Convertible
from augsynth.engines.output import Output
from augsynth.errors import Checked
from augsynth.finding import LABEL_KEYS, Keys, Rules, find_entries
from augsynth.fuse import fuse
from augsynth.images import Form, forms_of, from_tensor, split
from augsynth.mix_targets import MixTargets, find_mixed
from augsynth.mixing import Mixer
from augsynth.program import Plan, Program, describe_runs, draw
from augsynth.reading_config import check_version
from augsynth.rendering import (
    ENGINES,
    board,
    check_alike,
    check_channels,
    choose,
    on_cpu,
    prepared,
    render_drawn,
    renderer,
)
from augsynth.replaying import Draws, Replayed
from augsynth.rng import IntLike, Rng
from augsynth.targets import Targets, rules_of
from augsynth.text_run import text_engine
from augsynth.texts import edit_data
from augsynth.token_run import rows_of, token_engine
from augsynth.transforms.base import Array, is_range, named
from augsynth.transforms.mix import BATCHES, Mix
from augsynth.transforms.text import is_written
from augsynth.transforms.textmix import text_mix_of
from augsynth.transforms.token_base import is_tokens
from augsynth.written import Written

if TYPE_CHECKING:
    from augsynth.engines.triton_graph import Graphed

COLORS = ("exact", "linear")
OUTPUT_DTYPES = (torch.uint8, torch.float32, torch.bfloat16, torch.float16)

Method = TypeVar("Method", bound=Callable[..., Any])


def _outside_graphs(method: Method) -> Method:
    """Let a step that is compiled by torch.compile run this method as it is: its graph breaks once, here."""

    @wraps(method)
    def call(*args: Any, **kwargs: Any) -> Any:
        # Not as a decorator: torch.compiler.disable imports the compiler, 1.3 s that every worker would pay.
        if torch.compiler.is_dynamo_compiling():
            return torch.compiler.disable(method)(*args, **kwargs)  # type: ignore[no-untyped-call]
        return method(*args, **kwargs)

    return call  # type: ignore[return-value]


@dataclass(frozen=True, eq=False)
class Pipeline(Checked, Written, Replayed, Convertible, Configured):
    """Augment images by named transforms; a pure function of (seed, epoch, index) when an index is given.

    transforms: a list, or a mapping of names (a None entry is left out). seed: 0 to 2**32 - 1.
    engine: auto; native (compiled, CPU), opencv (CPU) and triton (CUDA), for 1 or 3 channels; torch (anywhere,
    differentiable).
    color: exact (torchvision's semantics, a clamp after each step) or linear (one matrix, one clamp: faster).
    dtype: of the output; by default the input's, or float32 after Normalize. fuse=False renders the sequential chain.
    clamp=False lets the colour of float images leave the value range; value_range: what is black and white in float
    images, such as (-1, 1), while fills stay on the scale from 0 to 1. Both are for generators, and take engine torch.
    The rest is about masks, boxes and keypoints beside an image: see `augsynth.finding.Rules`.
    """

    transforms: Any
    seed: int = 0
    engine: str = "auto"
    color: str = "exact"
    dtype: torch.dtype | None = None
    fuse: bool = True
    keys: Any = None
    mask_fill: float = 0
    box_format: str = "xyxy"
    min_area: float = 0.0
    min_visibility: float = 0.0
    label_keys: tuple[str, ...] = LABEL_KEYS
    flip_pairs: tuple[tuple[int, int], ...] = ()
    span_policy: str = "keep"
    clamp: bool = True
    value_range: tuple[float, float] = (0.0, 1.0)
    version: InitVar[int | None] = None  # of a stored configuration, see `to_config`

    def __post_init__(self, version: int | None) -> None:
        if version is not None:
            check_version(version)
        object.__setattr__(self, "transforms", named(self.transforms, "Pipeline"))
        for name, allowed in (("engine", ENGINES), ("color", COLORS)):
            if getattr(self, name) not in allowed:
                raise ValueError(f"Pipeline: {name}={getattr(self, name)!r} is not one of {', '.join(allowed)}")
        if isinstance(self.dtype, str):
            object.__setattr__(self, "dtype", getattr(torch, self.dtype.removeprefix("torch."), self.dtype))
        if self.dtype is not None and self.dtype not in OUTPUT_DTYPES:
            raise ValueError(f"Pipeline: dtype={self.dtype} is not one of {', '.join(map(str, OUTPUT_DTYPES))}")
        object.__setattr__(self, "value_range", tuple(self.value_range))
        if not (is_range(self.value_range) and self.value_range[0] < self.value_range[1]):
            raise ValueError(f"Pipeline: value_range={self.value_range} is not (black, white), two ascending numbers")
        Rng.of(self.seed, 0)
        of_ids = [name for name, t in self.transforms.items() if is_tokens(name, t)]
        if of_ids and len(of_ids) != len(self.transforms):
            raise ValueError(f"Pipeline: {of_ids[0]} is for token ids; the others need a pipeline of their own")
        others = {} if of_ids else self.transforms
        text_mix = text_mix_of(others)
        written = {name: t for name, t in others.items() if name != text_mix and is_written(name, t)}
        plan = Plan.of({name: t for name, t in others.items() if name != text_mix and name not in written})
        if plan.normalize is not None and self.dtype == torch.uint8:
            raise ValueError("Pipeline: dtype=torch.uint8 cannot hold what Normalize makes; leave one of them out")
        object.__setattr__(self, "plan", plan)
        object.__setattr__(self, "text_plan", Plan.of(written) if written or text_mix else None)
        object.__setattr__(self, "text_mix", text_mix)
        object.__setattr__(self, "token_plan", Plan.of(self.transforms) if of_ids else None)
        object.__setattr__(self, "rules", rules_of(self, plan))

    plan: Plan = field(init=False)  # of the transforms of images, compiled in __post_init__
    text_plan: Plan | None = field(init=False)
    text_mix: str | None = field(init=False)  # the name of the transform that mixes texts, which comes last of them
    token_plan: Plan | None = field(init=False)
    rules: Rules = field(init=False)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Pipeline) and self._fields() == other._fields()

    __hash__ = None  # type: ignore[assignment]

    def _arguments(self) -> Iterator[tuple[str, Any]]:
        # The rules are what they are compared by: checked, and with the fields that transforms name.
        for name, value in super()._arguments():
            yield name, getattr(self.rules, name, value)

    def _fields(self) -> tuple[Any, ...]:
        names = list(self.transforms.items())  # the order counts
        own = self.engine, self.color, self.dtype, self.fuse, self.rules, self.clamp, self.value_range
        return names, self.seed, *own

    def __repr__(self) -> str:
        inner = ", ".join(f"{name}={transform!r}" for name, transform in self.transforms.items())
        return f"Pipeline({inner}; seed={self.seed}, engine={self.engine!r}, color={self.color!r})"

    @_outside_graphs
    def __call__(
        self,
        data: Any,
        *,
        index: IntLike | None = None,
        epoch: IntLike = 0,
        occurrence: IntLike = 0,
        strength: float | torch.Tensor = 1.0,
        key: int | str | None = None,
        keys: Keys | None = None,
    ) -> Any:
        """Augment an image, a batch, a sample (tuple, dict), a list of samples or a dict of lists; structure is kept.

        index: one int per image; without it a fresh key is drawn from torch's global generator. key: where the image
        stands in a sample that leaves it open; keys: what all entries are, as the pipeline's own. strength: 0 to 1, a
        factor on every range and `p`; a tensor of one number is read, which waits for a device. Masks, boxes and
        keypoints follow the pixels.
        Raises TypeError or ValueError naming the sample for what is not a valid image or target.

        Where there are transforms of text, the same holds of strings; key may name several texts of a sample, and spans
        and word labels beside them are kept in line: see `augsynth.texts.find_texts`. Transforms of tokens take a batch
        with "input_ids": see `augsynth.token_run.augment_tokens`.
        """
        if self.token_plan is not None:
            return self.tokens(data, self._rng(rows_of(data), index, epoch, occurrence), float(strength))
        if self.text_plan is not None:
            self._check_learned()
            rules = self.rules if keys is None else replace(self.rules, keys=keys)
            rng_of = lambda count: self._rng(count, index, epoch, occurrence)  # noqa: E731
            # A mixed pipeline's key says where the image is.
            key_of_text = None if self.pictures else key
            data = edit_data(self._texts, data, rng_of, float(strength), rules, key_of_text)
            if not self.pictures:
                return data
        return self._pictures(data, lambda count: self._rng(count, index, epoch, occurrence), strength, key, keys)

    def _pictures(
        self,
        data: Any,
        rng_of: Callable[[int], Rng],
        strength: float | torch.Tensor,
        key: int | str | None,
        keys: Keys | None,
        draws: Draws | None = None,
    ) -> Any:
        """Augment the images of a sample, a batch or a list; draws: in the place of what `_draw` gives."""
        rules = self.rules if keys is None else replace(self.rules, keys=keys)
        key = rules.image if key is None else key
        normalized = self.plan.normalize is not None
        columns = rows_of_columns(data, key)
        listed = data if columns is None else columns
        if isinstance(listed, list) and listed and all(_is_sample(entry) for entry in listed):
            paths = [find_image(entry, key) for entry in listed]
            images = [get_image(entry, path) for entry, path in zip(listed, paths, strict=True)]
            rng = rng_of(len(images))
            targets = self.find_targets(listed, paths, rng.index.tolist(), rules)
            rendered, forms = self._render(images, rng, strength, targets, draws)
            done = [from_tensor(image, form, normalized) for image, form in zip(rendered, forms, strict=True)]
            result = [set_image(e, path, image) for e, path, image in zip(listed, paths, done, strict=True)]
            if targets is not None:
                result = [targets.put(i, e, _tensor(done[i])) for i, e in enumerate(result)]
            return result if columns is None else as_columns(data, result)
        path = find_image(data, key)
        image = get_image(data, path)
        rows, join = split(image)
        rng = rng_of(len(rows))
        count = len(rows) if rows and rows[0] is not image else None
        if count is None and self.plan.mixes:
            raise TypeError(f"{self.mixes}; {describe(data)} is one image: {BATCHES}")
        targets = self.find_targets([data], [path], rng.index.tolist(), rules, count)
        rendered, forms = self._render(rows, rng, strength, targets, draws)
        done = [from_tensor(out, form, normalized) for out, form in zip(rendered, forms, strict=True)]
        whole = set_image(data, path, join(done))
        return whole if targets is None else targets.put(0, whole, _tensor(done[0]))

    @_outside_graphs
    def images(
        self, images: Any, rng: Rng, strength: float | torch.Tensor = 1.0, targets: Targets | None = None
    ) -> torch.Tensor | list[torch.Tensor]:
        """Augment a sequence of images, or a batch tensor, under the keys of `rng`, and move their targets.

        Returns one `(B, C, H, W)` tensor when all end in the same size, else a list of `(C, H, W)` tensors.
        """
        rendered, _ = self._render(list(images), rng, strength, targets)
        if isinstance(rendered, torch.Tensor) or len({tuple(out.shape) for out in rendered}) != 1:
            return rendered
        base = rendered[0]._base
        if (
            base is not None
            and base.shape == (len(rendered), *rendered[0].shape)
            and all(out._base is base for out in rendered)
        ):
            return base
        return torch.stack(rendered)

    def draw(
        self, sizes: Any, *, index: IntLike, epoch: IntLike = 0, occurrence: IntLike = 0, strength: float = 1.0
    ) -> Program:
        """Draw without rendering: the op codes and parameters of images of `sizes`, (height, width) each."""
        pairs = np.asarray(sizes, np.float64).reshape(-1, 2)
        return draw(self.plan, Rng.of(self.seed, index, epoch, occurrence), pairs, strength)

    def _draw(self, rng: Rng, sizes: Array, strength: float, targets: Targets | None) -> Program:
        return draw(self.plan, rng, sizes, strength, None if targets is None else targets.open(sizes))

    def explain(self) -> str:
        """Say what runs in which pass, on which engine, and where the keys come from."""
        engine = f"{on_cpu()} on CPU, triton on CUDA, torch elsewhere" if self.engine == "auto" else self.engine
        if self.engine == "triton":
            from augsynth.engines.triton_plan import draws_on

            engine += f", graphed: draws on the {draws_on(self.plan, self.fuse)}"
        keys = "keys from torch's generator unless ag.loader or index= brings them"
        if self.token_plan is not None:
            return f"{describe_runs(self.token_plan, True)} (engine {token_engine()}, {keys})"
        runs = f"{describe_runs(self.plan, self.fuse)} (engine {engine}, {self.color} color, {keys})"
        if self.text_plan is None:
            return runs
        written = f"{describe_runs(self.text_plan, True)} (engine {text_engine(self.text_plan)}, {keys})"
        return f"{written}; {runs}" if self.pictures else written

    def graphed(
        self,
        images: torch.Tensor,
        masks: torch.Tensor | None = None,
        keypoints: torch.Tensor | None = None,
        strength: float = 1.0,
    ) -> Graphed:
        """Prepare to augment batches like `images (B, C, H, W)` on a CUDA device by replaying one recorded graph.

        masks `(B, H, W)` and keypoints `(B, N, 2 or 3)` may come along. What is returned is called as
        `graphed(images, index=...)`, and gives memory that its next call overwrites. Where the device can draw the
        pipeline, the host draws nothing and waits for nothing: see `augsynth.engines.triton_graph.Graphed`.
        Raises ValueError for what engine=triton cannot render.
        """
        if not isinstance(images, torch.Tensor) or images.ndim != 4 or not len(images):
            raise ValueError("graphed: give a batch as it will come, a tensor (B, C, H, W)")
        forms = forms_of(images.unbind(), range(len(images)))
        check_channels(self.plan, forms[:1])
        if choose(self.engine, images.unbind(), forms) != "triton":
            raise ValueError(
                f"graphed: engine={self.engine} does not render {forms[0].dtype} on {forms[0].device} by triton; move "
                "the batch to a CUDA device, or call the pipeline itself"
            )
        from augsynth.engines.triton_graph import Graphed

        return Graphed(self, images.detach().as_subclass(torch.Tensor), masks, keypoints, strength)

    def _rng(self, count: int, index: IntLike | None, epoch: IntLike, occurrence: IntLike) -> Rng:
        if index is None:
            return Rng.fresh(count)
        rng = Rng.of(self.seed, index, epoch, occurrence)
        if len(rng) != count:
            raise ValueError(f"index has {len(rng)} entries for {count} images")
        return rng

    def find_targets(
        self,
        samples: Sequence[Any],
        paths: Sequence[Path],
        index: Sequence[int],
        rules: Rules | None = None,
        count: int | None = None,
    ) -> Targets | None:
        """Find the targets of samples whose images stand at `paths`; None where nothing has to move or mix.

        index: of each image, for error messages. count: images in the only sample, where that is a batch.
        """
        if not (self.plan.moves or self.plan.mixes):
            return None
        rules = self.rules if rules is None else rules
        entries = find_entries(samples, paths, rules, index, count)
        if self.plan.mixes:
            return find_mixed(entries, samples, paths, rules, index, count, self.plan)
        return Targets(entries, rules, self.plan) if entries else None

    def _render(
        self,
        images: Sequence[Any],
        rng: Rng,
        strength: float | torch.Tensor,
        targets: Targets | None = None,
        draws: Draws | None = None,
    ) -> tuple[torch.Tensor | list[torch.Tensor], list[Form]]:
        if not images:
            raise ValueError("there is no image in this batch")
        strength = float(strength)
        if not 0.0 <= strength <= 1.0:
            raise ValueError(f"strength={strength} must lie in 0 to 1")
        if len(rng) != len(images):
            raise ValueError(f"{len(rng)} keys for {len(images)} images")
        forms = forms_of(images, rng.index.tolist())
        check_alike(forms.distinct)
        check_channels(self.plan, forms.distinct)
        output, engine = self._output(forms[0]), choose(self.engine, images, forms, self._free)
        if targets is None and draws is None and self.fuse and engine == "native" and not self.plan.mixes:
            drawn = render_drawn(self.plan, rng, images, forms, output, strength, self.color == "exact")
            if drawn is not None:
                return drawn, forms
        sizes = np.array([form.size for form in forms], np.float64)
        ride = None if targets is None or self.plan.mixes else board(engine, images, targets)
        program = (draws or self._draw)(rng, sizes, strength, targets)
        render = renderer(engine, self.color == "exact", ride)
        if self.plan.mixes:
            if not isinstance(targets, MixTargets):
                raise TypeError(f"{self.mixes}, and their labels: call the pipeline, or give images() its targets=")
            ready = prepared(engine, images, forms, output)
            return Mixer(program, rng, ready, output, render, self.color == "exact", self.fuse, targets).run(), forms
        runs = fuse(program, exact_color=self.color == "exact", joined=self.fuse)
        if targets is not None:
            targets.move(program, runs)
        return render(prepared(engine, images, forms, output), runs, program.sizes[:, -1], output), forms

    @property
    def _free(self) -> bool:
        return not self.clamp or self.value_range != (0.0, 1.0)

    @property
    def mixes(self) -> str:
        """Say what mixes the samples of a batch, for errors; empty where nothing does."""
        names = [type(leaf.transform).__name__ for leaf in self.plan.leaves if isinstance(leaf.transform, Mix)]
        return f"{' and '.join(dict.fromkeys(names))} mixes the images of a batch" if names else ""

    def _output(self, form: Form) -> Output:
        normalize = self.plan.normalize
        dtype = self.dtype or (torch.float32 if normalize else form.dtype)
        white = 255.0 if form.dtype == torch.uint8 else 1.0
        mean, std = (normalize.mean, normalize.std) if normalize else (None, None)
        return Output(white, mean, std, dtype, self.value_range, self.clamp)


def _tensor(image: Any) -> bool:
    return isinstance(image, torch.Tensor)


def _is_sample(entry: Any) -> bool:
    return is_image(entry) or isinstance(entry, (tuple, Mapping)) or is_dataclass(entry)
