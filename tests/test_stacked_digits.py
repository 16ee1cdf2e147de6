"""benchmarks/stacked.py: its counter is right, and the recipe of the GAN keeps the modes of stacked digits."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

sys.path.append(str(Path(__file__).resolve().parent.parent / "benchmarks"))
import stacked


@pytest.fixture(scope="module")
def counter() -> Any:
    return stacked.Counter()


def test_real_stacked_digits_have_nearly_all_modes(counter: Any) -> None:
    count = counter(counter.stacked(5000, 9))
    assert count.modes > 980
    # With N draws from K modes, the estimate of a divergence that is 0 lies about K / 2N above it.
    assert 0.08 < count.kl < 0.13
    assert count.distance == 0


def test_one_image_again_and_again_is_one_mode(counter: Any) -> None:
    count = counter(counter.stacked(1, 9).expand(500, -1, -1, -1))
    assert count.modes == 1
    assert count.kl == pytest.approx(math.log(1000))


def test_each_channel_and_each_digit_is_a_mode_of_its_own(counter: Any) -> None:
    digits = torch.stack([torch.from_numpy(counter.images[counter.labels == digit][0]) for digit in range(10)])
    rows = torch.cartesian_prod(*[torch.arange(10)] * 3)
    count = counter(digits[rows])
    assert count.modes == 1000
    assert count.kl == pytest.approx(0, abs=1e-9)


def test_what_is_no_digit_is_far_from_all(counter: Any) -> None:
    noise = torch.rand(200, *stacked.SHAPE, generator=torch.Generator().manual_seed(0))
    assert counter(noise).distance > 0.3


def test_the_recipe_keeps_the_modes_of_stacked_digits(counter: Any) -> None:
    gan, why = stacked.train(counter, "relativistic", 12_000, 0)
    count = counter(gan.generate(torch.zeros(5000, dtype=torch.int64)).image)
    assert why == ""
    # Seeds 0 to 2 after 12,000 images: 786, 848, 820 modes, KL 0.719, 0.492, 0.603; real digits 990, 0.110. With its
    # loss reversed the generator has 9 modes. Rates too high for a network left 62 to 455 modes, KL from 1.8 on.
    # It is no comparison of losses: the plain loss without a penalty has 792, 828, 790 modes, KL 0.711, 0.602, 0.621.
    assert count.modes > 600
    assert count.kl < 1.2
    assert count.distance < 0.28
