"""What the edits of padded rows of token ids do, and what they leave alone."""

from __future__ import annotations

from collections import Counter
from itertools import combinations
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from token_samples import (
    CLS,
    LEFT,
    MASK,
    NAMES,
    PAD,
    RIGHT,
    SEP,
    SIZE,
    UNK,
    batch_of,
    content,
    each,
    random_rows,
    rates,
    row,
    rows,
    run,
    sentence,
)

from augsynth import transforms as T
from augsynth.rng import philox
from augsynth.text.token_vocabulary import TokenVocabulary
from augsynth.transforms.token_rows import choose, drawn

SPECIAL = {PAD, CLS, SEP, MASK}
few = settings(max_examples=40)


def fixed(ids: list[int]) -> list[int]:
    return [token for token in ids if token in SPECIAL]


def words_of(ids: list[int]) -> list[tuple[int, ...]]:
    """Split ids into words, by the vocabulary's own rule."""
    words: list[list[int]] = []
    before = CLS
    for token in ids:
        if token not in SPECIAL:
            if before in SPECIAL or bool(RIGHT.starts[token]):
                words.append([])
            words[-1].append(token)
        before = token
    return [tuple(word) for word in words]


@pytest.mark.parametrize("name", NAMES)
@given(rows=rows, rate=rates, left=st.booleans(), epoch=st.integers(0, 99), by_words=st.booleans())
@few
def test_the_compiled_engine_and_tensors_give_the_same_batch(
    name: str, rows: list[list[int]], rate: Any, left: bool, epoch: int, by_words: bool
) -> None:
    v = LEFT if left else RIGHT
    batch = batch_of(rows, max(map(len, rows)) + 3, left)
    shape = batch["input_ids"].shape
    if by_words:
        batch["word_ids"] = (torch.arange(shape[1]) // 2).expand(shape)
    batch |= {"token_type_ids": (torch.arange(shape[1]) > 5).long().expand(shape)}
    chain = [T.TokenSwap(vocabulary=v, rate=0.4), each(v, rate=rate)[name], T.TokenDelete(vocabulary=v, p=0.5)]
    chain.append(each(v, rate=rate)[name])
    one, two = (run(chain, batch, epoch=epoch, compiled=compiled) for compiled in (True, False))
    assert one.keys() == two.keys()
    for key in one:
        torch.testing.assert_close(one[key], two[key], rtol=0, atol=0)


@pytest.mark.parametrize("rate", [0.2, (0.3, 0.9)])
@pytest.mark.parametrize("name", NAMES)
def test_the_compiled_engine_and_tensors_agree_on_many_rows(name: str, rate: Any) -> None:
    many = [ids for words in range(1, 41) for ids in random_rows(10, words, seed=words)]
    one, two = (run(each(RIGHT, rate=rate)[name], batch_of(many, 60), compiled=compiled) for compiled in (True, False))
    for key in one:
        torch.testing.assert_close(one[key], two[key], rtol=0, atol=0)


@pytest.mark.parametrize("name", NAMES)
@given(rows=rows, rate=rates, left=st.booleans())
@few
def test_special_tokens_and_padding_are_never_touched(name: str, rows: list[list[int]], rate: Any, left: bool) -> None:
    batch = batch_of(rows, max(map(len, rows)) + 2, left)
    before = {key: value.clone() for key, value in batch.items()}
    done = run(each(LEFT if left else RIGHT, rate=rate)[name], batch)
    for i, ids in enumerate(rows):
        made = fixed(content(done, i))
        new = made.count(MASK) if "mask" in name or name == "spans" else 0
        assert [token for token in made if not (new and token == MASK)] == fixed(ids)
        assert (done["input_ids"][i][done["attention_mask"][i] == 0] == PAD).all()
    assert all(torch.equal(batch[key], before[key]) for key in before)
    assert done["input_ids"].shape == batch["input_ids"].shape


@pytest.mark.parametrize("name", NAMES)
@given(rows=rows, rate=rates, left=st.booleans())
@few
def test_a_batch_equals_its_rows_one_by_one_whatever_the_padding(
    name: str, rows: list[list[int]], rate: Any, left: bool
) -> None:
    v, room = (LEFT if left else RIGHT), 30  # for all that is inserted
    batch = batch_of(rows, max(map(len, rows)) + room, left)
    done = run(each(v, rate=rate)[name], batch, epoch=3)
    for i, ids in enumerate(rows):
        alone = run(each(v, rate=rate)[name], batch_of([ids], len(ids) + room + 7, left), index=[i], epoch=3)
        assert content(alone, 0) == content(done, i)


@given(rows=rows, rate=rates)
@few
def test_a_swap_keeps_all_tokens_and_all_words(rows: list[list[int]], rate: Any) -> None:
    done = run(T.TokenSwap(vocabulary=RIGHT, rate=rate), batch_of(rows))
    for i, ids in enumerate(rows):
        assert Counter(content(done, i)) == Counter(ids)
    known = [ids for ids in rows if all(RIGHT.starts[token] or token in SPECIAL for token in ids)]
    done = run(T.TokenSwap(vocabulary=RIGHT, rate=rate), batch_of(known or [sentence()]))
    for i, ids in enumerate(known):
        assert Counter(words_of(content(done, i))) == Counter(words_of(ids))


def test_a_swap_moves_words_as_a_whole_and_exchanges_pairs() -> None:
    ids = sentence(5, 8, 6, 7, 12, 16, 9)  # words (5, 8), (6,), (7, 12, 16), (9,)
    done = run(T.TokenSwap(vocabulary=RIGHT, rate=1.0), batch_of([ids] * 200))
    seen = {tuple(words_of(content(done, i))) for i in range(200)}
    a, b, c, d = (5, 8), (6,), (7, 12, 16), (9,)
    assert seen == {(b, a, d, c), (c, d, a, b), (d, c, b, a)}


@given(ids=row, rate=rates)
@few
def test_deletion_keeps_the_order_and_one_word(ids: list[int], rate: Any) -> None:
    done = run(T.TokenDelete(vocabulary=RIGHT, rate=rate), batch_of([ids] * 3))
    before = words_of(ids)
    for i in range(3):
        rest, left = iter(ids), content(done, i)
        assert all(token in rest for token in left)
        assert len(words_of(left)) >= min(len(before), 1)
        assert len(left) == int(done["attention_mask"][i].sum())


def test_deletion_takes_whole_words_and_closes_up() -> None:
    batch = batch_of([sentence(5, 8, 6, 7)] * 50, 9)
    done = run(T.TokenDelete(vocabulary=RIGHT, rate=0, min_edits=1, max_edits=1), batch)
    seen = {tuple(row) for row in done["input_ids"].tolist()}
    assert seen == {(1, 6, 7, 2, *[0] * 5), (1, 5, 8, 7, 2, *[0] * 4), (1, 5, 8, 6, 2, *[0] * 4)}


def test_padding_on_the_left_stays_there() -> None:
    batch = batch_of([sentence(5, 6, 7)] * 20, 8, left=True)
    shorter = run(T.TokenDelete(vocabulary=LEFT, rate=0.4), batch)
    longer = run(T.TokenInsert(vocabulary=LEFT, source="random", rate=0.7), batch)
    for done in (shorter, longer):
        assert (done["input_ids"][:, -1] == SEP).all()
        assert (done["attention_mask"].diff(dim=1) >= 0).all()
    assert shorter["attention_mask"].sum() < batch["attention_mask"].sum() < longer["attention_mask"].sum()


def test_synonyms_are_those_of_the_vocabulary_and_of_words_of_one_token() -> None:
    rows = random_rows(300, 15)
    done = run(T.TokenSynonym(vocabulary=RIGHT, rate=0.5), batch_of(rows))
    changed = 0
    for i, ids in enumerate(rows):
        alone = {word[0] for word in words_of(ids) if len(word) == 1}
        for old, new in zip(ids, content(done, i), strict=True):
            assert old == new or (new in RIGHT.synonyms(old) and old in alone)
            changed += old != new
    assert changed > 300


def test_an_insertion_puts_in_synonyms_of_the_rows_words() -> None:
    rows = random_rows(100, 10)
    done = run(T.TokenInsert(vocabulary=RIGHT, rate=0.3), batch_of(rows, 20))
    new = 0
    for i, ids in enumerate(rows):
        left = list(ids)
        given_by = {other for word in words_of(ids) for other in RIGHT.synonyms(word[0])}
        for token in content(done, i):
            if left and token == left[0]:
                left.pop(0)
            else:
                assert token in given_by
                new += 1
        assert not left
    assert new > 100


def test_what_does_not_fit_is_not_inserted() -> None:
    batch = batch_of([sentence(*range(5, 15))] * 30, 14)
    done = run(T.TokenInsert(vocabulary=RIGHT, source="mask", rate=1.0), batch)
    assert done["input_ids"].shape == (30, 14)
    assert (done["attention_mask"] == 1).all()
    assert ((done["input_ids"] == MASK).sum(1) == 2).all()
    assert (done["input_ids"][:, -1] == SEP).all()


def test_masks_follow_their_shares_and_labels_say_what_was_there() -> None:
    rows = random_rows(2000, 20)
    batch = batch_of(rows)
    done = run(T.TokenMask(vocabulary=RIGHT, rate=0.2, return_labels=True), batch)
    hit = done["labels"] != -100
    assert torch.equal(done["labels"][hit], batch["input_ids"][hit])
    assert torch.equal(done["input_ids"][~hit], batch["input_ids"][~hit])
    masked = done["input_ids"][hit] == MASK
    same = done["input_ids"][hit] == batch["input_ids"][hit]
    assert abs(float(masked.float().mean()) - 0.8) < 0.02
    assert abs(float(same.float().mean()) - (0.1 + 0.1 / (SIZE - 5))) < 0.015
    assert not (set(done["input_ids"][hit].tolist()) & {PAD, CLS, SEP})


def test_whole_words_are_masked() -> None:
    batch = batch_of([sentence(5, 8, 12, 6, 16)] * 100)
    done = run(T.TokenMask(vocabulary=RIGHT, rate=0.5, mask_share=1.0, random_share=0.0), batch)
    assert {tuple(row[1:-1]) for row in done["input_ids"].tolist()} == {(3, 3, 3, 6, 16), (5, 8, 12, 3, 3)}


def test_spans_cover_the_share_of_words_and_have_geometric_lengths() -> None:
    rows = [sentence(*[5, 6, 7] * 40)] * 2000
    mask = T.TokenMask(vocabulary=RIGHT, style="span", rate=0.15, mask_share=1.0, random_share=0.0)
    done = run(mask, batch_of(rows))["input_ids"] == MASK
    assert (done.sum(1) == 18).all()
    starts = (done & ~torch.nn.functional.pad(done, (1, -1))).sum()
    # Cut at ten words a geometric length with mean 5 has mean 4.46; the last span of a row is cut to fit, some touch.
    assert 3.3 < float(done.sum() / starts) < 5.0
    share = done[:, 1:-1].float().mean(0)
    assert 0.13 < float(share[12:-12].min()) <= float(share[12:-12].max()) < 0.19
    assert abs(float((share - share.flip(0))[:10].mean())) < 0.01


def test_a_span_has_one_decision_for_all_its_words() -> None:
    rows = [sentence(*range(5, 8), *range(9, 12), 13, 14, 15)] * 400
    mask = T.TokenMask(vocabulary=RIGHT, style="span", rate=1.0, mask_share=0.5, random_share=0.0, mean_length=50)
    done = run(mask, batch_of(rows))["input_ids"][:, 1:-1] == MASK
    assert (done.all(1) | ~done.any(1)).float().mean() > 0.85
    assert 0.4 < float(done.float().mean()) < 0.6


@pytest.mark.parametrize("style", ["token", "span"])
def test_a_cutoff_hides_words_and_moves_nothing(style: str) -> None:
    batch = batch_of([sentence(5, 8, 6, 7, 9, 10)] * 200, 10)
    done = run(T.TokenCutoff(vocabulary=RIGHT, style=style, rate=0.4), batch)
    gone = (batch["attention_mask"] == 1) & (done["attention_mask"] == 0)
    assert (done["input_ids"][gone] == PAD).all()
    assert torch.equal(done["input_ids"][~gone], batch["input_ids"][~gone])
    assert torch.equal(gone[:, 1], gone[:, 2])  # two tokens of one word
    assert (gone[:, 2:7].sum(1) == 2).all()
    edges = torch.nn.functional.pad(gone[:, 2:7], (1, 1)).int().diff(dim=1).abs().sum(1)
    assert (edges == 2).all() if style == "span" else (edges == 4).any()


@pytest.mark.parametrize("name", NAMES)
def test_the_mean_number_of_edits_is_right(name: str) -> None:
    rows = [sentence(*[5, 7, 9, 11, 13] * 2, 15, 17, 19)] * 4000  # 13 words, all of which have synonyms or not
    t, pairs = each(RIGHT, rate=0.15)[name], name == "swap"
    v = RIGHT
    have = sum(bool(v.synonyms(token)) for token in rows[0][1:-1])
    assert have >= 5
    control = torch.from_numpy(np.random.default_rng(0).integers(0, 2**32, (4000, 4)))
    counts = t.count(torch.full((4000, 1), 13), control, 1.0).float()
    assert set(counts.flatten().tolist()) == ({0.0, 1.0} if pairs else {1.0, 2.0})
    assert abs(float(counts.mean()) - 13 * 0.15 / (2 if pairs else 1)) < 0.05


def test_all_sets_of_places_are_as_likely() -> None:
    count, n, k = 20_000, 6, 3
    key = np.stack([np.arange(count), np.full(count, 5)], 1)
    words = drawn(key, [(1, k)], torch.device("cpu"))[0]
    chosen = choose(torch.full((count, 1), n), torch.full((count, 1), k), words, n).sort(1).values
    seen = Counter(map(tuple, chosen.tolist()))
    assert set(seen) == set(combinations(range(n), k))
    expected = count / 20
    assert sum((found - expected) ** 2 / expected for found in seen.values()) < 43.8  # 0.1 % of 19 degrees of freedom


@given(n=st.integers(0, 40), k=st.integers(0, 40), key=st.tuples(*[st.integers(0, 2**24 - 1)] * 2))
@few
def test_places_are_those_of_floyds_algorithm(n: int, k: int, key: tuple[int, int]) -> None:
    k = min(n, k)
    chosen: list[int] = []
    for c in range(k):
        word = philox((*key, 1, c // 4), (0x746F6B6E, 0))[c % 4]
        place = (word * (n - k + c + 1)) >> 32
        chosen.append(n - k + c if place in chosen else place)
    words = drawn(np.array([key]), [(1, 41)], torch.device("cpu"))[0]
    found = choose(torch.tensor([[n]]), torch.tensor([[k]]), words, 40)[0].tolist()
    assert found == chosen + [40] * (41 - k)


def test_unknown_words_are_words_and_are_never_written() -> None:
    batch = batch_of([sentence(UNK, 5, UNK, 6)] * 100)
    done = run(T.TokenDelete(vocabulary=RIGHT, rate=0.5), batch)
    assert len({int((row == UNK).sum()) for row in done["input_ids"]}) > 1
    done = run(T.TokenMask(vocabulary=RIGHT, rate=1.0, mask_share=0, random_share=1), batch_of([sentence(5)] * 999))
    assert set(done["input_ids"][:, 1].tolist()) == set(range(5, SIZE))


@pytest.mark.parametrize("name", NAMES)
def test_rows_without_words_stay_as_they_are(name: str) -> None:
    batch = batch_of([[CLS, SEP], [SEP], []], 4)
    for compiled in (True, False):
        done = run(each(RIGHT, rate=1.0, min_edits=2)[name], batch, compiled=compiled)
        assert torch.equal(done["input_ids"], batch["input_ids"])
        assert torch.equal(done["attention_mask"], batch["attention_mask"])


@pytest.mark.parametrize("change", [{"rate": 1.2}, {"rate": (0.5, 0.2)}, {"min_edits": -1}, {"max_edits": True}])
def test_a_bad_argument_names_itself(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"TokenSwap: {next(iter(change))}="):
        T.TokenSwap(**change)


@pytest.mark.parametrize(
    ("cls", "change"),
    [
        (T.TokenInsert, {"source": "word"}),
        (T.TokenMask, {"style": "bert"}),
        (T.TokenMask, {"mask_share": 0.8, "random_share": 0.3}),
        (T.TokenMask, {"mean_length": 0.5}),
        (T.TokenMask, {"max_length": 0}),
        (T.TokenCutoff, {"style": "word"}),
        (T.TokenSynonym, {"vocabulary": "bert"}),
        (T.TokenSynonym, {"vocabulary": TokenVocabulary.from_mapping({"[PAD]": 0, "a": 1}, pad="[PAD]")}),
        (T.TokenMask, {"vocabulary": TokenVocabulary.from_mapping({"[PAD]": 0, "a": 1}, pad="[PAD]")}),
    ],
)
def test_an_argument_that_does_not_suit_names_itself(cls: Any, change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"{cls.__name__}: {list(change)[-1]}="):
        cls(**change)
