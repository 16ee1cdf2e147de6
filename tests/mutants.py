"""One-line faults, and a runner that shows which tests catch them.

`python tests/mutants.py [NAME ...]` copies the package, plants one fault, and runs the named tests on the copy in a
process forked from one that has torch loaded already. It prints one JSON object: name -> [exit code, what failed].
"""

from __future__ import annotations

import compileall
import gc
import importlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import tomllib
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

from faults import MUTANTS as CORE
from faults import Mutant
from faults_adapters import MUTANTS as ADAPTERS
from faults_callbacks import MUTANTS as CALLBACKS
from faults_families import MUTANTS as FAMILIES
from faults_gallery import MUTANTS as GALLERY
from faults_gan import MUTANTS as GAN
from faults_generated import MUTANTS as GENERATED
from faults_hydra_use import MUTANTS as HYDRA_USE
from faults_leaving import MUTANTS as LEAVING
from faults_mix import MUTANTS as MIX
from faults_models import MUTANTS as MODELS
from faults_native import MUTANTS as NATIVE
from faults_quality import MUTANTS as QUALITY
from faults_targets import MUTANTS as TARGETS
from faults_text import MUTANTS as TEXT
from faults_tokens import MUTANTS as TOKENS
from faults_tones import MUTANTS as TONES
from faults_triton import MUTANTS as TRITON
from faults_typos import MUTANTS as TYPOS
from faults_wrapping import MUTANTS as WRAPPING

TESTS = Path(__file__).resolve().parent
CHECKOUT = TESTS.parent
PARALLEL = 2
LIMIT_SECONDS = 900
LOADED = ("cv2", "pytest", "torchvision.transforms.v2", "hypothesis.strategies", "hydra", "sklearn.neighbors")
LOADED += ("pytorch_lightning", "albumentations")
MUTANTS = [*CORE, *FAMILIES, *TONES, *ADAPTERS, *TARGETS, *GALLERY, *MIX, *MODELS, *NATIVE, *TRITON, *TOKENS]
MUTANTS += [*GAN, *GENERATED, *TEXT, *TYPOS, *QUALITY, *WRAPPING, *CALLBACKS, *HYDRA_USE, *LEAVING]


def plant(mutant: Mutant | None, folder: Path) -> Path:
    """Copy the package to `folder` with the fault in it; None plants nothing."""
    source = CHECKOUT / "augsynth"
    # With what is compiled of it, or each process would compile the whole package anew.
    shutil.copytree(source, folder / "augsynth", ignore=shutil.ignore_patterns("assets"))
    (folder / "augsynth" / "data" / "assets").symlink_to(source / "data" / "assets")
    if mutant is not None:
        path = folder / "augsynth" / mutant.file
        path.write_text(path.read_text().replace(mutant.old, mutant.new))
        for compiled in path.parent.glob(f"__pycache__/{path.stem}.*.pyc"):
            compiled.unlink()
        if path.parent.name == "native":
            _compile(folder / "augsynth")
    return folder


def _compile(package: Path) -> None:
    """Compile the kernel of a copy, as pyproject.toml says but without optimizing."""
    (module,) = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["tool"]["setuptools"]["ext-modules"]
    target = package / f"_native{sysconfig.get_config_var('EXT_SUFFIX')}"
    target.unlink(missing_ok=True)
    flags = ["-O1", *module["extra-compile-args"][1:], "-shared", "-fPIC", f"-I{sysconfig.get_paths()['include']}"]
    compiler = (os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc").split()
    subprocess.run([*compiler, *flags, str(package / "native" / "module.c"), "-o", str(target), "-lm"], check=True)


class _FirstFailure:
    """A pytest plugin that remembers what failed first."""

    what = ""

    def pytest_runtest_logreport(self, report) -> None:
        if report.failed and not self.what:
            self.what = report.nodeid


class _OneOfEach:
    """A pytest plugin that keeps the first case of each test: the whole suite runs all of them on the same package."""

    def pytest_collection_modifyitems(self, items) -> None:
        first = {}
        for item in items:
            first.setdefault((item.path, item.originalname), item)
        items[:] = first.values()


def _run_here(folder: Path, tests: tuple[str, ...], plugins: tuple[object, ...]) -> tuple[int, str]:
    import pytest

    signal.alarm(LIMIT_SECONDS)
    os.chdir(CHECKOUT)
    sys.path.insert(0, str(folder))
    sys.dont_write_bytecode = True
    first, text = _FirstFailure(), io.StringIO()
    words = ["-x", "-q", "-p", "no:cacheprovider", *(f"tests/{test}" for test in tests)]
    with redirect_stdout(text), redirect_stderr(text):
        code = pytest.main(words, [first, *plugins])
    import augsynth

    assert Path(augsynth.__file__).is_relative_to(folder), "the tests ran on another copy of the package"
    return int(code), first.what or text.getvalue()[-2000:]


def check(mutant: Mutant | None, tests: tuple[str, ...] = ()) -> tuple[int, str]:
    """Run the tests of one mutant in a forked process; returns pytest's exit code and the first test that failed."""
    with tempfile.TemporaryDirectory() as name:
        folder = plant(mutant, Path(name))
        answer = folder / "answer.json"
        child = os.fork()
        if child == 0:
            try:
                plugins = (_OneOfEach(),) if mutant is None else ()
                answer.write_text(json.dumps(_run_here(folder, tests or mutant.tests, plugins)))
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        return (
            tuple(json.loads(answer.read_text())) if answer.exists() else (-1, "no answer: it crashed or took too long")
        )


def main(names: list[str]) -> None:
    """Check the mutants of these names, all by default, and the package as it is under "none"."""
    # Read when triton is imported, which torch may do.
    os.environ.setdefault("TRITON_INTERPRET", "1")
    # Plugins of other packages, which pytest would compile anew for each fault: no test of a fault needs one.
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    # Loaded once, before the forks; the package itself must not be.
    for name in LOADED:
        importlib.import_module(name)
    import numpy as np
    import torch

    assert "augsynth" not in sys.modules
    # What is here already is not looked through again in each process.
    gc.collect()
    gc.freeze()
    compileall.compile_dir(CHECKOUT / "augsynth", quiet=1)
    torch.set_num_threads(1)
    np.random.default_rng(0)
    chosen = [mutant for mutant in MUTANTS if not names or mutant.name in names]
    everything = tuple(sorted({test for mutant in chosen for test in mutant.tests}))
    with ThreadPoolExecutor(PARALLEL) as pool:
        control = pool.submit(check, None, everything)
        results = dict(zip((m.name for m in chosen), pool.map(check, chosen), strict=True))
        print(json.dumps({"none": control.result(), **results}))


if __name__ == "__main__":
    main(sys.argv[1:])
