"""From plain data to a pipeline: parsed, checked against what is known, and built without Hydra."""

from __future__ import annotations

import inspect
import json
import pkgutil
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from augsynth.errors import AugsynthError, ConfigError, suggest
from augsynth.transforms.base import Transform

VERSION = 1  # of the form, not of the library
_SUFFIXES = (".yaml", ".yml", ".json")
# What may stand in a configuration beside transforms and pipelines.
_VALUES = (
    "augsynth.adapters.conventions.Conventions",
    "augsynth.text.lexicon.Lexicon.default",
    "augsynth.text.lexicon.Lexicon.from_dict",
    "augsynth.text.token_vocabulary.TokenVocabulary.from_config",
)


def check_version(version: Any) -> None:
    """Raise ConfigError for a form that this version of the library does not know."""
    import augsynth

    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise ConfigError(f"version={version!r} of a configuration must be a whole number, such as {VERSION}")
    if version > VERSION:
        raise ConfigError(
            f"version={version} of this configuration is newer than {VERSION}, which augsynth {augsynth.__version__} "
            "knows; install a newer augsynth"
        )


def parsed(config: Any) -> Mapping[Any, Any]:
    """Return a mapping from one, from text in YAML or JSON, or from a file. Raises ConfigError for anything else."""
    found, what = config, f"a {type(config).__name__}"
    if isinstance(config, Path) or (isinstance(config, str) and _is_path(config)):
        path = Path(config)
        if not path.is_file():
            raise ConfigError(f"from_config: there is no file {path}")
        found, what = _loaded(path.read_text(encoding="utf-8"), str(path)), f"the file {path}"
    elif isinstance(config, str):
        found, what = _loaded(config, "the text"), f"the text {config!r:.40}"
    if not isinstance(found, Mapping):
        raise ConfigError(
            f"from_config: {what} holds no mapping; give what to_config, to_yaml or to_json wrote, or the path of a "
            f"{', '.join(_SUFFIXES)} file"
        )
    return found


def _is_path(text: str) -> bool:
    return "\n" not in text and text.lower().endswith(_SUFFIXES)


def _loaded(text: str, source: str) -> Any:
    import yaml

    try:
        # YAML takes 1e-05 for a word, and JSON writes numbers so.
        return json.loads(text) if text.lstrip().startswith("{") else yaml.safe_load(text)
    except json.JSONDecodeError:
        pass
    except yaml.YAMLError as error:
        raise ConfigError(f"from_config: {source} is no YAML: {error}") from None
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"from_config: {source} is neither JSON nor YAML: {error}") from None


def built(config: Mapping[Any, Any], allow: Sequence[str]) -> Any:
    """Build the object that a configuration describes. Raises ConfigError naming the place."""
    if "_target_" not in config:
        raise ConfigError(
            f"from_config: there is no _target_ among {', '.join(map(str, config)) or 'no keys'}; a pipeline's is "
            "augsynth.Pipeline"
        )
    return _built(config, "", tuple(allow))


def _built(node: Any, where: str, allow: tuple[str, ...]) -> Any:
    if isinstance(node, Mapping):
        entries = {key: node[key] for key in node}
        target = entries.pop("_target_", None)
        entries.pop("_convert_", None)  # Hydra's own; what is built here is plain in any case
        values = {key: _built(v, f"{where}.{key}".lstrip("."), allow) for key, v in entries.items()}
        return values if target is None else _called(target, values, where or "from_config", allow)
    if isinstance(node, Sequence) and not isinstance(node, (str, bytes)):
        return [_built(entry, f"{where}.{i}".lstrip("."), allow) for i, entry in enumerate(node)]
    return node


def _called(target: Any, values: dict[Any, Any], where: str, allow: tuple[str, ...]) -> Any:
    """Call a target with its arguments."""
    found = _found(target, where, allow)
    names = _arguments(found)
    for name in values:
        if names is not None and name not in names:
            raise ConfigError(f"{where}: {target} has no argument {name!r}{suggest(str(name), names)}")
    if isinstance(values.get("keys"), dict):
        # JSON has no numbers for keys; positions in a tuple are such.
        values["keys"] = {int(k) if str(k).isdigit() else k: v for k, v in values["keys"].items()}
    try:
        return found(**values)
    except (ValueError, TypeError, OSError, AugsynthError) as error:
        raise ConfigError(f"{where}: {target}: {error}") from error


def _found(target: Any, where: str, allow: tuple[str, ...]) -> Any:
    """Import a target, if it may be called."""
    name = str(target)
    allowed = any(fnmatchcase(name, pattern) for pattern in allow)
    if not (allowed or name.startswith("augsynth.")):
        raise ConfigError(
            f"{where}: {name} is not augsynth's own; if you trust whoever wrote this configuration, give "
            f"allow=[{name!r}]"
        )
    try:
        found = pkgutil.resolve_name(name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(f"{where}: there is no {name} ({error}){_nearest(name)}") from None
    if not (allowed or name in _VALUES or _is_ours(found)):
        raise ConfigError(f"{where}: {name} is neither a transform nor a pipeline{_nearest(name)}")
    return found


def _is_ours(found: Any) -> bool:
    from augsynth.configured import Configured

    return isinstance(found, type) and issubclass(found, (Transform, Configured))


def _nearest(name: str) -> str:
    from augsynth import transforms

    known = {n: f"augsynth.transforms.{n}" for n in transforms.__all__ if n[0].isupper() and not n.isupper()}
    known["Pipeline"] = "augsynth.Pipeline"
    close = get_close_matches(name.rpartition(".")[2], known, n=3)
    return f"; did you mean {' or '.join(known[n] for n in close)}?" if close else "; see augsynth.transforms"


def _arguments(found: Any) -> list[str] | None:
    """Return the names of a target's arguments; None where it takes any."""
    if isinstance(found, type) and is_dataclass(found):
        extra = ["version"] if hasattr(found, "to_config") else []
        return [item.name for item in fields(found) if item.init] + extra
    parameters = inspect.signature(found).parameters.values()
    return None if any(p.kind is p.VAR_KEYWORD for p in parameters) else [p.name for p in parameters]
