"""The library's own exceptions. A user's mistake raises one of these, a `ValueError` or a `TypeError`."""

from collections.abc import Sequence
from difflib import get_close_matches


class AugsynthError(Exception):
    """Base of every error that only augsynth raises."""


class SampleError(AugsynthError):
    """A sample could not be read or augmented; the message names its index."""


class ConfigError(AugsynthError, ValueError):
    """A configuration asks for something that cannot be built, or something cannot be written as one."""


def suggest(wrong: str, valid: Sequence[str]) -> str:
    """Return "; did you mean 'a'? Valid: a, b, c" for an error message."""
    close = get_close_matches(str(wrong), list(valid), n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ";"
    return f"{hint} Valid: {', '.join(map(str, valid))}"
