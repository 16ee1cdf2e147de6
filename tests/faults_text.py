"""One-line faults in what edits texts; see `tests/faults.py`."""

from __future__ import annotations

from faults import Mutant

MUTANTS = [
    Mutant(
        "an insertion inside a word that is replaced later",
        "text/document.py",
        "touched = any(self._edited[start:end]) or any(self._opened[start + 1 : end])",
        "touched = any(self._edited[start:end])",
        ("test_document.py::test_a_word_with_an_insertion_inside_is_not_free",),
    ),
    Mutant(
        "a span that stays where its words were",
        "text/edits.py",
        "if edit.origin is not None and edit.origin[0] <= start and end <= edit.origin[1]:",
        "if edit.origin is not None and edit.origin[0] < start and end < edit.origin[1]:",
        ("test_edits.py::test_a_span_goes_with_the_words_that_move",),
    ),
    Mutant(
        "an insertion at the start of a span inside of it",
        "text/edits.py",
        "if edit.start > at or (edit.start == at and edit.end > at):",
        "if edit.start >= at:",
        ("test_edits.py::test_insertions_at_the_edges_of_a_span_are_outside_of_it",),
    ),
    Mutant(
        "a choice that is not uniform",
        "text/stream.py",
        "chosen.add(last if drawn in chosen else drawn)",
        "chosen.add(drawn if drawn not in chosen else n - 1)",
        ("test_text.py::test_streams_are_philox_words_and_choices_are_uniform",),
    ),
    Mutant(
        "the number of edits always rounded down",
        "transforms/text.py",
        "k = int(n * share * strength + stream.uniform())",
        "k = int(n * share * strength + 0.0 * stream.uniform())",
        ("test_text.py::test_the_compiled_engine_and_python_make_the_same_edits",),
    ),
    Mutant(
        "a negation in capitals is not held",
        "text/document.py",
        "if is_negation(self.lower(start, end)):",
        "if is_negation(self.text[start:end]):",
        ("test_document.py::test_what_is_held_by_default",),
    ),
    Mutant(
        "a mark parted from its letter",
        "text/document.py",
        "return at + 1 == len(self.text) or self.classes[at + 1] & KIND != MARK",
        "return True",
        ("test_text.py::test_the_compiled_engine_and_python_make_the_same_edits", "test_text_properties.py"),
    ),
    Mutant(
        "a synonym of a form that may be of two words",
        "text/lexicon.py",
        "if len({lemma for lemma, _ in found}) != 1:",
        "if not found:",
        ("test_lexicon.py::test_what_is_doubtful_or_unknown_has_no_synonyms",),
    ),
    Mutant(
        "an engine's instructions pickled with a pipeline",
        "program.py",
        "return {item.name: getattr(self, item.name) for item in fields(self)}",
        "return self.__dict__",
        ("test_texts.py::test_a_pipeline_that_has_run_works_in_a_new_process",),
    ),
    Mutant(
        "labels of the words beside their own",
        "text/words.py",
        "owners += [(None, True)] * len(added) + [(owner, not i) for i in range(len(own))]",
        "owners += [(owner, not i) for i in range(len(own))] + [(None, True)] * len(added)",
        ("test_texts.py::test_labels_of_words_follow_their_words",),
    ),
    Mutant(
        "a test text among the training texts",
        "data/texts.py",
        'chosen += [found[i] for i in (order[:tests] if split == "test" else order[tests:])]',
        'chosen += [found[i] for i in (order[:tests] if split == "test" else order)]',
        ("test_text_data.py::test_a_table_is_split_by_class_and_seed",),
    ),
    Mutant(
        "the rest of a row that is too long",
        "data/texts.py",
        "if any(field.strip() for field in fields[len(columns) :]):",
        "if False:",
        ("test_text_data.py::test_a_table_that_does_not_fit_says_why",),
    ),
    Mutant(
        "an open quotation mark that swallows rows",
        "data/texts.py",
        "delimiter=delimiter, strict=True,",
        "delimiter=delimiter, strict=False,",
        ("test_text_data.py::test_a_table_that_does_not_fit_says_why",),
    ),
    Mutant(
        "a limit of csv files left changed",
        "data/texts.py",
        "csv.field_size_limit(before)",
        "csv.field_size_limit(_LONGEST_FIELD)",
        ("test_text_data.py::test_long_texts_blank_lines_and_marks_of_other_programs_are_read",),
    ),
    Mutant(
        "one word for a sentence without spaces",
        "quality/text_models.py",
        'b"[%c%c]%c*" % (IDEOGRAPH, UNSPACED, MARK)',
        'b"[%c%c%c]+" % (IDEOGRAPH, UNSPACED, MARK)',
        ("test_text_data.py::test_scripts_without_spaces_have_more_than_one_word_a_sentence",),
    ),
    Mutant(
        "presets of texts that do nothing to images",
        "config.py",
        "if made.text_plan is not None or made.token_plan is not None:",
        "if made.token_plan is not None:",
        ("test_compare_text.py::test_a_mistake_about_texts_is_explained",),
    ),
    Mutant(
        "the question about the first of the arms",
        "comparing_texts.py",
        "[name for name in names if name != base][-1]",
        "[name for name in names if name != base][0]",
        ("test_compare_text.py::test_the_command_takes_the_user_s_own_table",),
    ),
]
