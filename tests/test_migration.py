"""The migration table: names that exist on both sides, and no transform of another library left out."""

from __future__ import annotations

import importlib
import inspect
import re
from types import ModuleType

import pytest

import augsynth as ag
from augsynth import transforms as T
from augsynth.gallery import migration

OURS = {*T.REGISTRY, *T.TEXTS, *T.MODELLED, *T.TOKENS}
# What is no transform: bases, results, and parts of the machinery.
_BASES = re.compile(r"^(Base|Basic|Dual|ImageOnly|Transform)|Base[23]D$|BaseV2$|Dispather$|^InterpolationMode$|Policy$")


def classes(module: ModuleType) -> set[str]:
    found = {name for name, value in vars(module).items() if isinstance(value, type) and not _BASES.search(name)}
    return {name for name in found if not name.startswith("_")}


def albumentations() -> set[str]:
    import albumentations as A

    kinds = ((name, getattr(A, name)) for name in classes(A))
    return {n for n, kind in kinds if issubclass(kind, A.BasicTransform) and not inspect.isabstract(kind)}


def nlpaug() -> set[str]:
    modules = (importlib.import_module(f"nlpaug.augmenter.{part}") for part in ("char", "word", "sentence"))
    return {name for module in modules for name in classes(module) if name.endswith("Aug")}


def theirs(library: str) -> set[str]:
    if library == "torchvision v2":
        return classes(importlib.import_module("torchvision.transforms.v2"))
    if library == "kornia":
        return classes(pytest.importorskip("kornia.augmentation", reason="kornia is not installed"))
    return {"albumentations": albumentations, "nlpaug": nlpaug}[library]()


@pytest.mark.parametrize("library", migration.LIBRARIES)
def test_no_transform_of_a_library_is_left_out_and_none_is_invented(library: str) -> None:
    listed = {*migration.LIBRARIES[library], *migration.NONE[library]}
    there = theirs(library)
    assert listed <= there
    assert there - listed <= OURS
    assert not set(migration.LIBRARIES[library]) & {*migration.NONE[library], *OURS}


@pytest.mark.parametrize("library", migration.LIBRARIES)
def test_what_a_transform_is_called_here_exists(library: str) -> None:
    for name in migration.LIBRARIES[library].values():
        if "(" not in name and name != "Pipeline":
            assert {part.strip() for part in name.split(",")} <= OURS
        call = re.match(r"(\w+)\(", name)
        assert call is None or call[1] in OURS or hasattr(ag, call[1])
        for argument in re.findall(r"(\w+)=", name):
            assert argument in inspect.signature(getattr(T, name.split("(")[0], None) or ag.Pipeline).parameters


def test_the_adapters_in_the_table_exist() -> None:
    for call in migration.ADAPTERS.values():
        assert callable(getattr(ag, call.split("(")[0].removeprefix("ag.")))


def test_the_readme_has_the_table() -> None:
    from augsynth.gallery.table import block

    assert migration.block() in block()
