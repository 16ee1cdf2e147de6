"""Language models of a few thousand random weights, with tokenizers of a few words, saved as real ones are."""

from __future__ import annotations

import string
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import (
    BertConfig,
    BertForMaskedLM,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaForMaskedLM,
    T5Config,
    T5ForConditionalGeneration,
)

_WORDS = """
the a good bad movie film plot house not never was is very really quite great boring London he she they
watched liked hated story end actor scene music loud quiet dark long short red blue green
"""
WORDS = _WORDS.split()
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
PIECES = ["##s", "##ing", "##ed", *(f"##{letter}" for letter in string.ascii_lowercase)]
SIGNS = [*string.ascii_lowercase, *string.digits, *".,!?'-/:()"]
NAMES = {"unk_token": "[UNK]", "pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]"}
IDEOGRAPHS = "\u7535\u5f71\u597d"


def wordpiece(window: int = 48, cased: bool = False) -> PreTrainedTokenizerFast:
    words = [*WORDS, "Paris", "German"] if cased else sorted({word.lower() for word in WORDS})
    entries = dict.fromkeys(
        [*SPECIAL, *words, *PIECES, *SIGNS, *(string.ascii_uppercase if cased else ""), *IDEOGRAPHS]
    )
    vocabulary = {token: i for i, token in enumerate(entries)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=not cased, strip_accents=not cased)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    ends = [("[CLS]", vocabulary["[CLS]"]), ("[SEP]", vocabulary["[SEP]"])]
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=window, **NAMES)


def bert(seed: int = 0, window: int = 48, cased: bool = False) -> tuple[BertForMaskedLM, PreTrainedTokenizerFast]:
    tokenizer = wordpiece(window, cased)
    torch.manual_seed(seed)
    # More rows than the tokenizer has entries, as many models do.
    size = {"vocab_size": len(tokenizer) + 5, "hidden_size": 32, "intermediate_size": 64, "initializer_range": 0.5}
    config = BertConfig(**size, num_hidden_layers=2, num_attention_heads=2, max_position_embeddings=window)
    return BertForMaskedLM(config), tokenizer


def roberta(seed: int = 0) -> tuple[RobertaForMaskedLM, PreTrainedTokenizerFast]:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    entries = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", *alphabet]
    merges = [("\u0120", letter) for letter in string.ascii_lowercase]
    entries += ["\u0120" + letter for letter in string.ascii_lowercase]
    for word in ("\u0120good", "\u0120movie", "\u0120film", "\u0120house", "\u0120plot"):
        for end in range(2, len(word)):
            merges.append((word[:end], word[end]))
            entries.append(word[: end + 1])
    for end in ("in", "ing"):  # continues words
        merges.append((end[:-1], end[-1]))
        entries.append(end)
    vocabulary = {token: i for i, token in enumerate(dict.fromkeys(entries))}
    tokenizer = Tokenizer(models.BPE(vocabulary, list(dict.fromkeys(merges))))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    names = {"bos_token": "<s>", "cls_token": "<s>", "sep_token": "</s>", "eos_token": "</s>", "unk_token": "<unk>"}
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", mask_token="<mask>", **names)
    torch.manual_seed(seed)
    size = {"vocab_size": len(fast), "hidden_size": 32, "intermediate_size": 64, "initializer_range": 0.5}
    config = RobertaConfig(
        **size, num_hidden_layers=1, num_attention_heads=2, max_position_embeddings=34, pad_token_id=1
    )
    return RobertaForMaskedLM(config), fast


def t5(seed: int = 0, window: int = 32) -> tuple[T5ForConditionalGeneration, PreTrainedTokenizerFast]:
    vocabulary = {token: i for i, token in enumerate(["<pad>", "</s>", "<unk>", *(word.lower() for word in WORDS)])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    names = {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=window, **names)
    torch.manual_seed(seed)
    size = {"vocab_size": len(fast), "d_model": 32, "d_kv": 16, "d_ff": 64, "initializer_factor": 1.0}
    config = T5Config(**size, num_layers=1, num_heads=2, decoder_start_token_id=0, pad_token_id=0, eos_token_id=1)
    model = T5ForConditionalGeneration(config)
    # Random weights write the same whatever they read, unless that weighs more.
    attention = model.decoder.block[0].layer[1].EncDecAttention
    attention.o.weight.data *= 20
    attention.v.weight.data *= 5
    return model, fast


def saved(pair, folder: Path) -> str:
    for part in pair:
        part.save_pretrained(folder)
    return str(folder)
