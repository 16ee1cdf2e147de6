"""A foreign Hydra application borrows our groups, and what goes wrong in one is said as clearly as in ours."""

import inspect
import os
import subprocess
import sys
from pathlib import Path

import hydra
import pytest
import torch
from hydra import compose, initialize_config_dir, initialize_config_module
from hydra.errors import HydraException
from omegaconf import OmegaConf

from augsynth import Pipeline
from augsynth.config import version_base
from augsynth.transforms import GaussianNoise, OneOf, RandomErasing, RandomHorizontalFlip

ROOT = Path(__file__).resolve().parent.parent
APP = ROOT / "tests" / "ecosystem" / "hydra_app" / "app.py"
TRUST = {}
if hasattr(hydra.utils, "execution_whitelist"):
    TRUST["_execution_whitelist_"] = hydra.utils.execution_whitelist(["augsynth.*"])


def run(folder, *arguments):
    """Run the application in `folder` as a program; returns exit code, output lines and what went to stderr."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(APP), *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    return done.returncode, done.stdout.splitlines(), done.stderr


def built(*overrides, name="config"):
    """Compose the application's configuration in this process and instantiate as the application does."""
    with initialize_config_dir(str(APP.parent / "conf"), **version_base()):
        config = compose(name, list(overrides))
    return hydra.utils.instantiate(config.augment if "augment" in config else config.train.augment, **TRUST)


def test_one_field_is_changed_one_transform_removed_and_one_added(tmp_path):
    overrides = [
        "augment.transforms.affine.degrees=30",
        "~augment.transforms.erase",
        "+augment.transforms.noise={_target_: augsynth.transforms.GaussianNoise, sigma: 0.1}",
    ]
    code, out, err = run(tmp_path, *overrides)
    assert code == 0, err
    assert [line.split(":")[0] for line in out[:-1]] == ["affine", "flip", "color", "noise"]
    assert "RandomAffine(degrees=30, translate=(0.08, 0.08)" in out[0]
    assert "sigma=0.1" in out[3]
    assert "loss" in out[-1]


def test_multirun_swaps_the_group(tmp_path):
    code, out, err = run(tmp_path, "--multirun", "augment=light,standard", "hydra.sweep.dir=sweep")
    assert code == 0, err
    names = [line.split(":")[0] for line in out if "(" in line and line.split(":")[0].isidentifier()]
    assert names == ["crop", "flip", "affine", "flip", "color", "erase"]
    for number, option in enumerate(("light", "standard")):
        kept = OmegaConf.load(tmp_path / "sweep" / str(number) / ".hydra" / "overrides.yaml")
        assert list(kept) == [f"augment={option}"]


def test_plain_instantiate_gives_a_pipeline_with_tuples():
    pipeline = built()
    assert isinstance(pipeline, Pipeline)
    assert pipeline.transforms["erase"] == RandomErasing(p=0.25, scale=(0.02, 0.15))
    assert pipeline.transforms["affine"].translate == (0.08, 0.08)


def test_the_groups_stand_on_their_own_and_follow_the_data_node_where_there_is_one():
    assert built("augment=strong").transforms["crop"].size == 16
    assert built("augment=strong", "~data.image_size").transforms["crop"].size == 224
    assert built().transforms["flip"] == RandomHorizontalFlip(0.5)
    assert built("+data.flip=0.1").transforms["flip"] == RandomHorizontalFlip(0.1)


def test_the_group_can_stand_under_a_name_of_the_application():
    overrides = ["augment@train.augment=strong", "train.augment.transforms.affine.degrees=7"]
    pipeline = built(*overrides, name="nested")
    assert list(pipeline.transforms) == ["crop", "flip", "affine", "color", "grey", "erase"]
    assert pipeline.transforms["affine"].degrees == 7


def test_what_is_added_may_be_nested():
    parts = "{a: {_target_: augsynth.transforms.RandomErasing, scale: [0.1, 0.2]}}"
    added = f"+augment.transforms.one={{_target_: augsynth.transforms.OneOf, transforms: {parts}}}"
    assert built(added).transforms["one"] == OneOf({"a": RandomErasing(scale=(0.1, 0.2))})
    noise = "+augment.transforms.noise={_target_: augsynth.transforms.GaussianNoise, sigma: 0.1}"
    assert built(noise).transforms["noise"] == GaussianNoise(sigma=0.1)


@pytest.mark.parametrize("option", ["aeda", "eda", "none", "light", "standard", "strong", "text_light", "typos"])
def test_every_option_is_a_pipeline_by_plain_instantiate(option):
    assert isinstance(built(f"augment={option}"), Pipeline)


def test_in_a_notebook_the_groups_are_composed_by_module():
    with initialize_config_module("augsynth.conf", **version_base()):
        config = compose("preview", ["augment=light", "augment.transforms.flip.p=0.2", "data.image_size=20"])
    pipeline = hydra.utils.instantiate(config.augment, **TRUST)
    assert pipeline.transforms["flip"] == RandomHorizontalFlip(0.2)
    assert pipeline(torch.zeros(3, 40, 40, dtype=torch.uint8)).shape == (3, 20, 20)


# What a user of plain Hydra types, and what must stand in the error.
WRONG = [
    ("+augment.transforms.affine.degres=30", "RandomAffine: degres=30: .*did you mean 'degrees'. Valid: degrees, tran"),
    ("augment.transforms.affine.degrees=abc", "RandomAffine: degrees='abc' is not valid; expected a number >= 0 or"),
    ("augment.transforms.affine.degrees=-4", "RandomAffine: degrees=-4 is not valid; expected a number >= 0 or"),
    ("augment.transforms.affine.translate=[3,0]", r"RandomAffine: translate=\(3, 0\) is not valid; expected None or"),
    ("augment.transforms.affine.interpolation=linear", "interpolation='linear' is not valid; expected one of nearest"),
    ("augment.transforms.erase.p=1.5", "RandomErasing: p=1.5 is not valid; expected a probability from 0 to 1"),
    ("augment.transforms.erase.p=often", "RandomErasing: p='often' is not valid; expected a probability from 0 to 1"),
    ("+augment.engin=torch", "Pipeline: engin='torch': there is no argument 'engin'; did you mean 'engine'"),
    ("+augment.engine=touch", "Pipeline: engine='touch' is not one of auto, native"),
]


@pytest.mark.parametrize(("override", "message"), WRONG, ids=[override for override, _ in WRONG])
def test_plain_instantiate_names_field_value_and_what_is_allowed(override, message):
    with pytest.raises(Exception, match=message) as error:
        built(override)
    # Hydra 1.3 wraps the error, 1.4 adds notes to it; the key stands in either.
    said = "\n".join([str(error.value), *getattr(error.value, "__notes__", ())])
    assert "full_key: augment" in said or isinstance(error.value, HydraException)


def test_a_pipeline_without_convert_says_what_to_write():
    target = {"_target_": "augsynth.transforms.RandomHorizontalFlip"}
    node = OmegaConf.create({"_target_": "augsynth.Pipeline", "transforms": {"flip": target}})
    if hydra.__version__.startswith("1.3"):
        with pytest.raises(Exception, match=r"'flip' is of type DictConfig.*write _convert_: all beside _target_"):
            hydra.utils.instantiate(node, **TRUST)
    assert hydra.utils.instantiate({"_convert_": "all", **node}, **TRUST).transforms == {"flip": RandomHorizontalFlip()}


def test_transforms_take_lists_of_omegaconf():
    made = RandomErasing(scale=OmegaConf.create([0.1, 0.2]))
    assert made == RandomErasing(scale=(0.1, 0.2))
    assert type(made.scale) is tuple


def test_a_subclass_with_arguments_of_its_own_is_left_alone():
    class Mine(RandomHorizontalFlip):
        def __init__(self, often):
            super().__init__(p=often)

    assert Mine(often=0.25).p == 0.25
    with pytest.raises(
        TypeError, match=r"Mine: oftn=1: there is no argument 'oftn'; did you mean 'often'. Valid: often$"
    ):
        Mine(oftn=1)


def test_signatures_stay_what_they_are():
    assert next(iter(inspect.signature(Pipeline).parameters)) == "transforms"
    assert list(inspect.signature(RandomHorizontalFlip).parameters) == ["p"]
