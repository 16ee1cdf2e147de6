"""A pipeline inside a step that torch.compile compiles: one break of the graph, and the same pixels."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest
import torch

from augsynth import Pipeline
from augsynth import transforms as T
from augsynth.rng import Rng

PIPELINE = Pipeline([T.RandomResizedCrop(9), T.ColorJitter(0.3, 0.3), T.Normalize((0.5,), (0.2,))], seed=1)
IMAGES = torch.rand(4, 3, 12, 14, generator=torch.Generator().manual_seed(0))
KEYS = Rng.of(1, range(4))
Step = Callable[[torch.Tensor], torch.Tensor]


def keyed(images: torch.Tensor) -> torch.Tensor:
    out: torch.Tensor = PIPELINE(images.clamp(0, 1), index=range(4))
    return (out * 2).mean()


def by_rng(images: torch.Tensor) -> torch.Tensor:
    out = PIPELINE.images(images.clamp(0, 1), KEYS)
    assert isinstance(out, torch.Tensor)
    return (out * 2).mean()


def unkeyed(images: torch.Tensor) -> torch.Tensor:
    out: torch.Tensor = PIPELINE(images.clamp(0, 1))
    return (out * 2).mean()


@pytest.fixture(autouse=True)
def _fresh_compiler() -> None:
    torch.compiler.reset()


def test_the_pipeline_alone_does_not_load_the_compiler() -> None:
    code = (
        "import sys, torch, augsynth as ag; from augsynth import transforms as T;"
        "ag.Pipeline([T.RandomHorizontalFlip()])(torch.zeros(3, 4, 4), index=0);"
        "print('torch._dynamo' in sys.modules, 'triton' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


@pytest.mark.parametrize("step", [keyed, unkeyed, by_rng])
def test_a_compiled_step_breaks_once_at_the_pipeline(step: Step) -> None:
    explained = torch._dynamo.explain(step)(IMAGES)
    assert explained.graph_break_count == 1
    assert explained.graph_count == 2


@pytest.mark.parametrize("step", [keyed, by_rng])
def test_a_compiled_step_gives_the_same_pixels_and_is_compiled_once(step: Step) -> None:
    graphs = []

    def count(graph: torch.fx.GraphModule, _: list[torch.Tensor]) -> Callable[..., object]:
        graphs.append(graph)
        return graph.forward

    compiled = torch.compile(step, backend=count)
    results = [compiled(IMAGES) for _ in range(10)]
    assert all(torch.equal(result, step(IMAGES)) for result in results)
    assert len(graphs) == 2
