"""The laws that every transform in the registry obeys, on both engines. A new class is tested by existing."""

from __future__ import annotations

import dataclasses
import inspect
import json
import pickle
import random

import numpy as np
import pytest
import torch
import torchvision.transforms.v2 as v2
from examples import (
    BAD,
    EXAMPLES,
    JITTER,
    MIXES,
    OVERLAYS,
    RANGES,
    ROTATE,
    UNCHECKED,
    build,
    noise,
    pictures,
    pictures_of,
    sizes_of,
    smooth,
)
from kept import kept_pixels
from reference import assert_agrees

from augsynth import Pipeline
from augsynth import transforms as T
from augsynth.transforms.base import Composite, Geometric, Leaf, snake

REGISTRY = T.REGISTRY
CASES = [
    pytest.param(name, arguments, id=f"{name}-{i}")
    for name in REGISTRY
    for i, arguments in enumerate(EXAMPLES.get(name, []))
]
KINDS = [
    pytest.param(engine, dtype, channels, id=f"{engine}-{dtype}-{'rgb' if channels == 3 else 'gray'}")
    for engine in ("native", "opencv", "torch")
    for dtype in ("uint8", "float32")
    for channels in (3, 1)
]
# The engine of choice sees every kind; the others, which random pipelines try too, each dtype and number of channels.
SPARSE = [
    case
    for case in KINDS
    if "native" in case.id
    or case.id in ("opencv-uint8-rgb", "opencv-float32-gray", "torch-uint8-gray", "torch-float32-rgb")
]
POLICIES = [
    pytest.param(*case.values, color, id=f"{case.id}-{color}")
    for case in KINDS
    for color in ("exact", "linear")
    if "native" in case.id or ("rgb" in case.id) == ((color == "exact") == ("opencv" in case.id))
]
COLORFUL = [case for case in KINDS if "rgb" in case.id]
INDEX = [11, 5, 8, 2]
over_cases = pytest.mark.parametrize(("name", "arguments"), CASES)
over_kinds = pytest.mark.parametrize(("engine", "dtype", "channels"), SPARSE)
over_policies = pytest.mark.parametrize(("engine", "dtype", "channels", "color"), POLICIES)
over_colorful = pytest.mark.parametrize(("engine", "dtype", "channels"), COLORFUL)


def is_random(transform):
    return transform.gated or transform.draws > 0 or any(map(is_random, transform.parts().values()))


@pytest.mark.parametrize("name", REGISTRY)
def test_every_transform_has_examples(name):
    assert name in EXAMPLES, f"tests/examples.py: add good arguments of {name} to EXAMPLES"
    assert name in BAD, f"tests/examples.py: add arguments that {name} must refuse to BAD"


def test_examples_name_only_transforms_that_exist():
    assert set(EXAMPLES) == set(BAD) == set(REGISTRY)


# --- law 1 ------------------------------------------------------------------------------------------------------------


@over_kinds
@over_cases
def test_law_1_shape_and_dtype_are_as_declared(name, arguments, engine, dtype, channels):
    pipeline = Pipeline([build(name, arguments, dtype)], seed=3, engine=engine)
    out = list(pipeline(pictures_of(name, channels, dtype), index=INDEX))
    sizes = pipeline.draw(sizes_of(name), index=INDEX).sizes[:, -1].astype(int).tolist()
    assert [list(image.shape) for image in out] == [[channels, *size] for size in sizes]
    assert {image.dtype for image in out} == {torch.float32 if name == "Normalize" else getattr(torch, dtype)}
    assert {type(image) for image in out} == {torch.Tensor}


@pytest.mark.parametrize("name", [name for name in REGISTRY if hasattr(v2, name) and name not in ("RandomOrder",)])
def test_law_1_fields_are_torchvisions_arguments_in_order(name):
    theirs = dict(inspect.signature(getattr(v2, name)).parameters)
    ours = [field.name for field in dataclasses.fields(REGISTRY[name])]
    if name in OVERLAYS:  # labels are found by keys=, and mixing is gated
        assert theirs.pop("labels_getter") is not None
        assert ours.pop() == "p"
    assert ours == list(theirs)
    for field in dataclasses.fields(REGISTRY[name])[: len(ours)]:
        default = theirs[field.name].default
        if default is inspect.Parameter.empty:
            assert field.default is dataclasses.MISSING
        elif field.name != "interpolation" and name != "ColorJitter":  # an enum there, a name here; None there, 0 here
            assert field.default == getattr(default, "value", default)  # the value of an enum


def test_law_1_combinators_take_transforms_first():
    for name in ("OneOf", "SomeOf", "RandomOrder", "RandomApply"):
        assert dataclasses.fields(REGISTRY[name])[0].name == "transforms"


# --- law 2 ------------------------------------------------------------------------------------------------------------


@over_kinds
@over_cases
def test_law_2_the_input_is_never_changed(name, arguments, engine, dtype, channels):
    images = pictures_of(name, channels, dtype)
    before = [image.clone() for image in images]
    out = Pipeline([build(name, arguments, dtype)], seed=1, engine=engine)(images, index=INDEX)
    for image in out:
        image.zero_()  # what comes out must not be a view of what went in either
    assert all(torch.equal(image, copy) for image, copy in zip(images, before, strict=True))


# --- law 3 ------------------------------------------------------------------------------------------------------------


@over_colorful
@over_cases
def test_law_3_a_gated_out_sample_is_the_one_of_the_pipeline_without(name, arguments, engine, dtype, channels):
    transform = build(name, arguments, dtype)
    around = {"turn": T.RandomAffine(15, interpolation="bilinear"), "jitter": JITTER}
    if name == "Normalize":
        with pytest.raises(ValueError, match="Normalize is the pipeline's output stage"):
            Pipeline([T.RandomApply([transform])])
        return
    middle = T.RandomApply({"it": transform}, p=0.5)
    steps = {"turn": around["turn"], "middle": middle, "jitter": JITTER}
    if name in OVERLAYS:
        steps["middle"] = steps.pop("middle")  # to the end, where it has to be
    with_it = Pipeline(steps, seed=5, engine=engine)
    images = pictures_of(name, channels, dtype) * 3
    index = list(range(len(images)))
    program = with_it.draw(sizes_of(name) * 3, index=index)
    inner = [code for code, leaf in enumerate(program.plan.leaves, 1) if leaf.name.startswith("middle")]
    applied = np.isin(program.ops, inner).any(1)
    assert 0 < applied.sum() < len(images)
    out = with_it(images, index=index)
    without = Pipeline(around, seed=5, engine=engine)(images, index=index)
    for got, plain, touched in zip(out, without, applied, strict=True):
        assert touched or torch.equal(got, plain)


# --- law 4 ------------------------------------------------------------------------------------------------------------


@over_colorful
@over_cases
def test_law_4_the_same_key_gives_the_same_output_and_another_epoch_another(name, arguments, engine, dtype, channels):
    pipeline = Pipeline([build(name, arguments, dtype)], seed=1, engine=engine)
    # Dimmed, so that a stretch of the values to the whole range shows.
    images = [(pictures(channels, dtype)[0] * 0.6).to(getattr(torch, dtype))] * 12
    if name in MIXES:
        images = [noise((23, 34), channels, dtype, seed) for seed in range(12)]
    first, again, later, repeated = (
        pipeline(images, index=range(12), epoch=epoch, occurrence=occurrence)
        for epoch, occurrence in ((0, 0), (0, 0), (1, 0), (0, 1))
    )
    assert _all_equal(first, again)
    assert _all_equal(first, later) == _all_equal(first, repeated) == (not is_random(build(name, arguments)))


def _all_equal(first, second):
    return all(a.shape == b.shape and torch.equal(a, b) for a, b in zip(first, second, strict=True))


# --- laws 5 and 6 -----------------------------------------------------------------------------------------------------


@over_cases
def test_law_5_parameters_are_the_same_alone_and_in_any_batch(name, arguments):
    pipeline = Pipeline({"crop": T.RandomResizedCrop(30), "it": build(name, arguments)}, seed=2)
    sizes, index = sizes_of(name) * 8, list(range(32))
    together = pipeline.draw(sizes, index=index, epoch=4)
    for i in index:
        alone = pipeline.draw(sizes[i : i + 1], index=i, epoch=4)
        assert np.array_equal(alone.ops[0], together.ops[i])
        assert np.array_equal(alone.params[0], together.params[i])
        assert np.array_equal(alone.sizes[0], together.sizes[i])


@over_kinds
@over_cases
def test_laws_5_and_6_pixels_do_not_depend_on_batch_size_or_order(name, arguments, engine, dtype, channels):
    pipeline = Pipeline({"jitter": JITTER, "it": build(name, arguments, dtype)}, seed=4, engine=engine)
    images = pictures_of(name, channels, dtype)
    together = pipeline(images, index=INDEX)
    order = [2, 0, 3, 1]
    shuffled = pipeline([images[i] for i in order], index=[INDEX[i] for i in order])
    # What mixes has its partners in the batch.
    alone = together if name in MIXES else [pipeline(image, index=i) for image, i in zip(images, INDEX, strict=True)]
    close = torch.equal if dtype == "uint8" else lambda a, b: torch.allclose(a, b, rtol=0, atol=2e-6)
    for position, i in enumerate(order):
        assert close(shuffled[position], together[i])
        assert close(alone[i], together[i])


# --- law 7 ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["native", "opencv", "torch"])
@over_cases
def test_law_7_fused_equals_sequential_on_smooth_images(name, arguments, engine):
    if "transforms" in arguments:
        arguments = {**arguments, "transforms": [T.RandomVerticalFlip(), ROTATE, T.Resize((31, 27))]}
    transform = _bilinear(build(name, arguments))
    turn = T.RandomAffine(10, scale=(0.95, 1.05), interpolation="bilinear", fill=0.5)
    steps = [turn, transform] if name == "Normalize" else [turn, transform, T.RandomHorizontalFlip(), JITTER]
    steps = [turn, T.RandomHorizontalFlip(), JITTER, transform] if name in OVERLAYS else steps
    images = pictures_of(name, 3, "float32", smooth)
    fused, chain = (Pipeline(steps, seed=6, engine=engine, fuse=fuse)(images, index=INDEX) for fuse in (True, False))
    kept = kept_pixels(steps, [image.shape[1:] for image in images], engine)
    kept = [torch.stack(kept).all(0)] * len(kept) if name in OVERLAYS else kept
    unit = 0.2 if name == "Normalize" else 1.0
    program = Pipeline(steps, seed=6).draw(sizes_of(name), index=INDEX)
    for sample, (one, other, mask) in enumerate(zip(fused, chain, kept, strict=True)):
        if _decides(program, sample, name):
            continue
        assert mask.any()
        assert (one - other).abs()[:, mask].max() * unit < 1.5 / 255


def _decides(program, sample, name):
    """Tell whether a policy did more than move pixels: levels that are off by little may jump."""
    leaves = [program.plan.leaves[code - 1] for code in program.ops[sample] if code]
    inner = [leaf.transform for leaf in leaves if leaf.name.split("/")[0] == snake(name)]
    return "Aug" in name and not all(isinstance(transform, Geometric) for transform in inner)


def _bilinear(transform):
    names = {field.name for field in dataclasses.fields(transform)}
    return dataclasses.replace(transform, interpolation="bilinear") if "interpolation" in names else transform


# --- law 8 ------------------------------------------------------------------------------------------------------------


def to_config(value):
    """Write a transform as JSON-like data: what a YAML file can hold."""
    if isinstance(value, T.Transform):
        fields = {field.name: to_config(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return {"_target_": type(value).__name__, **fields}
    if isinstance(value, dict):
        return {key: to_config(entry) for key, entry in value.items()}
    return [to_config(entry) for entry in value] if isinstance(value, (tuple, list)) else value


def from_config(value):
    """Build from what `to_config` wrote."""
    if isinstance(value, dict):
        entries = {key: from_config(entry) for key, entry in value.items() if key != "_target_"}
        return REGISTRY[value["_target_"]](**entries) if "_target_" in value else entries
    return [from_config(entry) for entry in value] if isinstance(value, list) else value


@over_cases
def test_law_8_pickle_and_configuration_give_an_equal_transform(name, arguments):
    transform = build(name, arguments)
    assert pickle.loads(pickle.dumps(transform)) == transform
    assert from_config(json.loads(json.dumps(to_config(transform)))) == transform
    assert eval(repr(transform), vars(T) | {"nan": float("nan")}) == transform


@over_cases
def test_law_8_a_pickled_pipeline_is_equal_and_renders_the_same(name, arguments):
    pipeline = Pipeline({"it": build(name, arguments)}, seed=9, color="linear")
    twin = pickle.loads(pickle.dumps(pipeline))
    images = pictures_of(name)
    assert twin == pipeline
    assert _all_equal(twin(images, index=INDEX), pipeline(images, index=INDEX))


@over_cases
def test_law_8_a_transform_is_frozen(name, arguments):
    transform = build(name, arguments)
    field = next((field.name for field in dataclasses.fields(transform)), "anything")
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(transform, field, None)


# --- law 9 ------------------------------------------------------------------------------------------------------------


@over_cases
def test_law_9_parameters_lie_in_their_ranges(name, arguments):
    rng = np.random.default_rng(0)
    sizes = rng.integers(24, 60, (400, 2)).astype(float)
    program = Pipeline({"it": build(name, arguments)}, seed=1).draw(sizes, index=range(400))
    for code, leaf in enumerate(program.plan.leaves, 1):
        kind = type(leaf.transform).__name__
        rows, slots = np.nonzero(program.ops == code)
        # Of the many leaves of a policy each is rare.
        assert len(rows) > 20 or name == "Normalize" or len(program.plan.leaves) > 10
        if leaf.transform.params:
            assert kind in RANGES, f"tests/examples.py: add a check of {kind}'s parameters to RANGES"
            RANGES[kind](leaf.transform, program.params[rows, slots], program.sizes[rows, slots])


def _global_states():
    legacy = np.random.get_state()  # noqa: NPY002
    return torch.random.get_rng_state().numpy().tobytes(), legacy[1].tobytes(), random.getstate()


@pytest.mark.parametrize("engine", ["native", "opencv", "torch"])
@over_cases
def test_law_9_a_keyed_call_touches_no_global_random_state(name, arguments, engine):
    pipeline = Pipeline([build(name, arguments, "uint8")], engine=engine)
    before = _global_states()
    pipeline(pictures_of(name, 3, "uint8"), index=INDEX)
    assert _global_states() == before


def test_law_9_a_call_without_a_key_takes_one_number_of_torchs_generator():
    before = _global_states()
    torch.randint(0, 2**32, (), dtype=torch.int64)
    after_one = _global_states()
    torch.random.set_rng_state(torch.from_numpy(np.frombuffer(before[0], np.uint8).copy()))
    Pipeline([JITTER])(pictures(3))
    assert _global_states() == after_one


# --- law 10 -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", REGISTRY)
def test_law_10_every_field_has_values_that_are_refused(name):
    fields = {field.name for field in dataclasses.fields(REGISTRY[name])}
    missing = fields - set(BAD[name][1]) - UNCHECKED
    assert not missing, f"tests/examples.py: BAD says nothing of {sorted(missing)} of {name}"


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        pytest.param(name, field, value, id=f"{name}-{field}-{value}")
        for name, (_, fields) in BAD.items()
        for field, values in fields.items()
        for value in values
    ],
)
def test_law_10_a_bad_argument_is_named_with_its_value_and_what_is_allowed(name, field, value):
    with pytest.raises(ValueError, match="expected") as caught:
        REGISTRY[name](**{**BAD[name][0], field: value})
    assert f"{name}: {field}={value!r} is not valid" in str(caught.value)


@pytest.mark.parametrize("name", ["OneOf", "SomeOf", "RandomOrder", "RandomApply"])
def test_law_10_combinators_name_the_entry_that_is_no_transform(name):
    with pytest.raises(ValueError, match=f"{name}: transforms is empty"):
        REGISTRY[name]([])
    with pytest.raises(TypeError, match=f"{name}: entry 1 is of type int"):
        REGISTRY[name]([JITTER, 3])
    with pytest.raises(TypeError, match=f"{name}: 'a' is the class RandomCrop.*give an instance"):
        REGISTRY[name]({"a": T.RandomCrop})
    with pytest.raises(TypeError, match=f"{name} takes a list or a mapping of transforms, got str"):
        REGISTRY[name]("flip")


# --- law 11 -----------------------------------------------------------------------------------------------------------


@over_policies
@over_cases
def test_law_11_engines_agree_with_the_float64_reference(name, arguments, engine, dtype, channels, color):
    pipeline = Pipeline([build(name, arguments, dtype)], seed=8, engine=engine, color=color)
    assert assert_agrees(pipeline, pictures_of(name, channels, dtype), index=INDEX) < 0.05


def test_every_registered_class_is_geometric_leaf_or_composite():
    for name, kind in REGISTRY.items():
        assert issubclass(kind, (Geometric, Leaf, Composite)) or name == "Normalize"
