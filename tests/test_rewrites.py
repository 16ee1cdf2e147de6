from __future__ import annotations

import re
import time
from typing import Any

import pytest

from augsynth import Pipeline
from augsynth import transforms as T
from augsynth.transforms.rewrites import CONTRACT, EXPAND, sentences


def run(transform: Any, text: str, times: int = 40) -> list[str]:
    done: list[str] = Pipeline([transform])([text] * times, index=range(times))
    return done


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("I do not know", "I don't know"),
        ("I don't know", "I do not know"),
        ("we can't go", "we cannot go"),
        ("You are right", "You're right"),
        ("They’re late and won’t come", "They are late and will not come"),
        ("DO NOT go", "DON'T go"),
        ("I am here, he said", "I'm here, he said"),
        ("I've seen it", "I have seen it"),
        ("It is fine", "It's fine"),
        ("it’s fine, you are not", "it’s fine, you’re not"),
        ("It Is Not Here, I do NOT go", "It's Not Here, I don't go"),
        ("I will not go. He is not there", "I won't go. He's not there"),
        ("i'm the king, isn't that so", "i am the king, isn't that so"),
        ("I'm the king. It isn't the end", "I am the king. It is not the end"),
        ("Don't go", "Do not go"),
    ],
)
def test_contractions_keep_case_and_apostrophe(before: str, after: str) -> None:
    assert run(T.ContractionToggle(rate=1.0), before, 1) == [after]


@pytest.mark.parametrize(
    "text",
    ["it's been good", "he'd gone", "the king's car", "I have a car", "I know what it is", "do notice", "that is."],
)
def test_what_is_ambiguous_is_left_alone(text: str) -> None:
    assert run(T.ContractionToggle(rate=1.0), text, 3) == [text] * 3


@pytest.mark.parametrize(
    "text",
    [
        *(
            "Isn't it nice?",
            "Why can't you come?",
            "Why hasn't payment gone through?",
            "You know, don't you",
            "Haven't the kids left? Didn’t Anna go?",
        ),
        *(
            "I know how old you are now",
            "He's taller than she is in it",
            "Yes, I am and you are too",
            "I wouldn't've gone",
        ),
    ],
)
def test_what_would_be_no_english_is_left_alone(text: str) -> None:
    assert run(T.ContractionToggle(rate=1.0), text, 3) == [text] * 3


def test_contractions_go_back_and_forth() -> None:
    assert all(CONTRACT[long] == short for short, long in EXPAND.items() if not short.endswith("'ve"))
    assert not any(short.endswith(("'s", "'d")) for short in EXPAND)


def test_words_that_the_user_holds_are_not_contracted() -> None:
    assert run(T.ContractionToggle(rate=1.0, protect=("do not",)), "I do not know", 3) == ["I do not know"] * 3


def test_numbers_keep_their_length_and_lose_one_digit() -> None:
    for after in run(T.NumberNoise(rate=1.0), "It cost $1,024.50 (or 17 %), on 10:30."):
        assert re.fullmatch(r"It cost \$\d,\d\d\d\.\d\d \(or \d\d %\), on \d\d:\d\d\.", after)
        assert sum(a != b for a, b in zip(after, "It cost $1,024.50 (or 17 %), on 10:30.", strict=True)) == 3


def test_the_first_of_several_digits_is_never_0() -> None:
    done = " ".join(run(T.NumberNoise(rate=1.0), "17 or 1,024", 300))
    assert {"97", "27"} < set(done.split())
    assert {"9,024", "2,024"} < set(done.split())
    assert not {"07", "0,024"} & set(done.split())
    assert "0" in run(T.NumberNoise(rate=1.0), "5", 60)


def test_numbers_in_names_and_addresses_stay() -> None:
    text = "call x1 at me2@x.org, https://x.org/3, {4}, [5 6], v7.8, C-19"
    assert run(T.NumberNoise(rate=1.0), text, 3) == [text] * 3
    assert run(T.NumberNoise(rate=1.0, protect=("17",)), "call 17", 3) == ["call 17"] * 3


def test_digits_change_places() -> None:
    assert set(run(T.NumberNoise(rate=1.0, mode="swap"), "on 123 or 77")) == {"on 213 or 77", "on 132 or 77"}
    assert run(T.NumberNoise(rate=1.0, mode="swap"), "only 10", 3) == ["only 10"] * 3


def test_spaces_change_and_nothing_else() -> None:
    text = "one two  three https://x.org four {a b c} five"
    done = run(T.WhitespaceNoise(rate=0.7), text)
    assert len(set(done)) == 3
    for after in done:
        assert re.sub(r"\s", "", after) == re.sub(r"\s", "", text)
        assert "{a b c}" in after
        assert re.search(r"  three https://x\.org four ", after)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("One. Two! Three? Four", ["One.", "Two!", "Three?", "Four"]),
        ("Dr. Who met X. in the U.S. army, e.g. now. Done.", ["Dr. Who met X. in the U.S. army, e.g. now.", "Done."]),
        ("他来了。你好！ ok", ["他来了。", "你好！", "ok"]),
        ('He said "No." Then he left…  Bye', ['He said "No."', "Then he left…", "Bye"]),
        ("3.5 is a number", ["3.5 is a number"]),
        ("No. 5 is here. She said no. No. Yes.", ["No. 5 is here.", "She said no.", "No.", "Yes."]),
        ("Apples etc. are here, pears etc. Bye. :-)", ["Apples etc. are here, pears etc.", "Bye."]),
        ("1. Go left. 2. Stop! 3.", ["1. Go left.", "2. Stop!"]),
        ("Wait... what?! ...", ["Wait...", "what?!"]),
        ("  ", []),
    ],
)
def test_sentences(text: str, parts: list[str]) -> None:
    assert [text[start:end] for start, end in sentences(text)] == parts


def test_sentences_change_places_with_all_that_is_in_them() -> None:
    text = "I am not here.  It cost $3.50! See https://x.org today?"
    done = set(run(T.SentenceShuffle(rate=1.0), text))
    assert "It cost $3.50!  I am not here. See https://x.org today?" in done
    assert all(sorted(after.split()) == sorted(text.split()) for after in done)
    assert run(T.SentenceShuffle(rate=1.0), "Only one sentence here.", 3) == ["Only one sentence here."] * 3


def test_sentences_are_not_cut_inside_of_what_is_held() -> None:
    text = "Dear {Mr. Name. You} there. <b. c> Go. Come. now. Please wait."
    done = run(T.SentenceShuffle(rate=1.0, protect=("come. now",)), text)
    assert len(set(done)) == 3
    assert all(part in after for after in done for part in ("Dear {Mr. Name. You} there.", "<b. c> Go.", "Come. now."))


@pytest.mark.parametrize(
    "name", ["ContractionToggle", "NumberNoise", "WhitespaceNoise", "SentenceShuffle", "CaseNoise"]
)
@pytest.mark.parametrize(
    "part",
    ["!", '."', "1.", "(", " ", "do not ", "it is ", "。", "A. ", "1. ", "e\u0301", "{", "don't ", "what is it "],
)
def test_long_texts_take_time_in_proportion(name: str, part: str) -> None:
    text = part * (100_000 // len(part)) + "x"
    began = time.process_time()
    Pipeline([T.TEXTS[name](rate=0.5)])(text, index=0)
    assert time.process_time() - began < 5  # 0.3 s; hours where each sign looks at all those behind it


def test_spans_move_with_their_sentence() -> None:
    text = "Anna came. Bob left."
    spans = [(0, 4, "PERSON"), (11, 14, "PERSON")]
    for index in range(10):
        done = Pipeline([T.SentenceShuffle(rate=1.0)])({"text": text, "spans": spans}, index=index)
        assert [done["text"][start:end] for start, end, _ in done["spans"]] == ["Anna", "Bob"]
