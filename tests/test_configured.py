"""Stored configurations: exact for everything that can be written, an error that names the place for the rest."""

from __future__ import annotations

import json
import os
import pickle
import re
import subprocess
import sys
from dataclasses import fields

import numpy as np
import pytest
import torch
import yaml
from examples import EXAMPLES, build, noise
from text_samples import CASES, Words
from tiny_models import bert, saved
from token_samples import RIGHT
from torchvision.transforms import v2

import augsynth as ag
from augsynth import config, presets
from augsynth import transforms as T
from augsynth.errors import ConfigError
from augsynth.text.lexicon import Lexicon

IMAGES = [(name, i) for name in T.REGISTRY for i in range(len(EXAMPLES[name]))]
WRITABLE = [case for case in CASES if type(case[1].get("lexicon")).__module__ != "text_samples"]
TOKENS = {
    "mask": T.TokenMask(vocabulary=RIGHT, rate=(0.1, 0.2), return_labels=True),
    "one": T.OneOf([T.TokenSwap(vocabulary=RIGHT), T.TokenSynonym(vocabulary=RIGHT)]),
}
NESTED = {
    "one": T.OneOf({"all": T.RandomOrder([T.SomeOf([T.RandAugment(), T.AutoAugment()], n=2), T.RandomInvert()])}),
    "apply": T.RandomApply([T.TrivialAugmentWide(), T.AugMix()], p=0.3),
    "normalize": T.Normalize((0.4, 0.5, 0.6), (0.2, 0.2, 0.2)),
}
SETTINGS = {
    "engine": "torch",
    "color": "linear",
    "dtype": torch.bfloat16,
    "keys": {0: "image", "where": "mask"},
    "mask_fill": 255,
    "box_format": "xywh",
    "min_area": 4.0,
    "min_visibility": 0.25,
    "label_keys": "classes",
    "flip_pairs": [(0, 1), (2, 3)],
    "span_policy": "keep",
    "clamp": False,
    "value_range": (-1, 1),
    "fuse": False,
}


def written_in_each_form(pipeline):
    kind = type(pipeline)
    plain = pipeline.to_config()
    yield kind.from_config(plain)
    yield kind.from_config(pipeline.to_yaml())
    yield kind.from_config(pipeline.to_json())
    yield config.build(plain)


def assert_stored_exactly(pipeline):
    for again in written_in_each_form(pipeline):
        assert again == pipeline
        assert again.fingerprint == pipeline.fingerprint
        assert again.to_config() == pipeline.to_config()


@pytest.mark.parametrize(("name", "example"), IMAGES, ids=[f"{name}-{i}" for name, i in IMAGES])
def test_every_transform_comes_back_equal(name, example):
    pipeline = ag.Pipeline({"it": build(name, EXAMPLES[name][example])}, seed=7)
    for again in list(written_in_each_form(pipeline))[1:3]:
        assert again == pipeline
        assert again.fingerprint == pipeline.fingerprint
    assert set(pipeline.to_config()["transforms"]["it"]) == {
        "_target_",
        *(item.name for item in fields(T.REGISTRY[name])),
    }


@pytest.mark.parametrize(("name", "arguments"), WRITABLE, ids=[f"{i}-{case[0]}" for i, case in enumerate(WRITABLE)])
def test_every_transform_of_texts_comes_back_equal(name, arguments):
    assert_stored_exactly(ag.Pipeline({"it": T.TEXTS[name](**arguments)}))


@pytest.mark.parametrize(
    "pipeline",
    [
        pytest.param(ag.Pipeline(NESTED, seed=5), id="nested"),
        pytest.param(ag.Pipeline({"flip": T.RandomHorizontalFlip()}, seed=2**32 - 1, **SETTINGS), id="settings"),
        pytest.param(ag.Pipeline(TOKENS), id="tokens"),
        pytest.param(ag.Pipeline([]), id="empty"),
        pytest.param(ag.Pipeline([T.SynonymReplacement(lexicon=Lexicon.from_dict({"a": ["b"]}))]), id="lexicon"),
        pytest.param(ag.Pipeline([T.SynonymReplacement(lexicon=Lexicon.default())]), id="shipped lexicon"),
        pytest.param(ag.Pipeline([T.RandomSwap(), T.RandomRotation(3)]), id="texts and images"),
        pytest.param(ag.from_torchvision(v2.Compose([v2.RandomCrop(9, 2), v2.RandomHorizontalFlip()])), id="adapted"),
    ],
)
def test_whole_pipelines_come_back_equal(pipeline):
    assert_stored_exactly(pipeline)


def test_what_albumentations_says_of_targets_is_stored_too():
    import albumentations as A

    theirs = A.Compose([A.Affine(rotate=(-9, 9)), A.ToTensorV2()], bbox_params=A.BboxParams("yolo"))
    pipeline = ag.from_albumentations(theirs)
    assert_stored_exactly(pipeline)
    assert ag.Pipeline.from_config(pipeline.to_config()).conventions.unit_boxes


@pytest.mark.parametrize("name", ["none", "light", "standard", "strong", "eda", "aeda", "text_light", "typos"])
def test_pipelines_that_ship_come_back_equal(name):
    assert_stored_exactly(config.pipeline(name))


@pytest.mark.parametrize("name", ["simclr", "byol", "dino", "imagenet", "cifar"])
def test_presets_come_back_equal(name):
    assert_stored_exactly(getattr(presets, name)())


def test_views_keep_their_names_when_one_is_left_out():
    views = ag.Views([[T.RandomInvert()], None, [T.RandomInvert()]], seed=4)
    assert list(ag.Views.from_config(views.to_json()).views) == ["view_1", "view_3"]
    assert ag.Views.from_config(views.to_yaml()) == views


def test_a_stored_pipeline_draws_and_renders_the_same():
    pipeline = ag.Pipeline(NESTED, seed=5)
    images = torch.stack([noise((20, 20), seed=i) for i in range(3)])
    again = ag.Pipeline.from_config(pipeline.to_yaml())
    assert torch.equal(again(images, index=range(3), epoch=2), pipeline(images, index=range(3), epoch=2))


def test_a_model_in_a_folder_is_stored_by_its_path(tmp_path):
    pipeline = ag.Pipeline([T.ContextualSubstitution(model=saved(bert(), tmp_path / "model"))])
    assert_stored_exactly(pipeline)


@pytest.mark.parametrize("suffix", [".yaml", ".yml", ".json"])
def test_files_are_written_and_read(tmp_path, suffix):
    pipeline, path = ag.Pipeline(NESTED), tmp_path / f"augment{suffix}"
    text = (pipeline.to_json if suffix == ".json" else pipeline.to_yaml)(path)
    assert path.read_text() == text
    assert ag.Pipeline.from_config(path) == ag.Pipeline.from_config(str(path)) == pipeline


def test_the_key_that_only_hydra_needs_is_passed_over():
    node = {"_target_": "augsynth.Pipeline", "_convert_": "all", "transforms": {}}
    assert ag.Pipeline.from_config(node) == ag.Pipeline({})


def test_a_configuration_written_by_hand_needs_no_version_and_no_defaults():
    text = (
        "_target_: augsynth.Pipeline\ntransforms:\n  turn: {_target_: augsynth.transforms.RandomAffine, degrees: 5}\n"
    )
    assert ag.Pipeline.from_config(text) == ag.Pipeline({"turn": T.RandomAffine(5)})


def test_the_form_is_plain_and_has_a_version():
    plain = ag.Pipeline([T.RandomHorizontalFlip()], seed=np.int64(3)).to_config()
    assert list(plain)[:2] == ["_target_", "version"]
    assert (plain["_target_"], plain["version"], plain["seed"], type(plain["seed"])) == ("augsynth.Pipeline", 1, 3, int)
    assert plain["transforms"] == {
        "random_horizontal_flip": {"_target_": "augsynth.transforms.RandomHorizontalFlip", "p": 0.5}
    }
    assert json.loads(json.dumps(plain)) == yaml.safe_load(yaml.safe_dump(plain)) == plain


def test_hydra_is_not_needed_and_not_loaded():
    code = (
        "import sys, augsynth as ag; from augsynth import transforms as T\n"
        "p = ag.Pipeline([T.RandomRotation(5)]); assert ag.Pipeline.from_config(p.to_yaml()) == p\n"
        "assert not {'hydra', 'omegaconf', 'torchvision', 'albumentations'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=dict(os.environ))
    assert done.returncode == 0, done.stderr


# --- what cannot be written -------------------------------------------------------------------------------------------


def invert(image):
    return 255 - image


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: ag.from_torchvision([v2.RandomHorizontalFlip(), invert]),
            r"transforms\.invert \(Foreign\)\.transform cannot be written: it is function .*invert.*keep this pipeline",
        ),
        (
            lambda: ag.Pipeline({"one": T.OneOf([T.ContextualInsertion(model=bert()[0], tokenizer=bert()[1])])}),
            r"transforms\.one \(OneOf\)\.transforms\.0 \(ContextualInsertion\)\.model cannot be written: it is tr",
        ),
        (
            lambda: ag.Pipeline([T.RandomDeletion(protect=len)]),
            r"random_deletion \(RandomDeletion\)\.protect cannot be written: it is builtin_function_or_method",
        ),
        (
            lambda: ag.Pipeline([T.RandomDeletion(protect=re.compile("a"))]),
            r"random_deletion \(RandomDeletion\)\.protect cannot be written: it is re\.Pattern",
        ),
        (
            lambda: ag.Pipeline({"words": T.SynonymReplacement(lexicon=Words())}),
            r"transforms\.words \(SynonymReplacement\)\.lexicon cannot be written: it is text_samples\.Words",
        ),
        (lambda: ag.Pipeline({"half": local_class()()}), r"transforms\.half.* cannot be written: local_class.<locals>"),
    ],
    ids=["function", "model", "protect", "pattern", "lexicon", "local class"],
)
def test_what_cannot_be_written_is_named_with_transform_and_argument(make, message):
    pipeline = make()
    for write in (pipeline.to_config, pipeline.to_yaml, pipeline.to_json, lambda: pipeline.fingerprint):
        with pytest.raises(ConfigError, match=message):
            write()


def local_class():
    class Local(T.RandomHorizontalFlip):
        pass

    return Local


# --- what cannot be read ----------------------------------------------------------------------------------------------


def of(**entries):
    return {"_target_": "augsynth.Pipeline", "transforms": entries}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({**of(), "version": 2}, r"version=2 .* is newer than 1, which augsynth \S+ knows; install a newer augsynth"),
        ({**of(), "version": "new"}, r"version='new' of a configuration must be a whole number"),
        (
            {**of(), "sede": 3},
            r"augsynth.Pipeline has no argument 'sede'; did you mean 'seed'\? Valid: transforms, seed",
        ),
        (
            of(flip={"_target_": "augsynth.transforms.RandomHorzontalFlip"}),
            r"transforms\.flip: there is no augsynth\.transforms\.RandomHorzontalFlip .*did you mean "
            r"augsynth\.transforms\.RandomHorizontalFlip",
        ),
        (
            of(erase={"_target_": "augsynth.transforms.RandomErasing", "scal": 3}),
            r"transforms\.erase: \S+RandomErasing has no argument 'scal'; did you mean 'scale'\? Valid: p, scale",
        ),
        (
            of(one={"_target_": "augsynth.transforms.OneOf", "transforms": [{"_target_": "my.Noise"}]}),
            r"transforms\.one\.transforms\.0: my\.Noise is not augsynth's own; .*allow=\['my\.Noise'\]",
        ),
        (of(run={"_target_": "os.system", "command": "false"}), r"transforms\.run: os\.system is not augsynth's own"),
        (
            of(run={"_target_": "augsynth.config.pkgutil.resolve_name", "name": "os"}),
            r"transforms\.run: augsynth\.config\.pkgutil\.resolve_name is neither a transform nor a pipeline",
        ),
        (
            of(erase={"_target_": "augsynth.transforms.RandomErasing", "p": 3}),
            r"transforms\.erase: \S+RandomErasing: RandomErasing: p=3 .*probability",
        ),
        ({"transforms": {}}, r"there is no _target_ among transforms; a pipeline's is augsynth\.Pipeline"),
        ("flip", r"the text 'flip' holds no mapping; give what to_config, to_yaml or to_json wrote"),
        ("a: [1", r"the text is no YAML"),
        ("{a: [1", r"the text is neither JSON nor YAML"),
        (3, r"a int holds no mapping"),
        ("missing/augment.yaml", r"there is no file missing.augment\.yaml"),
        (
            {"_target_": "augsynth.transforms.RandomInvert"},
            r"configuration of a RandomInvert; a transform stands in a pipeline",
        ),
        (presets.simclr(8).to_config(), r"this is the configuration of a Views; read it by Views\.from_config"),
        (
            of(
                mask={
                    "_target_": "augsynth.transforms.TokenMask",
                    "vocabulary": {**RIGHT.config_node(), "flags": "no table"},
                }
            ),
            r"transforms\.mask\.vocabulary: .*flags is no packed table",
        ),
    ],
)
def test_what_cannot_be_read_is_named_with_what_is_known(given, message):
    with pytest.raises(ConfigError, match=message):
        ag.Pipeline.from_config(given)


def test_hydra_refuses_a_newer_version_too():
    with pytest.raises(ConfigError, match="version=2 of this configuration is newer"):
        config.build({**of(), "version": 2})


def test_other_targets_are_called_only_where_the_caller_allows_them():
    node = of(jitter={"_target_": f"{__name__}.jitter", "amount": 0.25})
    with pytest.raises(ConfigError, match=r"jitter is not augsynth's own"):
        ag.Pipeline.from_config(node, allow=["other.*"])
    made = ag.Pipeline.from_config(node, allow=[f"{__name__}.*"])
    assert made == ag.Pipeline({"jitter": T.ColorJitter(0.25)})
    with pytest.raises(ConfigError, match=r"jitter has no argument 'amont'; did you mean 'amount'"):
        ag.Pipeline.from_config(of(jitter={"_target_": f"{__name__}.jitter", "amont": 1}), allow=[f"{__name__}.*"])


def jitter(amount):
    return T.ColorJitter(amount)


# --- fingerprints -----------------------------------------------------------------------------------------------------


def test_fingerprints_are_equal_for_equal_pipelines_and_differ_for_others():
    base = ag.Pipeline({"turn": T.RandomRotation(30), "flip": T.RandomHorizontalFlip(1)}, seed=1)
    assert re.fullmatch("[0-9a-f]{64}", base.fingerprint)
    same = ag.Pipeline({"turn": T.RandomRotation(30.0), "flip": T.RandomHorizontalFlip(1.0)}, seed=np.int64(1))
    assert (same, same.fingerprint) == (base, base.fingerprint)
    others = [
        ag.Pipeline(base.transforms, seed=2),
        ag.Pipeline(dict(reversed(base.transforms.items())), seed=1),
        ag.Pipeline({**base.transforms, "turn": T.RandomRotation(31)}, seed=1),
        ag.Pipeline(base.transforms, seed=1, dtype=torch.float32),
    ]
    assert len({base.fingerprint, *(other.fingerprint for other in others)}) == 5


@pytest.mark.parametrize("kind", [T.OneOf, T.SomeOf, T.RandomApply, T.RandomOrder])
def test_parts_in_another_order_are_another_transform(kind):
    parts = {"flip": T.RandomHorizontalFlip(), "invert": T.RandomInvert()}
    one, other = (kind(dict(items)) for items in (parts.items(), reversed(parts.items())))
    assert one != other
    assert one == kind(parts) == pickle.loads(pickle.dumps(one))
    assert repr(one).startswith(f"{kind.__name__}(transforms={parts!r}")
    assert ag.Pipeline([one]) != ag.Pipeline([other])
    assert ag.Pipeline([one]).fingerprint != ag.Pipeline([other]).fingerprint


def test_the_order_of_a_mapping_that_is_compared_without_order_does_not_count():
    one, other = ({"mask": "mask", "image": "image"}, {"image": "image", "mask": "mask"})
    assert ag.Pipeline([], keys=one).fingerprint == ag.Pipeline([], keys=other).fingerprint


def test_a_fingerprint_is_the_same_in_another_process_and_version():
    # Stored results are looked up by it: a change of this number breaks them.
    known = ag.Pipeline({"turn": T.RandomRotation(30), "flip": T.RandomHorizontalFlip()}, seed=1).fingerprint
    assert known[:16] == "53602af7dbc34421"
