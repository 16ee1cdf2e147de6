"""What `gpu.py` times: its cases, and each library's call of a batch that lies on the device.

Recipe "imagenet": RandomResizedCrop, horizontal flip, ColorJitter(0.4, 0.4, 0.4, 0.1), Normalize; uint8 images become
bfloat16. Recipe "affine": the steps and the four sizes whose times triton-augment publishes (turns by up to 15 degrees,
crop, flip, jitter of 0.2 without hue, grayscale of a tenth, Normalize; float32 in and out), bilinear everywhere.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from peers import COMPILED, compiled
from protocol import MEAN, SEED, STD, Candidate, Failed, attempt
from torchvision.transforms import v2

import augsynth as ag
from augsynth import transforms as T
from augsynth.rng import Rng

CROP, EAGER = (0.08, 1.0), "kornia, batch"
OURS, GRAPH, REPLAY = "augsynth", "augsynth, graph", "augsynth, graph, keys on the device"


@dataclass(frozen=True)
class Case:
    """One recipe at one size: B images of `size` squared become `out` squared."""

    recipe: str
    batch: int
    size: int
    out: int
    source: torch.dtype
    target: torch.dtype

    def __str__(self) -> str:
        types = f"{self.source} to {self.target}".replace("torch.", "")
        return f"{self.recipe}, {self.batch} x {self.size} to {self.out} px, {types}"

    def images(self, device: str) -> torch.Tensor:
        """Return random images `(B, 3, size, size)` on the device."""
        generator = torch.Generator(device).manual_seed(SEED)
        shape = (self.batch, 3, self.size, self.size)
        pixels = torch.randint(0, 256, shape, dtype=torch.uint8, device=device, generator=generator)
        return pixels if self.source == torch.uint8 else pixels.to(self.source) / 255

    @property
    def bytes(self) -> int:
        """How many bytes are read and written at least, the whole input counted."""
        return 3 * self.batch * (self.size**2 * self.source.itemsize + self.out**2 * self.target.itemsize)

    @property
    def bytes_of_crops(self) -> int:
        """The same with what the crops leave out not counted: the mean share of a RandomResizedCrop, or the crop."""
        share = sum(CROP) / 2 if self.recipe == "imagenet" else (self.out / self.size) ** 2
        read = share * self.size**2 * self.source.itemsize
        return round(3 * self.batch * (read + self.out**2 * self.target.itemsize))


CASES = (
    Case("imagenet", 256, 256, 224, torch.uint8, torch.bfloat16),
    Case("imagenet", 32, 256, 224, torch.uint8, torch.bfloat16),
    Case("affine", 32, 256, 224, torch.float32, torch.float32),
    Case("affine", 64, 256, 224, torch.float32, torch.float32),
    Case("affine", 32, 600, 512, torch.float32, torch.float32),
    Case("affine", 32, 1280, 1024, torch.float32, torch.float32),
)
DRY_CASES = (
    Case("imagenet", 2, 24, 16, torch.uint8, torch.bfloat16),
    Case("affine", 2, 24, 16, torch.float32, torch.float32),
)


def ours(case: Case, engine: str = "triton") -> ag.Pipeline:
    """Return the case's pipeline, in exact colour."""
    steps: list[Any] = [
        T.RandomResizedCrop(case.out, CROP),
        T.RandomHorizontalFlip(),
        T.ColorJitter(0.4, 0.4, 0.4, 0.1),
    ]
    if case.recipe == "affine":
        steps = [T.RandomAffine(15, interpolation="bilinear"), T.RandomCrop(case.out), T.RandomHorizontalFlip()]
        steps += [T.ColorJitter(0.2, 0.2, 0.2), T.RandomGrayscale(0.1)]
    return ag.Pipeline([*steps, T.Normalize(MEAN, STD)], engine=engine, dtype=case.target)


def augsynth_calls(case: Case, images: torch.Tensor) -> dict[str, Candidate]:
    """Return the pipeline as users call it, as one CUDA graph, that graph with keys on the device, and torch's."""
    pipeline, other, epochs = ours(case), ours(case, "torch"), itertools.count()
    graph, keys = pipeline.graphed(images), range(case.batch)

    def rng() -> Rng:
        return Rng.of(SEED, keys, next(epochs))

    graph(images, index=keys)
    return {
        OURS: Candidate(lambda: pipeline.images(images, rng()), case.batch),
        GRAPH: Candidate(lambda: graph(images, index=keys, epoch=next(epochs)), case.batch),
        REPLAY: Candidate(graph.replay, case.batch),
        "augsynth, torch engine": Candidate(lambda: other.images(images, rng()), case.batch),
    }


def torchvision_calls(case: Case, images: torch.Tensor) -> dict[str, Candidate]:
    """Return the batched call, which draws once for all, and a loop over the images."""
    steps: list[Any] = [v2.RandomResizedCrop(case.out, CROP), v2.RandomHorizontalFlip()]
    steps += [v2.ColorJitter(0.4, 0.4, 0.4, 0.1)]
    if case.recipe == "affine":
        turn = v2.RandomAffine(15, interpolation=v2.InterpolationMode.BILINEAR)
        steps = [turn, v2.RandomCrop(case.out), v2.RandomHorizontalFlip()]
        steps += [v2.ColorJitter(0.2, 0.2, 0.2), v2.RandomGrayscale(0.1)]
    chain = v2.Compose([*steps, v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, STD)])

    def one_by_one() -> torch.Tensor:
        return torch.stack([chain(image) for image in images]).to(case.target)

    return {
        "torchvision, batch (one draw for all)": Candidate(lambda: chain(images).to(case.target), case.batch, False),
        "torchvision, tensor": Candidate(one_by_one, case.batch),
    }


def kornia_calls(case: Case, images: torch.Tensor) -> dict[str, Candidate]:
    """Return kornia's batched call; it takes floats, which are made inside the call."""
    import kornia.augmentation as K

    steps = [K.RandomResizedCrop((case.out, case.out), scale=CROP), K.RandomHorizontalFlip()]
    steps += [K.ColorJitter(0.4, 0.4, 0.4, 0.1, p=1.0)]
    if case.recipe == "affine":
        steps = [K.RandomAffine(15.0, p=1.0), K.RandomCrop((case.out, case.out)), K.RandomHorizontalFlip()]
        steps += [K.ColorJitter(0.2, 0.2, 0.2, p=1.0), K.RandomGrayscale(p=0.1)]
    normalize = K.Normalize(torch.tensor(MEAN), torch.tensor(STD))
    chain = K.AugmentationSequential(*steps, normalize, data_keys=["input"]).to(images.device)

    def call() -> torch.Tensor:
        floats = images.float() / 255 if images.dtype == torch.uint8 else images
        result: torch.Tensor = chain(floats)
        return result.to(case.target)

    return {EAGER: Candidate(call, case.batch)}


def triton_augment_calls(case: Case, images: torch.Tensor) -> dict[str, Candidate]:
    """Return triton-augment's fused call; it has no RandomResizedCrop."""
    if case.recipe != "affine":
        return {}
    import triton_augment as ta

    fused = ta.TritonFusedAugment(
        crop_size=case.out,
        degrees=15,
        horizontal_flip_p=0.5,
        brightness=0.2,
        contrast=0.2,
        saturation=0.2,
        grayscale_p=0.1,
        mean=MEAN,
        std=STD,
    )
    return {"triton-augment": Candidate(lambda: fused(images), case.batch)}


LIBRARIES: dict[str, Callable[[Case, torch.Tensor], dict[str, Candidate]]] = {
    "augsynth": augsynth_calls,
    "torchvision": torchvision_calls,
    "kornia": kornia_calls,
    "triton-augment": triton_augment_calls,
}


def candidates(case: Case, images: torch.Tensor, compile_limit_s: float) -> dict[str, Candidate | Failed]:
    """Return every library's calls, each run three times: the first ones compile and choose settings.

    compile_limit_s: how long torch.compile may take over kornia's pipeline; 0 leaves that candidate out.
    """
    table: dict[str, Candidate | Failed] = {}
    for library, make in LIBRARIES.items():
        try:
            table |= make(case, images)
        except Exception as error:
            table[library] = Failed.of(error)
    eager = table.get(EAGER)
    if compile_limit_s and isinstance(eager, Candidate):
        table[COMPILED] = attempt(lambda: compiled(eager, compile_limit_s))
    return {name: _warm(candidate) for name, candidate in table.items()}


def _warm(candidate: Candidate | Failed) -> Candidate | Failed:
    if isinstance(candidate, Failed):
        return candidate
    try:
        for _ in range(3):
            candidate.call()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
    except Exception as error:
        return Failed.of(error)
    return candidate
