"""The library's own exceptions, and how a wrong name is answered.

A user's mistake raises one of these, a `ValueError` or a `TypeError`.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Self


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


class Checked:
    """Base of classes whose TypeError for a keyword that they do not take names the closest one, unlike Python's."""

    # In a base and not beside __init__, whose signature would be hidden by this one.
    def __new__(cls, *_: Any, **given: Any) -> Self:
        check_arguments(cls, given)
        return super().__new__(cls)


def check_arguments(cls: type, given: Mapping[str, Any]) -> None:
    """Raise TypeError for a keyword that the class does not take."""
    fields: Mapping[str, Any] = getattr(cls, "__dataclass_fields__", {})
    if given.keys() <= fields.keys():
        return
    # A subclass may have an __init__ of its own.
    accepted = inspect.signature(cls.__init__).parameters  # type: ignore[misc]  # the class's own, whichever it is
    if any(argument.kind is inspect.Parameter.VAR_KEYWORD for argument in accepted.values()):
        return
    for name, value in given.items():
        if name not in accepted:
            raise TypeError(
                f"{cls.__name__}: {name}={value!r}: there is no argument {name!r}{suggest(name, list(accepted)[1:])}"
            )
