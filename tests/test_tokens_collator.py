"""The data collator, pipelines of tokens, and AugmentOnDevice with them."""

from __future__ import annotations

import pickle
from types import SimpleNamespace
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from test_tokens_vocabulary import wordpiece
from token_samples import RIGHT, Neighbours, batch_of, random_rows, run
from torch.utils.data import DataLoader
from transformers import DataCollatorForTokenClassification

from augsynth import transforms as T
from augsynth.data.tokens import TokenCollator
from augsynth.lightning.callbacks import AugmentOnDevice
from augsynth.pipeline import Pipeline
from augsynth.rng import KeyedIndex
from augsynth.text.token_vocabulary import TokenVocabulary

BIG, GER, LARGE, HOUSE = 5, 6, 7, 12
TRANSFORMS = [T.TokenDelete(rate=0.3), T.TokenSwap(rate=0.4)]


def sample(i: int, **more: Any) -> dict[str, Any]:
    ids = more.pop("input_ids", [1, *[BIG, GER, LARGE, HOUSE, 8, 9][: 3 + i % 4], 2])
    return {"input_ids": ids, "attention_mask": [1] * len(ids), "label": i % 2, **more}


SAMPLES = [sample(i) for i in range(40)]
INDEXED = [sample(i, index=i) for i in range(40)]


def test_a_batch_is_padded_and_augmented() -> None:
    batch = TokenCollator(wordpiece(), TRANSFORMS)(SAMPLES)
    plain = TokenCollator(wordpiece(), [T.TokenSwap(p=0.0)])(SAMPLES)
    assert batch["input_ids"].shape == plain["input_ids"].shape == (40, 8)
    assert plain["input_ids"][0].tolist() == [1, BIG, GER, LARGE, 2, 0, 0, 0]
    assert not torch.equal(batch["input_ids"], plain["input_ids"])
    assert batch["labels"].tolist() == [i % 2 for i in range(40)]
    assert [sample(i, index=i) for i in range(40)] == INDEXED


def test_an_index_keys_a_sample_whatever_the_batch() -> None:
    collate = TokenCollator(wordpiece(), TRANSFORMS, seed=3)
    whole = collate(INDEXED)
    assert "index" not in whole
    for i in (0, 5, 7):
        alone = collate(INDEXED[i : i + 1])["input_ids"][0]
        assert torch.equal(whole["input_ids"][i, : len(alone)], alone)
    collate.set_epoch(1)
    assert not torch.equal(collate(INDEXED)["input_ids"], whole["input_ids"])
    other = TokenCollator(wordpiece(), TRANSFORMS, seed=4)
    assert not torch.equal(other(INDEXED)["input_ids"], whole["input_ids"])


def test_a_keyed_index_brings_its_epoch() -> None:
    collate = TokenCollator(wordpiece(), TRANSFORMS, seed=3)
    keyed = collate([sample(i, index=KeyedIndex(i, epoch=1)) for i in range(40)])
    collate.set_epoch(1)
    assert torch.equal(keyed["input_ids"], collate(INDEXED)["input_ids"])


def test_without_an_index_torchs_generator_keys_the_batch() -> None:
    collate = TokenCollator(wordpiece(), TRANSFORMS)
    one, two = collate(SAMPLES)["input_ids"], collate(SAMPLES)["input_ids"]
    assert not torch.equal(one, two)
    torch.manual_seed(5)
    first = collate(SAMPLES)["input_ids"]
    torch.manual_seed(5)
    assert torch.equal(collate(SAMPLES)["input_ids"], first)


def test_another_collator_pads_labels_of_tokens_which_follow() -> None:
    tokenizer = wordpiece()
    samples = [
        {"input_ids": [1, BIG, GER, LARGE, 8, 2], "labels": [-100, 5, -100, 7, 8, -100], "index": i} for i in range(30)
    ]
    inner = DataCollatorForTokenClassification(tokenizer)
    batch = TokenCollator(tokenizer, TRANSFORMS, collator=inner)(samples)
    ids, labels = batch["input_ids"], batch["labels"]
    assert torch.equal(labels, torch.where((ids == 5) | (ids == 7) | (ids == 8), ids, -100))
    assert len({tuple(row) for row in labels.tolist()}) > 5


def test_word_ids_are_used_and_dropped() -> None:
    long = {"input_ids": [1, BIG, LARGE, 8, 9, 2], "word_ids": [None, 0, 0, 0, 1, None]}
    short = {"input_ids": [1, BIG, LARGE, 9, 2], "word_ids": [None, 0, 0, 1, None]}
    batch = TokenCollator(wordpiece(), [T.TokenDelete(rate=0.5)])([*[long] * 30, *[short] * 30])
    assert "word_ids" not in batch
    rows = [tuple(row) for row in batch["input_ids"].tolist()]
    assert set(rows[:30]) == {(1, 9, 2, 0, 0, 0), (1, BIG, LARGE, 8, 2, 0)}
    assert set(rows[30:]) == {(1, 9, 2, 0, 0, 0), (1, BIG, LARGE, 2, 0, 0)}


def test_the_lexicon_gives_synonyms() -> None:
    collate = TokenCollator(wordpiece(), [T.TokenSynonym(rate=1.0)], lexicon=Neighbours())
    known = set(TokenVocabulary.of(wordpiece(), Neighbours()).synonyms(LARGE))
    assert (
        set(collate([sample(0, index=i, input_ids=[1, LARGE, 2]) for i in range(50)])["input_ids"][:, 1].tolist())
        == known
    )
    with pytest.raises(ValueError, match=r"TokenSynonym: vocabulary=.* one with synonyms"):
        TokenCollator(wordpiece(), [T.OneOf([T.TokenSynonym()])])


def test_a_bad_batch_names_what_is_missing() -> None:
    collate = TokenCollator(wordpiece(), TRANSFORMS)
    with pytest.raises(ValueError, match="sample 1 of the batch has no 'index'"):
        collate([INDEXED[0], SAMPLES[1]])
    with pytest.raises(ValueError, match="the batch is empty"):
        collate([])
    with pytest.raises(ValueError, match="sample 0: 9 word_ids for rows of 5 tokens"):
        collate([sample(0, word_ids=[0] * 9)])


def test_spawned_workers_collate_as_this_process_does() -> None:
    collate = pickle.loads(pickle.dumps(TokenCollator(wordpiece(), TRANSFORMS, seed=3)))
    kwargs: dict[str, Any] = {"batch_size": 8, "collate_fn": collate}
    here = [batch["input_ids"] for batch in DataLoader(INDEXED, **kwargs)]  # type: ignore[arg-type]
    there = DataLoader(INDEXED, num_workers=1, multiprocessing_context="spawn", **kwargs)  # type: ignore[arg-type]
    assert all(torch.equal(a, b["input_ids"]) for a, b in zip(here, there, strict=True))


ROWS = random_rows(30, 12)
PIPELINE = Pipeline({"swap": T.TokenSwap(vocabulary=RIGHT), "cut": T.TokenCutoff(vocabulary=RIGHT)}, seed=7)


def test_a_pipeline_augments_a_batch_of_tokens() -> None:
    batch = batch_of(ROWS)
    done = PIPELINE(batch, index=range(30), epoch=2)
    wanted = run(dict(PIPELINE.transforms), batch, epoch=2)
    assert torch.equal(done["input_ids"], wanted["input_ids"])
    assert not torch.equal(done["input_ids"], PIPELINE(batch)["input_ids"])
    assert PIPELINE.explain().startswith("tokens[swap, cut] (engine native on CPU, torch elsewhere")
    assert pickle.loads(pickle.dumps(PIPELINE)) == PIPELINE


def test_a_pipeline_of_tokens_has_nothing_else() -> None:
    with pytest.raises(ValueError, match="token_swap is for token ids; the others need a pipeline of their own"):
        Pipeline([T.TokenSwap(vocabulary=RIGHT), T.RandomSwap()])
    with pytest.raises(TypeError, match='mapping with "input_ids", got the keys image'):
        PIPELINE({"image": 1})
    with pytest.raises(TypeError, match="no transform of tokens"):
        Pipeline([]).tokens({}, None)  # type: ignore[arg-type]


def test_the_device_callback_augments_batches_of_tokens() -> None:
    batch = batch_of(ROWS) | {"index": torch.arange(30), "labels": torch.arange(30)}
    done = AugmentOnDevice(PIPELINE).augment(batch, SimpleNamespace(current_epoch=2))
    assert torch.equal(done["input_ids"], PIPELINE(batch, index=range(30), epoch=2)["input_ids"])
    assert done["labels"] is batch["labels"]


class Net(pl.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen: list[torch.Tensor] = []

    def training_step(self, batch: dict[str, torch.Tensor], _: int) -> torch.Tensor:
        self.seen.append(batch["input_ids"])
        return self.weight * batch["attention_mask"].sum()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


@pytest.mark.filterwarnings("ignore:You defined a `training_step` but have no:UserWarning")
def test_training_sees_augmented_tokens() -> None:
    batch, model = batch_of(ROWS), Net()
    loader = DataLoader([{k: v[i] for k, v in batch.items()} | {"index": i} for i in range(30)], batch_size=15)  # type: ignore[arg-type]
    quiet = {
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
    pl.Trainer(max_epochs=1, accelerator="cpu", callbacks=[AugmentOnDevice(PIPELINE)], **quiet).fit(model, loader)  # type: ignore[arg-type]
    assert torch.equal(torch.cat(model.seen), PIPELINE(batch, index=range(30), epoch=0)["input_ids"])


def test_a_vocabulary_of_a_tokenizer_needs_no_lexicon_for_swaps() -> None:
    assert TokenCollator(wordpiece(), TRANSFORMS).transforms["token_swap"].vocabulary == TokenVocabulary.of(wordpiece())
