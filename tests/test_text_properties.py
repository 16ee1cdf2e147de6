"""Properties over arbitrary Unicode: nothing breaks, nothing else changes, spans stay on their text."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from text_samples import ALL, CASES, HOLDING, make

from augsynth import Pipeline
from augsynth.program import Plan
from augsynth.rng import Rng
from augsynth.text.characters import KIND, MARK, classes_of
from augsynth.text.edits import map_spans, splice
from augsynth.text_run import edit_and_list

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=80)
# Words, signs and marks next to each other, as arbitrary text seldom has them.
PIECES = st.lists(
    st.sampled_from(
        [
            *ALL,
            " ",
            "  ",
            "'",
            "’",
            ".",
            ":",
            "-",
            "<",
            ">",
            "{x}",
            "\u0301",
            "\u200d",
            "n't",
            "not",
            "good",
            "The",
            "KING",
            "語",
        ]
    ),
    max_size=8,
).map("".join)
STRINGS = TEXT | PIECES
PROFILE = settings(max_examples=60, suppress_health_check=list(HealthCheck))


def plan_of(case: tuple[str, dict[str, Any]], other: tuple[str, dict[str, Any]]) -> Plan:
    plan = Pipeline({"first": make(*case), "second": make(*other)}).text_plan
    assert plan is not None
    return plan


@PROFILE
@given(STRINGS, st.sampled_from(CASES), st.sampled_from(CASES), st.integers(0, 2**32 - 1))
def test_only_the_edits_change_anything(text: str, case: Any, other: Any, index: int) -> None:
    plan, rng = plan_of(case, other), Rng.of(1, index)
    done, edits = edit_and_list(plan, [text], rng)
    assert done[0] == splice(text, edits[0])
    assert (done, edits) == edit_and_list(plan, [text], rng)
    assert (done, edits) == edit_and_list(plan, [text], rng, compiled=False)
    assert all(a.end <= b.start for a, b in zip(edits[0], edits[0][1:], strict=False))


@PROFILE
@given(
    STRINGS,
    st.sampled_from(CASES),
    st.lists(st.tuples(st.integers(0, 80), st.integers(0, 80)), max_size=5),
    st.integers(0, 99),
)
def test_spans_that_no_edit_touches_cover_the_same_text(text: str, case: Any, ends: list[Any], index: int) -> None:
    spans = [(min(a, len(text)), min(max(a, b), len(text))) for a, b in ends]
    done, edits = edit_and_list(plan_of(case, case), [text], Rng.of(1, index))
    for start, end in spans:
        for policy in ("keep", "shrink", "drop"):
            for low, high in map_spans([(start, end)], edits[0], policy, text):
                assert 0 <= low <= high <= len(done[0])
        touched = any(
            (edit.start < end and start < edit.end) or start < edit.start == edit.end < end for edit in edits[0]
        )
        if not touched:
            ((low, high),) = map_spans([(start, end)], edits[0], "error", text)
            assert done[0][low:high] == text[start:end]


@PROFILE
@given(STRINGS, st.sampled_from(CASES), st.integers(0, 99))
def test_no_edit_begins_at_a_mark(text: str, case: Any, index: int) -> None:
    """A mark belongs to the sign before it, whose edits take it along."""
    kinds = classes_of(text)
    for edit in edit_and_list(plan_of(case, case), [text], Rng.of(1, index))[1][0]:
        assert edit.start == len(text) or kinds[edit.start] & KIND != MARK
        assert edit.end == len(text) or kinds[edit.end] & KIND != MARK or edit.start == edit.end


@PROFILE
@given(st.lists(STRINGS, min_size=1, max_size=6), st.sampled_from(CASES), st.integers(0, 99))
def test_a_batch_equals_its_texts_one_by_one(texts: list[str], case: Any, first: int) -> None:
    pipeline = Pipeline([make(*case)], seed=3)
    index = list(range(first, first + len(texts)))
    assert pipeline(texts, index=index) == [pipeline(text, index=i) for text, i in zip(texts, index, strict=True)]


@PROFILE
@given(STRINGS, st.integers(0, 99))
def test_numbers_addresses_and_placeholders_stay(text: str, index: int) -> None:
    text = f"{text} $3.50 me@x.org {{a b c d}} https://x.org/y {text}"
    rng = Rng.of(0, np.array([index]))
    for case in HOLDING:
        plan = Pipeline([make(*case)]).text_plan
        assert plan is not None
        done = edit_and_list(plan, [text], rng)[0][0]
        held = r"\$3\.50|me@x\.org|\{a b c d\}|https://x\.org/y"
        assert sorted(re.findall(held, done)) == sorted(re.findall(held, text))
