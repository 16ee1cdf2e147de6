from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
# Import name -> distribution, where they differ. hydra-core brings omegaconf in the version that it needs.
DISTRIBUTIONS = {
    "PIL": "pillow",
    "cv2": "opencv-python-headless",
    "hydra": "hydra-core",
    "omegaconf": "hydra-core",
    "pytorch_lightning": "pytorch-lightning",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
}


def tree(folder: str) -> list[Path]:
    """List the files of a folder of the checkout that a wheel has: no sources in C, nor what was made of them."""
    paths = [path.relative_to(ROOT) for path in (ROOT / folder).rglob("*") if path.is_file()]
    paths = [path for path in paths if path.suffix not in (".c", ".h", ".so", ".pyd")]
    return [path for path in paths if "__pycache__" not in path.parts and not path.name.startswith(".")]


def test_the_list_of_packages_is_the_tree() -> None:
    ours = {".".join(path.parent.parts) for path in tree("augsynth") if path.suffix == ".py"}
    conf = {".".join(("augsynth", *path.parent.parts)) for path in tree("conf")}
    assert sorted(ours | conf) == PROJECT["tool"]["setuptools"]["packages"]


def test_every_package_has_an_init() -> None:
    folders = {path.parent for path in tree("augsynth") if path.suffix == ".py"} | {Path("conf")}
    assert all((ROOT / folder / "__init__.py").is_file() for folder in folders)


def test_what_is_imported_is_declared() -> None:
    imported = set()
    for path in tree("augsynth"):
        nodes = ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))) if path.suffix == ".py" else ()
        for node in nodes:
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                imported.add(node.module.split(".")[0])
    # triton comes with torch's builds for CUDA, and the engine that needs it says so where it is missing.
    foreign = imported - set(sys.stdlib_module_names) - {"augsynth", "triton"}
    declared = {text.split(">")[0].split("!")[0].split("<")[0] for text in PROJECT["project"]["dependencies"]}
    assert {DISTRIBUTIONS.get(name, name) for name in foreign} <= declared


def python(folder: Path, path: Path, code: str) -> str:
    """Run code in `folder` with nothing but `path` added to what is installed."""
    environment = {**os.environ, "PYTHONPATH": str(path)}
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from a copy, as the build leaves files behind; without the network."""
    return build(tmp_path_factory.mktemp("source") / "augsynth", {})


def build(source: Path, environment: dict[str, str]) -> Path:
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in ("augsynth", "conf", "tests"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info", "*.so"))
    code = "from setuptools import build_meta; print(build_meta.build_wheel('dist'))"
    environment = {**os.environ, **environment}
    done = subprocess.run([sys.executable, "-c", code], cwd=source, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert "Package would be ignored" not in done.stdout + done.stderr
    return source / "dist" / done.stdout.splitlines()[-1]


def test_the_wheel_holds_every_file_of_the_package_and_nothing_else(wheel: Path) -> None:
    expected = {path.as_posix() for path in tree("augsynth")} | {f"augsynth/{path.as_posix()}" for path in tree("conf")}
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    (compiled,) = {name for name in names if name.startswith("augsynth/_native.")}
    assert names - {compiled} == expected
    assert "augsynth/py.typed" in expected
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in zipfile.ZipFile(wheel).namelist())


def test_the_headers_that_are_included_are_named_for_the_build() -> None:
    (module,) = PROJECT["tool"]["setuptools"]["ext-modules"]
    files = [path.as_posix() for path in sorted((ROOT / "augsynth" / "native").iterdir())]
    assert sorted([*module["sources"], *module["depends"]]) == [Path(f).relative_to(ROOT).as_posix() for f in files]


RENDER = """
import numpy as np, augsynth as ag
from augsynth import transforms as T
pipeline = ag.Pipeline([T.Resize((8, 9)), T.ColorJitter(0.4)])
print(pipeline.explain().split("engine ")[1].split()[0], pipeline(np.zeros((20, 30, 3), np.uint8), index=0).shape)
"""


def test_without_a_compiler_the_installation_goes_on_without_the_compiled_engine(tmp_path: Path) -> None:
    wheel = build(tmp_path / "source", {"CC": "no-such-compiler"})
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    assert not list((tmp_path / "site" / "augsynth").glob("_native*"))
    assert python(tmp_path, tmp_path / "site", RENDER) == "opencv (8, 9, 3)"


def test_the_wheel_brings_the_compiled_engine(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    assert python(tmp_path, tmp_path / "site", RENDER) == "native (8, 9, 3)"


def test_the_wheel_says_what_it_is(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    read = {Path(name).name: name for name in archive.namelist() if ".dist-info/" in name}
    metadata = archive.read(read["METADATA"]).decode()
    version = python(ROOT, ROOT, "import augsynth; print(augsynth.__version__)")
    assert f"\nVersion: {version}\n" in metadata
    assert "\nLicense-Expression: Apache-2.0\n" in metadata
    assert "augsynth = augsynth.cli:main" in archive.read(read["entry_points.txt"]).decode()


LOOK = """
import augsynth, augsynth.conf, augsynth.data.demo
from importlib.resources import files
from pathlib import Path
print(Path(augsynth.__file__).parent)
print(*sorted(p.name for p in files("augsynth.conf").joinpath("augment").iterdir() if p.name.endswith(".yaml")))
print(len(augsynth.data.demo.fashion("test")))
from hydra import compose, initialize_config_module
from augsynth.config import version_base
with initialize_config_module("augsynth.conf", **version_base()):
    print(len(compose("compare")) > 0)
"""


def test_the_wheel_works_from_another_directory(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    place, groups, samples, composed = python(tmp_path, tmp_path / "site", LOOK).splitlines()
    assert Path(place) == tmp_path / "site" / "augsynth"
    assert groups == "aeda.yaml eda.yaml light.yaml none.yaml standard.yaml strong.yaml text_light.yaml typos.yaml"
    assert (samples, composed) == ("2000", "True")


def test_the_checkout_works_uninstalled_from_another_directory(tmp_path: Path) -> None:
    place, groups, samples, composed = python(tmp_path, ROOT, LOOK).splitlines()
    assert Path(place) == ROOT / "augsynth"
    assert groups == "aeda.yaml eda.yaml light.yaml none.yaml standard.yaml strong.yaml text_light.yaml typos.yaml"
    assert (samples, composed) == ("2000", "True")


def test_a_foreign_hydra_application_borrows_the_groups_of_the_wheel(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    app = shutil.copytree(ROOT / "tests" / "ecosystem" / "hydra_app", tmp_path / "app")
    code = f"import runpy, sys; sys.argv = ['app.py', 'augment=light']; runpy.run_path({str(app / 'app.py')!r}, "
    out = python(tmp_path, tmp_path / "site", code + "run_name='__main__')").splitlines()
    assert out[0].startswith("crop: RandomResizedCrop(size=16")
    assert "loss" in out[-1]


def test_a_conf_folder_beside_an_installed_package_is_not_taken_for_ours(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path)
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "__init__.py").touch()
    code = "import augsynth, augsynth.conf; print(len(augsynth.__path__), augsynth.conf.__file__)"
    assert python(tmp_path, tmp_path, code) == f"1 {tmp_path / 'augsynth' / 'conf' / '__init__.py'}"
