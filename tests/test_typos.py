from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Any

import pytest
from text_samples import words_of

from augsynth import Pipeline
from augsynth import transforms as T
from augsynth.text import tables
from augsynth.text.lexicon import Lexicon


def run(transform: Any, text: str, times: int = 40) -> list[str]:
    done: list[str] = Pipeline([transform])([text] * times, index=range(times))
    return done


@pytest.mark.parametrize("layout", tables.layouts())
@pytest.mark.parametrize("letters_only", [True, False])
def test_neighbours_on_a_keyboard_are_neighbours_of_each_other(layout: str, letters_only: bool) -> None:
    table = tables.keyboard(layout, letters_only)
    assert all(key in table[other] for key, others in table.items() for other in others if other in table)
    assert all(key not in others for key, others in table.items())
    assert {*"abcdefghijklmnopqrstuvwxyz"} <= set(table)
    assert letters_only == all(sign.isalpha() for others in table.values() for sign in others)
    if letters_only:
        assert all(key.isupper() == sign.isupper() for key, others in table.items() for sign in others)


@pytest.mark.parametrize(
    ("layout", "key", "near"),
    [
        *(("qwerty", "g", "tyfhvb"), ("qwertz", "z", "tughij"), ("qwertz", "Ö", "PÜLÄ"), ("azerty", "A", "ZQ")),
        *(("azerty", "é", "az"), ("dvorak", "e", "oupjq."), ("qwerty-es", "ñ", "lp"), ("qwerty-it", "P", "OL")),
    ],
)
def test_keys_have_their_neighbours(layout: str, key: str, near: str) -> None:
    found = set(tables.keyboard(layout)[key])
    assert found
    assert found <= set(near)


def test_a_user_s_own_keyboard(tmp_path: Path) -> None:
    file = tmp_path / "mine.json"
    file.write_text('{"rows": [{"offset": 0, "keys": "abc"}]}')
    assert tables.keyboard(str(file)) == {
        "a": ("b",),
        "b": ("a", "c"),
        "c": ("b",),
        "A": ("B",),
        "B": ("A", "C"),
        "C": ("B",),
    }
    (tmp_path / "bad.json").write_text('{"rows": [{"keys": "abc", "shifted": "AB", "offset": 1}]}')
    with pytest.raises(ValueError, match="3 keys and 2 shifted ones in row 0"):
        tables.keyboard(str(tmp_path / "bad.json"))
    (tmp_path / "worse.json").write_text("[]")
    with pytest.raises(ValueError, match='is no JSON with "rows"'):
        tables.keyboard(str(tmp_path / "worse.json"))


def test_an_unknown_keyboard_names_those_there_are() -> None:
    with pytest.raises(ValueError, match="there are azerty, dvorak, qwerty, qwerty-es, qwerty-it, qwertz"):
        T.KeyboardNoise(layout="colemak")


def test_keyboard_noise_keeps_case_and_length() -> None:
    text = "The Quick BROWN fox, jumps!"
    for after in run(T.KeyboardNoise(rate=0.4), text):
        assert len(after) == len(text)
        assert [sign.isupper() for sign in after] == [sign.isupper() for sign in text]
        assert [i for i, sign in enumerate(after) if not sign.isalpha()] == [3, 9, 15, 19, 20, 26]


def test_scanners_take_two_letters_for_one_and_one_for_two() -> None:
    done = " ".join(run(T.OcrNoise(rate=1.0), "modern claim"))
    assert done.startswith(("rn", "nn"))
    assert {"m"} < set(" ".join(run(T.OcrNoise(rate=0.2), "corn barn yarn")))
    table = tables.scanner()
    assert all(key not in others and others for key, others in table.items())
    assert all(1 <= len(word) <= 2 for key, others in table.items() for word in (key, *others))


def test_lookalikes_are_single_letters_of_other_scripts() -> None:
    table = tables.lookalikes()
    for key, others in table.items():
        for other in others:
            assert len(other) == 1
            assert unicodedata.category(other)[0] == "L"
            assert unicodedata.normalize("NFKC", other) == other
            assert unicodedata.name(other).startswith("LATIN") != unicodedata.name(key).startswith("LATIN")
    assert len([key for key in table if key.isascii()]) >= 45
    after = run(T.UnicodeConfusables(rate=1.0), "paypal account", 1)[0]
    assert after != "paypal account"
    assert len(after) == len("paypal account")
    assert run(T.UnicodeConfusables(rate=1.0), "\u0445\u043e\u0440\u043e\u0448", 1) == ["xopo\u0448"]


def test_misspellings_are_no_words_of_the_list_themselves() -> None:
    table = tables.misspellings()
    lexicon = Lexicon.default()
    assert len(table) > 1000
    assert [other for others in table.values() for other in others if lexicon.synonyms(other)] == []
    assert not {other for others in table.values() for other in others} & set(table)
    assert all(word == word.lower() and word not in others for word, others in table.items())


def test_misspellings_take_the_case_of_the_word() -> None:
    done = {word for text in run(T.SpellingNoise(rate=1.0), "Received BECAUSE separate") for word in words_of(text)}
    assert {"Recieved", "BECUASE", "seperate"} <= done
    own = T.SpellingNoise(rate=1.0, table={"Karte": ["kahrte"]})
    assert run(own, "die Karte", 1) == ["die Kahrte"]


def test_misspellings_come_from_a_file_of_the_user_s(tmp_path: Path) -> None:
    (tmp_path / "mine.tsv").write_text("card\tcadr\n")
    assert run(T.SpellingNoise(rate=1.0, table=str(tmp_path / "mine.tsv")), "my card", 1) == ["my cadr"]
    (tmp_path / "mixed.tsv").write_text("# A list\nKarte\tKahrte\nkarte\tkarde\n", encoding="utf-8-sig")
    both = run(T.SpellingNoise(rate=1.0, table=str(tmp_path / "mixed.tsv")), "karte")
    assert set(both) == {"Kahrte", "karde"}
    with pytest.raises(ValueError, match="misspellings of single words, not of 'a lot'"):
        T.SpellingNoise(table={"a lot": ["alot"]})
    (tmp_path / "bad.tsv").write_text("card\n")
    with pytest.raises(ValueError, match=r"bad\.tsv, line 1: needs a word and another"):
        T.SpellingNoise(table=str(tmp_path / "bad.tsv"))


def test_case_noise_changes_case_alone() -> None:
    text = "The Quick brown FOX and straße İ"
    for mode in ("char", "word"):
        done = run(T.CaseNoise(rate=0.5, mode=mode), text)
        assert len(set(done)) > 5
        assert all(after.lower() == text.lower() for after in done)
    words = {word for after in run(T.CaseNoise(rate=1.0, mode="word"), "brown") for word in [after]}
    assert words == {"Brown", "BROWN"}
