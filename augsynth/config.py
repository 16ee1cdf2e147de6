"""Hydra configuration: the one place that instantiates, and pipelines by name for use from Python."""

from __future__ import annotations

import inspect
import json
import pkgutil
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from augsynth.errors import AugsynthError, ConfigError, suggest
from augsynth.quality.models import seeded

if TYPE_CHECKING:
    from augsynth.pipeline import Pipeline
    from augsynth.quality.runs import Sampler
    from augsynth.quality.samples import Labelled

CONFIG_MODULE = "augsynth.conf"
# What a configuration may instantiate without being asked for by the caller.
TRUSTED = ("augsynth.*", "torchvision.transforms.*", "albumentations.*")
_BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def build(config: Any, allow: Sequence[str] = (), **arguments: Any) -> Any:
    """Instantiate a configuration: its `_target_` called with its other keys and `arguments`.

    config: a mapping or an OmegaConf node. allow: further targets, such as "my.*", besides augsynth's own,
    torchvision's transforms and albumentations. Raises: ConfigError that names key, target and reason.
    """
    import hydra
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    trust: dict[str, Any] = {}
    if hasattr(hydra.utils, "execution_whitelist"):  # Hydra 1.4 refuses targets that the application does not name
        trust["_execution_whitelist_"] = hydra.utils.execution_whitelist([*TRUSTED, *allow])
    try:
        return hydra.utils.instantiate(config, _convert_="all", **trust, **arguments)
    except (HydraException, OmegaConfBaseException, AugsynthError, ValueError, TypeError, OSError) as error:
        # Hydra 1.3 wraps what a target raises, 1.4 hands it on with notes.
        raise ConfigError(_reason(error, config)) from error


def targets(config: Any) -> tuple[str, ...]:
    """Return every `_target_` in a configuration: what its author asks for, if the author may ask for anything.

    An object that is re-exported counts under both names, because Hydra 1.4 looks at the one where it is defined.
    """
    if isinstance(config, Mapping):
        own = _names(str(config["_target_"])) if config.get("_target_") else ()
        return own + tuple(target for value in config.values() for target in targets(value))
    if isinstance(config, Sequence) and not isinstance(config, str):
        return tuple(target for value in config for target in targets(value))
    return ()


def _names(target: str) -> tuple[str, ...]:
    try:
        found = pkgutil.resolve_name(target)
    except (ImportError, AttributeError, ValueError):
        return (target,)
    defined = f"{getattr(found, '__module__', None)}.{getattr(found, '__qualname__', None)}"
    return tuple(dict.fromkeys((target, defined)))


def version_base() -> dict[str, str]:
    """Return the argument that Hydra 1.3 wants and 1.4 warns about."""
    import hydra

    return {"version_base": "1.3"} if hydra.__version__.startswith("1.3") else {}


def pipeline(name: str = "standard", overrides: Sequence[str] = (), image_size: int | Sequence[int] = 224) -> Pipeline:
    """Return a pipeline that ships with augsynth: none, light, standard or strong.

    overrides: in Hydra's grammar, such as "transforms.affine.degrees=20" or "~transforms.erase".
    image_size: side in pixels, or (height, width), of what the crops give. Raises: ConfigError.
    """
    size = image_size if isinstance(image_size, int) else f"[{','.join(map(str, image_size))}]"
    node = _option("pipeline", "preview", "augment", name, overrides, f"data.image_size={size}")
    result: Pipeline = build(node, allow=targets(node))
    return result


def generator(name: str = "latent_smote", overrides: Sequence[str] = ()) -> ConfiguredGenerator:
    """Return a generator's configuration that ships with augsynth: vae, latent_smote, cgan_tiny, cgan_32, ...

    Its `make(image_shape, num_classes)` gives the untrained generator; its `config["fit"]` are arguments of `fit`.
    overrides: in Hydra's grammar, such as "model.width=32". Raises: ConfigError.
    """
    from omegaconf import OmegaConf

    node = OmegaConf.to_container(_option("generator", "train_generator", "generator", name, overrides))
    assert isinstance(node, dict)
    return ConfiguredGenerator({str(key): value for key, value in node.items()})


def _option(who: str, config: str, group: str, name: str, overrides: Sequence[str], *others: str) -> Any:
    """Return option `name` of a group of a configuration, with overrides of its keys. Raises: ConfigError."""
    from hydra import compose, initialize_config_module
    from hydra.core.global_hydra import GlobalHydra
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    outer = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    prefixed = [re.sub(r"^([~+]*)", rf"\1{group}.", override, count=1) for override in overrides]
    try:
        with initialize_config_module(CONFIG_MODULE, **version_base()):
            return compose(config, [f"{group}={name}", *others, *prefixed])[group]
    except (HydraException, OmegaConfBaseException) as error:
        reason = _wrong(error, config, group, name, overrides)
        raise ConfigError(f"{who}({name!r}, {list(overrides)}): {reason}") from error
    finally:
        # Called inside a Hydra application, this must not take its configuration away.
        if outer is not None:
            GlobalHydra.instance().initialize(outer)


def _wrong(error: Exception, config: str, group: str, name: str, overrides: Sequence[str]) -> str:
    """Say what is wrong with an option's name or overrides, and what would be right."""
    from hydra import compose, initialize_config_module
    from omegaconf import OmegaConf

    text = first_line(error)
    options = getattr(error, "options", None)
    if options:
        return text + suggest(name, options)
    if text.startswith("Ambiguous value"):
        return f"{text}; a list is written key=[value1,value2], a string key='value1,value2'"
    for override in overrides:
        key = key_of(override)
        if f"'{group}.{key}'" in text:
            with initialize_config_module(CONFIG_MODULE, **version_base()):
                node = OmegaConf.to_container(compose(config, [f"{group}={name}"])[group], resolve=False)
            return absent(node, override) or text
    return text


def key_of(override: str) -> str:
    """Return the dotted key that an override in Hydra's grammar is about."""
    return override.split("=", 1)[0].lstrip("+~")


def absent(config: Any, override: str, groups: Sequence[str] = ()) -> str | None:
    """Say which part of an override's key is not there and what to type instead; None where all of it is.

    groups: what may be given beside the keys of the configuration.
    """
    node, walked = config, ""
    parts = key_of(override).split(".")
    for depth, part in enumerate(parts):
        if not isinstance(node, Mapping):
            return f"{walked} is a value and has no key {part!r}"
        if part not in node:
            target = str(node.get("_target_") or "")
            accepted = parameters(target) if target else ()
            if part in accepted and depth == len(parts) - 1 and override[0] not in "+~":
                return (
                    f"{target.rpartition('.')[2]} has an argument {part!r}, which this configuration does not set yet; "
                    f"to set it, type {shlex.quote('+' + override)}"
                )
            known = [str(key) for key in node if key != "_convert_"]  # Hydra's own, which nobody overrides
            valid = dict.fromkeys([*known, *accepted, *(() if walked else groups)])
            return f"there is no key {part!r}{f' in {walked}' if walked else ''}{suggest(part, list(valid))}"
        node, walked = node[part], f"{walked}.{part}" if walked else part
    return None


def parameters(target: str) -> tuple[str, ...]:
    """Return the names of a target's arguments, of its base classes' too where it hands `**` on to them."""
    names: dict[str, None] = {}
    # The names are a hint only, and a user's module can fail in any way when it is imported.
    with suppress(Exception):
        found = pkgutil.resolve_name(target)
        for taker in found.__mro__ if inspect.isclass(found) else (found,):
            arguments = inspect.signature(taker).parameters.values()
            names |= {argument.name: None for argument in arguments if argument.kind in _BY_NAME}
            if all(argument.kind is not inspect.Parameter.VAR_KEYWORD for argument in arguments):
                break
    return tuple(names)


def with_normalize(augment: Mapping[str, Any], mean: Sequence[float], std: Sequence[float]) -> dict[str, Any]:
    """Return an augment configuration that ends in Normalize, unless it brings one of its own."""
    transforms = dict(augment.get("transforms") or {})
    if not any(str(target).endswith(".Normalize") for target in targets(transforms)):
        normalize = {"_target_": "augsynth.transforms.Normalize", "mean": list(mean), "std": list(std)}
        transforms["normalize"] = normalize
    return {**augment, "transforms": transforms}


def image_pipeline(config: Mapping[str, Any]) -> Pipeline:
    """Build the augment group where samples are images. Raises: ConfigError for one that edits texts."""
    made: Pipeline = build(config, allow=targets(config))
    if made.text_plan is not None or made.token_plan is not None:
        raise ConfigError(
            "augment: this pipeline edits texts, and the samples are images; choose light, standard or strong, "
            "or texts, such as data=banking77"
        )
    return made


def model_factory(config: Mapping[str, Any]) -> Callable[..., nn.Module]:
    """Return the network's class or function with the arguments that the configuration gives it."""
    if not config.get("_target_"):
        raise ConfigError("model._target_ is needed: the import path of a network, such as model._target_=my.Net")
    name = str(config["_target_"])
    try:
        found = pkgutil.resolve_name(name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(f"model._target_={name} cannot be imported: {first_line(error)}") from error
    if not callable(found):
        raise ConfigError(f"model._target_={name} is a {type(found).__name__}, not a class or function")
    rest = {key: value for key, value in config.items() if key != "_target_"}
    return partial(found, **build(rest, allow=targets(rest)))


@dataclass(frozen=True)
class ConfiguredGenerator:
    """Trains the generator that a configuration describes; a value, so that worker processes can have it.

    config: `model`, with a `_target_` that takes image_shape and num_classes, and `fit`, the arguments of `fit`.
    """

    config: Mapping[str, Any]

    def make(self, image_shape: Sequence[int], num_classes: int) -> Any:
        """Return the untrained generator. Raises: ConfigError that names the key."""
        node = self.config["model"]
        # `fit` draws the weights anew from its seed; these must only leave the global generator alone.
        with seeded(0):
            return build(node, allow=targets(node), image_shape=tuple(image_shape), num_classes=num_classes)

    def __call__(self, samples: Labelled, num_classes: int, seed: int) -> Sampler:
        """Train on `samples` alone, weights and order by `seed`."""
        from augsynth.generators import fit

        generator = self.make(samples.image.shape[1:], num_classes)
        options = self.config.get("fit", {})
        trained: Sampler = fit(generator, (samples.image, samples.label), seed=seed, **options)
        return trained


def _reason(error: Exception, config: Any) -> str:
    """Say what Hydra's instantiate failed on: the key, the target, and the cause in the cause's own words."""
    from hydra.errors import HydraException

    text = "\n".join([str(error), *getattr(error, "__notes__", ())])
    key = re.search(r"full_key: *(\S+)", text)
    named = re.search(r"target:? '([^']+)'", text)
    target = named[1] if named else _target_at(config, key[1] if key else "")
    cause = error.__cause__ or error
    reason = first_line(cause)
    if cause is error and isinstance(error, HydraException):
        reason = " ".join(str(error).split("full_key:")[0].split())  # a sentence over several lines
    if isinstance(cause, TypeError) and target:
        reason += _arguments(target, reason)
    if "locating target" in text and isinstance(cause, ImportError):
        # Hydra's own first line only repeats the target; the second one says what Python said.
        said = [line.strip() for line in str(cause).splitlines() if line.strip()]
        reason = f"cannot be imported: {said[1] if len(said) > 1 else reason}"
    return ": ".join(part for part in (key[1] if key else None, target, reason) if part)


def _target_at(config: Any, key: str) -> str | None:
    """Return the target of the node at a dotted key, which Hydra 1.4 does not say."""
    for part in filter(None, key.split(".")):
        config = config.get(part) if isinstance(config, Mapping) else None
    found = config.get("_target_") if isinstance(config, Mapping) else None
    return str(found) if found else None


def _arguments(target: str, reason: str) -> str:
    """Return the valid arguments of a target for a message about a wrong one."""
    wrong = re.search(r"unexpected keyword argument '(\w+)'", reason)
    names = parameters(target) if wrong else ()
    return suggest(wrong[1], names) if wrong and names else ""


def first_line(error: BaseException) -> str:
    """Return the first line of a message that says something, or the name of the error."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def to_yaml(values: Mapping[str, Any]) -> str:
    """Write a resolved configuration as YAML, for reading."""
    from omegaconf import OmegaConf

    return OmegaConf.to_yaml(OmegaConf.create(dict(values)))


def begun(folder: Path) -> tuple[str, ...]:
    """Return the overrides that Hydra says the run in `folder` was called with; none where it says nothing."""
    from omegaconf import OmegaConf

    kept = folder / ".hydra" / "overrides.yaml"
    return tuple(map(str, OmegaConf.load(kept))) if kept.is_file() else ()


def begun_as(folder: Path, values: Any) -> bool:
    """Tell whether the run in `folder` began with the configuration `values`, as JSON holds it, or may have."""
    from omegaconf import OmegaConf

    kept = folder / ".hydra" / "config.yaml"
    if values is None or not kept.is_file():
        return True
    return _may_be(json.loads(json.dumps(OmegaConf.to_container(OmegaConf.load(kept), resolve=False))), values)


def _may_be(node: Any, value: Any) -> bool:
    """Compare a configuration with its values, except where an interpolation stands, which only the run could read."""
    if isinstance(node, str) and "${" in node:
        return True
    if isinstance(node, dict) and isinstance(value, dict):
        return node.keys() == value.keys() and all(_may_be(node[key], value[key]) for key in node)
    if isinstance(node, list) and isinstance(value, list):
        return len(node) == len(value) and all(map(_may_be, node, value))
    return bool(node == value)


def of_compare(kept: Path) -> bool:
    """Tell whether the configuration that Hydra keeps in a folder is of a comparison, and not of a preview, say."""
    from omegaconf import OmegaConf

    return (kept / "config.yaml").is_file() and "learning_rates" in OmegaConf.load(kept / "config.yaml")


def planned(folder: Path) -> list[tuple[str, ...]] | None:
    """Return the overrides of every job of the sweep in `folder`; None where it is no sweep over a grid."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from omegaconf import OmegaConf

    kept = folder / "multirun.yaml"
    settings = OmegaConf.select(OmegaConf.load(kept), "hydra") if kept.is_file() else None
    if settings is None or not str(settings.sweeper.get("_target_")).endswith(".BasicSweeper"):
        return None
    fixed = [f"{key}={value}" for key, value in (settings.sweeper.get("params") or {}).items()]
    overrides = OverridesParser.create().parse_overrides([*fixed, *settings.overrides.task])
    # A key that is given twice counts once, with its last value.
    choices = {}
    for override in overrides:
        key = override.get_key_element()
        swept = override.is_sweep_override()
        values = override.sweep_string_iterator() if swept else [override.get_value_element_as_str()]
        choices[key] = [f"{key}={value}" for value in values]
    return list(product(*choices.values()))
