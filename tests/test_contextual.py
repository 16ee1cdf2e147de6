from __future__ import annotations

import builtins
import copy
import pickle
import shutil
import sys
import warnings

import numpy as np
import pytest
import tiny_models
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from text_samples import edited
from torch.utils.data import DataLoader, Dataset

from augsynth.pipeline import Pipeline
from augsynth.program import Plan
from augsynth.rng import Rng
from augsynth.text import models
from augsynth.text.document import Document
from augsynth.text.edits import splice
from augsynth.text.models import ModelError, ModelNotFoundError, TransformersMissingError, groups
from augsynth.text.stream import Stream
from augsynth.text.whole_words import WholeWords
from augsynth.text_run import edit_and_list
from augsynth.transforms.contextual import ContextualInsertion, ContextualSubstitution
from augsynth.transforms.text import RandomDeletion

BOTH = pytest.mark.parametrize("kind", [ContextualSubstitution, ContextualInsertion])
TEXT = 'The good movies (yet)\twas   not "QUITE" watched https://a.b/c, 3.50 he liked the dark iPhone  plot.'
TEXTS = [
    TEXT,
    "",
    "  \n",
    "the end",
    "She liked it, and the music was great!",
    "a b c " * 5,
    "caf\u00e9 it's \U0001f600 ok",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_models.saved(tiny_models.bert(), tmp_path_factory.mktemp("bert"))


def one(transform, text, key=(1, 2)):
    document = Document(text)
    document.protect(transform.protection)
    transform.edit_batch([document], [Stream(key)], 1.0)
    return document


@BOTH
@pytest.mark.parametrize("sequential", [False, True])
def test_a_batch_gives_what_one_by_one_gives(kind, sequential, folder):
    transform = kind(model=folder, rate=0.5, sequential=sequential, batch_tokens=64)
    together, edits = edited(transform, TEXTS)
    alone = [edited(transform, [text], index=[i])[0][0] for i, text in enumerate(TEXTS)]
    assert together == alone
    assert sum(map(len, edits)) > 8


@BOTH
def test_a_key_gives_its_result_again_and_another_epoch_another(kind, folder):
    transform = kind(model=folder, rate=0.5)
    state = torch.random.get_rng_state()
    first, again = edited(transform, TEXTS)[0], edited(transform, TEXTS)[0]
    assert first == again != edited(transform, TEXTS, epoch=1)[0]
    assert torch.equal(state, torch.random.get_rng_state())


@BOTH
def test_only_whole_words_are_proposed(kind, folder):
    transform = kind(model=folder, rate=1.0, top_k=1000, temperature=100.0)
    known = {word.lower() for word in tiny_models.WORDS if len(word) > 1} - {"not", "never"}
    found = {edit.text.strip().lower() for row in edited(transform, [TEXT] * 60)[1] for edit in row}
    assert found == known


def test_words_are_replaced_in_their_case_and_all_else_stays(folder):
    document = one(ContextualSubstitution(model=folder, rate=1.0), TEXT)
    done = document.finish()
    replaced = {TEXT[edit.start : edit.end]: edit.text for edit in document.edits}
    assert set(replaced) == {
        "The",
        "good",
        "movies",
        "yet",
        "was",
        "QUITE",
        "watched",
        "he",
        "liked",
        "the",
        "dark",
        "plot",
    }
    assert replaced["The"].istitle()
    assert replaced["QUITE"].isupper()
    assert replaced["was"].islower()
    assert all(new.lower() != old.lower() for old, new in replaced.items())
    assert done.split("\t")[1].startswith(replaced["was"] + '   not "' + replaced["QUITE"] + '" ')


def test_words_are_inserted_before_free_words_with_a_space(folder):
    document = one(ContextualInsertion(model=folder, rate=1.0), "The good 3.50 (yet) was not it")
    assert [edit.start for edit in document.edits] == [0, 4, 20, 28]
    assert all(edit.start == edit.end and edit.text.endswith(" ") for edit in document.edits)


def test_ideographs_are_exchanged_for_ideographs(folder):
    text = "\u597d\u7535\u5f71 movie"
    words = [
        edit.text for k in range(20) for edit in one(ContextualSubstitution(model=folder, rate=1.0), text, (0, k)).edits
    ]
    assert {len(word) == 1 for word in words[:3]} == {True}
    assert words[3].isascii()
    inserted = one(ContextualInsertion(model=folder, rate=1.0), text).edits
    assert [len(edit.text) for edit in inserted[:3]] == [1, 1, 1]


def test_the_models_probabilities_are_followed():
    model, tokenizer = tiny_models.bert()
    transform = ContextualSubstitution(
        model=model, tokenizer=tokenizer, rate=1.0, top_k=3, temperature=2.0, protect="the"
    )
    ids = tokenizer("the [MASK]")["input_ids"]
    with torch.inference_mode():
        logits = model.eval()(torch.tensor([ids])).logits[0, 2, : len(tokenizer)].double().numpy()
    logits[[not ok for ok in WholeWords.of(tokenizer).allowed]] = -np.inf
    words = tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
    fit = [i for i in np.argsort(-logits) if words[i].isascii() and words[i] not in ("movie", "not", "never")][:3]
    expected = np.exp(logits[fit] / 2) / np.exp(logits[fit] / 2).sum()
    drawn = [edits[-1].text for edits in edited(transform, ["the movie"] * 3000)[1]]
    found = [drawn.count(words[i]) / len(drawn) for i in fit]
    assert np.abs(np.array(found) - expected).max() < 0.04


def test_one_after_the_other_sees_what_the_others_have_got():
    model, tokenizer = tiny_models.bert()
    seen = []
    hook = model.register_forward_pre_hook(lambda _, args, kw: seen.append(kw["input_ids"].tolist()), with_kwargs=True)
    transform = ContextualSubstitution(model=model, tokenizer=tokenizer, rate=1.0, sequential=True)
    document = one(transform, "the movie")
    hook.remove()
    mask, new = tokenizer.mask_token_id, tokenizer.convert_tokens_to_ids(document.edits[0].text)
    assert [row[0][1:3].index(mask) for row in seen] == [0, 1]
    assert seen[1][0][1] == new


def test_words_beyond_the_window_stay_and_a_warning_counts_the_texts(folder):
    text = "the good movie " * 30
    transform = ContextualSubstitution(model=folder, rate=0.5)
    with pytest.warns(
        UserWarning, match=r"^ContextualSubstitution: 2 of 3 texts are longer than the model's window of 48"
    ):
        done, edits = edited(transform, [text, "the end", text])
    assert done[0].endswith("the good movie " * 14)  # 46 words and two special tokens fit
    assert 18 <= len(edits[0]) <= 28  # half of the 46 words that the model has read


def test_insertions_keep_a_row_within_the_window(folder):
    with pytest.warns(UserWarning, match="1 of 1 texts"):
        document = one(ContextualInsertion(model=folder, rate=1.0), "the good movie " * 30)
    assert 20 <= len(document.edits) <= 24  # masks and words share 46 places


@pytest.mark.parametrize("first", ["deletion", "insertion"])
def test_the_model_reads_what_earlier_transforms_have_left(first, folder):
    start = RandomDeletion(rate=0.4) if first == "deletion" else ContextualInsertion(model=folder, rate=0.5)
    plan = Plan.of({"first": start, "then": ContextualSubstitution(model=folder, rate=0.4)})
    texts = ["he liked the dark plot and the quiet music of it"] * 8
    done, edits = edit_and_list(plan, texts, Rng.of(0, range(8)))
    new = [edit for row in edits for edit in row if edit.text and edit.end > edit.start]
    assert len(new) > 8
    assert all(texts[0][edit.start : edit.end].isalpha() for edit in new)
    assert all("  " not in text for text in done)


def test_byte_level_vocabularies_are_read(tmp_path):
    path = tiny_models.saved(tiny_models.roberta(), tmp_path)
    assert models.load("masked", path).window == 32  # 34 places, two of them before the first token's
    transform = ContextualSubstitution(model=path, rate=1.0, top_k=100, temperature=20.0)
    found = {edit.text for row in edited(transform, ["is good, movie 3.50"] * 60)[1] for edit in row}
    words = ("good", "movie", "film", "house", "plot")
    assert found == {word[:end] for word in words for end in range(2, len(word) + 1)}


def test_a_cased_vocabulary_puts_names_only_where_a_capital_stands(tmp_path):
    path = tiny_models.saved(tiny_models.bert(cased=True), tmp_path)
    transform = ContextualSubstitution(model=path, rate=1.0, top_k=100, temperature=50.0)
    edits = [edit for row in edited(transform, ["Boring movie"] * 200)[1] for edit in row]
    assert {"Paris", "London"} <= {edit.text for edit in edits if edit.start == 0}
    assert not {"paris", "london", "Paris"} & {edit.text for edit in edits if edit.start > 0}


def test_a_word_is_not_replaced_by_itself_in_another_case(tmp_path):
    path = tiny_models.saved(tiny_models.bert(cased=True), tmp_path)
    transform = ContextualSubstitution(model=path, rate=1.0, top_k=100, temperature=50.0)
    assert "MOVIE" not in [edit.text for row in edited(transform, ["MOVIE"] * 200)[1] for edit in row]


def test_a_special_token_that_looks_like_a_word_is_not_proposed():
    model, tokenizer = tiny_models.bert()
    tokenizer.add_special_tokens({"additional_special_tokens": ["blank"]})
    found = WholeWords.of(tokenizer)
    number = tokenizer.convert_tokens_to_ids("blank")
    assert number < model.config.vocab_size
    assert not found.allowed[number]
    assert found.allowed[tokenizer.convert_tokens_to_ids("movie")]


def test_protected_words_are_neither_replaced_nor_proposed(folder):
    transform = ContextualSubstitution(model=folder, rate=1.0, top_k=100, temperature=50.0, protect=("movie", "good"))
    done = edited(transform, ["the good plot was never he"] * 100)[0]
    assert all(text.split()[1] == "good" and text.split()[4] == "never" for text in done)
    assert not {"movie", "not"} & {word for text in done for word in text.split()}


def test_dropout_is_off_and_a_model_that_was_training_goes_on():
    model, tokenizer = tiny_models.bert()
    model.train()
    model.bert.embeddings.eval()
    transform = ContextualSubstitution(model=model, tokenizer=tokenizer, rate=1.0)
    assert len({edited(transform, [TEXT])[0][0] for _ in range(4)}) == 1
    assert model.training
    assert not model.bert.embeddings.training


class Texts(Dataset):
    def __init__(self, transform):
        self.transform = transform

    def __len__(self):
        return 2

    def __getitem__(self, i):
        return one(self.transform, "the good movie").finish()


@BOTH
def test_a_pipeline_keeps_spans_in_line(kind, folder):
    pipeline = Pipeline([kind(model=folder, rate=0.5)])
    at = TEXT.index("https")
    samples = [{"text": TEXT, "spans": [(4, 8, "X"), (at, at + 13, "url")], "label": i} for i in range(20)]
    done = pipeline(samples, index=range(20))
    assert len({sample["text"] for sample in done}) > 10
    for sample in done:
        start, end, _ = sample["spans"][1]
        assert sample["text"][start:end] == "https://a.b/c"


def test_in_a_worker_it_is_an_error_that_says_where_to_augment(folder):
    loader = DataLoader(Texts(ContextualSubstitution(model=folder)), num_workers=1)
    with pytest.raises(ModelError, match="num_workers=0, or augment in the main process"):
        next(iter(loader))


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ModelNotFoundError, match=r"'bert-base-uncased': give a folder.*Nothing is downloaded"):
        one(ContextualSubstitution(model="bert-base-uncased"), "the movie")


def test_a_folder_with_a_model_of_another_kind_is_refused(tmp_path, folder):
    (tmp_path / "readme.txt").write_text("no model")
    with pytest.raises(ModelError, match="holds no model that AutoModelForMaskedLM can load"):
        one(ContextualSubstitution(model=tmp_path), "the movie")
    model, tokenizer = tiny_models.bert()
    path = tiny_models.saved((model.bert, tokenizer), tmp_path / "headless")
    with pytest.raises(ModelError, match=r"has no weights for .*which would be random"):
        one(ContextualSubstitution(model=path), "the movie")


def test_a_tokenizer_without_offsets_or_mask_is_refused():
    model, tokenizer = tiny_models.bert()

    class Slow:
        is_fast = False

        def __call__(self, texts):
            raise AssertionError

    with pytest.raises(ModelError, match="give a fast one"):
        one(ContextualSubstitution(model=model, tokenizer=Slow()), "the movie")
    tokenizer.mask_token = None
    with pytest.raises(ModelError, match="no mask token"):
        one(ContextualSubstitution(model=model, tokenizer=tokenizer), "the movie")


def test_without_transformers_the_error_names_the_extra(folder, monkeypatch):
    models.forget()
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(TransformersMissingError, match=r'pip install "augsynth\[models\]"'):
        one(ContextualSubstitution(model=folder), "the movie")


def test_importing_the_transforms_does_not_import_transformers(monkeypatch):
    real = builtins.__import__

    def refuse(name, *args, **kwargs):
        assert not name.startswith("transformers")
        return real(name, *args, **kwargs)

    for name in [
        name for name in sys.modules if name.startswith(("augsynth.text.models", "augsynth.transforms.context"))
    ]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(builtins, "__import__", refuse)
    __import__("augsynth.transforms.contextual")


def test_models_are_loaded_once_and_few_are_kept(folder, tmp_path):
    assert models.load("masked", folder) is models.load("masked", folder, "cpu")
    paths = [shutil.copytree(folder, tmp_path / str(i)) for i in range(models.KEPT + 1)]
    first = models.load("masked", paths[0])
    for path in paths[1:]:
        models.load("masked", path)
    assert models._load.cache_info().currsize == models.KEPT
    assert models.load("masked", paths[0]) is not first


def test_a_model_that_was_saved_anew_is_loaded_anew(tmp_path):
    path = tiny_models.saved(tiny_models.bert(0), tmp_path)
    before = models.load("masked", path).model.cls.predictions.bias.clone()
    model, tokenizer = tiny_models.bert(1)
    torch.nn.init.ones_(model.cls.predictions.bias)
    tiny_models.saved((model, tokenizer), tmp_path)
    assert not torch.equal(models.load("masked", path).model.cls.predictions.bias, before)


def test_a_path_survives_pickling_and_a_built_model_says_that_it_does_not(folder):
    transform = ContextualSubstitution(model=folder, rate=0.5)
    one(transform, TEXT)
    again = pickle.loads(pickle.dumps(transform))
    assert again == transform
    assert len(pickle.dumps(transform)) < 1000
    assert one(again, TEXT).finish() == one(transform, TEXT).finish()
    model, tokenizer = tiny_models.bert()
    built = ContextualSubstitution(model=model, tokenizer=tokenizer)
    assert hash(built) == hash(copy.deepcopy(built))
    with pytest.raises(TypeError, match="save it with save_pretrained"):
        pickle.dumps(built)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"model": 3}, "model=3 is not valid"),
        ({"model": "here", "tokenizer": len}, "None where model is a folder"),
        ({"model": torch.nn.Linear(1, 1)}, "the tokenizer of the model"),
        ({"model": torch.nn.Linear(1, 1), "tokenizer": len, "device": "cpu"}, "move the model yourself"),
        ({"model": "here", "device": "gpu0"}, "the name of a device"),
        ({"model": "here", "top_k": 0}, "top_k=0"),
        ({"model": "here", "temperature": 0.0}, "temperature=0.0"),
        ({"model": "here", "batch_tokens": 0.5}, "batch_tokens=0.5"),
    ],
)
def test_a_bad_argument_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        ContextualSubstitution(**arguments)


def test_rows_are_grouped_by_length_within_the_bound():
    found = groups([5, 1, 9, 5, 30, 1], 12)
    assert sorted(i for group in found for i in group) == list(range(6))
    assert found == [[1, 5], [0, 3], [2], [4]]


def test_texts_without_words_never_reach_the_model():
    model, tokenizer = tiny_models.bert()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.forward = lambda **_: pytest.fail("the model was asked")
        assert edited(ContextualSubstitution(model=model, tokenizer=tokenizer, rate=1.0), ["", " \t", "?!"])[0] == [
            "",
            " \t",
            "?!",
        ]


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=60), st.integers(0, 2**32 - 1))
def test_whatever_the_characters_only_words_are_edited(folder, text, key):
    for kind in (ContextualSubstitution, ContextualInsertion):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a long one is cut
            document = one(kind(model=folder, rate=1.0), text, (key, 0))
        starts = dict(document.words)
        for edit in document.edits:
            assert edit.end == (starts[edit.start] if kind is ContextualSubstitution else edit.start)
            assert edit.start in starts
        assert document.finish() == splice(text, document.edits)
