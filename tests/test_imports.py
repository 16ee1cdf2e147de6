from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import augsynth

ROOT = Path(augsynth.__file__).parent
# From the bottom up; a module may import from its own layer and from those before it. What is not named is on top.
LAYERS = [
    {"compiled", "elementary", "errors", "rng", "batch", "provenance", "threads", "verdict", "text"},
    {"transforms"},
    {"program", "placing", "runs", "fuse", "images"},
    {"boxes", "finding", "masks", "points", "target_values"},
    {"engines"},
    {"targets", "mix_targets", "mixing", "soft_labels", "text_run", "text_mixing", "token_run"},
    {"columns", "texts", "written", "reading_config", "configured", "converting", "replaying", "unwarping"},
    {"rendering", "pipeline"},
    {"adapters"},
    {"data"},
    {"generators", "quality"},
    {"exporting"},
    {"lightning"},
]
FAMILIES = {
    "hydra": {"config", "cli"},
    "omegaconf": {"config", "cli"},
    "pytorch_lightning": {"generators", "lightning"},
    "albumentations": {"adapters"},
    "nlpaug": {"adapters"},
    "transformers": {"text", "data"},
    "torchvision": {"adapters"},
}
HEAVY = (
    "transformers",
    "torchvision",
    "cv2",
    "PIL",
    "albumentations",
    "nlpaug",
    "sklearn",
    "scipy",
    "pandas",
    "pytorch_lightning",
)
HEAVY += ("lightning_fabric", "torchmetrics", "hydra", "omegaconf", "matplotlib", "rich", "triton", "transformers")


def modules() -> dict[str, Path]:
    files = sorted(ROOT.rglob("*.py"))
    dotted = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in files}
    return {name.removesuffix("__init__").rstrip("."): path for name, path in dotted.items()}


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)


def imports(node: ast.AST) -> Iterator[str]:
    """Yield what is imported when the code runs, also inside functions, as dotted names."""
    for child in ast.iter_child_nodes(node):
        if is_type_checking(child):
            continue
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            yield from (f"{child.module}.{alias.name}" for alias in child.names)
        yield from imports(child)


def layer(dotted: str) -> int:
    top = dotted.split(".")[0]
    return next((number for number, names in enumerate(LAYERS) if top in names), len(LAYERS))


def ours(name: str) -> str | None:
    """Return the module below augsynth that `name` stands for; a lazy public name stands for its module."""
    if not name.startswith("augsynth."):
        return None
    rest = name.removeprefix("augsynth.")
    target = {**augsynth._LAZY, **augsynth._MODULES}.get(rest, name)
    return None if rest in ("__version__",) else target.removeprefix("augsynth.")


@pytest.mark.parametrize("module", [name for name in modules() if name])
def test_imports_point_downwards_only(module: str) -> None:
    tree = ast.parse(modules()[module].read_text(encoding="utf-8"))
    upward = [name for name in imports(tree) if (target := ours(name)) and layer(target) > layer(module)]
    assert not upward, f"augsynth.{module} imports {upward} from a layer above it"


@pytest.mark.parametrize("module", [name for name in modules() if name])
def test_frameworks_are_imported_only_where_they_belong(module: str) -> None:
    tree = ast.parse(modules()[module].read_text(encoding="utf-8"))
    for name in imports(tree):
        family = name.split(".")[0]
        assert module.split(".")[0] in FAMILIES.get(family, {module.split(".")[0]}), f"{family} in augsynth.{module}"


def run(code: str) -> str:
    """Run code in a fresh interpreter in which nothing can reach the network."""
    blocked = (
        "import socket\n"
        "def refuse(*args, **kwargs): raise AssertionError('the network was touched')\n"
        "for name in ('connect', 'connect_ex', 'sendto', 'bind'): setattr(socket.socket, name, refuse)\n"
        "socket.create_connection = socket.getaddrinfo = socket.gethostbyname = refuse\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT.parent)}
    done = subprocess.run([sys.executable, "-c", blocked + code], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_import_augsynth_loads_torch_and_nothing_heavier() -> None:
    # What torch itself brings along differs between its versions and is not ours to answer for.
    brought = "import torch, sys; before = set(sys.modules); import augsynth; print(*set(sys.modules) - before)"
    loaded = {name.split(".")[0] for name in run(brought).split()}
    assert "augsynth" in loaded
    assert not loaded & set(HEAVY)


def test_importing_every_module_touches_no_network() -> None:
    names = [f"augsynth.{name}".rstrip(".") for name in modules() if not name.endswith("__main__")]
    output = run(f"import importlib\nfor name in {names!r}: importlib.import_module(name)\nprint('all')")
    assert output.split()[-1] == "all"


@pytest.mark.parametrize("name", augsynth.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(augsynth, name) is not None
    assert name in dir(augsynth)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = augsynth.nothing


def test_the_public_names_are_those_that_type_checkers_see() -> None:
    tree = ast.parse((ROOT / "__init__.py").read_text(encoding="utf-8"))
    declared = next(node for node in tree.body if is_type_checking(node))
    names = {a.name: f"{n.module}" for n in ast.walk(declared) if isinstance(n, ast.ImportFrom) for a in n.names}
    assert {name: module for name, module in names.items() if name in augsynth._LAZY} == augsynth._LAZY
    assert {
        name: f"{module}.{name}" for name, module in names.items() if name in augsynth._MODULES
    } == augsynth._MODULES
    assert set(names) == {*augsynth._LAZY, *augsynth._MODULES}
