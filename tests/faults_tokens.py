"""One-line faults in the edits of token ids, as tensors, in the compiled kernel, and in what runs them."""

from __future__ import annotations

from faults import Mutant

_SAME = ("test_tokens.py::test_the_compiled_engine_and_tensors_give_the_same_batch",)
_MANY = ("test_tokens.py::test_the_compiled_engine_and_tensors_agree_on_many_rows",)
_SAME_RUNS = ("test_tokens_run.py::test_word_ids_keep_the_tokens_of_a_word_together",)
_ALONE = ("test_tokens.py::test_a_batch_equals_its_rows_one_by_one_whatever_the_padding",)
_FIXED = ("test_tokens.py::test_special_tokens_and_padding_are_never_touched",)


def _test(name: str, file: str = "tokens") -> tuple[str, ...]:
    return (f"test_{file}.py::test_{name}",)


def _tensors(name: str, file: str, old: str, new: str, tests: tuple[str, ...] = _SAME) -> Mutant:
    return Mutant(f"{name} (tokens)", f"transforms/{file}.py", old, new, tests)


def _native(name: str, file: str, old: str, new: str, tests: tuple[str, ...] = _SAME) -> Mutant:
    return Mutant(f"{name} (native tokens)", f"native/{file}.h", old, new, tests)


MUTANTS = [
    _tensors(
        "the chain of Floyd's columns cut",
        "token_rows",
        "(chain >= 0) & (chain < column)",
        "chain < -column",
        _test("places_are_those_of_floyds_algorithm"),
    ),
    _tensors(
        "the last place never taken",
        "token_rows",
        "(words * (last + 1)) >> 32",
        "(words * last) >> 32",
        _test("all_sets_of_places_are_as_likely"),
    ),
    _tensors("special tokens are words", "token_rows", "shown & ((flags & SPECIAL) == 0)", "shown"),
    _tensors("padding is words", "token_rows", "shown = mask != 0", "shown = mask >= 0"),
    _tensors(
        "a share rounded down",
        "token_base",
        "first, second = control[:, :1] >> 8",
        "first, second = control[:, :1] * 0",
        _test("the_mean_number_of_edits_is_right"),
    ),
    _tensors("pairs that are no pairs", "tokens", ".flip(-1).flatten(1)", ".flatten(1)"),
    _tensors("a pair's first word twice", "tokens", "rank.argsort(1)", "rank.argsort(1) * 0"),
    _tensors("the last word deleted too", "tokens", "choose(n, k.minimum(n - 1)", "choose(n, k.minimum(n)"),
    _tensors(
        "types follow the word",
        "tokens",
        "return rows.moved(take, seat, rows.high - rows.low)",
        "return rows.moved(take, take, rows.high - rows.low)",
        _test("token_types_tell_the_place_and_not_the_word", "tokens_run"),
    ),
    _tensors(
        "an insertion without room",
        "tokens",
        ".minimum(n).minimum(room)",
        ".minimum(n)",
        _test("what_does_not_fit_is_not_inserted") + _SAME,
    ),
    _tensors("one piece for a whole word", "token_rows", "(offset % 3)[..., None]", "(offset * 0)[..., None]"),
    _tensors(
        "labels written twice",
        "token_masks",
        "hit & (rows.labels == NO_LABEL)",
        "hit",
        _test("a_second_mask_does_not_overwrite_the_first_ones_labels", "tokens_run"),
    ),
    _tensors(
        "the short span always last",
        "token_masks",
        "turn = (control[:, 2:3] * count) >> 32",
        "turn = 0 * count",
        _MANY,
    ),
    _tensors("a cutoff that stays visible", "token_masks", '"mask": 0, "kinds": FIXED', '"kinds": FIXED'),
    _native("pieces do not go on", "token_run", "starts | (before == FIXED)", "1"),
    _native(
        "word ids forgotten", "token_run", "starts = at == 0 || words[at] != words[at - 1]", "starts = 1", _SAME_RUNS
    ),
    _native("specials forgotten", "token_run", "& !(flags & ID_SPECIAL)", "", _FIXED),
    _native(
        "a mark left behind", "tokens", "for (int64_t c = 0; c < k; c++) row->marked[row->chosen[c]] = 0;", "", _ALONE
    ),
    _native(
        "one word for all synonyms", "token_ops", "*id, token_word(row, &values, c)", "*id, token_word(row, &values, 0)"
    ),
    _native(
        "the last word deleted",
        "token_ops",
        "row->count - 1), 0);\n    if (!k) return;",
        "row->count), 0);\n    if (!k) return;",
        _test("deletion_keeps_the_order_and_one_word"),
    ),
    _native(
        "padding moved to the right",
        "tokens",
        "row->book->left ? row->high - made : row->low",
        "row->low",
        _test("padding_on_the_left_stays_there"),
    ),
    _native(
        "an unchecked id",
        "token_run",
        "if (id >= size) return 0;",
        "if (id >= size) return 1;",
        _test("an_id_outside_the_vocabulary_names_its_sample", "tokens_run"),
    ),
    _native(
        "a cutoff that stays visible",
        "token_ops",
        "row->mask[at] = 0, ",
        "",
        _test("a_cutoff_hides_words_and_moves_nothing"),
    ),
    Mutant(
        "labels of sequences moved",
        "token_run.py",
        "value.ndim != 2 or value.dtype.is_floating_point",
        "False",
        _test("labels_of_sequences_stay", "tokens_run"),
    ),
    Mutant(
        "the source for a place",
        "token_run.py",
        "place if name in _OF_PLACES else source",
        "source",
        _test("token_types_tell_the_place_and_not_the_word", "tokens_run"),
    ),
    Mutant(
        "nothing where no token stands",
        "token_run.py",
        "torch.where(source.view(shape) < 0, fill,",
        "torch.where(source.view(shape) < -1, fill,",
        _test("labels_of_tokens_follow_them", "tokens_run"),
    ),
    Mutant(
        "an index without its epoch",
        "data/tokens.py",
        "[i if isinstance(i, int) else int(i) for i in index]",
        "[int(i) for i in index]",
        _test("a_keyed_index_brings_its_epoch", "tokens_collator"),
    ),
    Mutant(
        "word ids on the wrong side",
        "data/tokens.py",
        "length - len(numbers) if self._left else 0",
        "length - len(numbers)",
        _test("word_ids_are_used_and_dropped", "tokens_collator"),
    ),
    Mutant(
        "unknown words are special",
        "text/token_vocabulary.py",
        "- ({unk} - set(roles))",
        "",
        _test("pieces_of_wordpiece_go_on", "tokens_vocabulary"),
    ),
    Mutant(
        "every token starts a word",
        "text/token_vocabulary.py",
        "if not token.startswith(mark) or token == mark}",
        "}",
        _test("pieces_of_wordpiece_go_on", "tokens_vocabulary"),
    ),
]
