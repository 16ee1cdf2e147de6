"""One-line faults in pipelines as data: written, replayed, undone, and given to other libraries."""

from __future__ import annotations

from faults import Mutant


def _fault(name: str, file: str, old: str, new: str, test: str) -> Mutant:
    return Mutant(f"{name} (leaving)", file, old, new, (test,))


MUTANTS = [
    _fault(
        "steps undone in the order in which they were done",
        "unwarping.py",
        "for step in reversed(range(len(route.steps))):",
        "for step in range(len(route.steps)):",
        "test_unwarping.py::test_a_blob_comes_back_to_its_place",
    ),
    _fault(
        "what was cut off read from what was padded",
        "unwarping.py",
        "(UnwarpApart if apart else Unwarp)(fill)",
        "Unwarp(fill)",
        "test_unwarping.py::test_what_a_pad_has_added_is_not_taken_for_what_a_crop_before_it_cut_off",
    ),
    _fault(
        "a program of other arguments taken",
        "replaying.py",
        "[(leaf.name, leaf.transform) for leaf in plan.leaves]",
        "[(leaf.name, None) for leaf in plan.leaves]",
        "test_replaying.py::test_what_is_no_program_of_this_pipeline_or_these_images_is_refused",
    ),
    _fault(
        "one fingerprint for all",
        "configured.py",
        "text = json.dumps(_canonical(self.to_config())",
        "text = json.dumps(_canonical({})",
        "test_configured.py::test_fingerprints_are_equal_for_equal_pipelines_and_differ_for_others",
    ),
    _fault(
        "odds of a choice lost",
        "adapters/to_torchvision.py",
        "odds = [transform.p * weight / sum(weights) for weight in weights]",
        "odds = [transform.p / len(weights) for weight in weights]",
        "test_leaving.py::test_choices_keep_their_odds",
    ),
    _fault(
        "two resamples taken for one",
        "adapters/leaving.py",
        "    return not sliced\n",
        "    return False\n",
        "test_leaving.py::test_moves_that_fuse_to_other_pixels_are_refused_and_step_by_step_they_are_not",
    ),
]
