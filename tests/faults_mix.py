"""One-line faults in what mixes samples; see `tests/faults.py`."""

from __future__ import annotations

from faults import Mutant

MUTANTS = [
    Mutant(
        "a mixed image read after it was overwritten",
        "mixing.py",
        "first = batch[rows[0]].clone() if active[rows[-1]] and active[rows[0]] else batch[rows[0]]",
        "first = batch[rows[0]]",
        ("test_mix.py::test_a_sample_is_what_torchvision_makes_of_the_pair",),
    ),
    Mutant(
        "labels by the window before it was clipped",
        "mixing.py",
        "own = params[:, 0] * (1.0 - params[:, 3] * params[:, 4] / sizes.prod(1))",
        "own = params[:, 0] * (1.0 - params[:, 3] * params[:, 3] / sizes.prod(1))",
        ("test_mix.py::test_a_sample_is_what_torchvision_makes_of_the_pair",),
    ),
    Mutant(
        "partners by the order of the batch",
        "mixing.py",
        'return np.argsort(words[:, 0] << np.uint64(32) | words[:, 1], kind="stable")',
        "return np.arange(len(words))",
        ("test_mix.py::test_partners_do_not_depend_on_the_order_of_the_batch_and_change_with_the_epoch",),
    ),
    Mutant(
        "weight the wrong way round",
        "transforms/mix.py",
        "params[:, 0] = 1.0 - strength * (1.0 - _beta(u[:, 0], self.alpha))",
        "params[:, 0] = strength * _beta(u[:, 0], self.alpha)",
        ("test_mix.py::test_strength_leads_back_to_the_plain_batch",),
    ),
    Mutant(
        "images of a grid away from its middle",
        "transforms/mix.py",
        "align = 0.5 - 0.5 * np.sign(",
        "align = 0.5 + 0.5 * np.sign(",
        ("test_mix.py::test_a_whole_recipe_agrees_with_the_reference",),
    ),
    Mutant(
        "boxes under a window stay",
        "mix_targets.py",
        "moving.hide(members[piece], pieces.hidden[piece])",
        "pass",
        ("test_mix_targets.py::test_boxes_lie_around_the_pixels_of_their_objects",),
    ),
    Mutant(
        "labels of hidden boxes stay",
        "mix_targets.py",
        "self._moved[j] = select(self._moved[j], np.flatnonzero(left))",
        "pass",
        ("test_mix_targets.py::test_what_belongs_to_a_box_goes_with_it",),
    ),
    Mutant(
        "boxes of a tile not moved to its place",
        "mix_targets.py",
        "result[..., : 2 * points] += np.tile(by, points)",
        "pass",
        ("test_mix_targets.py::test_boxes_lie_around_the_pixels_of_their_objects",),
    ),
    Mutant(
        "a mosaic's samples go through what came before twice",
        "mixing.py",
        "since[row] = slot + 1",
        "since[row] = 0",
        ("test_mix_targets.py::test_masks_are_the_pixels_of_the_image",),
    ),
    Mutant(
        "a class beyond the last is nothing",
        "soft_labels.py",
        "known = (labels >= 0) & (labels < num_classes)",
        "known = labels >= 0",
        ("test_mix.py::test_what_cannot_be_mixed_is_named",),
    ),
]
