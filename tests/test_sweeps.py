"""Sweeps: what a failed run does, what the report gathers, and Optuna and submitit, shipped as configuration."""

import json
from importlib.metadata import PackageNotFoundError, version

import pytest
from hydra import compose, initialize_config_module
from hydra.core.plugins import Plugins
from hydra.errors import MissingConfigException
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


@pytest.mark.parametrize(("option", "package"), cli.PLUGINS.items())
def test_an_option_of_a_plugin_that_is_not_there_names_its_package(option, package):
    error = MissingConfigException(f"Could not find '{option}'", option, ["basic"])
    said = f"{option} is in the package {package}, which is not installed: pip install {package}"
    assert cli.explain(error, "compare", []) == said


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


@OWN_WARNINGS
def test_without_slurm_the_launcher_for_here_is_named(call, monkeypatch):  # noqa: F811
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
    monkeypatch.setenv("PATH", "")
    code, _, err = call(
        "compare", "--multirun", *TINY, *REAL, "sweep=submitit", "augment=light", "hydra.sweep.dir=sweep"
    )
    assert code == 1
    assert 'Could not detect "srun"' in err
    assert "Without Slurm, hydra/launcher=submitit_local gives each run a process of its own here" in err
    assert "Traceback" not in err


def test_every_plugin_that_is_named_is_one_of_a_package():
    assert {"hydra/sweeper/optuna", "hydra/launcher/submitit_local"} <= set(cli.PLUGINS)
    assert set(PLUGINS.values()) <= set(cli.PLUGINS.values())


def test_a_run_that_fails_does_not_end_the_sweep_and_the_report_names_it(call, tmp_path):  # noqa: F811
    sweep = "a 'sweep' of, two=2"
    where = f"hydra.sweep.dir='{sweep}'".replace("'sweep'", "\\'sweep\\'")
    code, out, err = call("compare", "--multirun", *TINY, *REAL, "augment=eda,light", where)
    assert code == 1
    assert "augsynth compare: run 0: augment: this pipeline" in err
    assert "this pipeline edits texts, and the samples are images" in err
    assert f"augsynth compare: a run failed; augsynth report {sweep} names those that did\n" in err
    assert "Traceback" not in err
    assert out.splitlines()[-1] == str(tmp_path / sweep / "1")
    code, out, err = call("report", sweep)
    assert (code, err) == (0, "")
    assert out.splitlines()[-1] == f"{sweep}/report.html"
    assert "run 0, augment=eda: failed; augment: this pipeline edits texts, and the samples are images" in out
    rows = json.loads((tmp_path / sweep / "gathered.json").read_text())["runs"]
    assert [(row["status"], row["overrides"]) for row in rows] == [
        ("failed", ["augment=eda"]),
        ("complete", ["augment=light"]),
    ]


def test_a_sweep_over_a_generators_argument_is_gathered_and_a_runs_own_page_stays(call, tmp_path):  # noqa: F811
    few = ["arms=[none,synthetic]", "primary=[synthetic,none]", "steps=2", "generator=cgan_tiny"]
    few += ["generator.model.width=4", "generator.model.max_width=8", "generator.model.patch=4", "seeds=1"]
    gammas = "+generator.model.gamma=[0.5,0.5],[2.0,2.0]"
    code, _, err = call("compare", "--multirun", *TINY, *few, gammas, "hydra.sweep.dir=sweep")
    assert code == 0, err
    code, out, _ = call("report", "sweep", "out=elsewhere")
    assert code == 0
    assert "+generator.model.gamma=[0.5,0.5]" in out
    assert "never begun" not in out
    rows = json.loads((tmp_path / "elsewhere" / "gathered.json").read_text())["runs"]
    assert [row["overrides"][0].split("=")[1] for row in rows] == ["[0.5,0.5]", "[2.0,2.0]"]
    assert sorted(path.name for path in (tmp_path / "elsewhere").iterdir()) == [
        "gathered.csv",
        "gathered.json",
        "report.html",
    ]
    before = (tmp_path / "sweep" / "1" / "report.html").read_bytes()
    code, out, _ = call("report", "sweep/1")
    assert out.splitlines()[-1] == "sweep/1/gathered.html"
    assert (tmp_path / "sweep" / "1" / "report.html").read_bytes() == before
    assert not (tmp_path / ".hydra").exists()


def test_an_error_that_nobody_foresaw_keeps_its_traceback_and_is_named_by_the_report(call, tmp_path, monkeypatch):  # noqa: F811
    def broken(config):
        raise RuntimeError("the network broke\nat layer 3")

    monkeypatch.setitem(cli.COMMANDS, "compare", broken)
    with pytest.raises(RuntimeError, match="the network broke"):
        cli.main(["compare", "hydra.run.dir=here"])
    assert (tmp_path / "here" / "error.txt").read_text() == "RuntimeError: the network broke\n"
    _, _, err = call("report", "here")
    assert "here holds no results of augsynth compare: run . failed (RuntimeError: the network broke); augsynth" in err


def test_a_comparison_returns_the_validation_accuracy_for_a_sweeper_to_maximise(call, tmp_path, monkeypatch):  # noqa: F811
    returned = []
    inner = cli.compare
    monkeypatch.setitem(cli.COMMANDS, "compare", lambda config: returned.append(inner(config)) or returned[-1])
    assert call("compare", *TINY, *REAL, "hydra.run.dir=here")[0] == 0
    results = json.loads((tmp_path / "here" / "results.json").read_text())
    chosen = [r["validation"]["0.01"]["accuracy"] for r in results["learning_rates"] if r["arm"] == "augment"]
    assert returned == [pytest.approx(sum(chosen) / 2)]
    assert type(returned[0]) is float


def test_a_rerun_in_the_same_folder_forgets_an_old_failure_and_a_failed_one_forgets_old_results(call, tmp_path):  # noqa: F811
    rerun = ["compare", *TINY, *REAL, "hydra.run.dir=here"]
    assert call(*rerun, "augment=eda")[0] == 1
    assert call(*rerun)[0] == 0
    assert call("report", "here")[0] == 0
    assert not (tmp_path / "here" / "error.txt").exists()
    assert call(*rerun, "augment=eda")[0] == 1
    _, _, err = call("report", "here")
    assert "results.json is of an earlier run" in err
