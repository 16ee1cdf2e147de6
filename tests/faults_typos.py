"""One-line faults in typos, their tables and what rewrites more than a word; see `tests/faults.py`."""

from __future__ import annotations

from faults import Mutant


def _typos(*names: str) -> tuple[str, ...]:
    return tuple(f"test_typos.py::test_{name}" for name in names)


def _rewrites(*names: str) -> tuple[str, ...]:
    return tuple(f"test_rewrites.py::test_{name}" for name in names)


TABLES, TYPOS, REWRITES = "text/tables.py", "transforms/typos.py", "transforms/rewrites.py"

MUTANTS = [
    Mutant("keys two apart are neighbours", TABLES, "NEAR = 1.2 ", "NEAR = 2.2 ", _typos("keys_have_their_neighbours")),
    Mutant(
        "capitals become what is shifted",
        TABLES,
        "sign.isalpha() and sign.isupper() == own.isupper()",
        "sign.isalpha()",
        _typos("neighbours_on_a_keyboard_are_neighbours_of_each_other", "keys_have_their_neighbours"),
    ),
    Mutant(
        "look-alikes one way only",
        TABLES,
        'if "\\u0370" <= other < "\\u0500":',
        "if False:",
        _typos("lookalikes_are_single_letters_of_other_scripts"),
    ),
    Mutant(
        "words of a file as they are written",
        TABLES,
        "table[word.lower()] = (*table.get(word.lower(), ()), *others)",
        "table[word] = others",
        _typos("misspellings_come_from_a_file_of_the_user_s"),
    ),
    Mutant(
        "case of several characters",
        TYPOS,
        "if case == MIXED or len(word.lower()) != len(word) or len(word.upper()) != len(word):",
        "if case == MIXED:",
        _typos("case_noise_changes_case_alone"),
    ),
    Mutant(
        "questions turned round",
        REWRITES,
        r"(?!\s+(?:i|you|he|she|it|we|they|there)\b)",
        "",
        _rewrites("what_would_be_no_english_is_left_alone"),
    ),
    Mutant(
        "verbs that end a clause contracted",
        REWRITES,
        "and not _MOVED.search(text[max(start - NEARBY, 0) : start])",
        "and True",
        _rewrites("what_would_be_no_english_is_left_alone"),
    ),
    Mutant(
        "contractions with straight apostrophes alone",
        REWRITES,
        'written.replace("\'", "\\u2019") if curly else written',
        "written",
        _rewrites("contractions_keep_case_and_apostrophe"),
    ),
    Mutant(
        "held negations are not contracted",
        REWRITES,
        "negations: ClassVar[bool] = False",
        "negations: ClassVar[bool] = True",
        _rewrites("contractions_keep_case_and_apostrophe"),
    ),
    Mutant(
        "numbers that begin with 0",
        REWRITES,
        '"0123456789"[first:]',
        '"0123456789"',
        _rewrites("the_first_of_several_digits_is_never_0"),
    ),
    Mutant(
        "words that are held are joined to others",
        REWRITES,
        "sites = [at for at in single if document.free(at - 1, at + 2)]",
        "sites = single",
        _rewrites("spaces_change_and_nothing_else"),
    ),
    Mutant(
        "sentences cut in placeholders",
        REWRITES,
        "if lettered and not inside:",
        "if lettered:",
        _rewrites("sentences_are_not_cut_inside_of_what_is_held"),
    ),
    Mutant(
        "numbers of a list are sentences",
        REWRITES,
        "lettered or any(map(str.isalpha, text[before:end])), end",
        "True, end",
        _rewrites("sentences"),
    ),
]
