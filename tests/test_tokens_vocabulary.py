"""What is read from tokenizers: special tokens, starts of words, synonyms."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch
from token_samples import LEFT, RIGHT, SIZE, Neighbours, vocabulary
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import BertTokenizer, PreTrainedTokenizerFast

from augsynth import transforms as T
from augsynth.text.lexicon import Lexicon
from augsynth.text.token_vocabulary import TokenVocabulary

WORDS = ["[PAD]", "[CLS]", "[SEP]", "[MASK]", "[UNK]", "big", "##ger", "large", "Large", "Big", "!", "##s", "house"]
NAMES = {"pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]"}


def wordpiece(**kwargs: str) -> PreTrainedTokenizerFast:
    model = models.WordPiece({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]")
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="[UNK]", **NAMES, **kwargs)


def marked(mark: str, names: dict[str, str] | None = None) -> PreTrainedTokenizerFast:
    words = ["<pad>", "<unk>", f"{mark}big", f"{mark}large", "ger", "big", ",", f"{mark}(", "<end>", mark]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, **(names or {"pad_token": "<pad>", "unk_token": "<unk>"})
    )


def test_pieces_of_wordpiece_go_on() -> None:
    v = TokenVocabulary.of(wordpiece())
    assert (v.size, v.pad, v.mask, v.unk, v.left) == (13, 0, 3, 4, False)
    assert v.special.nonzero().flatten().tolist() == [0, 1, 2, 3]
    assert v.starts.nonzero().flatten().tolist() == [4, 5, 7, 8, 9, 10, 12]
    assert v.ordinary.tolist() == [5, 6, 7, 8, 9, 10, 11, 12]


def test_a_slow_tokenizer_is_read_as_well(tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_text("\n".join(WORDS))
    assert TokenVocabulary.of(BertTokenizer(str(tmp_path / "vocab.txt"))) == TokenVocabulary.of(wordpiece())


@pytest.mark.parametrize("mark", ["Ġ", "▁"])
def test_a_mark_before_a_piece_or_punctuation_starts_a_word(mark: str) -> None:
    v = TokenVocabulary.of(marked(mark), Lexicon.default())
    assert v.starts.nonzero().flatten().tolist() == [1, 2, 3, 6, 7]
    assert v.special.nonzero().flatten().tolist() == [0]
    assert v.synonyms(2) == [3]
    assert v.synonyms(5) == []


def test_a_token_that_plays_all_parts_is_special_and_pads() -> None:
    names = {"eos_token": "<end>", "bos_token": "<end>", "unk_token": "<end>"}
    v = TokenVocabulary.of(marked("Ġ", names))
    assert v.pad == 8
    assert bool(v.special[8])


def test_the_side_of_the_padding_is_the_tokenizers() -> None:
    assert TokenVocabulary.of(wordpiece(padding_side="left")).left


def test_synonyms_come_from_the_lexicon_in_the_same_case() -> None:
    v = TokenVocabulary.of(wordpiece(), Lexicon.default(), max_senses=3)
    assert v.synonyms(WORDS.index("big")) == [WORDS.index("large")]
    assert v.synonyms(WORDS.index("Large")) == [WORDS.index("Big")]
    assert v.synonyms(WORDS.index("##ger")) == []
    assert T.TokenSynonym(vocabulary=v).vocabulary is v


def test_a_mapping_needs_its_special_tokens() -> None:
    with pytest.raises(ValueError, match=r"'\[PAD\]' is not among the 1 tokens"):
        TokenVocabulary.from_mapping({"a": 0}, pad="[PAD]")
    with pytest.raises(TypeError, match="takes a tokenizer with get_vocab"):
        TokenVocabulary.of({"a": 0})


def test_ids_may_have_gaps() -> None:
    v = TokenVocabulary.from_mapping({"<p>": 9, "a": 4, "b": 2, "c": 11, "d": 0}, pad="<p>", lexicon=Neighbours())
    assert v.size == 12
    assert {i: v.synonyms(i) for i in range(12) if v.synonyms(i)} == {2: [0, 4], 11: [4, 0]}


def test_a_vocabulary_is_a_value() -> None:
    copy = pickle.loads(pickle.dumps(RIGHT))
    assert copy == RIGHT == vocabulary()
    assert hash(copy) == hash(RIGHT)
    assert {copy: 1}[RIGHT] == 1
    assert RIGHT != LEFT
    assert T.TokenSwap(vocabulary=copy) == T.TokenSwap(vocabulary=RIGHT)
    assert repr(RIGHT).startswith(f"TokenVocabulary({SIZE} ids, ")


def test_tables_on_a_device_are_not_pickled() -> None:
    v = vocabulary()
    before = len(pickle.dumps(v))
    assert v.tables(torch.device("cpu"))[0] is v.flags
    assert len(pickle.dumps(v)) == before
