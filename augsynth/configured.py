"""What is written down of a pipeline: plain data that YAML, JSON and Hydra can hold, read again exactly; its hash."""

from __future__ import annotations

import hashlib
import importlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch

from augsynth.errors import ConfigError
from augsynth.reading_config import VERSION, built, parsed
from augsynth.transforms.base import Transform

# Where a user finds a class, if that is not the module that defines it.
_PUBLIC = ("augsynth", "augsynth.transforms")


class Configured:
    """What can be written as a configuration: a dataclass whose fields are numbers, names, transforms and the like."""

    unwritten: ClassVar[tuple[str, ...]] = ()  # fields that say nothing about what it does

    def to_config(self) -> dict[str, Any]:
        """Return it as plain data with all arguments, so that other defaults in a later version change nothing.

        Hydra can instantiate it, `from_config` reads it without Hydra, and both give an equal object.
        Raises ConfigError naming the transform and the argument that holds something else, such as a function.
        """
        node = _node(self, self._arguments(), type(self).__name__)
        return {"_target_": node.pop("_target_"), "version": VERSION, **node}

    def to_yaml(self, path: str | Path | None = None) -> str:
        """Return `to_config` as YAML, and write it to a file if there is a path."""
        import yaml

        config = self.to_config()
        text = str(yaml.safe_dump(config, sort_keys=False, allow_unicode=True, default_flow_style=None, width=120))
        return _written(text, path)

    def to_json(self, path: str | Path | None = None) -> str:
        """Return `to_config` as JSON, and write it to a file if there is a path."""
        return _written(json.dumps(self.to_config(), indent=2, ensure_ascii=False) + "\n", path)

    @classmethod
    def from_config(cls, config: Any, allow: Sequence[str] = ()) -> Self:
        """Build what `to_config` wrote, or a configuration in that form written by hand.

        config: a mapping, text in YAML or JSON, or the path of a .yaml, .yml or .json file. allow: targets that are not
        augsynth's own and may be called all the same, such as "my_package.*".
        Raises ConfigError naming the place, what stands there and what is known.
        """
        made = built(parsed(config), allow)
        if not isinstance(made, cls):
            kind = type(made).__name__
            how = (
                f"read it by {kind}.from_config" if isinstance(made, Configured) else "a transform stands in a pipeline"
            )
            raise ConfigError(f"{cls.__name__}.from_config: this is the configuration of a {kind}; {how}")
        return made

    @cached_property
    def fingerprint(self) -> str:
        """The SHA-256 of the configuration in hexadecimal: equal for equal pipelines, in any process and order of keys.

        Raises ConfigError where something cannot be written.
        """
        text = json.dumps(_canonical(self.to_config()), separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()

    def _arguments(self) -> Iterator[tuple[str, Any]]:
        """Yield the arguments and their values."""
        for item in fields(self):  # type: ignore[arg-type]  # its subclasses are dataclasses
            if item.init and item.name not in self.unwritten:
                yield item.name, getattr(self, item.name)


def described(pipeline: Any) -> str:
    """Return a pipeline's fingerprint, or why it has none, for reports: what makes a pipeline of the words has none."""
    if not isinstance(pipeline, Configured):
        return f"none: it is a {type(pipeline).__name__}, which cannot be written"
    try:
        return str(pipeline.fingerprint)
    except ConfigError as error:
        return f"none: {error}"


def _written(text: str, path: str | Path | None) -> str:
    if path is not None:
        Path(path).write_text(text, encoding="utf-8")
    return text


def _node(value: Any, arguments: Iterator[tuple[str, Any]], where: str) -> dict[str, Any]:
    return {"_target_": _target(type(value), where), **{n: _plain(v, f"{where}.{n}") for n, v in arguments}}


def _plain(value: Any, where: str) -> Any:
    """Write one value. Raises ConfigError naming its place."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, torch.dtype):
        return str(value).removeprefix("torch.")
    if isinstance(value, (tuple, list)):
        return [_plain(entry, f"{where}.{i}") for i, entry in enumerate(value)]
    if isinstance(value, Mapping) and all(isinstance(key, (str, int)) for key in value):
        return {key: _plain(entry, f"{where}.{key}") for key, entry in value.items()}
    if isinstance(value, Configured):
        return _node(value, value._arguments(), where)
    if hasattr(value, "config_node") and (found := value.config_node()):
        return found
    if isinstance(value, Transform) or (is_dataclass(value) and type(value).__module__.startswith("augsynth.")):
        own = f"{where} ({type(value).__name__})"
        return _node(value, ((f.name, getattr(value, f.name)) for f in fields(value) if f.init), own)  # type: ignore[arg-type]
    kind = f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")
    raise ConfigError(
        f"{where} cannot be written: it is {kind} ({value!r:.60}), and a configuration holds numbers, names, lists, "
        "mappings and augsynth's own transforms; replace it by one of those, or keep this pipeline in Python"
    )


def _target(kind: type, where: str) -> str:
    """Return the import path of a class. Raises ConfigError for one that nobody can import."""
    if kind.__module__.startswith("augsynth."):
        for public in _PUBLIC:
            if kind.__name__ in _names_of(public):
                return f"{public}.{kind.__name__}"
    if kind.__module__ == "__main__" or "<" in kind.__qualname__:
        raise ConfigError(
            f"{where} cannot be written: {kind.__qualname__} is defined in {kind.__module__}, where no other program "
            "can import it; define it at the top of a module"
        )
    return f"{kind.__module__}.{kind.__qualname__}"


def _names_of(module: str) -> Sequence[str]:
    return tuple(importlib.import_module(module).__all__)


def _canonical(value: Any) -> Any:
    """Write equal values alike: 1 and 1.0, and mappings in any order, but transforms in theirs."""
    if isinstance(value, dict):
        pairs = [[str(key), _canonical(entry)] for key, entry in value.items()]
        ordered = any(isinstance(entry, dict) and "_target_" in entry for entry in value.values())
        return pairs if ordered else sorted(pairs, key=lambda pair: pair[0])
    if isinstance(value, list):
        return [["list"], *map(_canonical, value)]
    whole = isinstance(value, bool) or (isinstance(value, float) and value.is_integer())
    return int(value) if whole else value
