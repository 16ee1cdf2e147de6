"""Configuration: everything that ships can be built, and what cannot be built is named."""

import pickle
from importlib.resources import files

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_module
from omegaconf import OmegaConf

from augsynth import config, quality
from augsynth.config import ConfigError, ConfiguredGenerator, build, model_factory, targets, with_normalize
from augsynth.pipeline import Pipeline
from augsynth.quality import Protocol
from augsynth.quality.samples import Labelled
from augsynth.transforms import Normalize, RandomErasing

AUGMENTS = ("none", "light", "standard", "strong")
OF_TEXT = ("aeda", "eda", "text_light", "typos")


def composed(name, *overrides):
    with initialize_config_module("augsynth.conf", **config.version_base()):
        return OmegaConf.to_container(compose(name, list(overrides)), resolve=True)


def test_the_options_are_the_files_that_ship():
    folder = files("augsynth.conf")
    found = sorted(entry.name for entry in (folder / "augment").iterdir() if entry.name.endswith(".yaml"))
    assert found == sorted(f"{name}.yaml" for name in (*AUGMENTS, *OF_TEXT))


@pytest.mark.parametrize("name", OF_TEXT)
def test_presets_of_text_build_and_are_gentle(name):
    pipeline = config.pipeline(name)
    text = "the old king said that he would not go to the city, because he was happy with the small film " * 3
    done = pipeline([text] * 40, index=range(40))
    assert len(set(done)) > 20
    leaves = [leaf.transform for leaf in pipeline.text_plan.leaves]
    assert all(max(leaf.shares) <= 0.1 for leaf in leaves)
    changed = config.pipeline(name, [f"~transforms.{next(iter(pipeline.transforms))}"])
    assert len(changed.transforms) == len(pipeline.transforms) - 1


@pytest.mark.parametrize("name", AUGMENTS)
@pytest.mark.parametrize("channels", [1, 3])
def test_every_augmentation_takes_grey_and_colour_images_of_any_size(name, channels):
    pipeline = config.pipeline(name, image_size=(20, 14))
    images = torch.randint(0, 256, (5, channels, 20, 14), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    out = pipeline(images, index=range(5))
    assert (out.shape, out.dtype) == (images.shape, torch.uint8)
    assert torch.equal(out, images) == (name == "none")


def test_overrides_change_one_argument_or_drop_a_transform():
    pipeline = config.pipeline("standard", ["transforms.affine.degrees=20", "~transforms.erase"])
    assert pipeline.transforms["affine"].degrees == (-20, 20) or pipeline.transforms["affine"].degrees == 20
    assert list(pipeline.transforms) == ["affine", "flip", "color"]
    added = config.pipeline("none", ["+transforms.hole={_target_: augsynth.transforms.RandomErasing, p: 1.0}"])
    assert added.transforms == {"hole": RandomErasing(p=1.0)}


def test_a_wrong_name_lists_the_valid_ones():
    with pytest.raises(ConfigError, match=r"did you mean .strong.. Valid: aeda, eda, light, none"):
        config.pipeline("strog")
    with pytest.raises(ConfigError, match=r"affine\.degres"):
        config.pipeline("standard", ["transforms.affine.degres=20"])


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("transforms.affine.shear=5", r"type \+transforms\.affine\.shear=5$"),
        ("color=linear", r"type \+color=linear$"),
        (
            "transforms.affine.shaer=5",
            r"no key 'shaer' in transforms.affine; did you mean 'shear'\? Valid: _target_, deg",
        ),
        ("transforms.rot.degrees=5", r"no key 'rot' in transforms; Valid: affine, flip, color, erase$"),
        ("colour=linear", r"no key 'colour'; did you mean 'color'\? Valid: _target_, transforms, seed, engine, color"),
        ("transforms.flip.p.x=5", r"transforms.flip.p is a value and has no key 'x'$"),
        ("~transforms.affine.shear", r"no key 'shear' in transforms.affine"),
        ("transforms.affine.degrees=3,4", r"Ambiguous value .*degrees=3,4'; a list is written key=\[value1,value2\]"),
        ("+transforms.x={_target_: os.system}", r"^augment\.transforms\.x: Target 'os.system' .*execut.*\.$"),
    ],
)
def test_a_wrong_override_of_a_pipeline_says_what_would_be_right(override, message):
    with pytest.raises(ConfigError, match=message):
        config.pipeline("standard", ["transforms.affine.degrees=20", override])


def test_the_arguments_of_a_target_are_its_own_and_those_it_hands_on():
    names = config.parameters("augsynth.generators.LatentSMOTE")
    assert names[:4] == ("image_shape", "num_classes", "neighbors", "latent_dim")
    assert "options" not in names
    assert config.parameters("torchvision.models.resnet18") == ("weights", "progress")
    assert config.parameters("my_missing.Net") == ()


def test_a_pipeline_can_be_had_inside_a_hydra_application():
    from hydra.core.global_hydra import GlobalHydra

    with initialize_config_module("augsynth.conf", **config.version_base()):
        outer = GlobalHydra.instance().hydra
        config.pipeline("light")
        assert GlobalHydra.instance().hydra is outer
        assert compose("preview").columns == 6


def test_a_wrong_argument_names_the_key_and_the_valid_arguments():
    node = {"transforms": {"erase": {"_target_": "augsynth.transforms.RandomErasing", "scal": 3}}}
    with pytest.raises(
        ConfigError, match=r"transforms.erase: .*RandomErasing.*'scal'; did you mean 'scale'. Valid: p,"
    ):
        build(node)


def test_a_value_that_a_transform_refuses_keeps_its_own_words():
    with pytest.raises(ConfigError, match=r"RandomErasing: p=3 .*probability"):
        build({"_target_": "augsynth.transforms.RandomErasing", "p": 3})


def test_a_target_that_is_not_there_is_named():
    with pytest.raises(
        ConfigError, match=r"model\._target_=my_missing.Net cannot be imported: No module named 'my_missing'"
    ):
        model_factory({"_target_": "my_missing.Net"})
    with pytest.raises(ConfigError, match=r"model\._target_=math.pi is a float, not a class or function"):
        model_factory({"_target_": "math.pi"})
    with pytest.raises(ConfigError, match=r"model\._target_ is needed"):
        model_factory({"_target_": None})


def test_lists_arrive_as_plain_python_and_interpolations_resolved():
    node = OmegaConf.create({"a": [1, 2], "b": "${a}", "c": {"d": [3]}})
    built = build(node)
    assert built == {"a": [1, 2], "b": [1, 2], "c": {"d": [3]}}
    assert type(built["a"]) is list


def test_targets_are_found_however_deep_they_are():
    node = {"_target_": "a.B", "x": [{"_target_": "c.D"}, 3], "y": {"z": {"_target_": "e.F"}}}
    assert targets(node) == ("a.B", "c.D", "e.F")
    assert targets({"_target_": "torch.nn.Linear"}) == ("torch.nn.Linear", "torch.nn.modules.linear.Linear")


def test_hydra_1_4_gets_a_whitelist(monkeypatch):
    import hydra

    seen = {}
    monkeypatch.setattr(hydra.utils, "execution_whitelist", lambda names: names, raising=False)
    monkeypatch.setattr(hydra.utils, "instantiate", lambda node, **options: seen.update(options))
    build({"_target_": "my.Net"}, allow=["my.*"])
    assert seen == {"_convert_": "all", "_execution_whitelist_": [*config.TRUSTED, "my.*"]}


def test_normalize_is_appended_once():
    node = with_normalize({"transforms": {}}, [0.5], [0.2])
    assert build(node["transforms"]) == {"normalize": Normalize((0.5,), (0.2,))}
    assert with_normalize(node, [0.1], [0.1]) == node


def test_the_default_protocol_is_that_of_the_configuration():
    assert Protocol.of(composed("compare")) == Protocol()


@pytest.mark.parametrize("name", ["quick", "thorough"])
def test_experiments_change_the_protocol_and_nothing_else(name):
    values = composed("compare", f"experiment={name}")
    assert Protocol.of(values) != Protocol()
    assert values["data"] == composed("compare")["data"]


def test_the_default_network_is_built_with_the_classes_of_the_data():
    factory = model_factory(composed("compare")["model"])
    assert isinstance(pickle.loads(pickle.dumps(factory))(num_classes=4, in_channels=1), quality.SmallCNN)


@pytest.mark.parametrize("name", ["latent_smote", "vae"])
def test_generators_are_trained_and_survive_pickling(name):
    node = composed("compare", f"generator={name}", "generator.fit.max_images=64")["generator"]
    images = torch.randint(0, 256, (12, 1, 12, 12), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    samples = Labelled(images, torch.arange(12) % 3, np.arange(12))
    factory = pickle.loads(pickle.dumps(ConfiguredGenerator(node)))
    state = torch.get_rng_state()
    first, again = (factory(samples, 3, seed=5).generate(torch.arange(3), 1).image for _ in range(2))
    assert torch.equal(first, again)
    assert first.shape == (3, 1, 12, 12)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_wrong_generator_argument_is_named():
    node = {"model": {"_target_": "augsynth.generators.ConditionalVAE", "latent_dims": 3}}
    with pytest.raises(ConfigError, match="'latent_dims'; did you mean 'latent_dim'"):
        ConfiguredGenerator(node).make((1, 12, 12), 3)


@pytest.mark.parametrize("name", ["vae", "latent_smote", "cgan_tiny", "cgan_32", "cgan_64", "cgan_128"])
def test_a_generator_of_the_command_line_can_be_had_in_python(name):
    found = config.generator(name)
    made = found.make((3, 32, 40), 4)
    assert (type(made).__name__, made.image_shape, made.num_classes) == (
        {"vae": "ConditionalVAE", "latent_smote": "LatentSMOTE"}.get(name, "ConditionalGAN"),
        (3, 32, 40),
        4,
    )
    assert found.config["fit"]["max_images"] >= 20_000


def test_overrides_of_a_generator_and_what_is_wrong_with_them():
    assert (
        config.generator("cgan_tiny", ["model.width=16", "+model.blocks=2"]).make((1, 28, 28), 2).hparams["blocks"] == 2
    )
    with pytest.raises(ConfigError, match=r"generator\('cgan_tny', \[\]\).*did you mean 'cgan_tiny'"):
        config.generator("cgan_tny")
    with pytest.raises(ConfigError, match="did you mean 'width'"):
        config.generator("cgan_tiny", ["model.widht=3"])


def test_augmentations_are_pipelines_for_other_hydra_applications():
    assert isinstance(build(composed("compare", "augment=strong")["augment"]), Pipeline)
