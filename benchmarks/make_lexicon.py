"""Make augsynth/text/data/lexicon.bin from Open English WordNet 2025 (CC BY 4.0; see its LICENSE beside the file).

FOLDER holds oewn2025_lemmas.tsv.xz and oewn2025_synsets.tsv.xz: the project's YAML files as two tables (lemma, part of
speech, synsets in order of sense, irregular forms; and synset, part of speech, lexicographer file, members).

    python benchmarks/make_lexicon.py FOLDER            writes the file
    python benchmarks/make_lexicon.py FOLDER --check    fails where it would be another one
"""

from __future__ import annotations

import lzma
import sys
from collections.abc import Iterator
from pathlib import Path

from augsynth.text import lexicon, wordnet

TARGET = Path(lexicon.__file__).parent / lexicon.SHIPPED
SOURCE = "Open English WordNet 2025, CC BY 4.0, derived from WordNet 3.1"
MOST_BYTES = 1_500_000


def lines(path: Path) -> Iterator[str]:
    """Yield the lines of an xz file."""
    with lzma.open(path, "rt", encoding="utf-8") as file:
        yield from file


def made(folder: Path) -> bytes:
    """Return the file. Raises ValueError where it is larger than it may be."""
    net = wordnet.read_tables(lines(folder / "oewn2025_lemmas.tsv.xz"), lines(folder / "oewn2025_synsets.tsv.xz"))
    data = wordnet.table(net, SOURCE)
    if len(data) > MOST_BYTES:
        raise ValueError(f"{len(data)} bytes are more than {MOST_BYTES}")
    return data


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    data = made(Path(sys.argv[1]))
    if "--check" in sys.argv:
        sys.exit(0 if data == TARGET.read_bytes() else f"{TARGET.name} is not what {sys.argv[1]} gives")
    TARGET.write_bytes(data)
    print(f"{TARGET.name}: {len(data):,} bytes, {len(lexicon.Lexicon.default()):,} words")
