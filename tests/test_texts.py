from __future__ import annotations

import pickle
import subprocess
import sys
from collections import namedtuple
from typing import Any

import datasets
import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, Dataset

import augsynth as ag
from augsynth import Pipeline
from augsynth import transforms as T
from augsynth.errors import SampleError
from augsynth.text.edits import SpanError
from augsynth.text.label_words import label_words
from augsynth.text.lexicon import Lexicon
from augsynth.text.words import edit_words

S = "the quick brown fox number {} jumps over the lazy dog and the sleeping cat"
PIPELINE = Pipeline([T.RandomDeletion(rate=0.3), T.RandomSwap(rate=0.3)], seed=4)
Pair = namedtuple("Pair", ["text", "label"])


class Sentences(Dataset[Any]):
    classes = ("a", "b")

    def __init__(self, make: Any = tuple, bad: int = -1) -> None:
        self.make, self.bad = make, bad

    def __len__(self) -> int:
        return 13

    def __getitem__(self, i: int) -> Any:
        text: Any = 5 if i == self.bad else S.format(i)
        if self.make is str:
            return text
        if self.make is dict:
            return {"text": text, "label": int(i) % 2, "spans": [(4, 9, "SPEED")]}
        return Pair(text, int(i) % 2) if self.make is Pair else (text, int(i) % 2)


def keyed(i: int, epoch: int = 0) -> str:
    done: str = PIPELINE(S.format(i), index=i, epoch=epoch)
    return done


def test_structures_are_kept() -> None:
    text, done = S.format(3), keyed(3)
    assert done != text
    assert PIPELINE((text, 1), index=3) == (done, 1)
    assert PIPELINE(Pair(text, 1), index=3) == Pair(done, 1)
    assert PIPELINE({"sentence": text, "label": "x"}, index=3) == {"sentence": done, "label": "x"}
    assert PIPELINE([(text, 1), (S.format(4), 2)], index=[3, 4]) == [(done, 1), (keyed(4), 2)]
    assert PIPELINE([text], index=[3]) == [done]


def test_batches_are_kept_as_they_come() -> None:
    texts, done = [S.format(i) for i in (3, 4)], [keyed(3), keyed(4)]
    assert PIPELINE({"text": texts, "label": [0, 1]}, index=[3, 4]) == {"text": done, "label": [0, 1]}
    batch = PIPELINE([tuple(texts), torch.tensor([0, 1])], index=[3, 4])
    assert batch[0] == tuple(done)
    assert batch[1].tolist() == [0, 1]
    array = PIPELINE(np.array(texts, object), index=[3, 4])
    assert array.dtype == object
    assert array.tolist() == done
    assert PIPELINE([]) == []


def test_the_input_is_never_changed() -> None:
    sample = {"text": [S.format(3)], "spans": [[(4, 9, "SPEED")]], "label": [1]}
    before = pickle.dumps(sample)
    PIPELINE(sample, index=[3])
    assert pickle.dumps(sample) == before


def test_the_user_says_where_the_text_is() -> None:
    review = {"review": S.format(3), "title": "the quick brown fox", "label": 1}
    assert PIPELINE(review, index=3, key="review") == {**review, "review": keyed(3)}
    both = PIPELINE(review, index=3, key=("review", "title"))
    assert both["review"] == keyed(3)
    assert both["title"] != review["title"]
    assert PIPELINE((S.format(3), "positive"), index=3, keys=("text", "label")) == (keyed(3), "positive")
    named = Pipeline(PIPELINE.transforms, seed=4, keys={"review": "text"})
    assert named(review, index=3)["review"] == keyed(3)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (("good", "film"), r"2 texts in a tuple of \(str, str\); say which to edit with key="),
        ({"review": "good"}, "no text found in a dict with 'review': str"),
        ((1, 2), "no text found in a tuple of"),
        ([{"text": "a"}, {"sentence": "b"}], r"sample 1 \(index 1\): no entry 'text'"),
        ([{"text": "a"}, {"text": None}], r"sample 1 \(index 1\) is no string but of type NoneType"),
        ({"text": ["a"], "label": 3, "spans": []}, "'spans' has 0 entries for 1 texts"),
        ({"text": "a", "spans": [(0, 9)]}, r"sample 0 \(index 0\): spans: span 0 \(0, 9\) lies outside the text of 1"),
        ({"tokens": ["a", "b"], "ner_tags": [1]}, "'ner_tags' has 1 labels for 2 words"),
    ],
)
def test_what_cannot_be_edited_is_named(data: Any, said: str) -> None:
    with pytest.raises((TypeError, ValueError, SampleError), match=said):
        PIPELINE(data)
    with pytest.raises(TypeError, match="key='body' is not in a dict"):
        PIPELINE({"text": "a"}, key="body")


def test_a_wrong_number_of_keys_is_an_error() -> None:
    with pytest.raises(ValueError, match="index has 3 entries for 2 images"):
        PIPELINE(["a", "b"], index=[1, 2, 3])


def test_spans_follow_their_words() -> None:
    words = ["brown", "fox", "jumps", "lazy", "dog", "cat"]
    for i in range(40):
        text = S.format(i)
        spans = [{"start": text.index(w), "end": text.index(w) + len(w), "word": w} for w in words]
        done = PIPELINE({"text": text, "spans": spans}, index=i)
        assert [done["text"][s["start"] : s["end"]] for s in done["spans"]] == [s["word"] for s in done["spans"]]
        assert len(done["spans"]) == sum(word in done["text"].split() for word in words)


def test_span_policies_reach_the_pipeline() -> None:
    noise = [T.CharSwap(rate=1.0, min_edits=3)]
    sample = {"text": "brown fox", "entities": [(0, 9, "ANIMAL")]}
    kept = Pipeline(noise)(sample, index=0)
    assert kept["entities"] == [(0, 9, "ANIMAL")]
    assert Pipeline(noise, span_policy="drop")(sample, index=0)["entities"] == []
    with pytest.raises(SpanError, match=r"sample 0 \(index 7\): span 0 \(0, 9\) is touched"):
        Pipeline(noise, span_policy="error")(sample, index=7)
    with pytest.raises(ValueError, match="span_policy='lose' is not valid"):
        Pipeline(noise, span_policy="lose")


def test_labels_of_words_follow_their_words() -> None:
    words = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "my"]
    tags = [f"T-{word}" for word in words]
    pipeline = Pipeline([*PIPELINE.transforms.values(), T.PunctuationInsertion(rate=0.2)], seed=1)
    orders, marks = set(), 0
    for index in range(30):
        done = pipeline({"tokens": words, "ner_tags": tags}, index=index)
        assert done["ner_tags"] == ["O" if word in ".;?:!," else f"T-{word}" for word in done["tokens"]]
        orders.add(tuple(done["tokens"]))
        marks += done["ner_tags"].count("O")
    assert len(orders) > 25
    assert marks > 10


def test_a_word_that_becomes_two_has_its_label_twice() -> None:
    class Two:
        def synonyms(self, word: str, max_senses: int = 1) -> tuple[str, ...]:
            return ("big apple",) if word == "york" else ()

    done = Pipeline([T.SynonymReplacement(rate=1.0, lexicon=Two())])(
        {"tokens": ["in", "York", "City"], "ner_tags": ["O", "B-LOC", "I-LOC"]}, index=0
    )
    assert done == {"tokens": ["in", "Big", "apple", "City"], "ner_tags": ["O", "B-LOC", "I-LOC", "I-LOC"]}
    assert edit_words(["a"], {"tags": [7]}, []) == (["a"], {"tags": [7]})


@pytest.mark.parametrize("make", [tuple, dict, str, Pair])
def test_any_number_of_workers_gives_the_same_batches(make: Any) -> None:
    batches = []
    for workers in (0, 1, 2):
        collate = list if make is dict else None
        loaded = ag.loader(ag.wrap(Sentences(make), PIPELINE), 4, shuffle=True, num_workers=workers, collate_fn=collate)
        batches.append([list(map(str, loaded)), list(map(str, loaded))])
    assert batches[0] == batches[1] == batches[2]
    assert batches[0][0] != batches[0][1]


def test_a_loader_s_texts_are_those_of_the_pipeline() -> None:
    texts, labels = zip(*ag.loader(ag.wrap(Sentences(), PIPELINE), 5), strict=True)
    assert [text for batch in texts for text in batch] == [keyed(i) for i in range(13)]
    assert torch.cat(list(labels)).tolist() == [i % 2 for i in range(13)]


def test_a_plain_loader_draws_anew_each_time() -> None:
    torch.manual_seed(0)
    loaded = DataLoader(ag.wrap(Sentences(), PIPELINE), 13, collate_fn=ag.collate)
    first, second = (next(iter(loaded))[0] for _ in range(2))
    assert first != second
    assert ag.wrap(Sentences(), PIPELINE).classes == ("a", "b")


def test_a_sample_that_cannot_be_edited_is_named_by_its_index() -> None:
    with pytest.raises(SampleError, match="sample 8 could not be augmented"):
        list(ag.loader(ag.wrap(Sentences(bad=8), PIPELINE), 4))


def test_datasets_of_hugging_face_take_a_pipeline_as_their_transform() -> None:
    data = datasets.Dataset.from_dict({"text": [S.format(i) for i in range(6)], "label": list(range(6))})
    transformed = data.with_transform(PIPELINE)
    assert transformed[2]["label"] == 2
    assert transformed[2]["text"] != S.format(2)
    wrapped = ag.wrap(data, PIPELINE)
    assert [row["text"] for batch in ag.loader(wrapped, 4, collate_fn=list) for row in batch] == [
        keyed(i) for i in range(6)
    ]


class Net(pl.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen: list[Any] = []

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        self.seen += batch[0] if isinstance(batch, (list, tuple)) else batch["text"]
        return self.weight * 1.0

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1)


def test_the_callback_edits_the_texts_of_a_batch() -> None:
    seen = []
    for _ in range(2):
        net = Net()
        trainer = pl.Trainer(
            max_epochs=2,
            callbacks=[ag.callbacks.AugmentOnDevice(PIPELINE)],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            accelerator="cpu",
        )
        trainer.fit(net, DataLoader(Sentences(), 4))
        seen.append(net.seen)
    assert seen[0] == seen[1]
    assert len(seen[0]) == 26
    assert seen[0][:13] != seen[0][13:]
    assert not set(seen[0]) & {S.format(i) for i in range(13)}


def test_pictures_and_their_captions_are_augmented_together() -> None:
    pipeline = Pipeline([T.RandomDeletion(rate=0.3), T.RandomHorizontalFlip(p=1.0)], seed=4)
    image = torch.arange(12, dtype=torch.uint8).reshape(1, 3, 4)
    done = pipeline({"image": image, "caption": S.format(3)}, index=3)
    assert torch.equal(done["image"], image.flip(-1))
    assert done["caption"] == Pipeline([T.RandomDeletion(rate=0.3)], seed=4)(S.format(3), index=3)
    wrapped = ag.wrap([{"image": image, "caption": S.format(i)} for i in range(4)], pipeline)
    batch = next(iter(ag.loader(wrapped, 4)))
    assert batch["caption"][3] == done["caption"]
    assert torch.equal(batch["image"][3], image.flip(-1))


QUESTIONS = [
    f"{wh} is the name of the {thing}" for wh in ("who", "where") for thing in ("king", "sea", "cat") for _ in range(9)
]
ANSWERS = ["person"] * 27 + ["place"] * 27


def test_words_by_which_classes_differ_are_found() -> None:
    assert set(label_words(QUESTIONS, ANSWERS)) == {"who", "where"}
    assert label_words(QUESTIONS, [i % 2 for i in range(54)]) == ()


def test_label_words_need_labels_of_two_classes() -> None:
    for labels in (ANSWERS[:-1], ["one"] * 54):
        with pytest.raises(ValueError, match="label_words: 54 texts and"):
            label_words(QUESTIONS, labels)


def test_words_of_labels_are_left_alone_once_they_are_learned() -> None:
    swap = T.RandomApply({"swap": T.RandomSwap(rate=0.5, protect=("name", "labels"))}, p=1.0)
    pipeline = Pipeline({"delete": T.RandomDeletion(rate=0.5, protect="labels"), "maybe": swap})
    with pytest.raises(ValueError, match=r'delete, maybe: protect="labels" needs pipeline = pipeline.learn'):
        pipeline(QUESTIONS)
    learned = pipeline.learn(QUESTIONS, ANSWERS)
    done = learned(QUESTIONS, index=range(54))
    assert done != QUESTIONS
    assert [text.split()[0] for text in done] == [text.split()[0] for text in QUESTIONS]
    assert pickle.loads(pickle.dumps(learned)) == learned


def test_a_pipeline_that_has_run_works_in_a_new_process() -> None:
    PIPELINE(S.format(3), index=3)
    assert "text" in PIPELINE.text_plan.kept  # type: ignore[union-attr]
    copy = pickle.loads(pickle.dumps(PIPELINE))
    assert not copy.text_plan.kept
    code = (
        "import pickle, sys; pipeline = pickle.loads(bytes.fromhex(sys.argv[1])); "
        "print(pipeline(sys.argv[2], index=3), end='')"
    )
    words = [sys.executable, "-c", code, pickle.dumps(PIPELINE).hex(), S.format(3)]
    assert subprocess.run(words, capture_output=True, text=True, check=True).stdout == keyed(3)


def test_a_keyed_index_is_written_as_its_number() -> None:
    index = ag.KeyedIndex(7, epoch=2)
    assert f"{index}.png {index!s} {index:03d}" == "7.png 7 007"


MIXED = Pipeline([T.RandomDeletion(rate=0.1), T.TextCutMix(num_classes=3)], seed=4)


def test_texts_and_labels_are_mixed_in_a_loader() -> None:
    data = [
        (f"{word} " * 8 + word, i % 3)
        for i, word in enumerate(["alpha", "beta", "gamma", "delta", "eta", "theta", "iota", "kappa"])
    ]
    batches = [list(ag.loader(ag.wrap(data, MIXED), 4, num_workers=workers)) for workers in (0, 1)]
    assert str(batches[0]) == str(batches[1])
    mixed = 0
    for texts, labels in batches[0]:
        assert labels.shape == (4, 3)
        assert torch.allclose(labels.sum(1), torch.ones(4))
        for text, label in zip(texts, labels, strict=True):
            words = text.split()
            shares = sorted(words.count(word) / len(words) for word in set(words))
            assert max(shares) == pytest.approx(float(label.max()), abs=0.13) or float(label.max()) > max(shares)
            mixed += len(set(words)) > 1
    assert mixed >= 4


def test_a_batch_of_texts_is_mixed_as_its_samples_are() -> None:
    texts = [S.format(i) for i in range(6)]
    batch = MIXED({"text": texts, "label": torch.arange(6) % 3}, index=range(6))
    samples = MIXED([{"text": text, "label": i % 3} for i, text in enumerate(texts)], index=range(6))
    assert batch["text"] == [sample["text"] for sample in samples]
    assert torch.equal(batch["label"], torch.stack([sample["label"] for sample in samples]))


@pytest.mark.parametrize("data", ["one text", ["two", "texts"], ("text", 1), {"text": "a b", "label": 1}])
def test_texts_without_a_batch_or_labels_are_not_mixed(data: Any) -> None:
    with pytest.raises(TypeError, match="text_cut_mix mixes the texts of a batch"):
        MIXED(data)


def test_spans_and_missing_labels_are_refused_where_texts_are_mixed() -> None:
    with pytest.raises(ValueError, match="without spans"):
        MIXED([{"text": "a b", "spans": [], "label": 1}] * 2)
    with pytest.raises(TypeError, match="no label in a dict"):
        MIXED([{"text": "a b", "other": 1}] * 2)


@pytest.mark.parametrize(
    ("transforms", "said"),
    [
        ([T.TextCutMix(), T.RandomDeletion()], "random_deletion stands behind text_cut_mix"),
        ([T.TextCutMix(), T.TextCutMix()], "text_cut_mix_2: a pipeline mixes texts once"),
        ([T.OneOf([T.TextCutMix()])], "one_of: TextCutMix stands by itself"),
    ],
)
def test_a_mix_of_texts_has_its_place(transforms: list[Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Pipeline(transforms)


def test_what_rewrites_a_text_is_refused_where_spans_are_and_later_edits_see_the_new_text(tmp_path: Any) -> None:
    from nlpaug.augmenter.word import RandomWordAug

    class Anew(T.TEXTS["RandomDeletion"]):  # type: ignore[misc]
        rewrites = True

        def instruction(self) -> None:
            return None

        def edit(self, document: Any, stream: Any, strength: float) -> None:
            document.replace(0, len(document.text), "alpha beta gamma")

    pipeline = Pipeline([Anew(), T.SynonymReplacement(rate=1.0, lexicon=Lexicon.from_dict({"beta": ["b"]}))])
    assert pipeline("something else") == "alpha b gamma"
    with pytest.raises(ValueError, match="anew: Anew writes the text anew, and 'spans' cannot follow"):
        pipeline({"text": "something", "spans": [(0, 4)]})
    theirs = ag.from_nlpaug(RandomWordAug(action="swap"), seed=1)
    assert theirs(S.format(1), index=1) == theirs([S.format(0), S.format(1)], index=[0, 1])[1]


def test_pipelines_of_token_ids_are_for_batches() -> None:
    with pytest.raises(TypeError, match="give the loader TokenCollator"):
        ag.wrap(Sentences(), Pipeline([T.TokenDelete()]))
