"""The screen for copies, on points whose origin is known."""

from __future__ import annotations

import pytest
import torch
from fakes import CLASSES, HOLDOUT, SHAPE, TRAIN, real
from test_fidelity import normal

from augsynth.quality.copying import Copying, copying, pixel_points
from augsynth.threads import threads_for

POINTS, HELD, UNSEEN = normal(400, 8, 1), normal(200, 8, 2), normal(200, 8, 3)


def test_fresh_samples_are_as_suspicious_as_held_out_ones() -> None:
    found = copying(normal(1000, 8, 4), POINTS, HELD, UNSEEN)
    assert found.expected == 0.01
    assert found.suspicious < 0.03
    assert found.distance_ratio == pytest.approx(1, abs=0.1)


def test_small_holdouts_raise_no_more_false_alarms() -> None:
    for count in (12, 40):
        alarms = 0
        for draw in range(60):
            train, held, unseen, made = (
                normal(size, 4, 1000 + 4 * draw + i) for i, size in enumerate((60, *[count] * 3))
            )
            with threads_for((1,)):
                found = copying(made, train, held, unseen)
            alarms += found.suspicious - found.expected > max(found.noise, 0.05)
        assert alarms <= 2
    # From Gamma's percentiles: 4.605 for k = 1, 18.78 for k = 10.
    assert [round(Copying(0, k / n, 1, n, ()).noise, 4) for k, n in ((1, 30), (10, 1000))] == [0.1210, 0.0087]


def test_copies_are_found_and_paired_with_what_they_copy() -> None:
    found = copying(POINTS[[7, 300, 7]], POINTS, HELD, UNSEEN)
    assert found.suspicious == 1
    assert found.distance_ratio == pytest.approx(0, abs=1e-6)
    assert {(pair.made, pair.train) for pair in found.pairs} == {(0, 7), (1, 300), (2, 7)}


def test_copies_among_fresh_samples_are_counted_and_come_first() -> None:
    made = normal(100, 8, 4)
    made[[3, 50, 90]] = POINTS[[5, 6, 7]] + 0.01
    found = copying(made, POINTS, HELD, UNSEEN)
    assert 0.03 <= found.suspicious < 0.06
    assert {pair.made for pair in found.pairs[:3]} == {3, 50, 90}
    assert len(found.pairs) == 8
    assert [pair.ratio for pair in found.pairs] == sorted(pair.ratio for pair in found.pairs)


def test_blur_is_near_to_everything_and_no_copy() -> None:
    # Drawn to the mean, samples are nearer to training samples than real ones are, but nearer to unseen ones too.
    found = copying(0.3 * normal(400, 8, 4), POINTS, HELD, UNSEEN)
    assert found.distance_ratio < 0.75
    assert found.suspicious < 0.03


def test_duplicates_in_the_holdout_do_not_hide_copies() -> None:
    held = HELD.clone()
    held[:10] = POINTS[:10]
    found = copying(POINTS[100:200], POINTS, held, UNSEEN)
    assert found.suspicious == 1
    assert found.expected == 0.05


def test_what_stands_in_both_real_sets_is_no_copy() -> None:
    unseen = torch.cat([UNSEEN, POINTS[:50]])
    assert copying(POINTS[:50], POINTS, HELD, unseen).suspicious == 0


def test_mirrored_copies_are_found_where_asked() -> None:
    images = [TRAIN[0], real(60, 5)[0], HOLDOUT[0]]
    train, held, unseen = map(pixel_points, images)
    made = pixel_points(TRAIN[0][:30].flip(3))
    assert copying(made, train, held, unseen).suspicious < 0.5
    found = copying(made, train, held, unseen, (pixel_points(TRAIN[0][:30]), pixel_points(images[1].flip(3))))
    assert found.suspicious == 1
    assert all(pair.made == pair.train for pair in found.pairs)


def test_pixels_are_compared_at_32_a_side_at_most() -> None:
    assert torch.equal(pixel_points(TRAIN[0][:2]), TRAIN[0][:2].reshape(2, -1).float())
    large = torch.zeros(1, 3, 64, 20, dtype=torch.uint8)
    large[:, :, ::2] = 100
    small = pixel_points(large)
    assert small.shape == (1, 3 * 32 * 20)
    assert small.unique().tolist() == [50]


def test_the_fakes_are_what_they_are_called() -> None:
    images, labels = real(9, 3)
    assert images.shape == (9, *SHAPE)
    assert labels.bincount().tolist() == [3] * CLASSES
    bright = torch.stack([images[..., :3, 3 * c : 3 * c + 3].float().mean((1, 2, 3)) for c in range(CLASSES)], 1)
    assert bright.argmax(1).tolist() == labels.tolist()
