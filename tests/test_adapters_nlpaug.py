from __future__ import annotations

import pickle
import random
import re

import nlpaug.augmenter.audio as naa
import nlpaug.augmenter.char as nac
import nlpaug.augmenter.word as naw
import nlpaug.flow as naf
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from nlpaug.augmenter.sentence.sentence_augmenter import SentenceAugmenter
from nlpaug.augmenter.word.word_augmenter import WordAugmenter
from text_samples import edited

from augsynth.adapters.nlpaug import FromNlpaug, from_nlpaug
from augsynth.errors import SampleError
from augsynth.pipeline import Pipeline
from augsynth.program import Plan
from augsynth.rng import Rng
from augsynth.text.document import Document
from augsynth.text.edits import Edit, map_spans, splice
from augsynth.text.rewriting import difference, keeps_held
from augsynth.text.stream import Stream
from augsynth.text_run import edit_and_list
from augsynth.transforms.text import RandomDeletion, RandomSwap

# What nlpaug's own tokenizer does not give back as it was.
ORDINARY = [
    "It doesn't work (yet).", "It costs $3.50 now.", "See https://example.org/a?b=c for more.", "Mail me@example.org!",
    "The U.S.A. won.", "tabs\tand\n\nlines", "an end </s> here", "C++ and C# code", "  two  spaces  ", 'he said "no"',
    "20% of it, i.e. 3/4",
]  # fmt: skip
TEXT = "The music of this film was great, and nobody liked the ending (it's long) but 3.50 is cheap."
AUGMENTERS = {
    "keyboard": nac.KeyboardAug(),
    "ocr": nac.OcrAug(),
    "insert": nac.RandomCharAug("insert"),
    "substitute": nac.RandomCharAug("substitute"),
    "swap": nac.RandomCharAug("swap"),
    "delete": nac.RandomCharAug("delete"),
    "word swap": naw.RandomWordAug("swap"),
    "word delete": naw.RandomWordAug("delete"),
    "word substitute": naw.RandomWordAug("substitute"),
    "crop": naw.RandomWordAug("crop"),
    "spelling": naw.SpellingAug(),
    "split": naw.SplitAug(),
    "reserved": naw.ReservedAug(reserved_tokens=[["film", "movie"]]),
    "sequential": naf.Sequential([nac.KeyboardAug(), naw.RandomWordAug("swap")]),
    "sometimes": naf.Sometimes([nac.OcrAug(), naw.SplitAug()]),
    "nested": naf.Sequential([naf.Sometimes([nac.KeyboardAug()]), naw.RandomWordAug("delete")]),
}
EACH = pytest.mark.parametrize("augmenter", AUGMENTERS.values(), ids=AUGMENTERS)


def one(transform, text, key=(1, 2)):
    document = Document(text)
    document.protect(transform.protection)
    transform.edit(document, Stream(key), 1.0)
    return document


def states():
    numpy_state = np.random.get_state()[1].tolist()  # noqa: NPY002
    return random.getstate(), numpy_state, torch.random.get_rng_state().tolist()


class Fixed(WordAugmenter):
    """Return what it is told to."""

    def __init__(self, result):
        super().__init__(action="substitute")
        self.result = result

    def augment(self, data, n=1, num_thread=1):
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


class Rewriting(SentenceAugmenter):
    """Return what it is told to, as an augmenter of sentences."""

    def __init__(self, result):
        super().__init__(action="substitute")
        self.result = result

    def augment(self, data, n=1, num_thread=1):
        return [self.result if isinstance(self.result, str) else self.result(data)]


@EACH
def test_a_string_goes_in_and_a_string_comes_out(augmenter):
    transform = FromNlpaug(augmenter)
    texts = [TEXT, "", " ", "\U0001f600", *ORDINARY]
    if augmenter is not AUGMENTERS["crop"]:  # it raises for less than three words
        texts += ["x", "\u7535\u5f71 film"]
    done = edited(transform, texts)[0]
    assert [type(text) for text in done] == [str] * len(texts)
    assert done[1] is texts[1]
    assert any(edited(transform, [TEXT], epoch=epoch)[0] != [TEXT] for epoch in range(5))


@EACH
def test_a_key_gives_its_result_whatever_the_global_state_is(augmenter):
    transform, texts = FromNlpaug(augmenter), [TEXT] * 12
    first = edited(transform, texts)[0]
    random.seed(5)
    np.random.seed(5)  # noqa: NPY002
    torch.manual_seed(5)
    assert edited(transform, texts)[0] == first
    assert edited(transform, texts[:1], index=[7])[0][0] == first[7]
    if augmenter is not AUGMENTERS["reserved"]:
        assert len(set(first)) > 3


@EACH
def test_global_random_states_stay_as_they_were(augmenter):
    before = states()
    edited(FromNlpaug(augmenter), [TEXT])
    assert states() == before


@EACH
def test_what_is_protected_stays(augmenter):
    for text in edited(FromNlpaug(augmenter, protect=("great", "film")), [TEXT] * 25)[0]:
        words = re.findall(r"\w+(?:\.\w+)*", text)
        assert [words.count(word) for word in ("nobody", "great", "film", "3.50")] == [1, 1, 1, 1]


@pytest.mark.parametrize("text", ORDINARY)
def test_what_nlpaug_only_spaces_differently_stays(text):
    spaced = naw.RandomWordAug("delete")
    altered = spaced.reverse_tokenizer(spaced.tokenizer(spaced.clean(text)))
    assert one(FromNlpaug(Fixed([altered])), text).finish() is text


def test_only_what_changed_is_edited():
    document = one(FromNlpaug(Fixed(["It doesn ' t wrok (yet ). $ 3. 50"])), "It doesn't  work (yet).\t$3.50")
    assert document.edits == [Edit(12, 16, "wrok")]
    assert document.finish() == "It doesn't  wrok (yet).\t$3.50"
    assert map_spans([(18, 21)], document.edits) == [(18, 21)]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("a good day", "a day", "a day"),
        ("a  good\tday", "a day", "a  day"),
        ("a good day.", "a good.", "a good."),
        ("good day", "day", "day"),
        ("a good day", "a very good day", "a very good day"),
        ("a good day", "a good day today", "a good day today"),
        ("a good, day", "a , good day", "a , good day"),
        ("was great, and", "was great and ,", "was great and ,"),
        ("a (b) c", "a ( new b ) c", "a (new b) c"),
        ("house", "ho use", "ho use"),
        ("one  two\tthree", "two one three", "two  one\tthree"),
        ("one two three four", "two three one four", "two three one four"),
        ("", "new", "new"),
        ("old", "", ""),
    ],
)
def test_differences_are_words_and_signs(old, new, expected):
    edits = [edit for group in difference(old, new) for edit in group]
    assert splice(old, edits).split() == expected.split()
    assert splice(old, edits).replace(" ", "") == expected.replace(" ", "")


WORDS = st.lists(st.sampled_from(["one", "two", "Three", "don't", ",", "(x)", "\u00e9t\u00e9", "3.50"]), max_size=8)


@settings(max_examples=300)
@given(WORDS, WORDS, st.sampled_from([" ", "  ", "\t", "\n"]))
def test_edits_make_the_same_words_whatever_differs(old, new, space):
    text, other = space.join(old), " ".join(new)
    done = splice(text, [edit for group in difference(text, other) for edit in group])
    assert "".join(done.split()) == "".join(other.split())


@pytest.mark.parametrize("seed", range(8))
def test_long_texts_are_compared_in_parts(seed):
    generator = random.Random(seed)
    old = [generator.choice("abcdefgh") for _ in range(3000)]
    new = list(old)
    for _ in range(30):
        at = generator.randrange(len(new))
        new[at : at + generator.randrange(3)] = generator.choices("xyz", k=generator.randrange(3))
    text, other = " ".join(old), " ".join(new)
    edits = [edit for group in difference(text, other) for edit in group]
    assert splice(text, edits).split() == new
    assert sum(edit.end - edit.start + len(edit.text) for edit in edits) < 500


def test_words_that_change_places_move_together_or_not_at_all():
    swapped = "good The film 3.50 was one"
    document = one(FromNlpaug(Fixed([swapped])), "The good film was 3.50 one")
    assert document.finish() == "good The film was 3.50 one"


@pytest.mark.parametrize(
    "result", ["a fine plot", ["a fine plot"], [["a fine plot"]], (["a fine plot"], [{"action": "x"}])]
)
def test_all_shapes_of_results_are_read(result):
    assert one(FromNlpaug(Fixed(result)), "a good plot").finish() == "a fine plot"


@pytest.mark.parametrize("result", [[], [[]], ["a good plot"]])
def test_no_result_leaves_the_text(result):
    text = "a good plot"
    assert one(FromNlpaug(Fixed(result)), text).finish() is text


def test_what_is_no_string_or_raises_names_the_augmenter_and_the_text():
    with pytest.raises(SampleError, match=r"sample 0 \(index 4\).*nlpaug's Fixed returned int, not a string"):
        edited(FromNlpaug(Fixed([3])), ["a plot"], index=[4])
    with pytest.raises(SampleError, match=r"nlpaug's Fixed raised KeyError"):
        edited(FromNlpaug(Fixed(KeyError("x"))), ["a plot"])


def test_sentences_written_anew_are_one_edit_or_none():
    new = FromNlpaug(Rewriting("a dull plot from 1999 on"))
    assert new.rewrites
    assert one(new, "the good plot from 1999").edits == [Edit(0, 23, "a dull plot from 1999 on")]
    text = "not the good plot from 1999"
    assert one(new, text).finish() is text
    assert not FromNlpaug(nac.KeyboardAug()).rewrites


def test_sentences_written_anew_start_from_what_is_there():
    plan = Plan.of({"first": RandomDeletion(rate=1.0, max_edits=2), "then": FromNlpaug(Rewriting(str.upper))})
    done, edits = edit_and_list(plan, ["he liked the plot"] * 4, Rng.of(0, range(4)))
    left = edit_and_list(
        Plan.of({"first": RandomDeletion(rate=1.0, max_edits=2)}), ["he liked the plot"] * 4, Rng.of(0, range(4))
    )
    assert done == [text.upper() for text in left[0]]
    assert all(len(row) == 1 for row in edits)


@EACH
def test_it_stands_beside_our_own_transforms(augmenter):
    plan = Plan.of({"first": RandomSwap(rate=0.3), "then": FromNlpaug(augmenter), "last": RandomDeletion(rate=0.3)})
    done, edits = edit_and_list(plan, [TEXT] * 20, Rng.of(0, range(20)))
    assert done == [splice(TEXT, row) for row in edits]
    assert all("nobody" in text for text in done)


@EACH
def test_pickles_are_equal_and_do_the_same(augmenter):
    transform = FromNlpaug(augmenter, p=0.9, protect=False)
    again = pickle.loads(pickle.dumps(transform))
    assert again == transform
    assert hash(again) == hash(transform)
    assert edited(again, [TEXT] * 5)[0] == edited(transform, [TEXT] * 5)[0]
    assert transform != FromNlpaug(augmenter, p=0.8, protect=False)


def test_learned_words_are_protected():
    learning = Pipeline([FromNlpaug(naw.RandomWordAug("delete"), protect="labels")])
    learned = learning.learn(["a bad film"] * 40 + ["a good film"] * 40, [0] * 40 + [1] * 40)
    done = learned(["they saw a good and long film"] * 20, index=range(20))
    assert all("good" in text for text in done)
    assert not all("long" in text for text in done)


def test_how_much_is_changed_is_the_augmenters_business():
    with pytest.raises(ValueError, match=r"rate=0\.2 is not valid; expected 0\.1: give the augmenter its own aug_p"):
        FromNlpaug(nac.OcrAug(), rate=0.2)


def test_other_settings_are_not_equal():
    assert FromNlpaug(nac.KeyboardAug(aug_char_p=0.1)) != FromNlpaug(nac.KeyboardAug(aug_char_p=0.2))
    assert FromNlpaug(naf.Sequential([nac.OcrAug()])) != FromNlpaug(naf.Sequential([nac.KeyboardAug()]))
    assert FromNlpaug(nac.OcrAug()) != FromNlpaug(nac.KeyboardAug())


@pytest.mark.parametrize("other", [3, "aug", nac.KeyboardAug, torch.nn.Linear(1, 1), None, [nac.OcrAug()]])
def test_what_is_no_augmenter_of_nlpaug_is_refused(other):
    with pytest.raises(TypeError, match="takes an augmenter of nlpaug, got"):
        FromNlpaug(other)


def test_what_augments_sound_is_refused():
    with pytest.raises(TypeError, match="NoiseAug does not augment text, but audio"):
        FromNlpaug(naa.NoiseAug())


def test_all_held_words_must_be_there_as_often():
    document = Document("not now, not then, 3.50")
    document.protect(FromNlpaug(nac.KeyboardAug()).protection)
    assert keeps_held(document, "3.50 then, not Not")
    assert not keeps_held(document, "3.50 then, not")
    assert not keeps_held(document, "3.51 not not")


def test_a_list_of_augmenters_is_a_pipeline():
    pipeline = from_nlpaug([nac.KeyboardAug(), naw.RandomWordAug("delete")], seed=3)
    assert pipeline.seed == 3
    assert [type(part) for part in pipeline.transforms.values()] == [FromNlpaug, FromNlpaug]
    assert list(from_nlpaug(naf.Sequential([nac.OcrAug()])).transforms) == ["from_nlpaug"]
