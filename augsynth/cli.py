"""The command `augsynth`: each of its commands is a Hydra application on the configuration of the same name."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import augsynth
from augsynth.errors import AugsynthError, suggest

if TYPE_CHECKING:
    from omegaconf import DictConfig

INTERRUPTED = 130
_FULL_ERROR = "HYDRA_FULL_ERROR"
_HINT = f"\n({_FULL_ERROR}=1 shows where this was raised)"
# The flag that turns `augsynth preview` into the gallery of all transforms; Hydra's parser must not see it.
ALL = "--all"
# What is asked about texts has other arms, another network and another preview, hence a configuration of its own.
DATA_OF_TEXT = ("banking77", "csv")
TEXTS = ("compare_text", "preview_text")
# Where a question has no such key, and why.
NOT_OF_TEXTS = {
    "augment": "on texts each arm is a preset: arms=[none,eda]; presets.NAME.KEY=VALUE changes one, "
    "+augment@presets.typos=typos adds one",
    "generator": "synthetic samples are of images only; on texts an arm is none or a preset",
    "synthetic_share": "synthetic samples are of images only; on texts an arm is none or a preset",
}


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run `augsynth COMMAND ...` and exit: 0 when done, 1 after an error that was explained, 130 after Ctrl-C."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    command = given[0] if given else "--help"
    if command in ("-h", "--help", "help"):
        print(usage())
        sys.exit(0)
    if command in ("-V", "--version", "version"):
        print(f"augsynth {augsynth.__version__}")
        sys.exit(0)
    if command not in COMMANDS:
        _fail("augsynth", f"there is no command {command!r}{suggest(command, list(COMMANDS))}")
    try:
        _run(command, given[1:])
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(INTERRUPTED)
    sys.exit(0)


def usage() -> str:
    """Return the text of `augsynth --help`."""
    lines = [f"  {name:<16} {function.__doc__}" for name, function in COMMANDS.items()]
    return "\n".join(
        [
            "usage: augsynth COMMAND [key=value ...]",
            "",
            "Augmentation and synthetic samples for PyTorch training loops, with evidence whether they helped.",
            "",
            *lines,
            "",
            "augsynth COMMAND --help shows what can be set; --multirun sweeps over comma-separated values.",
        ]
    )


def _fail(who: str, message: str) -> NoReturn:
    print(f"{who}: {message}", file=sys.stderr)
    sys.exit(1)


def _run(command: str, arguments: list[str]) -> None:
    """Run one Hydra application; what a user can have caused becomes a message, anything else stays a traceback."""
    name, function = command.replace("-", "_"), COMMANDS[command]
    if command == "preview" and ALL in arguments:
        name, function, arguments = "gallery", gallery, [argument for argument in arguments if argument != ALL]
    elif command == "report":
        arguments = _folder_named(arguments)
    elif f"{command}_text" in TEXTS and _about_texts(command, arguments):
        name = f"{command}_text"
    import hydra
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    from augsynth.config import first_line, version_base

    # Networks and transforms of the user's own stand beside where the command is called, as with `python -m`.
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))

    with _errors_raised() as traceback_wanted, _argv([f"augsynth {command}", *arguments]):

        def job(config: DictConfig) -> float:
            try:
                return function(config)
            except (HydraException, OmegaConfBaseException, AugsynthError, ValueError, TypeError, OSError) as error:
                message = explain(error, name, arguments)
                _note_failure(command, message)
                # Left to Hydra, the message would come after a line about "executing job".
                if traceback_wanted:
                    raise
                _end_job(f"augsynth {command}", message)
            except Exception as error:
                _note_failure(command, f"{type(error).__name__}: {first_line(error)}")
                raise

        try:
            hydra.main(**version_base(), config_path="pkg://augsynth.conf", config_name=name)(job)()
        except JobError as error:
            _fail(f"augsynth {command}", f"a run failed; augsynth report {error.args[1]} names those that did")
        except (HydraException, OmegaConfBaseException, OSError) as error:
            if traceback_wanted:
                raise
            _fail(f"augsynth {command}", explain(error, name, arguments))
        except RuntimeError as error:
            if traceback_wanted or "srun" not in str(error):
                raise
            local = "hydra/launcher=submitit_local gives each run a process of its own here"
            _fail(f"augsynth {command}", f"{first_line(error)} Without Slurm, {local}")
        except SystemExit as error:
            # Hydra's argument parser leaves with 2 after it has said what is wrong.
            sys.exit(1 if error.code == 2 else error.code)


class JobError(AugsynthError):
    """A job of a sweep failed: what is wrong, and the folder of the sweep. The others go on."""


def _note_failure(command: str, message: str) -> None:
    """Leave the message in the output folder of a comparison, for `augsynth report`."""
    from hydra.core.hydra_config import HydraConfig

    from augsynth.gathering import FAILED

    # The folder itself may be what is wrong.
    with suppress(OSError):
        if command == "compare":
            Path(HydraConfig.get().runtime.output_dir, FAILED).write_text(
                message.split(_HINT)[0] + "\n", encoding="utf-8"
            )


def _end_job(who: str, message: str) -> NoReturn:
    """Leave a single run; of a sweep, only this job, so that the others are run."""
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    config = HydraConfig.get()
    if config.mode != RunMode.MULTIRUN:
        _fail(who, message)
    print(f"{who}: run {config.job.num}: {message}", file=sys.stderr)
    raise JobError(message, config.sweep.dir)


def _folder_named(arguments: Sequence[str]) -> list[str]:
    """Return the arguments of `augsynth report` with its folder, the one without a key, as Hydra wants it."""
    plain = [a for a in arguments if a[:1] not in ("-", "+") and ("=" not in a or Path(a).is_dir())]
    if len(plain) > 1:
        _fail("augsynth report", f"one folder at a time, not {len(plain)}: {', '.join(plain)}")
    quoted = ["folder='{}'".format(a.replace("\\", "\\\\").replace("'", "\\'")) for a in plain]
    return [*quoted, *(argument for argument in arguments if argument not in plain)]


def _about_texts(command: str, arguments: Sequence[str]) -> bool:
    """Tell whether the data that the arguments choose are texts; a sweep over texts and images ends here."""
    chosen = [argument.partition("=")[2] for argument in arguments if argument.startswith("data=")]
    names = [name.strip(" '\"") for value in chosen for name in value.split(",")]
    texts = [name in DATA_OF_TEXT for name in names]
    if any(texts) and not all(texts):
        _fail(f"augsynth {command}", f"data={','.join(names)}: one call is about texts or about images, not both")
    return any(texts)


@contextmanager
def _errors_raised() -> Iterator[bool]:
    """Let Hydra raise instead of print and exit; yield whether the user has asked for tracebacks."""
    before = os.environ.get(_FULL_ERROR)
    os.environ[_FULL_ERROR] = "1"
    try:
        yield before not in (None, "", "0")
    finally:
        if before is None:
            del os.environ[_FULL_ERROR]
        else:
            os.environ[_FULL_ERROR] = before


@contextmanager
def _argv(arguments: list[str]) -> Iterator[None]:
    before = sys.argv
    sys.argv = arguments
    try:
        yield
    finally:
        sys.argv = before


def explain(error: Exception, command: str, arguments: Sequence[str]) -> str:
    """Say in one or two lines what is wrong with the command line or the data, and what would be valid.

    command: the name of the configuration that the arguments are for.
    """
    from hydra.errors import HydraException, MissingConfigException, OverrideParseException
    from omegaconf.errors import OmegaConfBaseException

    from augsynth.config import absent, key_of

    text = "\n".join(line for line in str(error).strip().splitlines() if line.strip()) or type(error).__name__
    missing = re.search(r"Missing mandatory value: (\S+)", text)
    if missing:
        return f"{missing[1]} is needed and has no default; give it as {missing[1]}=VALUE"
    if isinstance(error, MissingConfigException) and error.options and error.missing_cfg_file:
        if error.missing_cfg_file in PLUGINS:
            package = PLUGINS[error.missing_cfg_file]
            return (
                f"{error.missing_cfg_file} is in the package {package}, which is not installed: pip install {package}"
            )
        group, _, option = error.missing_cfg_file.rpartition("/")
        return f"{group}={option}: there is no option {option!r} in group {group!r}{suggest(option, error.options)}"
    twice = re.match(r"Multiple values for (\S+)\. To override a value use 'override \1: (\S+)'", text)
    if twice and twice[1] in GROUPS:
        return f"{twice[1]} has an option already; to choose another, type {twice[1]}={twice[2]}"
    if isinstance(error, OverrideParseException):
        return f"{error.override!r} cannot be read; an override is key=value, +key=value or ~key"
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        text = f"cannot use {error.filename}: {error.strerror}; hydra.run.dir=DIR chooses another output folder"
    if not isinstance(error, (HydraException, OmegaConfBaseException)):
        return text + _HINT
    for argument in arguments:
        key = key_of(argument)
        if f"'{key}'" in text.splitlines()[0] and not key.startswith("hydra"):
            if command == "compare_text" and key.split(".")[0] in NOT_OF_TEXTS:
                return f"{argument}: {NOT_OF_TEXTS[key.split('.')[0]]}"
            found = absent(_configuration(command, arguments), argument, GROUPS_OF.get(command, GROUPS))
            if found is not None:
                return f"{argument}: {found}"
    return text


def _configuration(command: str, arguments: Sequence[str]) -> Any:
    """Return the command's configuration with the groups that the arguments choose, and without the rest of them."""
    from hydra import compose, initialize_config_module
    from hydra.core.global_hydra import GlobalHydra
    from hydra.errors import HydraException
    from omegaconf import OmegaConf

    from augsynth.config import version_base

    GlobalHydra.instance().clear()
    groups = [a for a in arguments if a.split("=", 1)[0] in GROUPS and "," not in a and "=" in a]
    with initialize_config_module("augsynth.conf", **version_base()):
        try:
            config = compose(command, groups)
        except HydraException:
            config = compose(command)
    return OmegaConf.to_container(config, resolve=False)


GROUPS = ("augment", "data", "experiment", "generator", "sweep")
# What Hydra's plugins bring, by their packages.
PLUGINS = {
    "hydra/sweeper/optuna": "hydra-optuna-sweeper",
    "hydra/launcher/submitit_slurm": "hydra-submitit-launcher",
    "hydra/launcher/submitit_local": "hydra-submitit-launcher",
    "hydra/launcher/joblib": "hydra-joblib-launcher",
    "hydra/launcher/ray": "hydra-ray-launcher",
}
# Of the configurations that have others.
GROUPS_OF: dict[str, tuple[str, ...]] = {
    "gallery": (),
    "report": (),
    "evaluate": ("data",),
    "generate": ("data",),
    "train_generator": ("data", "generator"),
    "compare_text": ("data", "experiment", "sweep"),
}


def output_folder() -> Path:
    """Return Hydra's output directory, after a file could be written there."""
    from hydra.core.hydra_config import HydraConfig

    folder = Path(HydraConfig.get().runtime.output_dir)
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(folder)) from error
    return folder


def plain(config: DictConfig) -> dict[str, Any]:
    """Return a configuration as plain values, interpolations resolved. Raises: MissingMandatoryValue."""
    from omegaconf import OmegaConf

    values = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    assert isinstance(values, dict)
    return {str(key): value for key, value in values.items()}


def compare(config: DictConfig) -> float:
    """did augmentation and synthetic data help on this data? A table and a report"""
    from augsynth import comparing
    from augsynth.gathering import FAILED

    folder = output_folder()
    (folder / FAILED).unlink(missing_ok=True)  # of an earlier run in the same folder
    comparison = comparing.run(plain(config), folder)
    if comparison.interrupted:
        sys.exit(INTERRUPTED)
    return comparing.objective(comparison)


def evaluate(config: DictConfig) -> float:
    """is this generator good enough to mix its samples in with real ones? A verdict and a report"""
    from augsynth import evaluating

    folder = output_folder()
    return evaluating.run(plain(config), folder).metric("FD", "cnn").value


def train_generator(config: DictConfig) -> float:
    """a generator of labelled images, trained on your data; it goes on where it was stopped"""
    from augsynth import fitting

    folder = output_folder()
    fitting.run(plain(config), folder)
    return 0.0


def generate(config: DictConfig) -> float:
    """synthetic samples on disk: PNG files, WebDataset shards or arrays, each with what made it"""
    from augsynth import generating

    folder = output_folder()
    generating.run(plain(config), folder)
    return 0.0


def report(config: DictConfig) -> float:
    """the runs of a sweep of compare in one table: augsynth report FOLDER"""
    from augsynth.gathered_page import run

    print(run(plain(config)))
    return 0.0


def preview(config: DictConfig) -> float:
    """a picture of every transform of a pipeline; with --all, of every transform there is"""
    from augsynth.preview import run

    folder = output_folder()
    print(run(plain(config), folder))
    return 0.0


def gallery(config: DictConfig) -> float:
    """every transform there is, in one picture and on one page"""
    from augsynth.gallery.run import run

    folder = output_folder()
    print(*run(plain(config), folder), sep="\n")
    return 0.0


COMMANDS: dict[str, Callable[[DictConfig], float]] = {
    "compare": compare,
    "report": report,
    "train-generator": train_generator,
    "evaluate": evaluate,
    "generate": generate,
    "preview": preview,
}
