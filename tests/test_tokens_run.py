"""Runs of token transforms: what follows the tokens, who is keyed by what, and what is refused."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch
from token_samples import CLS, MASK, NAMES, PAD, RIGHT, SEP, SIZE, batch_of, content, each, random_rows, run, sentence

from augsynth import token_run
from augsynth import transforms as T
from augsynth.errors import SampleError
from augsynth.program import Plan
from augsynth.rng import Rng
from augsynth.token_run import augment_tokens
from augsynth.transforms.base import named
from augsynth.transforms.token_base import is_tokens

ROWS = random_rows(40, 12)


@pytest.fixture(params=[True, False], ids=["native", "tensors"])
def compiled(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.mark.parametrize("name", NAMES)
def test_labels_of_tokens_follow_them(name: str, compiled: bool) -> None:
    batch = batch_of(ROWS, 20)
    batch["labels"] = torch.where(batch["attention_mask"] > 0, batch["input_ids"] * 3, -100)
    done = run([T.TokenSwap(vocabulary=RIGHT, rate=0.5), *_unlabelled(name)], batch, compiled=compiled)
    ids, labels = done["input_ids"], done["labels"]
    assert ((labels == -100) | (labels == ids * 3) | (name in ("synonym", "mask", "spans"))).all()
    assert (labels[done["attention_mask"] == 0] == -100).all()
    assert labels.dtype == torch.int64
    kept = labels[labels != -100].sort().values
    before = batch["labels"][batch["labels"] != -100].sort().values
    assert torch.equal(kept, before) == (name not in ("delete", "cut", "cut_span"))


def _unlabelled(name: str) -> list[Any]:
    if name == "mask":
        return [T.TokenMask(vocabulary=RIGHT, rate=0.3)]
    return [each(RIGHT, rate=0.3)[name]]


def test_labels_of_sequences_stay(compiled: bool) -> None:
    batch = batch_of(ROWS)
    for labels in (torch.arange(40), torch.rand(40, 14)):
        done = run(T.TokenDelete(vocabulary=RIGHT, rate=0.4), {**batch, "labels": labels}, compiled=compiled)
        assert done["labels"] is labels
        assert not torch.equal(done["input_ids"], batch["input_ids"])


def test_token_types_tell_the_place_and_not_the_word(compiled: bool) -> None:
    ids = [CLS, 5, 6, 7, SEP, 9, 10, 11, SEP]
    types = [0, 0, 0, 0, 0, 1, 1, 1, 1]
    batch = batch_of([ids] * 60, 14) | {"token_type_ids": torch.tensor([types + [0] * 5] * 60)}
    every = [each(RIGHT, rate=0.4)[name] for name in ("swap", "delete", "insert_random", "cut")]
    done = run(every, batch, compiled=compiled)
    for row, kinds in zip(done["input_ids"].tolist(), done["token_type_ids"].tolist(), strict=True):
        first, second = (i for i, token in enumerate(row) if token == SEP)
        assert kinds == [0] * (first + 1) + [1] * (second - first) + [0] * (13 - second)


def test_other_entries_follow_where_they_are_named(compiled: bool) -> None:
    batch = batch_of(ROWS, 20)
    boxes = batch["input_ids"][..., None].expand(-1, -1, 4).float()
    positions = torch.arange(20).expand(40, 20)
    words = torch.where(batch["attention_mask"] > 0, positions // 3, -1)
    batch |= {"bbox": boxes, "position_ids": positions, "word_ids": words}
    chain = [T.TokenSwap(vocabulary=RIGHT, rate=0.5), T.TokenDelete(vocabulary=RIGHT, rate=0.3)]
    done = run(chain, batch, compiled=compiled, follow={"bbox": PAD, "word_ids": -1})
    assert torch.equal(done["bbox"][..., 2].long(), done["input_ids"])
    assert done["position_ids"] is positions
    shown = done["attention_mask"] > 0
    assert (done["word_ids"][~shown] == -1).all()
    assert not torch.equal(done["word_ids"], batch["word_ids"])


def test_word_ids_keep_the_tokens_of_a_word_together(compiled: bool) -> None:
    batch = batch_of([sentence(5, 6, 7, 9, 10, 11)] * 80)
    batch["word_ids"] = torch.tensor([[-1, 0, 0, 1, 1, 2, 2, -1]] * 80)
    a, b, c = (5, 6), (7, 9), (10, 11)
    delete = T.TokenDelete(vocabulary=RIGHT, min_edits=1, max_edits=1)
    done = run([delete, T.TokenSwap(vocabulary=RIGHT, rate=1.0, p=0.5)], batch, compiled=compiled)
    seen = {tuple(content(done, i)[1:-1]) for i in range(80)}
    assert seen == {x + y for x in (a, b, c) for y in (a, b, c) if x != y}


def test_a_special_tokens_mask_holds_what_it_names(compiled: bool) -> None:
    batch = batch_of([sentence(5, 6, 7, 9)] * 30)
    batch["special_tokens_mask"] = torch.tensor([[1, 0, 1, 0, 0, 1]] * 30)
    done = run(T.TokenMask(vocabulary=RIGHT, rate=1.0, mask_share=1.0, random_share=0), batch, compiled=compiled)
    assert done["input_ids"].tolist() == [[CLS, MASK, 6, MASK, MASK, SEP]] * 30


def test_masked_language_model_labels_move_with_later_edits(compiled: bool) -> None:
    chain = [T.TokenMask(vocabulary=RIGHT, rate=0.5, return_labels=True), T.TokenDelete(vocabulary=RIGHT, rate=0.3)]
    chain.append(T.TokenSwap(vocabulary=RIGHT, rate=1.0))
    done = run(chain, batch_of(ROWS), compiled=compiled)
    hit = done["labels"] != -100
    assert hit.any()
    assert (hit | (done["input_ids"] != MASK)).all()


def test_a_second_mask_does_not_overwrite_the_first_ones_labels(compiled: bool) -> None:
    mask = T.TokenMask(vocabulary=RIGHT, rate=0.7, return_labels=True)
    batch = batch_of(ROWS)
    done = run([mask, mask], batch, compiled=compiled)
    hit = done["labels"] != -100
    assert torch.equal(done["labels"][hit], batch["input_ids"][hit])
    assert not (done["labels"] == MASK).any()


def test_labels_are_there_where_no_row_was_masked() -> None:
    done = run(T.TokenMask(vocabulary=RIGHT, p=0.0, return_labels=True), batch_of(ROWS))
    assert (done["labels"] == -100).all()
    assert done["labels"].shape == done["input_ids"].shape


def test_labels_twice_are_refused() -> None:
    batch = batch_of(ROWS) | {"labels": torch.arange(40)}
    with pytest.raises(ValueError, match="test: return_labels=True, and the batch has labels"):
        run({"test": T.TokenMask(vocabulary=RIGHT, return_labels=True)}, batch)


@pytest.mark.parametrize("name", NAMES)
def test_p_zero_and_strength_zero_change_nothing(name: str) -> None:
    batch = batch_of(ROWS)
    never = T.TokenMask(vocabulary=RIGHT, p=0.0) if name == "mask" else each(RIGHT, p=0.0)[name]
    assert run(never, batch)["input_ids"] is batch["input_ids"]
    faint = run(each(RIGHT, min_edits=3)[name], batch, strength=0.0)
    assert torch.equal(faint["input_ids"], batch["input_ids"])
    assert torch.equal(faint["attention_mask"], batch["attention_mask"])


@pytest.mark.parametrize("name", NAMES)
def test_a_keyed_call_is_a_function_of_its_keys_and_draws_nothing(name: str, compiled: bool) -> None:
    batch, state = batch_of(ROWS, 24), torch.get_rng_state()
    t = each(RIGHT, rate=0.4)[name]
    one, two = run(t, batch, compiled=compiled), run(t, batch, compiled=compiled)
    assert torch.equal(one["input_ids"], two["input_ids"])
    assert not torch.equal(one["input_ids"], run(t, batch, epoch=1, compiled=compiled)["input_ids"])
    assert torch.equal(torch.get_rng_state(), state)


def test_rows_of_one_batch_and_steps_of_one_row_draw_apart() -> None:
    batch = batch_of([sentence(*range(5, 30))] * 50)
    one = run({"a": T.TokenDelete(vocabulary=RIGHT, rate=0.3)}, batch)
    assert len({tuple(row) for row in one["input_ids"].tolist()}) > 40
    two = run({"b": T.TokenDelete(vocabulary=RIGHT, rate=0.3)}, batch)
    assert not torch.equal(one["input_ids"], two["input_ids"])


def test_combinations_choose_for_each_row(compiled: bool) -> None:
    swap, delete = T.TokenSwap(vocabulary=RIGHT, rate=1.0), T.TokenDelete(vocabulary=RIGHT, rate=1.0)
    batch = batch_of([sentence(5, 6, 7)] * 400)
    done = run(T.OneOf([swap, delete], weights=(3, 1)), batch, compiled=compiled)
    deleted = done["attention_mask"].sum(1) == 3
    assert 60 < int(deleted.sum()) < 140
    done = run(T.RandomApply([swap, delete], p=0.5), batch, compiled=compiled)
    assert set(done["attention_mask"].sum(1).tolist()) == {3, 5}
    done = run(T.SomeOf([swap, delete], n=2), batch, compiled=compiled)
    assert (done["attention_mask"].sum(1) == 3).all()


def test_dtypes_and_layouts_are_kept(compiled: bool) -> None:
    batch = batch_of(ROWS, 20)
    wanted = run(T.TokenDelete(vocabulary=RIGHT, rate=0.4), batch)
    odd = {
        "input_ids": batch["input_ids"].int().t().contiguous().t(),
        "attention_mask": batch["attention_mask"].bool(),
        "labels": batch["input_ids"].to(torch.int16),
    }
    done = run(T.TokenDelete(vocabulary=RIGHT, rate=0.4), odd, compiled=compiled)
    assert done["input_ids"].dtype == torch.int32
    assert done["attention_mask"].dtype == torch.bool
    assert done["labels"].dtype == torch.int16
    assert torch.equal(done["input_ids"].long(), wanted["input_ids"])
    assert torch.equal(done["attention_mask"].long(), wanted["attention_mask"])


def test_without_a_mask_the_padding_token_counts(compiled: bool) -> None:
    batch = batch_of([sentence(5, 6, 7), sentence(5)] * 20)
    wanted = run(T.TokenDelete(vocabulary=RIGHT, rate=0.5), batch)
    done = run(T.TokenDelete(vocabulary=RIGHT, rate=0.5), {"input_ids": batch["input_ids"]}, compiled=compiled)
    assert done.keys() == {"input_ids"}
    assert torch.equal(done["input_ids"], wanted["input_ids"])


def test_an_id_outside_the_vocabulary_names_its_sample(compiled: bool) -> None:
    batch = batch_of(ROWS)
    for strange in (SIZE, -1):
        batch["input_ids"][3, 2] = strange
        with pytest.raises(
            SampleError, match=rf"sample 3 \(index 13\): the id {strange} is not in the vocabulary of 60"
        ):
            run(T.TokenSwap(vocabulary=RIGHT), batch, index=range(10, 50), compiled=compiled)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"input_ids": torch.zeros(40, 14)}, TypeError, "whole numbers .*, got torch.float32"),
        ({"input_ids": [[1, 2]] * 40}, TypeError, "whole numbers .*, got list"),
        (
            {"input_ids": torch.zeros(40, dtype=torch.int64)},
            ValueError,
            r"\(B, L\) with at least one token, got \(40,\)",
        ),
        ({"input_ids": torch.zeros(0, 14, dtype=torch.int64)}, ValueError, r"at least one token, got \(0, 14\)"),
        ({"input_ids": torch.zeros(9, 14, dtype=torch.int64)}, ValueError, "40 keys for 9 rows"),
        ({"attention_mask": torch.ones(40, 13)}, ValueError, r"attention_mask must be a tensor \(40, 14\)"),
        ({"word_ids": [[None]]}, ValueError, "word_ids must be a tensor .*, got list"),
        (
            {"labels": torch.zeros(40, 9, dtype=torch.int64)},
            ValueError,
            r"labels \(40, 9\) does not belong to the tokens",
        ),
    ],
)
def test_a_bad_batch_is_refused(change: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        run(T.TokenSwap(vocabulary=RIGHT), {**batch_of(ROWS), **change}, index=range(40))


def test_what_is_no_batch_of_tokens_is_refused() -> None:
    plan = Plan.of(named([T.TokenSwap(vocabulary=RIGHT)], "test"))
    for batch, message in (({"text": 1}, "got the keys text"), ([1], "got list")):
        with pytest.raises(TypeError, match=message):
            augment_tokens(plan, batch, Rng.of(0, 0))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"strength=1.5 must lie in 0 to 1"):
        run(T.TokenSwap(vocabulary=RIGHT), batch_of(ROWS), strength=1.5)


def test_vocabularies_are_needed_and_must_agree() -> None:
    with pytest.raises(ValueError, match=r"token_swap: give vocabulary=TokenVocabulary\.of"):
        run(T.TokenSwap(), batch_of(ROWS))
    other = T.TokenSwap(vocabulary=type(RIGHT).from_mapping({"[PAD]": 0, "a": 1}, pad="[PAD]"))
    with pytest.raises(ValueError, match="token_delete and token_swap: one vocabulary is needed"):
        run([T.TokenDelete(vocabulary=RIGHT), other], batch_of(ROWS))
    with pytest.raises(TypeError, match="flip: RandomHorizontalFlip is no transform of tokens"):
        run({"flip": T.RandomHorizontalFlip()}, batch_of(ROWS))
    with pytest.raises(ValueError, match="one: OneOf combines transforms of tokens with others"):
        is_tokens("one", T.OneOf([T.TokenSwap(), T.RandomSwap()]))


def test_a_plan_that_was_copied_after_use_gives_the_same_ids() -> None:
    plan = Plan.of(named([T.TokenMask(vocabulary=RIGHT, style="span", rate=0.5)], "test"))
    batch, rng = batch_of(ROWS), Rng.of(0, range(40))
    wanted = augment_tokens(plan, batch, rng)["input_ids"]
    for other in (pickle.loads(pickle.dumps(plan)), copy.deepcopy(plan)):
        assert torch.equal(augment_tokens(other, batch, rng)["input_ids"], wanted)


def test_tensors_take_over_where_there_is_no_compiled_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    t, batch = T.TokenSynonym(vocabulary=RIGHT, rate=0.5), batch_of(ROWS)
    wanted = run(t, batch)["input_ids"]
    monkeypatch.setattr(token_run, "kernel", None)
    monkeypatch.setattr("augsynth.rng.kernel", None)
    assert torch.equal(run(t, batch)["input_ids"], wanted)


def test_a_plan_keeps_the_instructions_of_one_strength_alone() -> None:
    """A schedule has another strength for every step."""
    plan = Plan.of(named([T.TokenMask(rate=0.5)], "test"))
    rows = [token_run._instructions(plan, strength)[0].tolist() for strength in (0.0, 0.5, 1.0, 0.5)]
    assert rows[1] == rows[3] != rows[2]
    assert len(plan.kept) == 1
