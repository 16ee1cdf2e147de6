"""The command line: what it prints, where it writes, and how it fails."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from augsynth import cli

ROOT = Path(__file__).resolve().parent.parent
TINY = [
    "seeds=2",
    "labels_per_class=3",
    "steps=3",
    "batch_size=8",
    "learning_rates=[0.01]",
    "test_limit=40",
    "generator.fit.max_images=40",
    "workers=1",
]
REAL = ["arms=[none,augment]", "primary=[augment,none]"]


@pytest.fixture
def call(tmp_path, monkeypatch, capsys):
    """Run a command in an empty folder and return (exit code, standard output, standard error)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
    monkeypatch.setattr(sys, "path", [*sys.path])

    def run(*arguments):
        with pytest.raises(SystemExit) as left:
            cli.main(arguments)
        captured = capsys.readouterr()
        return left.value.code, captured.out, captured.err

    return run


def environment():
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}


def write_images(root, classes=("ant", "bee"), amount=8, size=(20, 26)):
    for number, name in enumerate(classes):
        (root / name).mkdir(parents=True)
        for i in range(amount):
            pixels = np.full((size[1], size[0] + i, 3), 40 * number + 10 * i, np.uint8)
            Image.fromarray(pixels).save(root / name / f"{i}.png")


def test_help_lists_the_commands(call):
    code, out, _ = call("--help")
    assert code == 0
    assert "compare" in out
    assert "preview" in out
    assert call() == (0, out, "")


def test_an_unknown_command_names_the_valid_ones(call):
    code, out, err = call("compar")
    assert (code, out) == (1, "")
    valid = "compare, report, train-generator, evaluate, generate, preview"
    assert err == f"augsynth: there is no command 'compar'; did you mean 'compare'? Valid: {valid}\n"


@pytest.mark.parametrize("command", ["compare", "preview"])
def test_each_command_explains_itself_and_shows_its_configuration(call, command):
    code, out, _ = call(command, "--help")
    assert code == 0
    assert "augment: aeda, eda, light, none, standard, strong, text_light, typos" in out
    code, out, _ = call(command, "--cfg", "job")
    assert code == 0
    assert "augsynth.transforms.RandomAffine" in out


WRONG = [
    (
        ["compare", "augment=strog"],
        "no option 'strog' in group 'augment'; did you mean 'strong'? Valid: aeda, eda, light, none",
    ),
    (["compare", "stps=3"], "there is no key 'stps'; did you mean 'steps'? Valid: data, augment"),
    (["compare", "agument=strong"], "did you mean 'augment'"),
    (["compare", "experimnt=quick"], "did you mean 'experiment'"),
    (["compare", "augment.transforms.rot.degrees=3"], "no key 'rot' in augment.transforms; Valid: affine, flip"),
    (["compare", "augment.transforms.affine.degres=3"], "in augment.transforms.affine; did you mean 'degrees'"),
    (["compare", "+augment.transforms.affine.degres=3"], "'degres'; did you mean 'degrees'? Valid: degrees, translate"),
    (["compare", "~augment.transforms.nope"], "no key 'nope' in augment.transforms"),
    (["preview", "augment.transforms.affine.shaer=5"], "'shaer' in augment.transforms.affine; did you mean 'shear'?"),
    (
        ["preview", "augment.transforms.crop.scael=5"],
        "did you mean 'scale'? Valid: _target_, size, scale, ratio, interp",
    ),
    (["preview", "augment.colour=linear"], "no key 'colour' in augment; did you mean 'color'? Valid: _target_, trans"),
    (
        ["preview", "augment.plan=3"],
        "no key 'plan' in augment; Valid: _target_, transforms, seed, engine, color, dtype, fuse, keys, m",
    ),
    (["preview", "augment.transforms.crop.ratio.low=1"], "no key 'ratio' in augment.transforms.crop"),
    (["preview", "~augment.transforms.crop.ratio"], "no key 'ratio' in augment.transforms.crop"),
    (["compare", "steps.more=3"], "steps is a value and has no key 'more'"),
    (["compare", "steps=abc"], "steps='abc' must be an integer, 1 or more"),
    (["compare", "seeds=0"], "seeds=0 must be an integer, 1 or more"),
    (["compare", "augment.transforms.erase.p=3"], "RandomErasing: p=3"),
    (
        ["compare", "augment.transforms.affine.degrees=abc"],
        "RandomAffine: degrees='abc' is not valid; expected a number",
    ),
    (
        ["compare", "augment.transforms.affine.degrees=-4"],
        "RandomAffine: degrees=-4 is not valid; expected a number >=",
    ),
    (["preview", "augment.transforms.affine.interpolation=linear"], "'linear' is not valid; expected one of nearest"),
    (["compare", "+augment.engine=touch"], "Pipeline: engine='touch' is not one of auto, native"),
    (["report"], "folder is needed and has no default"),
    (["report", "missing"], "missing is not a folder; augsynth compare --multirun augment=light,strong makes some"),
    (["report", "one", "two"], "one folder at a time, not 2: one, two"),
    (["report", "foldr=here"], "there is no key 'foldr'; did you mean 'folder'? Valid: folder, out"),
    (["compare", "data=folder"], "data.root is needed and has no default; give it as data.root=VALUE"),
    (["compare", "data=folder", "data.root=missing"], "root='missing' is not a folder"),
    (["compare", "arms=[none,augment]"], "primary=['both', 'none'] names 'both'"),
    (["compare", "model._target_=my_missing.Net"], "model._target_=my_missing.Net cannot be imported"),
    (["compare", "model._target_=torch.nn.Identity"], "model Identity gives shape (2, 1, 28, 28)"),
    (["compare", "+generator.model.depth=3"], "'depth'"),
    (["compare", "workers=0"], "workers=0 must be a positive integer"),
    (["compare", "device=tpu"], "device='tpu' must be 'auto', 'cpu' or 'cuda'"),
    (["compare", "labels_per_class=601"], "use labels_per_class=600 or fewer"),
    (["compare", "'x"], "cannot be read; an override is key=value"),
    (["compare", "--nope"], "unrecognized arguments: --nope"),
    (["preview", "image=missing.png"], "missing.png cannot be read"),
    (["preview", "columns=1"], "columns=1 must be an integer from 2 to 12"),
    (["preview", "--all", "columns=1"], "augsynth preview: columns=1 must be an integer from 4 to 16"),
    (["preview", "colums=5", "--all"], "did you mean 'columns'? Valid: image, columns, strengths, seed, output, page"),
    (["preview", "--all", "augment=strong"], "augment=strong: there is no key 'augment'; Valid: image, columns, str"),
    (["preview", "--al"], "unrecognized arguments: --al"),
    (["compare", "--all"], "unrecognized arguments: --all"),
]


@pytest.mark.parametrize(("arguments", "message"), WRONG, ids=[" ".join(arguments) for arguments, _ in WRONG])
def test_a_mistake_is_explained_without_a_traceback(call, arguments, message):
    code, _, err = call(*arguments)
    assert code == 1
    assert message in err
    assert "Traceback" not in err
    assert os.environ.get("HYDRA_FULL_ERROR") is None


# Arguments that exist, but that the files leave at their defaults: Hydra wants a + before them.
ABSENT = [
    ("compare", "augment.transforms.affine.shear=5", "+augment.transforms.affine.shear=5"),
    ("preview", "augment.transforms.affine.fill=[1,2,3]", "'+augment.transforms.affine.fill=[1,2,3]'"),
    ("preview", "augment.color=linear", "+augment.color=linear"),
    ("compare", "generator.model.latent_dim=8", "+generator.model.latent_dim=8"),
    ("compare", "model.width=16", "+model.width=16"),
]


@pytest.mark.parametrize(("command", "argument", "typed"), ABSENT, ids=[argument for _, argument, _ in ABSENT])
def test_an_argument_that_the_configuration_leaves_at_its_default_says_what_to_type(call, command, argument, typed):
    code, _, err = call(command, argument)
    assert code == 1
    assert f"which this configuration does not set yet; to set it, type {typed}\n" in err
    assert "Valid:" not in err


def test_what_the_hint_says_to_type_works(call, tmp_path):
    arguments = [
        "augment=light",
        "data.image_size=32",
        "+augment.color=linear",
        "+augment.transforms.crop.antialias=false",
    ]
    code, _, err = call("preview", *arguments, "hydra.run.dir=here")
    assert (code, err) == (0, "")
    assert (tmp_path / "here" / "preview.png").exists()


def test_the_traceback_can_be_had(call, monkeypatch, tmp_path):
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    with pytest.raises(ValueError, match="steps='abc'"):
        cli.main(["compare", "steps=abc"])
    assert os.environ["HYDRA_FULL_ERROR"] == "1"


def test_an_output_folder_that_cannot_be_written_stops_before_any_training(call, tmp_path):
    (tmp_path / "file").write_text("in the way")
    code, out, err = call("compare", *TINY, f"hydra.run.dir={tmp_path}/file/results")
    assert (code, out) == (1, "")
    assert "file" in err
    assert "hydra.run.dir=DIR chooses another output folder" in err


def test_a_folder_without_write_permission_is_named(monkeypatch, tmp_path):
    from types import SimpleNamespace

    import hydra.core.hydra_config as hydra_config

    def refuse(**options):
        raise PermissionError(13, "Permission denied", str(tmp_path / "tmpabc"))

    config = SimpleNamespace(runtime=SimpleNamespace(output_dir=str(tmp_path)))
    monkeypatch.setattr(hydra_config.HydraConfig, "get", lambda: config)
    monkeypatch.setattr(cli.tempfile, "TemporaryFile", refuse)
    with pytest.raises(PermissionError) as error:
        cli.output_folder()
    assert str(tmp_path) in cli.explain(error.value, "compare", [])


def test_compare_writes_its_files_and_prints_their_folder_last(call, tmp_path):
    code, out, err = call("compare", *TINY, "hydra.run.dir=here")
    assert (code, err.count("run ")) == (0, 8)
    folder = Path(out.splitlines()[-1])
    assert folder == tmp_path / "here"
    results = json.loads((folder / "results.json").read_text())
    assert results["config"]["steps"] == 3
    assert results["complete"] is True
    for arm in ("none", "augment", "synthetic", "both"):
        stated = f"{100 * results['arms'][arm]['mean']:.1f}"
        assert any(line.split()[:2] == [arm, stated] for line in out.splitlines() if line.strip())
    with np.load(folder / "predictions.npz") as kept:
        accuracy = (kept["predicted"] == kept["labels"]).mean(axis=(1, 2))
    assert accuracy.tolist() == pytest.approx([value["mean"] for value in results["arms"].values()])
    page = (folder / "report.html").read_text()
    assert results["question"] in page
    assert page.count("data:image/png") == 40


def test_the_same_command_gives_the_same_numbers(call):
    def numbers(folder):
        assert call("compare", *TINY, f"hydra.run.dir={folder}")[0] == 0
        found = json.loads(Path(folder, "results.json").read_text())
        return {key: value for key, value in found.items() if key != "timing"}

    assert numbers("one") == numbers("two")


def test_a_sweep_runs_every_value(call, tmp_path):
    code, out, _ = call("compare", "--multirun", *TINY, *REAL, "augment=none,light", "hydra.sweep.dir=sweep")
    assert code == 0
    found = [json.loads((tmp_path / "sweep" / str(n) / "results.json").read_text()) for n in (0, 1)]
    assert [list(r["config"]["augment"]["transforms"]) for r in found] == [[], ["crop", "flip"]]
    # Without augmentation the two arms are one and the same training.
    assert found[0]["contrasts"][0]["difference"]["mean"] == 0
    assert out.splitlines()[-1] == str(tmp_path / "sweep" / "1")


def test_a_folder_of_colour_images_of_any_size_is_compared_with_the_users_network(call, tmp_path, monkeypatch):
    write_images(tmp_path / "data")
    (tmp_path / "mynet.py").write_text(
        "from torch import nn\n\n\n"
        "class Net(nn.Sequential):\n"
        "    def __init__(self, num_classes, in_channels, width=4):\n"
        "        super().__init__(nn.Conv2d(in_channels, width, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), "
        "nn.Linear(width, num_classes))\n"
    )
    arguments = ["data=folder", "data.root=data", "data.image_size=16", "model._target_=mynet.Net", "+model.width=6"]
    try:
        code, _, err = call("compare", *TINY, *REAL, *arguments, "hydra.run.dir=here")
    finally:
        sys.modules.pop("mynet", None)
    assert code == 0, err
    assert json.loads((tmp_path / "here" / "results.json").read_text())["classes"] == ["ant", "bee"]


def test_a_corrupt_image_file_is_named_before_any_training(call, tmp_path):
    write_images(tmp_path / "data")
    for file in (tmp_path / "data" / "bee").iterdir():
        file.write_bytes(b"no image")
    code, out, err = call("compare", *TINY, "data=folder", "data.root=data", "data.image_size=16")
    assert (code, out) == (1, "")
    assert "bee" in err
    assert ".png cannot be read" in err


def test_preview_writes_a_picture_and_prints_its_path_last(call, tmp_path):
    code, out, _ = call("preview", "augment=light", "data.image_size=32", "hydra.run.dir=here")
    assert code == 0
    assert out.splitlines()[-1] == str(tmp_path / "here" / "preview.png")
    with Image.open(tmp_path / "here" / "preview.png") as picture:
        assert 1200 <= picture.width <= 1600


@pytest.mark.parametrize("place", [0, 1, 3])
def test_preview_all_takes_its_flag_anywhere_and_prints_its_files_last(call, tmp_path, monkeypatch, place):
    monkeypatch.setattr("augsynth.gallery.run.families", lambda: {"Geometry": ["RandomAffine"], "Tone": ["CLAHE"]})
    arguments = ["data.image_size=64", "columns=8", "hydra.run.dir=here"]
    arguments.insert(place, "--all")
    code, out, err = call("preview", *arguments)
    assert (code, err) == (0, "")
    assert out.splitlines()[-2:] == [str(tmp_path / "here" / name) for name in ("gallery.jpg", "gallery.html")]
    assert (tmp_path / "here" / "gallery.html").read_text(encoding="utf-8").count("<article") == 2


def test_help_says_what_the_flag_does(call):
    assert "augsynth preview --all" in call("preview", "--help")[1]
    code, out, _ = call("preview", "--help", "--all")
    assert code == 0
    assert out.startswith("augsynth preview --all: every transform there is")
    assert "strengths:" in out
    assert "with --all" in call("--help")[1]


@pytest.mark.parametrize("workers", [1, 2])
def test_ctrl_c_keeps_the_finished_runs_and_leaves_with_130(tmp_path, workers):
    more = ["seeds=400", f"workers={workers}", "hydra.run.dir=here"]
    command = [sys.executable, "-m", "augsynth", "compare", *TINY, *REAL, *more]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=tmp_path, env=environment(), start_new_session=True, **pipes) as process:
        for line in process.stderr:
            if line.startswith("run 2/800"):
                # As a terminal does it: to the whole group, workers included.
                os.killpg(process.pid, signal.SIGINT)
                break
        out, err = process.communicate()
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert "Interrupted" in out
    results = json.loads((tmp_path / "here" / "results.json").read_text())
    assert results["complete"] is False
    assert 2 <= results["runs_finished"] < 800
    assert "Interrupted." in (tmp_path / "here" / "report.html").read_text()
    assert out.splitlines()[-1] == str(tmp_path / "here")


def test_python_m_augsynth_is_the_same_program(tmp_path):
    result = subprocess.run(
        [sys.executable, "-m", "augsynth", "--version"], cwd=tmp_path, env=environment(), capture_output=True, text=True
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("augsynth ")
