"""What runs on a GPU gives what the CPU gives, waits for nothing, and starts few kernels. Run with `pytest -m cuda`."""

from __future__ import annotations

import random
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from examples import EXAMPLES, build, noise, pictures_of
from reference import assert_agrees
from test_fusion import random_transform

import augsynth as ag
from augsynth import Pipeline
from augsynth import transforms as T
from augsynth.fuse import fuse
from augsynth.images import Form
from augsynth.program import STANDALONE, kind_of, walk
from augsynth.transforms.base import Leaf

pytestmark = pytest.mark.cuda
RECIPE = [
    T.RandomResizedCrop(48),
    T.RandomHorizontalFlip(),
    T.RandomRotation(20, "bilinear", fill=90),
    T.ColorJitter(0.4, 0.4, 0.4, 0.1),
    T.RandomErasing(),
]
MASKS = [torch.uint8, torch.int16, torch.int32, torch.int64, torch.bool]


class OnDevice:
    """A pipeline whose images travel to the GPU and back."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline = pipeline

    def __getattr__(self, name: str) -> Any:
        return getattr(self.pipeline, name)

    def __call__(self, images: list[torch.Tensor], **key: Any) -> list[torch.Tensor]:
        return [out.cpu() for out in self.pipeline([image.cuda() for image in images], **key)]


def batch(count: int = 8, channels: int = 3) -> torch.Tensor:
    return torch.stack([noise((60, 75), channels, "uint8", i) for i in range(count)])


@contextmanager
def no_waiting() -> Iterator[None]:
    """Raise where the host waits for the device."""
    with warnings.catch_warnings():
        # torch says that it does not yet see every wait.
        warnings.filterwarnings("ignore", "Synchronization debug mode")
        torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


@contextmanager
def work_of() -> Iterator[list[str]]:
    """Fill a list with the names of the kernels and copies that run on the device."""
    names: list[str] = []
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA], acc_events=True) as profile:
        yield names
        torch.cuda.synchronize()
    names += [event.name for event in profile.events() if event.device_type == torch.autograd.DeviceType.CUDA]


def cases() -> list[Any]:
    """List what the kernel renders by itself."""
    found = []
    for name, examples in EXAMPLES.items():
        for i, arguments in enumerate(examples):
            leaves = [part for _, part in walk("", build(name, arguments)) if isinstance(part, Leaf)]
            if not any(kind_of(leaf) == STANDALONE for leaf in leaves):
                found.append(pytest.param(name, arguments, id=f"{name}-{i}"))
    return found


# --- the torch engine -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("color", ["exact", "linear"])
def test_a_batch_on_the_gpu_equals_the_batch_on_the_cpu(color: str) -> None:
    images = torch.randint(0, 256, (8, 3, 60, 75), dtype=torch.uint8)
    pipeline = ag.Pipeline(RECIPE, engine="torch", color=color, dtype=torch.float32)
    on_cpu, on_gpu = pipeline(images, index=range(8)), pipeline(images.cuda(), index=range(8))
    assert on_gpu.is_cuda
    torch.testing.assert_close(on_gpu.cpu(), on_cpu, atol=1e-3, rtol=0)


def test_a_uint8_batch_on_the_gpu_stays_within_a_rounding_step() -> None:
    images = torch.randint(0, 256, (8, 1, 40, 41), dtype=torch.uint8)
    pipeline = ag.Pipeline([T.RandomAffine(30, (0.1, 0.1), interpolation="bilinear")])
    on_cpu, on_gpu = (
        ag.Pipeline(pipeline.transforms, engine="torch")(x, index=range(8)) for x in (images, images.cuda())
    )
    assert (on_gpu.cpu().int() - on_cpu.int()).abs().max() <= 1


# --- the triton engine ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("dtype", "color"), [("uint8", "exact"), ("float32", "linear")])
@pytest.mark.parametrize(("name", "arguments"), cases())
def test_the_kernel_agrees_with_the_float64_reference(
    name: str, arguments: dict[str, Any], dtype: str, color: str, channels: int
) -> None:
    transform = build(name, arguments, dtype)
    needs = [part.channels for _, part in walk("", transform) if getattr(part, "channels", ())]
    if any(channels not in allowed for allowed in needs):
        pytest.skip(f"{name} does not take {channels} channels")
    pipeline = Pipeline([transform], seed=1, engine="triton", color=color)
    assert_agrees(OnDevice(pipeline), pictures_of(name, channels, dtype), index=[11, 5, 8, 2])


@pytest.mark.parametrize("number", range(60))
def test_random_pipelines_on_the_gpu_agree_with_the_reference(number: int) -> None:
    r = random.Random(number)
    dtype, channels = r.choice(["uint8", "float32"]), r.choice([1, 3, 3])
    transforms = [random_transform(r, 255 if dtype == "uint8" else 1) for _ in range(r.randrange(1, 6))]
    pipeline = Pipeline(transforms, seed=number, engine="triton", color=r.choice(["exact", "linear"]))
    images = [noise((r.randrange(20, 60), r.randrange(20, 60)), channels, dtype, i) for i in range(4)]
    assert_agrees(OnDevice(pipeline), images, index=[3, 1, 4, 15])


@pytest.mark.parametrize("color", ["exact", "linear"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.uint8])
def test_the_kernel_equals_the_torch_engine(color: str, dtype: torch.dtype) -> None:
    images = batch().cuda()
    mine, theirs = (
        Pipeline(RECIPE, engine=engine, color=color, dtype=dtype)(images, index=range(8)).float()
        for engine in ("triton", "torch")
    )
    near = {torch.uint8: 1.0, torch.bfloat16: 2.0**-8, torch.float16: 2.0**-11}.get(dtype, 1e-4)
    torch.testing.assert_close(mine, theirs, atol=near + 1e-4 * (dtype != torch.uint8), rtol=0)


def test_layouts_and_sizes_give_the_bits_of_each_image_alone() -> None:
    pipeline = Pipeline(RECIPE, seed=3, engine="triton")
    images = batch().cuda()
    together = pipeline(images, index=range(8))
    assert torch.equal(together, pipeline(images.to(memory_format=torch.channels_last), index=range(8)))
    assert torch.equal(together, pipeline(images, index=range(8)))
    for i in range(8):
        assert torch.equal(pipeline(images[i], index=i), together[i])
    mixed = [images[0], images[1, :, 5:, 7:], images[2, :1]]
    alone = [pipeline(image, index=i) for i, image in enumerate(mixed)]
    assert all(torch.equal(a, b) for a, b in zip(pipeline(mixed, index=range(3)), alone, strict=True))


def test_engine_auto_chooses_triton(monkeypatch: pytest.MonkeyPatch) -> None:
    launches = count_launches(monkeypatch)
    Pipeline(RECIPE)(batch().cuda(), index=range(8))
    assert launches == [2]
    Pipeline([T.RandomRotation(9)])(batch().cuda().float().div(255).requires_grad_(), index=range(8))
    assert launches == [2]


def count_launches(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    from augsynth.engines import triton_kernel

    counts, inner = [0], triton_kernel.render

    class Counting:
        def __getitem__(self, grid: Any) -> Any:
            counts[0] += 1
            return inner[grid]

    monkeypatch.setattr(triton_kernel, "render", Counting())
    return counts


def test_a_call_starts_two_kernels_and_one_copy() -> None:
    pipeline = Pipeline([*RECIPE, T.Normalize((0.5,) * 3, (0.2,) * 3)], engine="triton", dtype=torch.bfloat16)
    images = batch(32).cuda()
    pipeline(images, index=range(32))
    with work_of() as names:
        pipeline(images, index=range(32))
    assert len([name for name in names if "memcpy" not in name.lower()]) == 2, names
    assert len([name for name in names if "memcpy" in name.lower()]) == 1, names


@pytest.mark.parametrize("steps", [RECIPE, [T.ColorJitter(0.2), T.RandomRotation(9), T.Pad(2, 7), T.RandomErasing()]])
def test_a_call_never_waits_for_the_device(steps: list[Any]) -> None:
    pipeline = Pipeline(steps, engine="triton", dtype=torch.float16)
    images = batch().cuda()
    pipeline(images, index=range(8))
    with no_waiting():
        pipeline(images, index=range(8, 16))
        pipeline(list(images), index=range(8, 16))


def test_a_graph_is_replayed_with_new_parameters_on_new_images() -> None:
    from augsynth.engines.triton import Recorded

    normalize = T.Normalize((0.5,) * 3, (0.2,) * 3)
    pipeline = Pipeline([*RECIPE, normalize], seed=2, engine="triton", dtype=torch.bfloat16)
    recorded = Recorded(pipeline._output(Form.of(batch()[0], "")), True)
    for epoch in range(6):
        images = torch.stack([noise((60, 75), 3, "uint8", 100 * epoch + i) for i in range(8)]).cuda()
        program = pipeline.draw([(60, 75)] * 8, index=range(8), epoch=epoch)
        out = recorded.render(list(images), fuse(program, exact_color=True))
        assert torch.equal(out, pipeline(images, index=range(8), epoch=epoch))
    assert len(recorded._recordings) <= 2


# --- masks and keypoints ----------------------------------------------------------------------------------------------

MOVES = [T.RandomResizedCrop((40, 50)), T.RandomHorizontalFlip(), T.RandomRotation(25), T.ColorJitter(0.3, 0.3)]


def targets(dtype: torch.dtype = torch.int64) -> dict[str, torch.Tensor]:
    r = torch.Generator().manual_seed(0)
    masks = torch.randint(0, 2 if dtype == torch.bool else 99, (8, 60, 75), generator=r).to(dtype)
    points = torch.rand(8, 17, 3, generator=r) * torch.tensor([80.0, 65.0, 2.0])
    return {"image": batch(), "mask": masks, "keypoints": points}


def cuda(sample: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {key: value.cuda() for key, value in sample.items()}


@pytest.mark.parametrize("dtype", [*MASKS, torch.float32, torch.bfloat16])
def test_masks_and_keypoints_on_the_gpu_are_those_of_the_cpu(dtype: torch.dtype) -> None:
    pipeline = Pipeline(MOVES, seed=1, mask_fill=1, flip_pairs=((1, 2), (3, 4)))
    mine, theirs = pipeline(cuda(targets(dtype)), index=range(8)), pipeline(targets(dtype), index=range(8))
    assert torch.equal(mine["mask"].cpu(), theirs["mask"])
    torch.testing.assert_close(mine["keypoints"].cpu(), theirs["keypoints"], atol=1e-4, rtol=1e-6)


def test_masks_and_keypoints_ride_without_a_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline, sample = Pipeline(MOVES[:3], mask_fill=255), cuda(targets())
    pipeline(sample, index=range(8))
    launches = count_launches(monkeypatch)
    with no_waiting():
        pipeline(sample, index=range(8, 16))
    assert launches == [1]


@pytest.mark.parametrize("dtype", MASKS)
def test_masks_in_a_launch_of_their_own_are_the_same(dtype: torch.dtype) -> None:
    from augsynth.engines.triton_riders import warp_masks

    pipeline = Pipeline([T.RandomRotation(25), T.RandomCrop((40, 50))], seed=1)
    masks = targets(dtype)["mask"]
    [run] = fuse(pipeline.draw([(60, 75)] * 8, index=range(8)), exact_color=True)
    moved = torch.stack(warp_masks(list(masks.cuda()), run)).cpu()
    assert torch.equal(moved, pipeline({"image": batch(), "mask": masks}, index=range(8))["mask"])


# --- the draw on the device -------------------------------------------------------------------------------------------

NORMALIZE = T.Normalize((0.5,) * 3, (0.2,) * 3)
DRAWN = {
    "imagenet": [T.RandomResizedCrop(48), T.RandomHorizontalFlip(), T.ColorJitter(0.4, 0.4, 0.4, 0.1), NORMALIZE],
    "recipe": [*RECIPE, T.RandomGrayscale(0.3)],
    "affine": [T.RandomAffine(30, (0.1, 0.2), (0.5, 1.5), 9, "bilinear"), T.RandomErasing(0.5), NORMALIZE],
    "cifar": [T.RandomCrop(56, 4, padding_mode="reflect"), T.RandomVerticalFlip(), NORMALIZE],
    "choice": [T.OneOf([T.RandomRotation(90), T.RandomHorizontalFlip()]), T.RandomApply([T.ColorJitter(0.3, 0.3)])],
}


@pytest.mark.parametrize("color", ["exact", "linear"])
@pytest.mark.parametrize("name", DRAWN)
def test_what_the_device_draws_is_what_the_host_draws(name: str, color: str) -> None:
    pipeline = Pipeline(DRAWN[name], seed=2**32 - 3, engine="triton", color=color, dtype=torch.float32)
    images = batch(64).cuda()
    graph = pipeline.graphed(images)
    assert graph.draws_on == "device"
    differs = []
    for epoch in range(8):
        mine, theirs = graph(images, index=range(64), epoch=epoch), pipeline(images, index=range(64), epoch=epoch)
        differs.append((mine - theirs).abs() > 1e-3)
    # A coordinate on the edge between two pixels may fall either way where nothing interpolates.
    assert torch.stack(differs).float().mean() < 1e-4


def test_a_replayed_step_waits_for_nothing_and_starts_two_kernels() -> None:
    pipeline = Pipeline(DRAWN["imagenet"], engine="triton", dtype=torch.bfloat16)
    first, second, index = batch(32).cuda(), batch(32).flip(3).cuda(), torch.arange(32).cuda()
    graph = pipeline.graphed(first)
    with no_waiting():
        graph(second, index=range(32), epoch=1)
        graph(first, index=index, epoch=2)
        graph.replay()
    with work_of() as names:
        graph.replay()
    assert len([name for name in names if "mem" not in name.lower()]) == 2, names


def test_a_graph_takes_masks_and_keypoints_along() -> None:
    pipeline, sample = Pipeline(MOVES, seed=4, mask_fill=9, engine="triton"), cuda(targets())
    parts = sample["image"], sample["mask"], sample["keypoints"]
    graph = pipeline.graphed(*parts)
    for epoch in range(4):
        _, masks, points = graph(*parts, index=range(8), epoch=epoch)
        expected = pipeline(sample, index=range(8), epoch=epoch)
        assert (masks != expected["mask"]).float().mean() < 1e-4
        torch.testing.assert_close(points, expected["keypoints"], atol=1e-3, rtol=1e-5)


def test_a_graph_whose_draw_is_on_the_host_gives_the_same_bits() -> None:
    pipeline = Pipeline([T.RandomPerspective(0.4), T.ColorJitter(0.2)], engine="triton")
    images = batch().cuda()
    graph = pipeline.graphed(images)
    assert graph.draws_on.startswith("host: random_perspective")
    assert torch.equal(graph(images, index=range(8)), pipeline(images, index=range(8)))


# --- mixing -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["triton", "torch"])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.bfloat16, torch.float32])
def test_a_batch_mixed_on_the_gpu_is_the_one_mixed_on_the_cpu(engine: str, dtype: torch.dtype) -> None:
    steps = [T.RandomHorizontalFlip(), T.OneOf([T.MixUp(num_classes=8), T.CutMix(num_classes=8)])]
    images, labels = batch(), torch.arange(8)
    on_cpu = Pipeline(steps, seed=2, engine="opencv", dtype=dtype)((images, labels), index=range(8))
    on_gpu = Pipeline(steps, seed=2, engine=engine, dtype=dtype)((images.cuda(), labels.cuda()), index=range(8))
    assert on_gpu[0].is_cuda
    assert on_gpu[1].is_cuda
    torch.testing.assert_close(on_gpu[1].cpu(), on_cpu[1], atol=1e-6, rtol=0)
    step = 1.0 if dtype == torch.uint8 else torch.finfo(dtype).eps
    assert (on_gpu[0].cpu().double() - on_cpu[0].double()).abs().max() <= step


def test_mixing_never_waits_for_the_device() -> None:
    steps = [*RECIPE, T.OneOf([T.MixUp(num_classes=8), T.CutMix(num_classes=8)])]
    pipeline = Pipeline(steps, engine="triton", dtype=torch.bfloat16)
    data = batch().cuda(), torch.arange(8).cuda()
    pipeline(data, index=range(8))
    with no_waiting():
        pipeline(data, index=range(8, 16))


def test_a_class_that_is_none_shows_as_nan_on_the_gpu() -> None:
    labels = Pipeline([T.MixUp(num_classes=4, p=0.0)])((batch().cuda(), torch.arange(8).cuda()), index=range(8))[1]
    assert labels.isnan().any(1).tolist() == [False] * 4 + [True] * 4


def test_a_mosaic_on_the_gpu_is_the_one_on_the_cpu() -> None:
    steps = [T.Mosaic(target_size=(64, 80), cell_shape=(50, 60), p=0.8), T.Resize((48, 48))]
    on_gpu, on_cpu = (
        Pipeline(steps, seed=2, engine=engine)(images, index=range(8))
        for engine, images in (("triton", batch().cuda()), ("opencv", batch()))
    )
    assert (on_gpu.cpu().int() - on_cpu.int()).abs().max() <= 4
