"""One-line faults in what judges a generator; see `tests/faults.py`."""

from __future__ import annotations

from faults import Mutant


def _evaluation(*names: str) -> tuple[str, ...]:
    return tuple(f"test_evaluation.py::test_{name}" for name in names)


def _gate(*names: str) -> tuple[str, ...]:
    return tuple(f"test_gate.py::test_{name}" for name in names)


MUTANTS = [
    Mutant(
        "a Fréchet distance with one covariance too many",
        "quality/fidelity.py",
        "a.trace() + b.trace() - 2 * mixed",
        "a.trace() + b.trace() - mixed",
        ("test_fidelity.py::test_frechet_distance_of_gaussians_that_share_their_axes",),
    ),
    Mutant(
        "a kernel distance with its diagonal",
        "quality/fidelity.py",
        "return total if diagonal else total - ",
        "return total if True else total - ",
        ("test_fidelity.py::test_kernel_distance_is_the_unbiased_double_sum",),
    ),
    Mutant(
        "each sample its own nearest neighbour",
        "quality/fidelity.py",
        "kthvalue(neighbors + 1, 1)",
        "kthvalue(neighbors, 1)",
        ("test_fidelity.py::test_equal_distributions_have_the_published_density_and_coverage",),
    ),
    Mutant(
        "coverage by the balls of generated samples",
        "quality/fidelity.py",
        "covered[rows] = hits.any(1)",
        "covered[rows] = (distance <= reach_made).any(1)",
        ("test_fidelity.py::test_overlap_is_that_of_the_definitions",),
    ),
    Mutant(
        "recall by the balls of real samples",
        "quality/fidelity.py",
        "recalled += int((distance <= reach_made).any(1).sum())",
        "recalled += int(hits.any(1).sum())",
        ("test_fidelity.py::test_overlap_is_that_of_the_definitions",),
    ),
    Mutant(
        "what is left of the distance of equal points",
        "quality/fidelity.py",
        "return torch.linalg.vector_norm(queries.double() - points[row].double(), dim=1), row",
        "return torch.cdist(queries, points).min(1).values, row",
        ("test_copying.py::test_duplicates_in_the_holdout_do_not_hide_copies",),
    ),
    Mutant(
        "copies only where nearer than the holdout's smallest hundredth",
        "quality/copying.py",
        "return Copying(_share(ratio <= limit), ",
        "return Copying(_share(ratio < limit), ",
        ("test_copying.py::test_duplicates_in_the_holdout_do_not_hide_copies",),
    ),
    Mutant(
        "a holdout of any size tells the same",
        "quality/copying.py",
        "return float((2.33 * k**0.5 + 1.3) / self.held)",
        "return 0.0",
        ("test_copying.py::test_small_holdouts_raise_no_more_false_alarms",),
    ),
    Mutant(
        "a copy check that takes blur for copies",
        "quality/copying.py",
        "ratio = _ratio(distance, nearest(made, unseen)[0])",
        "ratio = _ratio(distance, nearest(held, unseen)[0].median())",
        ("test_copying.py::test_blur_is_near_to_everything_and_no_copy",),
    ),
    Mutant(
        "mirrored copies are overlooked",
        "quality/evaluation.py",
        "pixel_points(part.image.flip(3))",
        "pixel_points(part.image)",
        _evaluation("a_generator_that_copies_its_training_set_fails_the_copy_check"),
    ),
    Mutant(
        "generated and held-out samples changed places",
        "quality/evaluation.py",
        "    unseen, made, held = points\n",
        "    unseen, held, made = points\n",
        _evaluation("a_generator_that_collapses_fails_coverage"),
    ),
    Mutant(
        "copies are let through",
        "quality/gate.py",
        "if not found.suspicious - found.expected <= allowed:",
        "if found.suspicious - found.expected < allowed:",
        _evaluation(
            "each_threshold_judges_its_own_metric", "a_generator_that_copies_its_training_set_fails_the_copy_check"
        ),
    ),
    Mutant(
        "NaN passes a threshold",
        "quality/gate.py",
        "if not metric.value >= share * metric.real:",
        "if metric.value < share * metric.real:",
        _evaluation("what_is_not_a_number_passes_no_threshold"),
    ),
    Mutant(
        "the classifier of another data set",
        "quality/features.py",
        "for part in (data.image, data.label):",
        "for part in (data.label,):",
        _evaluation("the_classifier_is_trained_once_per_data_set"),
    ),
    Mutant(
        "a network judged on what it was trained with",
        "quality/evaluation.py",
        "lambda repeat: task.generate(task.few.label, epoch=1 + repeat),",
        "lambda repeat: task.few,",
        _evaluation("a_generator_that_ignores_labels_fails"),
    ),
    Mutant(
        "a verdict for any weights",
        "verdict.py",
        "if verdict.checkpoint != checkpoint_of(generator):",
        "if False:",
        _gate("a_retrained_generator_needs_a_new_evaluation", "the_weights_of_any_module_are_watched"),
    ),
    Mutant(
        "a failed generator is mixed in",
        "verdict.py",
        "if not verdict.passed:",
        "if verdict.passed is None:",
        _gate("a_generator_that_failed_is_refused_with_its_reasons"),
    ),
    Mutant(
        "a verdict is lost with the file",
        "generators/checkpoint.py",
        'if "verdict" in content:',
        'if "verdict" not in content:',
        _gate("a_verdict_survives_saving_copying_and_pickling", "a_checkpoint_without_a_verdict_loads_and_is_refused"),
    ),
    Mutant(
        "balance without a gate",
        "data/synthetic.py",
        'require(generator, gate, "balance")',
        'require(generator, None, "balance")',
        _gate("a_generator_that_was_never_evaluated_is_refused"),
    ),
]
