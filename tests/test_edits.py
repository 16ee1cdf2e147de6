from __future__ import annotations

import pytest

from augsynth.text.edits import Edit, SpanError, map_spans, splice

TEXT = "the quick brown fox"
#       0123456789012345678


def surfaces(edits: list[Edit], spans: list[tuple[int, int]], policy: str) -> list[str]:
    after = splice(TEXT, edits)
    return [after[start:end] for start, end in map_spans(spans, edits, policy, TEXT)]


def test_no_edit_gives_the_same_object() -> None:
    assert splice(TEXT, []) is TEXT


def test_edits_are_spliced_in_the_order_of_the_text() -> None:
    edits = [Edit(16, 19, "wolf"), Edit(0, 3, "a"), Edit(4, 4, "very ")]
    assert splice(TEXT, edits) == "a very quick brown wolf"


@pytest.mark.parametrize("edits", [[Edit(0, 5, ""), Edit(4, 6, "")], [Edit(18, 20, "")], [Edit(3, 2, "")]])
def test_edits_that_overlap_or_leave_the_text_are_refused(edits: list[Edit]) -> None:
    with pytest.raises(ValueError, match="overlaps"):
        splice(TEXT, edits)


@pytest.mark.parametrize("policy", ["keep", "shrink", "drop", "error"])
def test_a_span_that_is_not_touched_covers_the_same_text(policy: str) -> None:
    edits = [Edit(0, 4, ""), Edit(10, 10, "dark "), Edit(16, 19, "wolf")]
    assert surfaces(edits, [(4, 9), (10, 15)], policy) == ["quick", "brown"]


@pytest.mark.parametrize(
    ("policy", "found"),
    [("keep", ["slow brown", "brown wolf", "wolf"]), ("shrink", [" brown", "brown ", ""]), ("drop", [])],
)
def test_policies_for_spans_that_edits_touch(policy: str, found: list[str]) -> None:
    edits = [Edit(4, 9, "slow"), Edit(16, 19, "wolf")]
    expected = [text.strip() for text in found if text]
    assert surfaces(edits, [(4, 15), (10, 19), (16, 19)], policy) == expected


def test_policy_error_names_the_span_and_the_edit() -> None:
    with pytest.raises(SpanError, match=r"span 1 \(4, 15\) is touched by an edit of \(4, 9\)"):
        map_spans([(0, 3), (4, 15)], [Edit(4, 9, "slow")], "error")


def test_a_span_that_is_deleted_is_gone() -> None:
    assert surfaces([Edit(4, 10, "")], [(4, 9), (0, 3)], "keep") == ["the"]


def test_a_span_goes_with_the_words_that_move() -> None:
    swap = [Edit(4, 9, "fox", (16, 19)), Edit(16, 19, "quick", (4, 9))]
    assert splice(TEXT, swap) == "the fox brown quick"
    for policy in ("keep", "shrink", "drop", "error"):
        assert surfaces(swap, [(4, 9), (17, 19), (10, 15)], policy) == ["quick", "ox", "brown"]


def test_insertions_at_the_edges_of_a_span_are_outside_of_it() -> None:
    edits = [Edit(4, 4, "very "), Edit(15, 15, "ish")]
    assert surfaces(edits, [(4, 15)], "error") == ["quick brown"]
    assert surfaces([Edit(10, 10, "dark ")], [(4, 15)], "keep") == ["quick dark brown"]


def test_a_span_that_loses_words_has_no_space_at_its_edge() -> None:
    assert surfaces([Edit(16, 19, "")], [(4, 19)], "keep") == ["quick brown"]
    assert surfaces([Edit(10, 16, "")], [(4, 15)], "keep") == ["quick"]


def test_spans_keep_their_form_and_what_stands_beside_their_ends() -> None:
    spans = [{"start": 4, "end": 9, "label": "SPEED"}, [10, 15, "COLOUR"], (16, 19, "ANIMAL", 1)]
    assert map_spans(spans, [Edit(0, 4, "")]) == [
        {"start": 0, "end": 5, "label": "SPEED"},
        [6, 11, "COLOUR"],
        (12, 15, "ANIMAL", 1),
    ]


@pytest.mark.parametrize("span", [(-1, 3), (5, 4), (4, 20)])
def test_a_span_that_is_none_of_the_text_is_an_error(span: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="span 0"):
        map_spans([span], [], text=TEXT)


def test_an_unknown_policy_is_an_error() -> None:
    with pytest.raises(ValueError, match="span_policy='lose' is not one of keep, shrink, drop, error"):
        map_spans([], [], "lose")
