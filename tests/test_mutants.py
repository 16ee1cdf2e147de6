"""The tests are tested: each one-line fault of `mutants.py` is caught by the tests named for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import mutants
import pytest

over_mutants = pytest.mark.parametrize("mutant", mutants.MUTANTS, ids=lambda mutant: mutant.name.replace(" ", "-"))


@pytest.fixture(scope="module")
def results():
    # One thread each: forking a process whose numerical libraries run threads is not safe.
    single = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, mutants.__file__], env=os.environ | single, capture_output=True, text=True, timeout=3600
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_there_are_enough_faults_of_different_kinds():
    assert len(mutants.MUTANTS) >= 18
    assert len({mutant.name for mutant in mutants.MUTANTS}) == len(mutants.MUTANTS)
    assert len({mutant.file for mutant in mutants.MUTANTS}) >= 8


@over_mutants
def test_a_fault_has_one_place_in_the_package(mutant):
    text = (mutants.CHECKOUT / "augsynth" / mutant.file).read_text()
    assert text.count(mutant.old) == 1
    assert mutant.new != mutant.old


def test_the_same_tests_pass_without_a_fault(results):
    code, text = results["none"]
    assert code == 0, text


@over_mutants
def test_a_fault_is_caught(mutant, results):
    code, failed = results[mutant.name]
    assert code == 1, f"pytest ended with {code}: {failed}"  # 0: not noticed; others: the tests did not run
    assert failed.removeprefix("tests/").startswith(tuple(mutant.tests))
