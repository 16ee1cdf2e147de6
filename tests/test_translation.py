from __future__ import annotations

import copy
import pickle

import pytest
import tiny_models
import torch
from transformers.generation import TemperatureLogitsWarper, TopKLogitsWarper

from augsynth.pipeline import Pipeline
from augsynth.program import Plan
from augsynth.rng import Rng
from augsynth.text.document import Document
from augsynth.text.edits import Edit
from augsynth.text.stream import Stream
from augsynth.text_run import edit_and_list
from augsynth.transforms.contextual import ContextualSubstitution
from augsynth.transforms.text import RandomDeletion
from augsynth.transforms.translation import BackTranslation, Drawing

TEXTS = ["he liked the dark plot", "", " \t\n", "  the good movie\r\n\n  she hated it.\n", "music", "the end " * 6]


def ending(pair):
    """Let what a model of random weights writes end: it knows no end of its own."""
    config = pair[0].generation_config
    config.forced_eos_token_id, config.begin_suppress_tokens, config.suppress_tokens = 1, [1], [0, 2]
    config.max_length, config.do_sample, config.temperature, config.top_k = 50, True, 0.1, 3  # ours hold
    return pair


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    paths = [tmp_path_factory.mktemp(name) for name in ("there", "back")]
    return [tiny_models.saved(ending(tiny_models.t5(seed)), path) for seed, path in enumerate(paths)]


def translating(folders, **arguments):
    arguments = {"top_k": 40, "max_new_tokens": 6, "protect": False, **arguments}
    return BackTranslation(forward=folders[0], backward=folders[1], **arguments)


def edited(transform, texts, index=None, epoch=0, strength=1.0):
    rng = Rng.of(0, range(len(texts)) if index is None else index, epoch)
    return edit_and_list(Plan.of({"it": transform}), list(texts), rng, strength)


@pytest.mark.parametrize("how", [{}, {"do_sample": False}, {"do_sample": False, "num_beams": 3}])
def test_a_batch_gives_what_one_by_one_gives(how, folders):
    transform = translating(folders, batch_tokens=20, **how)
    together = edited(transform, TEXTS)[0]
    assert together == [edited(transform, [text], [i])[0][0] for i, text in enumerate(TEXTS)]
    changed = [i for i, text in enumerate(TEXTS) if together[i] != text]
    assert changed == [0, 3, 4, 5]
    assert len(set(together)) > 5  # what is read makes a difference


def test_the_numbers_of_a_line_do_not_depend_on_how_long_others_get(folders):
    texts = [
        f"the {word} plot\nhe liked it" for word in ("good", "bad", "dark", "loud", "red", "blue", "long", "quiet")
    ]
    transform = translating(folders, max_new_tokens=28)
    together = edited(transform, texts)[0]
    assert len({len(text.split()) for text in together}) > 3
    assert together == [edited(transform, [text], [i])[0][0] for i, text in enumerate(texts)]


def test_a_text_is_one_edit_of_the_whole_string(folders):
    done, edits = edited(translating(folders), TEXTS)
    assert edits[0] == [Edit(0, len(TEXTS[0]), done[0])]
    assert BackTranslation.rewrites
    assert done[1] is TEXTS[1]
    assert done[2] is TEXTS[2]


def test_lines_and_the_white_space_around_them_stay(folders):
    done = edited(translating(folders), TEXTS)[0][3]
    lines = done.split("\n")
    assert len(lines) == 4
    assert lines[0].startswith("  ")
    assert lines[0].endswith("\r")
    assert lines[1] == lines[3] == ""
    assert lines[2].startswith("  ")
    assert lines[2].split() != ["she", "hated", "it."]


def test_sampling_differs_between_epochs_and_beams_do_not(folders):
    sampled, searched = translating(folders), translating(folders, do_sample=False, num_beams=2)
    state = torch.random.get_rng_state()
    assert edited(sampled, TEXTS)[0] == edited(sampled, TEXTS)[0] != edited(sampled, TEXTS, epoch=1)[0]
    assert edited(searched, TEXTS)[0] == edited(searched, TEXTS, epoch=1)[0]
    assert torch.equal(state, torch.random.get_rng_state())


def test_beams_are_those_of_generate():
    pairs = [ending(tiny_models.t5(seed)) for seed in (0, 1)]
    line = TEXTS[0]
    for model, tokenizer in pairs:
        ids = tokenizer(line, return_tensors="pt")["input_ids"]
        made = model.eval().generate(input_ids=ids, num_beams=3, max_length=7, do_sample=False)
        line = tokenizer.decode(made[0], skip_special_tokens=True)
    (there, tokens), (back, others) = pairs
    built = BackTranslation(
        forward=there,
        forward_tokenizer=tokens,
        backward=back,
        backward_tokenizer=others,
        do_sample=False,
        num_beams=3,
        max_new_tokens=6,
    )
    assert edited(built, TEXTS)[0][0] == line


def test_tokens_are_drawn_by_their_probabilities():
    scores = torch.tensor([[0.0, 2.0, 1.0, -1.0, 1.5]])
    expected = TemperatureLogitsWarper(0.7)(None, TopKLogitsWarper(3)(None, scores)).softmax(-1)[0]
    draw = Drawing([Stream((5, 6))], 3, 0.7)
    counts = torch.stack([draw(None, scores)[0].softmax(-1) for _ in range(4000)]).mean(0)
    assert (counts - expected).abs().max() < 0.03
    assert counts[[0, 3]].tolist() == [0.0, 0.0]


def test_what_does_not_end_is_not_taken_and_a_warning_counts_it():
    pairs = [tiny_models.t5(seed) for seed in (0, 1)]
    for model, _ in pairs:
        model.generation_config.suppress_tokens = [1]
    (there, tokens), (back, others) = pairs
    built = BackTranslation(
        forward=there, forward_tokenizer=tokens, backward=back, backward_tokenizer=others, max_new_tokens=4
    )
    with pytest.warns(UserWarning, match=r"4 of 6 texts stay as they were: a translation did not end within 4 tokens"):
        assert edited(built, TEXTS)[0] == TEXTS


def test_a_translation_that_loses_a_protected_word_is_not_taken(folders):
    texts = ["he was not there", "he was there", "call +49 30 1234"]
    with pytest.warns(UserWarning, match=r"2 of 3 texts stay .* lost words that are protected"):
        done = edited(translating(folders, protect=True), texts)[0]
    assert done[0] is texts[0]
    assert done[2] is texts[2]
    assert done[1] != texts[1]


def test_long_lines_are_cut_and_a_warning_counts_the_texts(folders):
    long = "the good movie " * 20
    with pytest.warns(
        UserWarning, match=r"^BackTranslation: 1 of 2 texts have lines longer .* windows of 32 and 32 tokens"
    ):
        done = edited(translating(folders), [long, "the end"])[0]
    assert done[0] != long


def test_a_prefix_is_read_by_its_model():
    pairs, read = [ending(tiny_models.t5(seed)) for seed in (0, 1)], []
    for model, _ in pairs:
        model.encoder.register_forward_pre_hook(lambda _, args, kw: read.append(kw["input_ids"][0]), with_kwargs=True)
    (there, tokens), (back, others) = pairs
    models = {"forward": there, "forward_tokenizer": tokens, "backward": back, "backward_tokenizer": others}
    edited(
        BackTranslation(**models, forward_prefix="great red ", backward_prefix="quiet ", max_new_tokens=6), ["the end"]
    )
    assert tokens.decode(read[0]) == "great red the end </s>"
    assert others.decode(read[1]).startswith("quiet ")


def test_it_translates_what_earlier_transforms_have_left(folders):
    plan = Plan.of({"first": RandomDeletion(rate=1.0, max_edits=4), "then": translating(folders, do_sample=False)})
    done, edits = edit_and_list(plan, [TEXTS[0]] * 3, Rng.of(0, range(3)))
    left = edit_and_list(
        Plan.of({"first": RandomDeletion(rate=1.0, max_edits=4)}), [TEXTS[0]] * 3, Rng.of(0, range(3))
    )[0]
    assert done == edited(translating(folders, do_sample=False), left)[0]
    assert all(len(row) == 1 for row in edits)


def test_spans_cannot_follow_and_are_refused(folders):
    with pytest.raises(ValueError, match=r"BackTranslation writes the text anew, and 'spans' cannot follow"):
        Pipeline([translating(folders)])({"text": "the end", "spans": [(0, 3)]}, index=0)


def test_strength_scales_how_many_texts_are_translated(folders):
    texts = ["he liked the dark plot"] * 40
    done = edited(translating(folders, p=0.5), texts, strength=0.5)[0]
    assert 3 <= sum(text != texts[0] for text in done) <= 18
    assert edited(translating(folders), texts, strength=0.0)[0] == texts


def test_folders_survive_pickling_and_models_are_not_copied(folders):
    transform = translating(folders)
    assert pickle.loads(pickle.dumps(transform)) == transform
    (there, tokens), (back, others) = [tiny_models.t5(seed) for seed in (0, 1)]
    built = BackTranslation(forward=there, forward_tokenizer=tokens, backward=back, backward_tokenizer=others)
    assert copy.deepcopy(built).forward is there
    with pytest.raises(TypeError, match="forward is a model that is built already"):
        pickle.dumps(built)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rate": 0.2}, "whole strings are translated, a share p of them"),
        ({"min_edits": 1}, "min_edits=1"),
        ({"num_beams": 2}, "beams need do_sample=False"),
        ({"max_new_tokens": 0}, "max_new_tokens=0"),
        ({"forward_prefix": None}, "forward_prefix=None"),
        ({"backward_tokenizer": len}, "None where backward is a folder"),
    ],
)
def test_a_bad_argument_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        BackTranslation(forward="there", backward="back", **arguments)


def test_a_masked_model_is_no_translator(tmp_path, folders):
    path = tiny_models.saved(tiny_models.bert(), tmp_path)
    with pytest.raises(Exception, match="holds no model that AutoModelForSeq2SeqLM can load"):
        edited(translating([path, folders[1]]), TEXTS)
    document = Document("the end")
    with pytest.raises(Exception, match="AutoModelForMaskedLM"):
        ContextualSubstitution(model=folders[0]).edit_batch([document], [Stream((1, 2))], 1.0)
