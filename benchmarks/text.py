"""Texts a second on one core, against nlpaug, in one run.

Every candidate edits the same 2,000 sentences of 14 to 30 words, keyed or random draws included: as a list in one call,
and one string at a time. nlpaug runs with its defaults, which edit 30 % of the words; ours edit at least as many words
as nlpaug does in the same run (the column "words edited", measured on 500 of the sentences). Clock and rounds are those
of `protocol.py`. nlpaug's synonyms need nltk and WordNet in a folder DIR (data.noun, index.noun, index.sense and so on,
such as Debian's wordnet-base and wordnet-sense-index install); it is timed warm, and its part-of-speech tagger, which
would have to be downloaded, is replaced by one that costs nothing, so that nlpaug is faster here than in practice.

    python benchmarks/text.py [--texts FILE] [--wordnet DIR] [--rounds N] [--json FILE] [--quick]

FILE: one text per line; by default those of BANKING77 that ship with the package.
"""

from __future__ import annotations

import argparse
import difflib
import importlib.metadata
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import text_tokens
from protocol import Candidate, Failed, attempt, head, measure, one_core, save

import augsynth as ag
from augsynth import transforms as T

COUNT, LEAST, MOST, COMPARED, ROUNDS, QUICK_COUNT = 2000, 14, 30, 500, 7, 40
# As many words as nlpaug edits, or more: where it edits letters it takes 30 % of those of 30 % of the words.
WORDS, LETTERS = 0.38, 0.17
Texts = list[str]


@dataclass(frozen=True)
class Task:
    """One kind of edit: ours, and what makes nlpaug's augmenter."""

    ours: Any
    theirs: Callable[[], Any]
    floor_batch: float
    floor_single: float


def tasks(wordnet: Path | None) -> dict[str, Task]:
    """Return what is measured, with the ratios that we hold ourselves to."""
    import nlpaug.augmenter.char as nac
    import nlpaug.augmenter.word as naw

    def synonyms() -> Any:
        if wordnet is None:
            raise ValueError("needs --wordnet DIR")
        return nltk_synonyms(wordnet)

    return {
        "keyboard": Task(T.KeyboardNoise(rate=LETTERS), nac.KeyboardAug, 10, 4),
        "ocr": Task(T.OcrNoise(rate=LETTERS), nac.OcrAug, 10, 4),
        "swap words": Task(T.RandomSwap(rate=WORDS), lambda: naw.RandomWordAug(action="swap"), 10, 4),
        "delete words": Task(T.RandomDeletion(rate=WORDS), lambda: naw.RandomWordAug(action="delete"), 10, 4),
        "swap letters": Task(T.CharSwap(rate=LETTERS), lambda: nac.RandomCharAug(action="swap"), 10, 4),
        "delete letters": Task(T.CharDelete(rate=LETTERS), lambda: nac.RandomCharAug(action="delete"), 10, 4),
        "insert letters": Task(T.CharInsert(rate=LETTERS), lambda: nac.RandomCharAug(action="insert"), 10, 4),
        "spelling": Task(T.SpellingNoise(rate=WORDS), naw.SpellingAug, 10, 4),
        "synonyms": Task(T.SynonymReplacement(rate=WORDS, max_senses=3), synonyms, 20, 4),
    }


def nltk_synonyms(wordnet: Path) -> Any:
    """Return nlpaug's synonyms over a folder of WordNet, with a tagger that says noun or verb by turns, for nothing."""
    import nlpaug.augmenter.word as naw
    import nltk
    from nlpaug.model.word_dict.wordnet import WordNet

    root = Path(tempfile.mkdtemp())
    folder = root / "corpora" / "wordnet"
    folder.mkdir(parents=True)
    for file in wordnet.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    if not (folder / "lexnames").exists():
        (folder / "lexnames").write_text("".join(f"{i:02d}\tname{i}\t1\n" for i in range(45)))
    nltk.data.path.insert(0, str(root))
    tags = ("NN", "VB", "JJ")
    WordNet.pos_tag = classmethod(lambda cls, tokens: [(t, tags[len(t) % 3]) for t in tokens])
    return naw.SynonymAug(aug_src="wordnet")


def sentences(path: Path | None) -> Texts:
    """Return the texts that are edited. Raises ValueError where a file has too few of the length wanted."""
    lines = path.read_text(encoding="utf-8").splitlines() if path else list(_banking())
    found = [line for line in dict.fromkeys(lines) if LEAST <= len(line.split()) <= MOST][:COUNT]
    if len(found) < COMPARED:
        raise ValueError(f"{len(found)} texts have {LEAST} to {MOST} words; {COMPARED} are needed")
    return found


def _banking() -> Iterator[str]:
    from augsynth.data.demo import banking

    for split in ("train", "test"):
        for text, _ in banking(split):
            yield text


def candidates(task: Task, texts: Texts) -> dict[str, Candidate | Failed]:
    """Return ways to do one task; those of nlpaug fail by themselves where something is missing."""
    pipeline = ag.Pipeline([task.ours], seed=0)
    index = list(range(len(texts)))

    def ours_single() -> Texts:
        return [pipeline(text) for text in texts]

    def make(call: Callable[[Any], Callable[[], Any]]) -> Callable[[], Candidate]:
        return lambda: Candidate(call(task.theirs()), len(texts))

    def one_by_one(augmenter: Any) -> Callable[[], Any]:
        return lambda: [augmenter.augment(text) for text in texts]

    return {
        "augsynth, batch": attempt(lambda: Candidate(lambda: pipeline(texts, index=index), len(texts))),
        "augsynth, one by one": attempt(lambda: Candidate(ours_single, len(texts))),
        "nlpaug, list": attempt(make(lambda augmenter: lambda: augmenter.augment(texts))),
        "nlpaug, one by one": attempt(make(one_by_one)),
    }


def edited(candidate: Candidate, texts: Texts) -> float:
    """Return the share of words that are not in their place any more, by a diff of the words alone."""
    changed = total = 0
    for before, after in zip(texts, candidate.call(), strict=True):
        after = after[0] if isinstance(after, list) else after
        old, new = _words(before), _words(after)
        same = sum(block.size for block in difflib.SequenceMatcher(None, old, new, False).get_matching_blocks())
        changed, total = changed + len(old) - same, total + len(old)
    return changed / total


def _words(text: str) -> Texts:
    return re.findall(r"\w+", text.lower())


def rows_of(name: str, task: Task, texts: Texts, rounds: int) -> list[dict[str, Any]]:
    """Measure one task; each of our rows names the peer that it is compared with."""
    table = candidates(task, texts)
    timings = measure(table, rounds)
    some = candidates(task, texts[:COMPARED])
    rows = []
    for way, candidate in table.items():
        row: dict[str, Any] = {"task": name, "name": way}
        if isinstance(candidate, Failed):
            rows.append({**row, "failed": candidate.why})
            continue
        seconds = timings[way].microseconds()
        per_text = seconds["microseconds_per_image"]
        row |= {"microseconds": per_text, "texts_per_second": round(1e6 / per_text)}
        row["words_edited"] = round(edited(some[way], texts[:COMPARED]), 3)  # type: ignore[arg-type]
        peer = way.replace("augsynth", "nlpaug").replace("batch", "list")
        if way != peer and peer in timings:
            ratio, quartiles = timings[way].times(timings[peer])
            floor = task.floor_batch if way.endswith("batch") else task.floor_single
            row |= {"times_nlpaug": ratio, "quartiles": quartiles, "floor": floor}
        rows.append(row)
    return rows


def show(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print the rows of one task."""
    for row in rows:
        if "failed" in row:
            print(f"{row['task']:15} {row['name']:24} {row['failed']}")
            continue
        ratio = f"{row['times_nlpaug']:>7.1f} times nlpaug (floor {row['floor']:g})" if "times_nlpaug" in row else ""
        speed = f"{row['microseconds']:>8} us {row['texts_per_second']:>9,} a second"
        print(f"{row['task']:15} {row['name']:24} {speed}  words edited {row['words_edited']:.2f} {ratio}", flush=True)


def main(arguments: list[str] | None = None) -> None:
    """Measure, print, and save where the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=Path, help="a file with one text per line; BANKING77 by default")
    parser.add_argument("--wordnet", type=Path, help="a folder of WordNet's files, for nlpaug's synonyms")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--tokens", action=argparse.BooleanOptionalAction, default=True, help="the token path as well")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--quick", action="store_true", help="under two minutes: few texts, one round")
    args = parser.parse_args(arguments)
    one_core()
    texts = sentences(args.texts)
    if args.quick:
        args.rounds, texts = 1, texts[:QUICK_COUNT]
    about = {
        **head(args.rounds),
        "quick": args.quick,
        "texts": len(texts),
        "words": round(sum(len(t.split()) for t in texts) / len(texts), 1),
    }
    print(f"{about['machine']}; one thread, {args.rounds} rounds; {len(texts)} texts of {about['words']} words")
    rows = []
    for name, task in tasks(args.wordnet).items():
        rows += rows_of(name, task, texts, args.rounds)
        show(rows[-4:])
    content = {**about, "nlpaug": importlib.metadata.version("nlpaug"), "rows": rows}
    if args.tokens:
        content["tokens"] = text_tokens.token_rows(args.rounds)
        text_tokens.show(content["tokens"])
    save(args.json, content)


if __name__ == "__main__":
    main()
