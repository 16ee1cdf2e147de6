"""Make augsynth/text/data/characters.bin: the class of every code point, as runs.

The table is our own, so that the same seed edits the same places whatever Unicode version Python has.

    python benchmarks/make_characters.py            writes the file
    python benchmarks/make_characters.py --check    fails where it would be another one
"""

from __future__ import annotations

import sys
import unicodedata
from pathlib import Path

import numpy as np

from augsynth.text import characters as c

TARGET = Path(c.__file__).parent / "data" / "characters.bin"
# Scripts whose words have no spaces between them: each sign of the first group is a word, the second has none at all.
SIGNS = ("CJK UNIFIED", "CJK COMPATIBILITY IDEOGRAPH", "HIRAGANA", "KATAKANA", "HALFWIDTH KATAKANA", "BOPOMOFO", "YI ")
UNSPACED = (
    "THAI ",
    "LAO ",
    "KHMER ",
    "MYANMAR ",
    "TIBETAN ",
    "JAVANESE ",
    "BALINESE ",
    "TAI ",
    "NEW TAI LUE ",
    "CHAM ",
)
JOINERS = "\u200c\u200d"
APOSTROPHES = "'\u2019"
SPECIAL = "@_\\{}<>[]#$%&=+|~^`/"
SKIN_TONES = range(0x1F3FB, 0x1F400)


def class_of(code: int) -> int:
    """Return the class of a code point and its flags."""
    sign = chr(code)
    category, name = unicodedata.category(sign), unicodedata.name(sign, "")
    if category == "Cs":
        return c.SURROGATE
    if category[0] == "M" or sign in JOINERS or code in SKIN_TONES:
        return c.MARK
    if sign.isspace():
        return c.SPACE
    if category[0] == "N":
        return c.DIGIT
    if category[0] == "L":
        if name.startswith(SIGNS):
            return c.IDEOGRAPH
        if name.startswith(UNSPACED):
            return c.UNSPACED
        return c.LETTER | (c.UPPER if category in ("Lu", "Lt") else c.LOWER if category == "Ll" else 0)
    if sign in APOSTROPHES:
        return c.APOSTROPHE
    return c.SPECIAL if sign in SPECIAL or category == "Sc" else 0


def table() -> bytes:
    """Return the runs: how many code points in a row, 24 bits, and their class, 8 bits, little endian."""
    classes = np.array([class_of(code) for code in range(0x110000)], np.uint32)
    starts = np.flatnonzero(np.r_[True, classes[1:] != classes[:-1]])
    lengths = np.diff(np.r_[starts, len(classes)])
    # A run longer than 24 bits hold cannot be: there are 2**20 + 2**16 code points.
    return (lengths.astype(np.uint32) << 8 | classes[starts]).astype("<u4").tobytes()


if __name__ == "__main__":
    made = table()
    if sys.argv[1:] == ["--check"]:
        sys.exit(
            0
            if made == TARGET.read_bytes()
            else f"{TARGET.name} is not what Unicode {unicodedata.unidata_version} gives"
        )
    TARGET.write_bytes(made)
    print(f"{TARGET.name}: {len(made)} bytes, Unicode {unicodedata.unidata_version}")
