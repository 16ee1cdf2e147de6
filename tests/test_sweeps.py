"""Sweeps by Optuna and by submitit: shipped as configuration, and without the plugin its package is named."""

import json
from importlib.metadata import PackageNotFoundError, version

import pytest
from hydra import compose, initialize_config_module
from hydra.core.plugins import Plugins
from test_cli import REAL, TINY, call  # noqa: F401  # a fixture

from augsynth import cli
from augsynth.config import version_base


def installed(package):
    try:
        return bool(version(package))
    except PackageNotFoundError:
        return False


# Old plugins warn about Python and their own libraries when they are imported, which is not ours to mend.
OWN_WARNINGS = pytest.mark.filterwarnings("ignore")
PLUGINS = {"optuna": "hydra-optuna-sweeper", "submitit": "hydra-submitit-launcher"}


def hydra_settings(*overrides):
    """Compose as `augsynth compare --multirun` does; returns Hydra's own node."""
    Plugins.instance()
    with initialize_config_module("augsynth.conf", **version_base()):
        return compose("compare", ["hydra.mode=MULTIRUN", *overrides], return_hydra_config=True).hydra


@pytest.mark.parametrize(("option", "package"), PLUGINS.items())
def test_without_the_plugin_its_package_is_named(call, option, package):  # noqa: F811
    if installed(package):
        pytest.skip(f"{package} is installed")
    code, out, err = call("compare", "--multirun", f"sweep={option}")
    assert (code, out) == (1, "")
    assert f"is in the package {package}, which is not installed: pip install {package}\n" in err


def test_a_launcher_that_is_asked_for_by_name_is_explained_too(call):  # noqa: F811
    if installed("hydra-submitit-launcher"):
        pytest.skip("hydra-submitit-launcher is installed")
    code, _, err = call("compare", "--multirun", "hydra/launcher=submitit_local", "seeds=2,3")
    assert code == 1
    assert "hydra/launcher/submitit_local is in the package hydra-submitit-launcher, which is not installed" in err


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("+sweep=optuna", "sweep has an option already; to choose another, type sweep=optuna"),
        ("sweep=optun", "no option 'optun' in group 'sweep'; did you mean 'optuna'? Valid: optuna, submitit"),
        ("swep=optuna", "there is no key 'swep'; did you mean 'sweep'?"),
    ],
)
def test_a_wrong_way_to_ask_for_a_sweep_says_what_to_type(call, argument, message):  # noqa: F811
    code, _, err = call("compare", argument)
    assert code == 1
    assert message in err


def test_optuna_maximises_what_compare_returns():
    pytest.importorskip("hydra_plugins.hydra_optuna_sweeper")
    settings = hydra_settings("sweep=optuna").sweeper
    assert settings._target_.endswith("OptunaSweeper")
    assert str(settings.direction).endswith("maximize")
    assert (settings.sampler.seed, settings.n_jobs) == (0, 1)


def test_submitit_can_run_on_slurm_and_here():
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
    assert hydra_settings("sweep=submitit").launcher._target_.endswith("SlurmLauncher")
    here = hydra_settings("sweep=submitit", "hydra/launcher=submitit_local").launcher
    assert (here._target_.split(".")[-1], here.timeout_min) == ("LocalLauncher", 240)


@OWN_WARNINGS
def test_optuna_runs_and_its_runs_are_gathered(call, tmp_path):  # noqa: F811
    pytest.importorskip("hydra_plugins.hydra_optuna_sweeper")
    swept = ["augment.transforms.affine.degrees=interval(0,30)", "~hydra.sweeper.params.augment"]
    more = ["sweep=optuna", "hydra.sweeper.n_trials=2", "hydra.sweep.dir=sweep", *swept]
    code, _, err = call("compare", "--multirun", *TINY, *REAL, *more)
    assert code == 0, err
    assert call("report", "sweep")[0] == 0
    rows = json.loads((tmp_path / "sweep" / "gathered.json").read_text())["runs"]
    assert [row["status"] for row in rows] == ["complete", "complete"]
    best = (tmp_path / "sweep" / "optimization_results.yaml").read_text()
    assert f"best_value: {max(row['validation_accuracy'] for row in rows)}" in best


@OWN_WARNINGS
def test_submitit_runs_here_and_a_failed_run_is_named(call, tmp_path):  # noqa: F811
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
    more = ["sweep=submitit", "hydra/launcher=submitit_local", "hydra.sweep.dir=sweep", "augment=light,eda"]
    code, _, err = call("compare", "--multirun", *TINY, *REAL, *more)
    assert code == 1
    assert "a run failed; augsynth report sweep names those that did" in err
    assert call("report", "sweep")[0] == 0
    rows = json.loads((tmp_path / "sweep" / "gathered.json").read_text())["runs"]
    assert [row["status"] for row in rows] == ["complete", "failed"]


def test_every_plugin_that_is_named_is_one_of_a_package():
    assert {"hydra/sweeper/optuna", "hydra/launcher/submitit_local"} <= set(cli.PLUGINS)
    assert set(PLUGINS.values()) <= set(cli.PLUGINS.values())
