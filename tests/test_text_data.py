from __future__ import annotations

import csv
import json
import lzma
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import torch

import augsynth as ag
from augsynth.data.demo import banking
from augsynth.errors import SampleError
from augsynth.quality.text_models import BUCKETS, WordCNN, Words, tokens

ROOT = Path(__file__).parent.parent
SOURCES = ROOT.parent / "shared" / "data" / "text" / "banking77"
TABLE = "id,text,intent\n" + "".join(f'{i},"text {i}, of class {i % 3}",c{i % 3}\n' for i in range(30))


def table(tmp_path: Path, text: str = TABLE, name: str = "mine.csv") -> Path:
    (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path / name


def test_banking77_ships_without_doubles() -> None:
    train, test = banking("train"), banking("test")
    assert (len(train), len(test), len(train.classes)) == (9999, 3072, 77)
    everything = [text.lower() for data in (train, test) for text in data.texts]
    assert len(set(everything)) == len(everything)
    assert min(Counter(train.targets).values()) == 35
    assert set(test.targets) == set(train.targets) == set(range(77))
    assert train[0] == (train.texts[0], int(train.labels[0]))
    with pytest.raises(ValueError, match="split='val' is not one of 'train', 'test'"):
        banking("val")


def test_banking77_is_small_and_has_its_licence() -> None:
    assets = Path(ag.__file__).parent / "data" / "assets"
    assert (assets / "banking77.json.xz").stat().st_size < 1_000_000
    assert "Attribution 4.0 International" in (assets / "banking77.LICENSE").read_text()
    assert "BANKING77" in (assets / "README.md").read_text()


@pytest.mark.skipif(not SOURCES.is_dir(), reason="BANKING77's files are not beside the checkout")
def test_banking77_is_what_its_script_makes(tmp_path: Path) -> None:
    subprocess.run([sys.executable, ROOT / "benchmarks" / "make_banking77.py", SOURCES, tmp_path], check=True)
    made = (tmp_path / "banking77.json.xz").read_bytes()
    shipped = (Path(ag.__file__).parent / "data" / "assets" / "banking77.json.xz").read_bytes()
    assert json.loads(lzma.decompress(made)) == json.loads(lzma.decompress(shipped))


def test_a_table_is_split_by_class_and_seed(tmp_path: Path) -> None:
    path = table(tmp_path)
    train, test = (ag.CsvDataset(path, label="intent", split=split, test_share=0.3) for split in ("train", "test"))
    assert Counter(test.targets) == {0: 3, 1: 3, 2: 3}
    assert not set(train.texts) & set(test.texts)
    assert len(train) + len(test) == len(ag.CsvDataset(path, label="intent", split="all")) == 30
    assert train.classes == ["c0", "c1", "c2"]
    assert train[0] == ("text 0, of class 0", 0) or train[0][0].startswith("text ")
    assert ag.CsvDataset(path, label="intent", split="test", test_share=0.3, seed=1).texts != test.texts


def test_a_second_file_is_the_test_split(tmp_path: Path) -> None:
    path, other = table(tmp_path), table(tmp_path, 'text\tintent\nab\tc1\n"two\nlines"\tc0\n', "test.tsv")
    tests = ag.CsvDataset(path, label="intent", split="test", test_path=other, delimiter=None)
    assert (tests.texts, tests.targets) == (["ab", "two\nlines"], [1, 0])
    strange = table(tmp_path, "text,intent\nab,c9\n", "strange.csv")
    with pytest.raises(ValueError, match=r"label 'c9' does not occur in mine\.csv"):
        ag.CsvDataset(path, label="intent", split="test", test_path=strange)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("id,body,intent\n1,a,b\n", r"there is no column text='text'.* Columns: 'id', 'body', 'intent'"),
        ("txt,intent\na,b\n", r"no column text='text'; did you mean 'txt'\?"),
        ("", "Columns: none: the file is empty"),
        ("text,intent\n", "there is no row below the head line"),
        ("text,intent\na,b\n  ,c\n", "the row that starts in line 3 has no text"),
        ("text,intent\na,b\nc\n", "the row that starts in line 3 has no label"),
        ("text,intent\na,b\nc,b\n", "column 'intent' has one value only"),
        ("text,intent\na,b\nc,b\nd,e\n", r"two rows per class or more, but e \(1\)"),
        ("text,intent\na,b\nyes, no,b\n", "row that starts in line 3 has 3 fields for 2 columns; put quotation"),
        ("text,intent,text\na,b,c\n", "there are 2 columns text='text'; rename all but one"),
        ("text;intent\na;b\n", "Columns: 'text;intent'; they look parted by ';': give it as delimiter"),
        ('text,intent\na,b\n\n"c,d\ne,f\n', "row that starts in line 4 cannot be read: unexpected end of data"),
        ('text,intent\n"a "b" c",d\n', r"row that starts in line 2 cannot be read.*quote=null"),
    ],
)
def test_a_table_that_does_not_fit_says_why(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises((ValueError, SampleError), match=said):
        ag.CsvDataset(table(tmp_path, text), label="intent")


def test_a_file_that_is_not_utf_8_names_the_line(tmp_path: Path) -> None:
    path = tmp_path / "latin.csv"
    path.write_bytes("text,label\nabc,x\ncaf\u00e9,y\n".encode("latin-1"))
    with pytest.raises(SampleError, match="line 3 is not UTF-8"):
        ag.CsvDataset(path)
    with pytest.raises(ValueError, match="is not a file"):
        ag.CsvDataset(tmp_path / "none.csv")
    with pytest.raises(ValueError, match="delimiter=';;' must be one character"):
        ag.CsvDataset(path, delimiter=";;")


def test_long_texts_blank_lines_and_marks_of_other_programs_are_read(tmp_path: Path) -> None:
    limit = csv.field_size_limit()
    path = table(tmp_path, f"\ufefftext,label,\n{'word ' * 60_000},x,\n\n\nbe,y\n")
    assert [len(text) for text in ag.CsvDataset(path, split="all").texts] == [300_000, 2]
    assert csv.field_size_limit() == limit
    quoted = table(tmp_path, '"he said\tx\nso "they" say\ty\n', "quoted.tsv")
    quoted.write_text("text\tlabel\n" + quoted.read_text())
    assert ag.CsvDataset(quoted, split="all", quote=None).texts == ['"he said', 'so "they" say']


def test_texts_in_both_splits_are_counted(tmp_path: Path) -> None:
    path = table(tmp_path, "text,label\n" + "Same  here,a\nsame here,a\n" + "one,b\ntwo,b\n")
    with pytest.warns(UserWarning, match="1 of 2 test texts stand among the training texts too"):
        ag.CsvDataset(path, split="test")
    assert len(ag.CsvDataset(path, split="train")) == 2


def test_words_that_occur_once_share_ids_with_unknown_ones() -> None:
    words = Words.of(["The cat, the dog", "a cat"])
    assert words.known == ("cat", "the")
    ids = words.encode(["The cat ate !", "dog"])
    assert ids.shape == (2, 4)
    assert ids[0, :2].tolist() == [2 + BUCKETS, 1 + BUCKETS]
    assert all(1 <= i <= BUCKETS for i in ids[0, 2:].tolist())
    assert ids[1, 1:].tolist() == [0, 0, 0]
    assert words.encode([""]).tolist() == [[0, 0, 0, 0]]
    assert tokens("It's 3.5, O'Neil!") == ["it's", "3", ".", "5", ",", "o'neil", "!"]


def test_scripts_without_spaces_have_more_than_one_word_a_sentence() -> None:
    assert tokens("今日は晴れ。") == list("今日は晴れ。")
    assert tokens("หมา dog") == ["ห", "ม", "า", "dog"]
    assert tokens("हिन्दी में") == ["हिन्दी", "में"]
    assert tokens("Don’t, café") == ["don’t", ",", "café"]


def test_words_are_parted_alike_with_and_without_letters_beyond_ascii() -> None:
    signs = "".join(map(chr, range(128)))
    for sign in signs:
        text = f"ab{sign}3{sign}'c {sign}{signs}"
        assert tokens(text) == tokens(text + " é")[:-1]


def test_the_network_reads_the_order_of_words() -> None:
    torch.manual_seed(0)
    net = WordCNN(3, 50).eval()
    forward, backward = net(torch.tensor([[1, 2, 3, 4, 5]])), net(torch.tensor([[5, 4, 3, 2, 1]]))
    assert forward.shape == (1, 3)
    assert not torch.allclose(forward, backward, atol=1e-3)
