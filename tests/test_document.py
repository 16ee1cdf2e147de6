from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from text_samples import words_of

from augsynth.text.characters import KIND, LETTER, SPACE, classes
from augsynth.text.document import Document
from augsynth.text.protection import protection


def held(text: str, protect: object = True) -> list[str]:
    document = Document(text)
    document.protect(protection(protect))
    return [text[start:end] for start, end in document.words if not document.free(start, end)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("It doesn't work (yet).", ["It", "doesn't", "work", "yet"]),
        ("it’s 'quoted' rock'n'roll", ["it’s", "quoted", "rock'n'roll"]),
        ("a well-known x2 man", ["a", "well", "known", "x2", "man"]),
        ("e\u0301le\u0301phant ab\u0301", ["e\u0301le\u0301phant", "ab\u0301"]),
        ("日本語 and かな", ["日", "本", "語", "and", "か", "な"]),
        ("ภาษาไทย word", ["word"]),
        ("👩‍👩‍👧 hi 👍🏽", ["hi"]),
        ("שלום עולם", ["שלום", "עולם"]),
        ("\u0301 . ' -", []),
        ("", []),
    ],
)
def test_words(text: str, words: list[str]) -> None:
    assert words_of(text) == words


def test_the_table_of_characters_agrees_with_python_for_what_both_know() -> None:
    table = classes()
    assert table.shape == (0x110000,)
    assert all((table[ord(sign)] & KIND == SPACE) == sign.isspace() for sign in map(chr, range(0x3000)))
    letters = [sign for sign in map(chr, range(0x250)) if sign.isalpha()]
    assert all(table[ord(sign)] & KIND == LETTER for sign in letters)


def test_the_table_of_characters_is_what_its_script_makes() -> None:
    script = Path(__file__).parent.parent / "benchmarks" / "make_characters.py"
    import unicodedata

    if unicodedata.unidata_version != "14.0.0":
        pytest.skip("made with Unicode 14, of Python 3.11")
    done = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("It is NOT good, and doesn't help; we can’t", ["NOT", "doesn't", "can’t"]),
        ("it costs $3.50 and 20 % more", ["3", "50", "20"]),
        (
            "mail me@x.org, see www.x.org or https://x.org/a",
            ["me", "x", "org", "www", "x", "org", "https", "x", "org", "a"],
        ),
        ("born in the U.S.A. by i.e. him", ["U", "S", "A", "i", "e"]),
        (
            "Dear {first name of you} <b>bold</b> [SEP] C++ USER_NAME #tag",
            ["first", "name", "of", "you", "b", "bold", "b", "SEP", "C", "USER", "NAME", "tag"],
        ),
        ("an ordinary sentence. Another one: yes", []),
        ("<3 is less than 4", ["3", "4"]),
    ],
)
def test_what_is_held_by_default(text: str, words: list[str]) -> None:
    assert held(text) == words


@pytest.mark.parametrize(
    ("protect", "words"),
    [
        (False, []),
        (("card", False), ["card", "Card"]),
        (("credit card",), ["credit", "card", "not"]),
        ("re:c.rd", ["card", "not"]),
        ((re.compile("(?i)c.rd"), "my"), ["My", "card", "not", "Card"]),
        (lambda text: [(0, 2)], ["My", "not"]),
    ],
)
def test_what_the_user_names_is_held(protect: object, words: list[str]) -> None:
    assert held("My credit card is not Card", protect) == words


def test_a_function_that_gives_no_span_of_the_text_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"span \(0, 99\) for a text of 4"):
        held("abcd", lambda text: [(0, 99)])


def test_a_lone_surrogate_is_an_error_that_says_where() -> None:
    with pytest.raises(ValueError, match=r"character 2 is a lone surrogate, '\\ud800'"):
        Document("ab\ud800")


def test_a_word_with_an_insertion_inside_is_not_free() -> None:
    document = Document("some words")
    document.insert(2, "x")
    document.insert(5, "y")
    assert not document.free(0, 4)
    assert document.free(0, 2)
    assert document.free(2, 4)
    assert document.free(5, 10)
    assert not document.free(4, 10)
