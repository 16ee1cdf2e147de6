"""Generators to files and back: weights and configuration only, no pickled code."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

import augsynth
from augsynth.errors import AugsynthError
from augsynth.verdict import Verdict, record

if TYPE_CHECKING:
    from augsynth.generators.base import ImageGenerator

FORMAT = "augsynth generator 1"
ADAPTED = "AdaptedGenerator"
_CLASSES = {
    "ConditionalGAN": "augsynth.generators.gan",
    "ConditionalVAE": "augsynth.generators.vae",
    "LatentSMOTE": "augsynth.generators.smote",
}


class CheckpointError(AugsynthError):
    """A generator could not be written or read; the message names the file."""


def save(generator: ImageGenerator, path: str | Path, training: Mapping[str, Any] | None = None) -> None:
    """Write a generator to `path`, whole or not at all; missing folders are made.

    training: what else going on with its training needs; see `resume`.
    """
    name = type(generator).__name__
    if name not in _CLASSES:
        raise CheckpointError(f"load() knows {', '.join(_CLASSES)}, not {name}: give it its own save()")
    content = content_of(generator, generator.config, generator.state_dict())
    if training is not None:
        content["training"] = dict(training)
    write(content, Path(path))


def content_of(generator: Any, config: Mapping[str, Any], state: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a file holds of a generator: its class's name, constructor's arguments, weights and verdict."""
    content = {
        "format": FORMAT,
        "version": augsynth.__version__,
        "class": type(generator).__name__,
        "config": config,
        "state": state,
    }
    if getattr(generator, "classes", None) is not None:
        content["classes"] = list(generator.classes)
    if isinstance(verdict := getattr(generator, "verdict", None), Verdict):
        content["verdict"] = verdict.to_dict()
    return content


def write(content: Mapping[str, Any], target: Path) -> None:
    """Write a file whole or not at all. Raises: CheckpointError where that fails; an older file stays as it was."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    except OSError as error:
        raise CheckpointError(f"cannot write the checkpoint {target}: {error.strerror or error}") from error
    try:
        with os.fdopen(handle, "wb") as stream:
            torch.save(content, stream)
        # mkstemp lets only the owner read; a checkpoint is a file like any other.
        umask = os.umask(0)
        os.umask(umask)
        Path(temporary).chmod(0o666 & ~umask)
        Path(temporary).replace(target)
    except (OSError, RuntimeError) as error:
        Path(temporary).unlink(missing_ok=True)
        raise CheckpointError(f"cannot write the checkpoint {target}: {error}") from error


def load(path: str | Path, *, num_classes: int | None = None) -> ImageGenerator:
    """Read a generator that `save` wrote, onto the CPU.

    num_classes: what your data has, checked when given.
    Raises: CheckpointError if there is no such file, if it is no augsynth checkpoint, or if its class count differs.
    """
    source = Path(path)
    content = read(source)
    config = content["config"]
    if content["class"] == ADAPTED:
        raise CheckpointError(
            f"{source} holds the weights of your own module ({config['name']}), not its code: build the module, then "
            "augsynth.generators.from_module(module, ...).load_weights(path)"
        )
    if num_classes is not None and config["num_classes"] != num_classes:
        raise CheckpointError(
            f"the generator in {source} has {config['num_classes']} classes, the data has {num_classes}: "
            "train a generator on this data"
        )
    try:
        generator: ImageGenerator = getattr(import_module(_CLASSES[content["class"]]), content["class"])(**config)
        generator.load_state_dict(content["state"])
        _recall(generator, content)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise CheckpointError(
            f"{source} was written by augsynth {content['version']} and does not fit {augsynth.__version__}: {error}"
        ) from error
    return generator.eval()


def _recall(generator: ImageGenerator, content: Mapping[str, Any]) -> None:
    """Give a generator the names of its classes, unless it has some, and its verdict, which speaks of these weights."""
    if generator.classes is None and "classes" in content:
        generator.classes = tuple(content["classes"])
    if "verdict" in content:
        record(generator, Verdict.from_dict(content["verdict"]))


def resume(generator: ImageGenerator, path: Path) -> dict[str, Any]:
    """Give a generator the weights of a training that is under way, and return what `save` was given for it.

    Raises: CheckpointError where the file holds another generator, or a finished one alone.
    """
    content = read(path)
    check_same(content, generator, generator.config, path)
    if "training" not in content:
        raise CheckpointError(f"{path} holds a generator without the state of its training; name another file")
    generator.load_state_dict(content["state"])
    _recall(generator, content)
    found: dict[str, Any] = content["training"]
    return found


def check_same(content: Mapping[str, Any], generator: Any, config: Mapping[str, Any], path: Path) -> None:
    """Raise CheckpointError that names what differs, where a file holds another class or other arguments."""
    ours = {"class": type(generator).__name__, **config}
    theirs = {"class": content["class"], **content["config"]}
    other = [f"{k}={theirs.get(k)!r} (now {ours.get(k)!r})" for k in {**ours, **theirs} if ours.get(k) != theirs.get(k)]
    if other:
        raise CheckpointError(f"{path} is the checkpoint of another generator: {', '.join(other)}; name another file")


def training_of(path: str | Path) -> dict[str, Any] | None:
    """Return the state of the training that `fit` left in a checkpoint, None where there is none."""
    return read(Path(path)).get("training")


def read(source: Path) -> dict[str, Any]:
    """Return the content of a file. Raises: CheckpointError where there is none, or it is no such file."""
    if not source.is_file():
        raise CheckpointError(f"there is no checkpoint {source}")
    try:
        content = torch.load(source, map_location="cpu", weights_only=True)
    except Exception as error:
        # torch raises half a dozen types here, depending on what the file is instead.
        raise CheckpointError(f"{source} is not an augsynth checkpoint: {_first(error)}") from error
    if isinstance(content, dict) and content.get("format") == FORMAT:
        return content
    hint = ""
    if isinstance(content, dict) and "pytorch-lightning_version" in content:
        hint = ": it is a Lightning checkpoint, read it with the class's load_from_checkpoint"
    raise CheckpointError(f"{source} is not an augsynth checkpoint{hint}")


def _first(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
