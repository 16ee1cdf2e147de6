"""One-line faults in what a Hydra user sees: borrowed groups, wrong arguments, sweeps and their report."""

from __future__ import annotations

from faults import Mutant


def _fault(name: str, file: str, old: str, new: str, test: str) -> Mutant:
    return Mutant(f"{name} (hydra)", file, old, new, (test,))


MUTANTS = [
    _fault(
        "a wrong keyword not answered",
        "errors.py",
        "        if name not in accepted:",
        "        if name in ():",
        "test_hydra_app.py::test_plain_instantiate_names_field_value_and_what_is_allowed",
    ),
    _fault(
        "lists of OmegaConf left as they are",
        "transforms/base.py",
        '(list, tuple)) or type(value).__name__ == "ListConfig":',
        "(list, tuple)):",
        "test_hydra_app.py::test_transforms_take_lists_of_omegaconf",
    ),
    _fault(
        "the best of many runs not corrected",
        "gathering.py",
        "adjusted = iter(holm([contrast.difference.p for contrast in known]))",
        "adjusted = iter([contrast.difference.p for contrast in known])",
        "test_gathering.py::test_a_difference_that_one_run_alone_would_claim_is_not_claimed_of_the_best_of_many",
    ),
    _fault(
        "a failed run without its reason",
        "gathering.py",
        "if (place / FAILED).is_file():",
        "if False:",
        "test_gathering.py::test_every_run_has_a_row_in_the_order_of_the_sweep_with_what_differs",
    ),
    _fault(
        "runs that were never begun dropped",
        "gathering.py",
        "if tuple(sorted(overrides)) not in known]",
        "if not known]",
        "test_gathering.py::test_every_run_has_a_row_in_the_order_of_the_sweep_with_what_differs",
    ),
    _fault(
        "runs in the order of letters",
        "gathering.py",
        '(0, int(part), "") if part.isdigit() else',
        "(1, 0, part) if part.isdigit() else",
        "test_gathering.py::test_ten_runs_stand_in_the_order_of_their_numbers",
    ),
    _fault(
        "a key given twice counted twice",
        "config.py",
        'choices[key] = [f"{key}={value}" for value in values]',
        'choices[key, len(choices)] = [f"{key}={value}" for value in values]',
        "test_sweeps.py::test_a_sweep_over_a_generators_argument_is_gathered_and_a_runs_own_page_stays",
    ),
    _fault(
        "the sweep ended by the first failure",
        "cli.py",
        "    if config.mode != RunMode.MULTIRUN:",
        "    if config.mode:",
        "test_sweeps.py::test_a_run_that_fails_does_not_end_the_sweep_and_the_report_names_it",
    ),
    _fault(
        "the comparison's own page overwritten",
        "gathered_page.py",
        "(PAGE_OF_ONE if (out / RESULTS).exists() else PAGE)",
        "PAGE",
        "test_sweeps.py::test_a_sweep_over_a_generators_argument_is_gathered_and_a_runs_own_page_stays",
    ),
]
