"""`augsynth train-generator` and `augsynth generate`: their files, and what they say to mistakes."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

import augsynth as ag
from augsynth import cli
from augsynth.generators import LatentSMOTE, load
from augsynth.generators.checkpoint import save, training_of
from augsynth.verdict import Verdict, record

SMALL = ("data=folder", "data.root=pets", "data.image_size=12", "+generator.model.width=8", "max_images=240")
Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    for number, name in enumerate(("cat", "dog")):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for i in range(20):
            color = (200 - 8 * i, 20, 20) if number else (20, 20, 60 + 8 * i)
            Image.new("RGB", (20, 16), color).save(tmp_path / "pets" / name / f"{i}.png")

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as left:
            cli.main([*arguments])
        captured = capsys.readouterr()
        return int(left.value.code or 0), captured.out, captured.err

    return run


def test_from_a_folder_of_images_to_synthetic_ones_without_code(call: Call, tmp_path: Path) -> None:
    code, out, err = call("train-generator", *SMALL, "max_images=4000", "checkpoint=pets.ckpt", "hydra.run.dir=here")
    assert (code, out.splitlines()[-1]) == (0, "pets.ckpt")
    assert "augsynth evaluate checkpoint=pets.ckpt" in out
    assert "4,000 of 4,000 images" in err
    assert "images/s" in err
    assert [p.name for p in sorted((tmp_path / "here" / "preview").iterdir())][-1] == "000004000.png"
    code, out, err = call("generate", "checkpoint=pets.ckpt", "per_class=3", "out=made")
    assert (code, out, err) == (0, "6 samples of 2 classes\nmade\n", "")
    assert sorted(p.name for p in (tmp_path / "made").iterdir()) == ["cat", "dog", "manifest.json", "samples.csv"]
    made = ag.provenance_of(tmp_path / "made" / "dog" / "5.png")
    assert made is not None
    assert (made.label, made.checkpoint) == (1, load("pets.ckpt").checkpoint_hash())
    for name, number, redder in (("cat", 0, False), ("dog", 5, True)):
        with Image.open(tmp_path / "made" / name / f"{number}.png") as picture:
            red, _, blue = picture.convert("RGB").resize((1, 1)).getpixel((0, 0))  # type: ignore[misc]
        assert (red > blue) is redder


def test_the_same_command_goes_on_where_it_was_stopped(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    from augsynth.generators.run import Run

    options = (*SMALL, "every=64", "preview=false")
    assert call("train-generator", *options, "checkpoint=whole.ckpt")[0] == 0
    step = Run._step

    def stop(self: Run, share: float) -> None:
        if self.seen >= 128:
            raise KeyboardInterrupt
        step(self, share)

    monkeypatch.setattr(Run, "_step", stop)
    code, _, err = call("train-generator", *options, "checkpoint=part.ckpt")
    assert code == cli.INTERRUPTED
    assert "stopped; the same command with checkpoint=part.ckpt goes on" in err
    assert training_of("part.ckpt")["seen"] == 128  # type: ignore[index]
    monkeypatch.setattr(Run, "_step", step)
    assert call("train-generator", *options, "checkpoint=part.ckpt")[0] == 0
    whole, part = load("whole.ckpt").state_dict(), load("part.ckpt").state_dict()
    assert all(torch.equal(whole[k], part[k]) for k in whole if isinstance(whole[k], torch.Tensor))


def test_a_training_goes_on_with_more_images_than_at_first(call: Call) -> None:
    options = (*SMALL[:-1], "checkpoint=pets.ckpt", "preview=false")
    for images in (16, 64):
        assert call("train-generator", *options, f"max_images={images}")[0] == 0
        assert training_of("pets.ckpt")["seen"] == images  # type: ignore[index]
    code, _, err = call("train-generator", *options, "max_images=90", "seed=1")
    assert code == 1
    assert "pets.ckpt is the checkpoint of a training with another seed (0, not 1)" in err
    code, _, err = call("train-generator", *options, "data.test_share=0.4")
    assert code == 1
    assert "is the checkpoint of a training with other data" in err


def test_chosen_classes_forms_and_a_judge(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def redder(generator: Any, data: Any, **options: Any) -> Any:
        """Stand in for a classifier: a dozen even colours are too little to train one on."""
        assert (len(data), data.classes) == (32, ("cat", "dog"))
        return lambda images: 50 * torch.stack([images[:, 2], images[:, 0]], 1).mean((2, 3))

    monkeypatch.setattr("augsynth.generating.judge", redder)
    assert call("train-generator", *SMALL, "max_images=4000", "checkpoint=pets.ckpt", "preview=false")[0] == 0
    data = ("data=folder", "data.root=pets", "data.image_size=12")
    code, out, _ = call(
        "generate", "checkpoint=pets.ckpt", "classes=[dog]", "per_class=4", "format=npz", "out=dogs", "keep=0.4", *data
    )
    assert code == 0
    assert out.startswith("4 samples of 1 classes")
    story = json.loads((tmp_path / "dogs" / "manifest.json").read_text())["wasGeneratedBy"]
    assert (story["keep"], story["format"]) == (0.4, "npz")
    assert [(one["name"], one["samples"]) for one in story["classes"]] == [("dog", 4)]
    code, out, _ = call("generate", "checkpoint=pets.ckpt", "classes=0", "per_class=2", "hydra.run.dir=here")
    assert (code, out.splitlines()[-1]) == (0, str(tmp_path / "here" / "samples"))


def test_classes_are_names_before_they_are_numbers(call: Call, tmp_path: Path) -> None:
    for old, new in (("cat", "1"), ("dog", "2")):
        (tmp_path / "pets" / old).rename(tmp_path / "pets" / new)
    assert call("train-generator", *SMALL, "checkpoint=pets.ckpt", "preview=false")[0] == 0
    assert call("generate", "checkpoint=pets.ckpt", "classes=[1]", "per_class=2", "out=made")[0] == 0
    assert [p.name for p in (tmp_path / "made").iterdir() if p.is_dir()] == ["1"]


def test_a_command_given_again_keeps_the_verdict(call: Call) -> None:
    options = ("train-generator", *SMALL, "checkpoint=pets.ckpt", "preview=false")
    assert call(*options)[0] == 0
    generator = load("pets.ckpt")
    record(generator, Verdict(True, (), generator.checkpoint_hash()))
    save(generator, "pets.ckpt", training_of("pets.ckpt"))
    assert call(*options)[0] == 0
    again = load("pets.ckpt")
    assert again.verdict == generator.verdict
    assert again.classes == ("cat", "dog")
    assert again.checkpoint_hash() == generator.checkpoint_hash()


def test_settings_of_the_generators_group_hold_where_none_are_given(call: Call) -> None:
    options = ("train-generator", *SMALL[:-1], "+generator.fit.every=32", "generator.fit.max_images=96")
    assert call(*options, "hydra.run.dir=here")[0] == 0
    pictures = sorted(path.stem for path in (Path("here") / "preview").iterdir())
    assert pictures == ["000000032", "000000064", "000000096"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("generate",), "checkpoint is needed and has no default; give it as checkpoint=VALUE"),
        (("generate", "checkpoint=none.ckpt"), "there is no checkpoint none.ckpt"),
        (("generate", "checkpoint=toy.ckpt", "classes=[cow]"), "the generator has no class 'cow'.*Valid: 0, 1, 2"),
        (("generate", "checkpoint=toy.ckpt", "keep=0.5"), "a judge has to be trained on real samples"),
        (("generate", "checkpoint=toy.ckpt", "format=tar"), "format='tar' is not known"),
        (("generate", "checkpoint=toy.ckpt", "per_class=0"), "per_class=0 must be an integer of at least 1"),
        (("generate", "checkpoint=toy.ckpt", "trunkation=1"), "did you mean 'truncation'"),
        (("generate", "checkpoint=toy.ckpt", "+attributes.size=1"), "knows no attributes, got size"),
        (("train-generator", "data=banking77"), "generators make images, and BANKING77 are texts"),
        (("train-generator", "generator=gan"), "there is no option 'gan' in group 'generator'"),
        (("train-generator", "max_image=3"), "did you mean 'max_images'"),
        (("train-generator", "max_images=0"), "max_images=0"),
        (("train-generator", "data=folder", "data.root=nowhere"), "nowhere"),
    ],
)
def test_mistakes_are_named(call: Call, arguments: tuple[str, ...], message: str) -> None:
    import re

    from toy import trained

    trained(LatentSMOTE, 24).save("toy.ckpt")
    code, _, err = call(*arguments)
    assert code == 1
    assert re.search(message, err), err
    assert "Traceback" not in err


def test_help_shows_the_groups(call: Call) -> None:
    for command, group in (("train-generator", "generator: cgan_128"), ("generate", "data: ")):
        code, out, _ = call(command, "--help")
        assert code == 0
        assert group in out
