"""One-line faults in what runs language models, nlpaug's augmenters and mixes of texts; see `tests/faults.py`."""

from __future__ import annotations

from faults import Mutant


def _contextual(*names: str) -> tuple[str, ...]:
    return tuple(f"test_contextual.py::test_{name}" for name in names)


def _translation(*names: str) -> tuple[str, ...]:
    return tuple(f"test_translation.py::test_{name}" for name in names)


def _nlpaug(*names: str) -> tuple[str, ...]:
    return tuple(f"test_adapters_nlpaug.py::test_{name}" for name in names)


def _textmix(*names: str) -> tuple[str, ...]:
    return tuple(f"test_textmix.py::test_{name}" for name in names)


MODELS, CONTEXTUAL = "text/models.py", "transforms/contextual.py"
TRANSLATION, NLPAUG = "transforms/translation.py", "adapters/nlpaug.py"

MUTANTS = [
    Mutant(
        "padding not masked",
        MODELS,
        "mask[i, : len(row)] = 1",
        "mask[i, :] = 1",
        _contextual("a_batch_gives_what_one_by_one_gives"),
    ),
    Mutant(
        "pieces of words proposed",
        "text/vocabulary.py",
        "if not token.startswith(mark):",
        "if False:",
        _contextual("byte_level_vocabularies_are_read"),
    ),
    Mutant(
        "the first positions counted as places",
        MODELS,
        "return 0 if module.padding_idx is None else int(module.padding_idx) + 1",
        "return 0",
        _contextual("byte_level_vocabularies_are_read"),
    ),
    Mutant(
        "dropout left on",
        MODELS,
        "    model.eval()\n    try:",
        "    try:",
        _contextual("dropout_is_off_and_a_model_that_was_training_goes_on"),
    ),
    Mutant(
        "an old model kept for a new file",
        MODELS,
        "stamp = max((entry.stat().st_mtime_ns for entry in folder.iterdir()), default=0)",
        "stamp = 0",
        _contextual("a_model_that_was_saved_anew_is_loaded_anew"),
    ),
    Mutant(
        "weights that are missing left random",
        MODELS,
        'if found["missing_keys"]:',
        'if found["mismatched_keys"]:',
        _contextual("a_folder_with_a_model_of_another_kind_is_refused"),
    ),
    Mutant(
        "the word itself proposed",
        CONTEXTUAL,
        "if lower == view.document.lower(*word) or",
        "if",
        _contextual("a_word_is_not_replaced_by_itself_in_another_case"),
    ),
    Mutant(
        "special tokens proposed",
        "text/vocabulary.py",
        "if i not in special:",
        "if i:",
        _contextual("a_special_token_that_looks_like_a_word_is_not_proposed"),
    ),
    Mutant(
        "negations proposed",
        CONTEXTUAL,
        "not (self.protection.default and is_negation(lower))",
        "True",
        _contextual("only_whole_words_are_proposed"),
    ),
    Mutant(
        "temperature multiplied",
        CONTEXTUAL,
        "(logits[fit] - logits[fit].max()) / self.temperature",
        "(logits[fit] - logits[fit].max()) * self.temperature",
        _contextual("the_models_probabilities_are_followed"),
    ),
    Mutant(
        "earlier edits not seen by the model",
        CONTEXTUAL,
        "texts = [splice(document.text, document.edits) for document in documents]\n    if",
        "texts = [document.text for document in documents]\n    if",
        _contextual("one_after_the_other_sees_what_the_others_have_got"),
    ),
    Mutant(
        "rows longer than the window",
        CONTEXTUAL,
        "over = len(ids) - window if window is not None else 0",
        "over = 0",
        _contextual("insertions_keep_a_row_within_the_window"),
    ),
    Mutant(
        "one stream for both translations",
        TRANSLATION,
        "keys = [Stream((streams[i].word(), streams[i].word())) for i, _, _ in places]",
        "keys = [streams[i] for i, _, _ in places]",
        _translation("the_numbers_of_a_line_do_not_depend_on_how_long_others_get"),
    ),
    Mutant(
        "translations without an end taken",
        TRANSLATION,
        "result.append(line if ended and line else None)",
        "result.append(line or None)",
        _translation("what_does_not_end_is_not_taken_and_a_warning_counts_it"),
    ),
    Mutant(
        "protected words lost in translation",
        TRANSLATION,
        "if new is None or not keeps_held(document, new):",
        "if new is None:",
        _translation("a_translation_that_loses_a_protected_word_is_not_taken"),
    ),
    Mutant(
        "the likeliest token instead of one drawn",
        TRANSLATION,
        "drawn = (weights <= numbers * weights[:, -1:])",
        "drawn = (weights <= 0 * numbers * weights[:, -1:])",
        _translation("tokens_are_drawn_by_their_probabilities"),
    ),
    Mutant(
        "nlpaug draws from the global state",
        NLPAUG,
        "with seeded(seed):",
        "if seed:",
        _nlpaug("a_key_gives_its_result_whatever_the_global_state_is"),
    ),
    Mutant(
        "half of a move taken",
        NLPAUG,
        "if all(_is_free(document, edit) for edit in edits):",
        "if any(_is_free(document, edit) for edit in edits):",
        _nlpaug("what_is_protected_stays", "words_that_change_places_move_together_or_not_at_all"),
    ),
    Mutant(
        "words grown together",
        "text/rewriting.py",
        "if start and first and new[first - 1].isspace() and _is_word(old[start - 1]) and _is_word(text):",
        "if False:",
        _nlpaug("differences_are_words_and_signs"),
    ),
    Mutant(
        "labels by the share that was asked for",
        "transforms/textmix.py",
        "return 1.0 - number / len(own)",
        "return 1.0 - share",
        _textmix("labels_are_the_shares_of_the_words"),
    ),
    Mutant(
        "embeddings of padding mixed in",
        "transforms/textmix.py",
        "embeddings = embeddings * (mask != 0)[..., None]",
        "embeddings = embeddings * 1",
        _textmix("padding_counts_as_zeros_and_masks_are_united"),
    ),
]
