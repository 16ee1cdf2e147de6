from __future__ import annotations

import itertools
import pickle
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest

import augsynth as ag
from augsynth import transforms as T
from augsynth.text import wordnet
from augsynth.text.inflection import (
    ADJECTIVE,
    COMPARATIVE,
    ING,
    NOUN,
    PARTICIPLE,
    PAST,
    PLURAL,
    SUPERLATIVE,
    THIRD,
    VERB,
    irregular_kinds,
    lemmas,
    regular,
)
from augsynth.text.lexicon import FUNCTION_WORDS, SHIPPED, Lexicon, LexiconNotFoundError

ROOT = Path(__file__).parent.parent
SOURCES = ROOT.parent / "shared" / "data" / "wordnet"
needs_sources = pytest.mark.skipif(not SOURCES.is_dir(), reason="WordNet's tables are not beside the checkout")
LEXICON = Lexicon.default()
LEMMAS = """lemma	pos	synsets	irregular_forms
child	n	1-n	children
kid	n	1-n|2-n	
fry	n	3-n|1-n	
goat	n	2-n	
buy	v	4-v	bought
purchase	v	4-v	
see	v	5-v	saw|seen
spot	v	5-v	spotted|spotting
saw	n	6-n	
Paris	n	7-n	
city of light	n	7-n	
"""
SYNSETS = """synset	pos	lexfile	members	hypernyms	similar	definition	examples
1-n	n	x	child|kid|fry|small fry
2-n	n	x	kid|goat
3-n	n	x	fry
4-v	v	x	buy|purchase
5-v	v	x	see|spot
6-n	n	x	saw
7-n	n	x	Paris|city of light
"""


# A synonym is taken only if people use it: if it stands in definitions often enough.
USED = "child kid fry fries goat buy purchase see spot saw " * 8
SYNSETS += f"9-n	n	x	nothing			{USED}	example\n"


def small(tmp_path: Path) -> Lexicon:
    data = wordnet.table(wordnet.read_tables(LEMMAS.splitlines(), SYNSETS.splitlines()), "a test")
    (tmp_path / "small.bin").write_bytes(data)
    return Lexicon(*wordnet.unpack(tmp_path / "small.bin"))


@pytest.mark.parametrize(
    ("word", "kind", "form"),
    [
        ("film", PLURAL, "films"),
        ("box", PLURAL, "boxes"),
        ("city", PLURAL, "cities"),
        ("day", PLURAL, "days"),
        ("go", THIRD, "goes"),
        ("stop", PAST, "stopped"),
        ("visit", PAST, "visited"),
        ("rain", PAST, "rained"),
        ("try", PARTICIPLE, "tried"),
        ("move", PAST, "moved"),
        ("move", ING, "moving"),
        ("see", ING, "seeing"),
        ("die", ING, "dying"),
        ("quit", ING, "quitting"),
        ("big", COMPARATIVE, "bigger"),
        ("large", SUPERLATIVE, "largest"),
        ("happy", COMPARATIVE, "happier"),
        ("beautiful", COMPARATIVE, None),
    ],
)
def test_regular_forms(word: str, kind: int, form: str | None) -> None:
    assert regular(word, kind) == form
    if form is not None:
        assert word in {lemma for lemma, _, found in lemmas(form) if found == kind}


@pytest.mark.parametrize(
    ("lemma", "pos", "forms", "kinds"),
    [
        ("go", VERB, ["gone", "went"], {PAST: "went", PARTICIPLE: "gone"}),
        ("buy", VERB, ["bought"], {PAST: "bought", PARTICIPLE: "bought"}),
        ("begin", VERB, ["began", "beginning", "begun"], {ING: "beginning", PAST: "began", PARTICIPLE: "begun"}),
        ("come", VERB, ["came"], {PAST: "came", PARTICIPLE: "come"}),
        ("stop", VERB, ["stopped", "stopping"], {ING: "stopping", PAST: "stopped", PARTICIPLE: "stopped"}),
        ("good", ADJECTIVE, ["best", "better"], {COMPARATIVE: "better", SUPERLATIVE: "best"}),
        ("child", NOUN, ["children"], {PLURAL: "children"}),
        ("antenna", NOUN, ["antennae", "antennas"], None),
        ("dive", VERB, ["dived", "dove"], None),
    ],
)
def test_which_irregular_form_is_which(lemma: str, pos: int, forms: list[str], kinds: dict[int, str] | None) -> None:
    assert irregular_kinds(lemma, pos, forms) == kinds


@pytest.mark.parametrize(
    ("word", "some"),
    [
        ("film", {"movie"}),
        ("films", {"movies"}),
        ("children", {"kids"}),
        ("bought", {"purchased"}),
        ("helps", {"aids", "assists"}),
        ("biggest", {"largest"}),
        ("quickly", {"rapidly"}),
        ("went", {"travelled", "moved"}),
    ],
)
def test_synonyms_have_the_inflection_of_the_word(word: str, some: set[str]) -> None:
    assert some <= set(LEXICON.synonyms(word))


@pytest.mark.parametrize(
    "word", ["leaves", "saw", "left", "found", "put", "better", "building", "xyzzy", "Film", "don't", ""]
)
def test_what_is_doubtful_or_unknown_has_no_synonyms(word: str) -> None:
    assert LEXICON.synonyms(word, max_senses=3) == ()


def test_function_words_have_no_synonyms() -> None:
    assert {"the", "who", "is", "not", "of", "very"} <= FUNCTION_WORDS
    assert all(LEXICON.synonyms(word, 3) == () for word in FUNCTION_WORDS)


def test_more_senses_give_more_words_behind_the_others() -> None:
    one, two, three = (LEXICON.synonyms("film", n) for n in (1, 2, 3))
    assert one == two[: len(one)]
    assert two == three[: len(two)]
    assert len(one) < len(two) < len(three)


def test_no_word_is_its_own_synonym_and_none_is_given_twice() -> None:
    words = [LEXICON._word(i).decode() for i in range(0, len(LEXICON), 7)]
    for word in words:
        found = LEXICON.synonyms(word, 3)
        assert word not in found
        assert len(set(found)) == len(found)
        assert all(wordnet.is_word(other) for other in found)
    assert sum(bool(LEXICON.synonyms(word, 3)) for word in words) > 500


def test_the_part_of_speech_can_be_said() -> None:
    assert LEXICON.synonyms("exchange") == ()
    assert "interchange" in LEXICON.synonyms("exchange", 3, pos="noun")
    with pytest.raises(ValueError, match="pos='v' is not one of noun, verb, adjective, adverb"):
        LEXICON.synonyms("run", pos="v")


def test_a_pair_counts_by_the_rarer_of_both_senses(tmp_path: Path) -> None:
    lexicon = small(tmp_path)
    assert lexicon.synonyms("child", 1) == ("kid",)
    assert lexicon.synonyms("child", 2) == ("kid", "fry")
    assert lexicon.synonyms("children", 2) == ("kids", "fries")
    assert lexicon.synonyms("kids", 1) == ("children",)
    assert lexicon.synonyms("bought") == ("purchased",)
    assert lexicon.synonyms("seen") == ("spotted",)
    assert lexicon.synonyms("saw") == ()  # a tool, or the past of see


def test_a_word_that_nobody_uses_takes_no_other_s_place(tmp_path: Path) -> None:
    rare = SYNSETS.replace("1-n	n	x	child|kid", "1-n	n	x	child|wean|kid")
    net = wordnet.read_tables([*LEMMAS.splitlines(), "wean	n	1-n	"], rare.splitlines())
    assert not net.common("wean")
    assert [other for other, _ in net.pairs("child", NOUN)] == ["kid", "fry"]
    assert "defrayment" not in LEXICON.synonyms("payment", 3)


def test_the_table_is_made_byte_for_byte(tmp_path: Path) -> None:
    made = [wordnet.table(wordnet.read_tables(LEMMAS.splitlines(), SYNSETS.splitlines()), "a test") for _ in range(2)]
    assert made[0] == made[1]
    words = small(tmp_path)._arrays["words"].tobytes().decode().split()
    assert words == sorted(words)
    assert "Paris" not in words


def test_the_shipped_table_is_small_and_is_mapped_and_not_copied() -> None:
    path = Path(wordnet.__file__).parent / SHIPPED
    assert path.stat().st_size < 1_500_000
    arrays, source = wordnet.unpack(path)
    assert "Open English WordNet 2025, CC BY 4.0" in source
    assert all(isinstance(array, np.memmap) and not array.flags.writeable for array in arrays.values())


def test_the_licences_are_beside_the_table() -> None:
    folder = Path(wordnet.__file__).parent / "data"
    assert "Creative Commons Attribution 4.0" in (folder / "LICENSE-lexicon.md").read_text()
    assert "Princeton University" in (folder / "LICENSE-wordnet.txt").read_text()
    assert "Open English WordNet" in (folder / "README.md").read_text()


@needs_sources
def test_the_shipped_table_is_what_its_script_makes() -> None:
    script = ROOT / "benchmarks" / "make_lexicon.py"
    done = subprocess.run([sys.executable, script, SOURCES, "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@needs_sources
def test_wordnet_s_own_files_can_be_read(tmp_path: Path) -> None:
    with tarfile.open(SOURCES / "wordnet31-wndb-adj-adv-verb.tar.xz") as tar:
        tar.extractall(tmp_path, filter="data")
    lexicon = Lexicon.from_wordnet_dir(tmp_path)
    assert "purchased" in lexicon.synonyms("bought")
    assert "large" in lexicon.synonyms("big")
    assert pickle.loads(pickle.dumps(lexicon)) == lexicon


def test_the_default_lexicon_is_one_and_pickles_as_its_name() -> None:
    assert Lexicon.default() is LEXICON
    assert len(pickle.dumps(LEXICON)) < 200
    assert pickle.loads(pickle.dumps(LEXICON)) is LEXICON


def test_lexicons_of_the_user_s(tmp_path: Path) -> None:
    file = tmp_path / "words.tsv"
    file.write_text("# mine\nkarte\tausweis\tpass\n\nKonto\tdepot\n", encoding="utf-8")
    lexicon = Lexicon.from_tsv(file)
    assert lexicon.synonyms("karte") == ("ausweis", "pass")
    assert lexicon.synonyms("konto") == ("depot",)
    assert lexicon == Lexicon.from_dict({"karte": ["ausweis", "pass"], "konto": ["depot"]})
    assert pickle.loads(pickle.dumps(lexicon)) == lexicon
    pipeline = ag.Pipeline([T.SynonymReplacement(rate=1.0, lexicon=Lexicon.from_dict({"karte": ["ausweis"]}))])
    assert pipeline("Meine KARTE, die Karte") == "Meine AUSWEIS, die Ausweis"


def test_what_is_missing_says_where_it_was_looked_for_and_how_to_get_it(tmp_path: Path) -> None:
    for call, path in ((Lexicon.from_wordnet_dir, tmp_path / "none"), (Lexicon.from_tsv, tmp_path / "none.tsv")):
        with pytest.raises(LexiconNotFoundError, match="downloads nothing") as caught:
            call(path)
        assert str(path) in str(caught.value)
        assert isinstance(caught.value, FileNotFoundError)


@pytest.mark.parametrize("line", ["word", "word\t", "\tother"])
def test_a_line_without_a_synonym_is_named(tmp_path: Path, line: str) -> None:
    (tmp_path / "words.tsv").write_text(f"a\tb\n{line}\n")
    with pytest.raises(ValueError, match=r"words\.tsv, line 2: needs a word and a synonym"):
        Lexicon.from_tsv(tmp_path / "words.tsv")
    with pytest.raises(ValueError, match="the synonyms of 'a' must be a list"):
        Lexicon.from_dict({"a": "b"})


@pytest.mark.parametrize("sign", ["", "\u0120", "\u2581"])
def test_synonyms_of_a_tokenizer_s_words(sign: str) -> None:
    tokens = [
        "[PAD]",
        f"{sign}film",
        f"{sign}movie",
        f"{sign}Film",
        f"{sign}Movie",
        f"{sign}FILM",
        "pic",
        "##film",
        f"{sign}x1",
    ]
    indptr, indices = LEXICON.to_csr({token: i for i, token in enumerate(tokens)})
    rows = [indices[a:b].tolist() for a, b in itertools.pairwise(indptr)]
    assert rows[1] == [2]
    assert rows[2] == [1]
    assert rows[3:6] == [[4], [3], []]
    assert rows[0] == rows[7] == rows[8] == []
    assert indptr.dtype == indices.dtype == np.int32
