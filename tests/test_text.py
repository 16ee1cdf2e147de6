from __future__ import annotations

import itertools
import pickle
import random
from collections import Counter
from dataclasses import fields
from typing import Any

import numpy as np
import pytest
import torch
from text_samples import ALL, BAD, BAD_EVERYWHERE, CASES, EXAMPLES, HELD, HOLDING, ORDINARY, Words, make, words_of

from augsynth import Pipeline
from augsynth import transforms as T
from augsynth.compiled import kernel
from augsynth.errors import SampleError
from augsynth.rng import Rng, philox
from augsynth.text.edits import splice
from augsynth.text.stream import Stream
from augsynth.text_run import edit_and_list, edit_texts
from augsynth.transforms.text import Text

MANY = [f"{text} {i}x" if text.strip() else text for i in range(6) for text in ALL]
LONG = " ".join(["one two three four five six seven eight nine ten"] * 20)


def run(transforms: Any, texts: list[str], epoch: int = 0, **options: Any) -> list[str]:
    done: list[str] = Pipeline(transforms, seed=5)(texts, index=range(len(texts)), epoch=epoch, **options)
    return done


def test_every_transform_has_examples() -> None:
    assert set(EXAMPLES) == set(BAD) == set(T.TEXTS)
    assert all(issubclass(kind, Text) for kind in T.TEXTS.values())


@pytest.mark.skipif(kernel is None, reason="there was no compiler at installation")
@pytest.mark.parametrize(("name", "arguments"), CASES)
def test_the_compiled_engine_and_python_make_the_same_edits(name: str, arguments: dict[str, Any]) -> None:
    plan = Pipeline([make(name, arguments), T.RandomSwap(p=0.5, rate=0.3)], seed=5).text_plan
    assert plan is not None
    rng = Rng.of(5, np.arange(len(MANY)), 2)
    for strength in (1.0, 0.4):
        compiled = edit_and_list(plan, MANY, rng, strength)
        assert compiled == edit_and_list(plan, MANY, rng, strength, compiled=False)
        assert compiled[0] == edit_texts(plan, MANY, rng, strength)


@pytest.mark.parametrize(("name", "arguments"), CASES)
def test_what_is_not_edited_stays_to_the_byte(name: str, arguments: dict[str, Any]) -> None:
    plan = Pipeline([make(name, arguments)]).text_plan
    assert plan is not None
    done, edits = edit_and_list(plan, MANY, Rng.of(0, np.arange(len(MANY))))
    assert any(edits)
    assert done == [splice(text, own) for text, own in zip(MANY, edits, strict=True)]
    assert all(after is before for before, after, own in zip(MANY, done, edits, strict=True) if not own)


@pytest.mark.parametrize(("name", "arguments"), HOLDING)
def test_what_is_held_stays(name: str, arguments: dict[str, Any]) -> None:
    kept = {
        "It costs $3.50 today": "$3.50",
        HELD[1]: "me@example.org",
        HELD[2]: "U.S.A.",
        HELD[3]: "{first name of you}",
    }
    texts = list(kept) * 20
    for before, after in zip(texts, run([make(name, arguments)], texts), strict=True):
        assert kept[before] in after
    held = run([make(name, arguments)], [ORDINARY[1]] * 50)
    assert all("isn't" in text for text in held) or name == "ContractionToggle"


@pytest.mark.parametrize(("name", "arguments"), CASES)
def test_a_gate_that_is_closed_gives_the_same_object(name: str, arguments: dict[str, Any]) -> None:
    for options in ({"p": 0.0}, {"rate": 0.0, "min_edits": 0}):
        done = run([make(name, {**arguments, **options})], list(ALL))
        assert all(after is before for before, after in zip(ALL, done, strict=True))
    done = run([make(name, arguments)], list(ALL), strength=0.0)
    assert all(after is before for before, after in zip(ALL, done, strict=True))


@pytest.mark.parametrize(("name", "arguments"), CASES)
def test_a_text_depends_on_its_key_alone(name: str, arguments: dict[str, Any]) -> None:
    pipeline = Pipeline([make(name, arguments)], seed=5)
    batch = pipeline(MANY, index=range(len(MANY)), epoch=3)
    assert batch == [pipeline(text, index=i, epoch=3) for i, text in enumerate(MANY)]
    order = np.random.default_rng(0).permutation(len(MANY)).tolist()
    assert [batch[i] for i in order] == pipeline([MANY[i] for i in order], index=order, epoch=3)
    assert batch == pipeline(MANY, index=range(len(MANY)), epoch=3)
    others = (pipeline(MANY, index=range(len(MANY)), epoch=4), pipeline(MANY, index=range(7, 7 + len(MANY)), epoch=3))
    assert batch not in others


@pytest.mark.parametrize(("name", "arguments"), CASES)
def test_pickling_and_rebuilding_give_an_equal_transform(name: str, arguments: dict[str, Any]) -> None:
    transform = make(name, arguments)
    run([transform], list(ORDINARY))
    copy = pickle.loads(pickle.dumps(transform))
    assert copy == transform
    assert run([copy], list(ALL)) == run([transform], list(ALL))
    assert type(transform)(**{field.name: getattr(transform, field.name) for field in fields(transform)}) == transform


@pytest.mark.parametrize(("name", "arguments"), [(n, a) for n in BAD for a in (*BAD[n], *BAD_EVERYWHERE)])
def test_a_bad_argument_is_named(name: str, arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"{name}: ({'|'.join(arguments)})=") as caught:
        T.TEXTS[name](**arguments)
    assert "expected" in str(caught.value)


def test_removing_a_transform_leaves_the_draws_of_the_others_alone() -> None:
    swap = {"swap": T.RandomSwap(rate=0.4)}
    closed = {"delete": T.RandomDeletion(p=0.0), **swap, "mark": T.PunctuationInsertion(p=0.0)}
    assert run(swap, MANY) == run(closed, MANY)


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_keyed_call_leaves_global_random_states_alone(name: str) -> None:
    torch_state, numpy_state, python_state = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()  # noqa: NPY002
    run([make(name, EXAMPLES[name][0])], list(ALL))
    assert torch.equal(torch_state, torch.get_rng_state())
    assert (numpy_state == np.random.get_state()[1]).all()  # noqa: NPY002
    assert python_state == random.getstate()


def test_the_share_of_edited_words_is_the_rate() -> None:
    texts = [LONG] * 300
    deleted = 1 - np.mean([len(words_of(text)) for text in run([T.RandomDeletion(rate=0.137)], texts)]) / 200
    assert deleted == pytest.approx(0.137, abs=0.002)
    some = run([T.RandomDeletion(rate=0.137)], ["one two three"] * 3000)
    assert 1 - np.mean([len(words_of(text)) for text in some]) / 3 == pytest.approx(0.137, abs=0.02)
    halved = run([T.RandomDeletion(rate=0.2)], texts, strength=0.5)
    # Half as often, and half as much.
    assert np.mean([len(words_of(text)) for text in halved]) == pytest.approx(190, abs=2)


def test_a_range_of_rates_is_drawn_for_each_text_and_bounds_hold() -> None:
    counts = [200 - len(words_of(text)) for text in run([T.RandomDeletion(rate=(0.0, 0.5))], [LONG] * 400)]
    assert min(counts) < 10
    assert max(counts) > 90
    assert np.mean(counts) == pytest.approx(50, abs=4)
    bounded = run([T.RandomDeletion(rate=(0.0, 0.5), min_edits=30, max_edits=40)], [LONG] * 400)
    counts = [200 - len(words_of(text)) for text in bounded]
    assert (min(counts), max(counts)) == (30, 40)


def test_a_gate_opens_with_its_probability() -> None:
    done = run([T.RandomDeletion(p=0.3, min_edits=1)], [LONG] * 2000)
    assert np.mean([text is not LONG for text in done]) == pytest.approx(0.3, abs=0.03)


def test_swapping_keeps_all_words_and_all_that_stands_between() -> None:
    for before, after in zip(ORDINARY * 20, run([T.RandomSwap(rate=0.5)], list(ORDINARY) * 20), strict=True):
        assert Counter(words_of(after)) == Counter(words_of(before))
        assert len(after) == len(before)
    assert run([T.RandomSwap(rate=1.0)], [LONG])[0] != LONG


def test_deletion_keeps_order_and_at_least_one_word_and_takes_one_space_along() -> None:
    done = run([T.RandomDeletion(rate=1.0)], ["alpha beta gamma."] * 20)
    assert set(done) <= {"alpha.", "beta.", "gamma."}
    assert len(set(done)) > 1
    assert run([T.RandomDeletion(rate=1.0)], ["word"]) == ["word"]
    assert "  " not in "".join(run([T.RandomDeletion(rate=0.3)], [LONG] * 20))


def test_punctuation_stands_before_words_with_a_space() -> None:
    for after in run([T.PunctuationInsertion(rate=0.3, marks=("#",), min_edits=1)], [ORDINARY[1]] * 30):
        assert after.replace("# ", "") == ORDINARY[1]
        assert "#" in after


def test_synonyms_take_the_case_of_the_word() -> None:
    done = run([T.SynonymReplacement(rate=1.0, lexicon=Words())], ["Good film, LONG King; GooD fox"])[0]
    words = words_of(done)
    assert words[0] == "Fine"
    assert words[1] in ("movie", "picture")
    assert words[2] in ("LENGTHY", "DRAWN")
    assert words[-3:] == ["Monarch", "GooD", "vixen"]


def test_inserted_words_are_synonyms_of_words_of_the_text() -> None:
    done = run([T.RandomInsertion(rate=0.5, lexicon=Words())], ["the good king is here today my friend"] * 50)
    added = [Counter(words_of(text)) - Counter(words_of("the good king is here today my friend")) for text in done]
    assert {word for counter in added for word in counter} == {"fine", "monarch", "nowadays"}


def test_letters_change_places_within_words() -> None:
    for before, after in zip(ORDINARY, run([T.CharSwap(rate=0.5)], list(ORDINARY)), strict=True):
        assert sorted(after) == sorted(before)
        assert [i for i, sign in enumerate(after) if not sign.isalnum()] == [
            i for i, sign in enumerate(before) if not sign.isalnum()
        ]


def test_a_word_keeps_one_letter_and_short_words_can_be_left_alone() -> None:
    assert len(words_of(run([T.CharDelete(rate=1.0)], ["some words to cut"])[0])) == 4
    assert run([T.CharDelete(rate=1.0, min_length=5)], ["some tiny word that not is"]) == ["some tiny word that not is"]


def test_no_mark_is_parted_from_its_letter() -> None:
    text = "e\u0301le\u0301phant n\u0303ame"
    for name in ("CharSwap", "CharDelete", "CharInsert"):
        for after in run([make(name, {"rate": 0.5})], [text] * 30):
            assert after.count("e\u0301") == 2
            assert after.count("n\u0303") == 1


def test_choices_are_part_of_the_draw() -> None:
    one = T.OneOf({"delete": T.RandomDeletion(rate=0.5), "mark": T.PunctuationInsertion(rate=0.5, marks=("#",))})
    done = run([one, T.RandomApply([T.CharSwap(rate=1.0)], p=0.5)], [LONG] * 200)
    marked = sum("#" in text for text in done)
    assert 60 < marked < 140
    assert all(("#" in text) != (len(words_of(text)) < 200) for text in done)


def test_a_run_edits_no_character_twice() -> None:
    chain = [
        T.RandomSwap(rate=0.5),
        T.RandomDeletion(rate=0.5),
        T.CharSwap(rate=0.5),
        T.SynonymReplacement(lexicon=Words()),
    ]
    plan = Pipeline(chain).text_plan
    assert plan is not None
    for own in edit_and_list(plan, MANY, Rng.of(0, np.arange(len(MANY))))[1]:
        assert all(one.end <= two.start for one, two in itertools.pairwise(own))


def test_a_text_of_a_million_characters_is_edited_in_a_second_or_so() -> None:
    text = "all work and no play makes Jack a dull boy. " * 24_000
    chain = [T.RandomDeletion(), T.RandomSwap(), T.CharSwap(rate=0.01), T.PunctuationInsertion()]
    assert len(Pipeline(chain)(text, index=1)) != len(text) > 1_000_000


@pytest.mark.parametrize("texts", [["a b", "\ud800x"], ["a b", 3], ["a b", None]])
def test_what_is_no_text_is_named(texts: list[Any]) -> None:
    plan = Pipeline([T.RandomDeletion()]).text_plan
    assert plan is not None
    for compiled in (True, False):
        with pytest.raises(SampleError, match=r"sample 1 \(index 8\)"):
            edit_texts(plan, texts, Rng.of(0, [7, 8]), compiled=compiled)


def test_an_error_in_the_user_s_function_is_named_and_nothing_is_lost() -> None:
    def fails(text: str) -> list[tuple[int, int]]:
        raise RuntimeError("no spans today")

    with pytest.raises((RuntimeError, SampleError), match="no spans today"):
        run([T.RandomDeletion(protect=fails)], ["a b c"])


def test_strength_outside_0_to_1_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"strength=1\.5 must lie in 0 to 1"):
        run([T.RandomDeletion()], ["a b"], strength=1.5)


def test_streams_are_philox_words_and_choices_are_uniform() -> None:
    stream = Stream((3, 4), entry=2)
    words = [*philox((0, 0, 2, 0x74657874), (3, 4)), *philox((1, 0, 2, 0x74657874), (3, 4))]
    assert [stream.word() for _ in range(8)] == words
    counts = Counter(tuple(Stream((i, 0)).choose(5, 2)) for i in range(4000))
    assert len(counts) == 10
    assert max(counts.values()) < 500
    assert min(counts.values()) > 310
    assert Stream((0, 0)).choose(3, 3) == [0, 1, 2]
    assert Stream((0, 0)).choose(3, 0) == []


def test_texts_of_one_sample_are_edited_apart() -> None:
    pipeline = Pipeline([T.RandomDeletion(rate=0.4)])
    done = pipeline({"premise": LONG, "hypothesis": LONG}, index=3)
    assert done["premise"] == pipeline(LONG, index=3)
    assert done["hypothesis"] != done["premise"]


def test_a_combination_of_texts_and_images_is_an_error() -> None:
    with pytest.raises(ValueError, match="one_of: OneOf combines transforms of text with others"):
        Pipeline([T.OneOf([T.RandomDeletion(), T.RandomHorizontalFlip()])])


def test_explain_says_what_runs_where() -> None:
    said = Pipeline([T.RandomDeletion(), T.RandomSwap()]).explain()
    assert said.startswith("text[random_deletion, random_swap] (engine ")
    both = Pipeline([T.RandomDeletion(), T.RandomHorizontalFlip()]).explain()
    assert "text[random_deletion]" in both
    assert "warp[random_horizontal_flip]" in both
