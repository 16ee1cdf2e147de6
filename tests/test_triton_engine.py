"""The triton engine beside its kernel: recorded graphs, Philox, the choice of the engine, the compiler."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from examples import JITTER, ROTATE, SIZES, noise, pictures
from test_rng import KNOWN

import augsynth.rendering
from augsynth import Pipeline
from augsynth import transforms as T
from augsynth.images import Form
from augsynth.rng import philox

pytest.importorskip("triton")
if os.environ.get("TRITON_INTERPRET") != "1":
    pytest.skip("the interpreter is off; tests/test_cuda.py tests the device", allow_module_level=True)

import triton
import triton.language as tl
from test_triton import RECIPE, _patch_once, equal, runs_of  # noqa: F401

from augsynth.engines import triton as engine
from augsynth.engines import triton_kernel as kernel
from augsynth.engines import triton_table as table


def recorded(pipeline):
    form = Form.of(pictures(3, "uint8")[0], "")
    return engine.Recorded(pipeline._output(form), pipeline.color == "exact")


def test_a_recording_is_filled_with_new_parameters_and_gives_the_same_bits():
    pipeline = Pipeline([*RECIPE[:3], T.Normalize((0.5,), (0.2,))], seed=1, engine="triton", dtype=torch.bfloat16)
    recording = recorded(pipeline)
    batches = [torch.stack([noise((24, 30), 3, "uint8", 10 * e + i) for i in range(3)]) for e in range(3)]
    for epoch, batch in enumerate(batches):
        out = recording.render(list(batch), runs_of(pipeline, [(24, 30)] * 3, index=range(3), epoch=epoch))
        assert torch.equal(out, pipeline(batch, index=range(3), epoch=epoch))
    assert len(recording._recordings) == 1


def test_a_recording_gives_its_memory_again_and_leaves_other_shapes_alone():
    pipeline = Pipeline([T.RandomHorizontalFlip(), JITTER], seed=1, engine="triton")
    recording = recorded(pipeline)
    small, large = [noise((9, 9), 3, "uint8")] * 2, [noise((12, 9), 3, "uint8")] * 2
    first = recording.render(small, runs_of(pipeline, [(9, 9)] * 2, index=[0, 1]))
    assert recording.render(small, runs_of(pipeline, [(9, 9)] * 2, index=[2, 3])) is first
    other = recording.render(large, runs_of(pipeline, [(12, 9)] * 2, index=[0, 1]))
    assert torch.equal(other, pipeline(torch.stack(large), index=[0, 1]))


@pytest.mark.parametrize(("steps", "alike"), [([JITTER, ROTATE], True), ([JITTER], False)])
def test_what_a_graph_cannot_hold_is_rendered_without(steps, alike):
    pipeline = Pipeline(steps, seed=1, engine="triton")
    recording, images = recorded(pipeline), pictures(3, "uint8")[:1] * 2 if alike else pictures(3, "uint8")[:2]
    sizes = [tuple(image.shape[1:]) for image in images]
    out = recording.render(images, runs_of(pipeline, sizes, index=[5, 6]))
    assert isinstance(out, torch.Tensor) == alike
    assert equal(list(out), pipeline(images, index=[5, 6]))
    assert not recording._recordings


# --- Philox -----------------------------------------------------------------------------------------------------------


@triton.jit
def philox_kernel(counter, key, result, N: tl.constexpr):
    at = tl.arange(0, N)
    c0, c1, c2, c3 = kernel.philox(
        tl.load(counter + at).to(tl.uint32),
        tl.load(counter + N + at).to(tl.uint32),
        tl.load(counter + 2 * N + at).to(tl.uint32),
        tl.load(counter + 3 * N + at).to(tl.uint32),
        tl.load(key + at).to(tl.uint32),
        tl.load(key + N + at).to(tl.uint32),
    )
    tl.store(result + at, c0.to(tl.int64))
    tl.store(result + N + at, c1.to(tl.int64))
    tl.store(result + 2 * N + at, c2.to(tl.int64))
    tl.store(result + 3 * N + at, c3.to(tl.int64))


def words_of(counters, keys):
    counter, key = (torch.tensor(np.array(v, np.int64).T.copy()) for v in (counters, keys))
    result = torch.empty_like(counter)
    philox_kernel[(1,)](counter, key, result, N=len(counters))
    return result.T.tolist()


@pytest.mark.parametrize(("counter", "key", "answer"), KNOWN)
def test_philox_gives_the_known_answers(counter, key, answer):
    assert words_of([counter], [key]) == [list(answer)]


def test_philox_gives_the_bits_of_the_rng():
    words = np.random.default_rng(0).integers(0, 2**32, (64, 6))
    expected = [list(philox(row[:4], row[4:])) for row in words.tolist()]
    assert words_of(words[:, :4], words[:, 4:]) == expected


# --- choosing the engine, and errors ----------------------------------------------------------------------------------


def test_explain_names_the_engine():
    assert "(engine triton, " in Pipeline(RECIPE, engine="triton").explain()
    assert "triton on CUDA" in Pipeline(RECIPE).explain()


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (torch.zeros(3, 9, 9, dtype=torch.float64), r"sample 0 \(index 4\) is torch\.float64 with 3 channels"),
        (torch.zeros(4, 9, 9), r"images of 1 or 3 channels; sample 0 \(index 4\) is torch\.float32 with 4"),
        (torch.zeros(3, 9, 9, requires_grad=True), "engine=triton cannot be differentiated"),
    ],
)
def test_images_of_another_kind_are_refused(image, message):
    with pytest.raises(ValueError, match=message):
        Pipeline([T.RandomHorizontalFlip()], engine="triton")(image, index=4)


@pytest.mark.parametrize(
    ("device", "message"),
    [
        ("cuda", r"engine=triton renders on a cuda device here, and sample 0 \(index 4\) is on cpu; move the batch"),
        (None, "engine=triton needs the package triton, which cannot be imported"),
    ],
)
def test_without_device_or_package_the_error_says_so(device, message, monkeypatch):
    monkeypatch.setattr(augsynth.rendering, "_triton_device", lambda: device)
    with pytest.raises(ValueError, match=message):
        Pipeline([T.RandomHorizontalFlip()], engine="triton")(torch.zeros(3, 9, 9), index=4)


def test_without_the_interpreter_the_cpu_is_refused():
    code = (
        "import torch, augsynth as ag; from augsynth import transforms as T\n"
        "ag.Pipeline([T.RandomHorizontalFlip()], engine='triton')(torch.zeros(3, 9, 9), index=0)"
    )
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert "ValueError: engine=triton renders on a cuda device here, and sample 0" in done.stderr


@pytest.mark.parametrize(
    ("form", "capability", "chosen"),
    [
        (("cuda", torch.uint8, 3), (9, 0), True),
        (("cuda", torch.bfloat16, 1), (8, 0), True),
        (("cuda", torch.uint8, 3), (7, 5), False),
        (("cuda", torch.float64, 3), (9, 0), False),
        (("cuda", torch.uint8, 4), (9, 0), False),
        (("cpu", torch.uint8, 3), (9, 0), False),
    ],
)
def test_auto_leaves_to_triton_what_it_can_render(form, capability, chosen, monkeypatch):
    monkeypatch.setattr(augsynth.rendering, "_triton_device", lambda: "cuda")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    device, dtype, channels = form
    form = Form("tensor", (9, 9), channels, dtype, device, "x")
    chooses = augsynth.rendering._suits_triton(form) and augsynth.rendering._triton_knows(torch.device("cuda"))
    assert chooses == chosen


@pytest.mark.parametrize("count", [1, 2, 3])
def test_every_table_starts_where_the_kernel_expects_it(count):
    pipeline = Pipeline([T.ColorJitter(0.2, 0.2), T.ColorJitter(contrast=0.2)], engine="triton")
    images = pictures(3, "uint8")[:count]
    [run] = runs_of(pipeline, SIZES[:count], index=range(count))
    parts = [table.Part(run, np.arange(count), np.arange(count))]
    words = table.build(images, parts, True).words()
    # 16 bytes are 4 words.
    assert {len(part) % 4 for part in words} == {0}


def test_an_image_beyond_what_an_offset_can_count_is_named():
    memory = torch.empty(2**31 + 8, dtype=torch.uint8)  # never touched
    far = memory.as_strided((3, 2, 2), (2**30, 2, 1))
    with pytest.raises(ValueError, match="sample 1 spans 2147483652 elements in memory"):
        table.sources([torch.zeros(3, 2, 2, dtype=torch.uint8), far])


# --- the compiler -----------------------------------------------------------------------------------------------------


def test_the_kernels_compile_for_a_device_that_is_not_here():
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    script = Path(__file__).with_name("compile_kernels.py")
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 9
