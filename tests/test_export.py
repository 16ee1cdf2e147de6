"""`augsynth.export`: what is written, what it says of itself, and what is left behind when it fails."""

from __future__ import annotations

import csv
import json
import logging
import sys
import tarfile
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from fakes import Own
from PIL import Image
from torchvision.datasets import ImageFolder
from toy import CLASSES, SHAPE, trained

import augsynth as ag
from augsynth.errors import AugsynthError
from augsynth.exporting.png import SOURCE_TYPE, encode, source_type_of
from augsynth.exporting.writers import WRITERS, folder_names
from augsynth.generators import ConditionalGAN, ConditionalVAE, LatentSMOTE
from augsynth.verdict import Verdict, record

RDFLIB = pytest.mark.filterwarnings("ignore:ConjunctiveGraph is deprecated:DeprecationWarning")
NAMES = ["bird", "cat", "dog"]


@pytest.fixture(scope="module")
def smote() -> ConditionalVAE:
    return trained()


@pytest.fixture
def mlcroissant(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    import absl.logging
    import mlcroissant as module

    # absl's handler closes the stream that it was made with, pytest's own, when Hydra sets up logging in a later test.
    absl.logging.get_absl_handler().python_handler.setStream(sys.__stderr__)
    monkeypatch.setattr(logging.getLogger("absl"), "level", logging.ERROR)
    return module


def content(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / "samples.csv").open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


@pytest.mark.parametrize("format", list(WRITERS))
def test_the_same_call_writes_the_same_bytes(smote: ConditionalVAE, tmp_path: Path, format: str) -> None:
    for name in ("a", "b"):
        ag.export(smote, tmp_path / name, per_class=4, format=format)
    ag.export(smote, tmp_path / "c", per_class=4, format=format, seed=1)
    assert content(tmp_path / "a") == content(tmp_path / "b")
    assert content(tmp_path / "a") != content(tmp_path / "c")


def test_a_folder_holds_the_generators_samples_and_says_what_made_each(smote: ConditionalVAE, tmp_path: Path) -> None:
    done = ag.export(smote, tmp_path / "out", per_class=5, seed=3, epoch=2, classes=NAMES)
    assert str(done) == "15 samples of 3 classes"
    found = ImageFolder(tmp_path / "out")
    assert (found.classes, found.targets) == (NAMES, [0] * 5 + [1] * 5 + [2] * 5)
    batch = smote.generate(torch.tensor(found.targets), seed=3, epoch=2)
    for number, (path, _) in enumerate(found.samples):
        image = torch.from_numpy(np.array(Image.open(path)))
        assert torch.equal(image, (batch.image[number, 0] * 255).round().to(torch.uint8))
        assert ag.provenance_of(path) == batch.provenance[number]
        assert source_type_of(path) == SOURCE_TYPE


def test_the_provenance_in_a_file_makes_its_image_again(smote: ConditionalVAE, tmp_path: Path) -> None:
    ag.export(smote, tmp_path / "out", labels=[2, 0, 2], seed=8, truncation=0.5)
    path = tmp_path / "out" / "2" / "2.png"
    made = ag.provenance_of(path)
    assert made is not None
    assert (made.label, made.index, made.truncation, made.checkpoint) == (2, 2, 0.5, smote.checkpoint_hash())
    again = smote.generate([made.label], made.seed, index=[made.index], epoch=made.epoch, truncation=made.truncation)
    assert np.array_equal(np.array(Image.open(path)), (again.image[0, 0] * 255).round().to(torch.uint8).numpy())


def test_shards_hold_image_label_and_story_of_each_sample(
    smote: ConditionalVAE, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("augsynth.exporting.writers.SHARD", 8)
    ag.export(smote, tmp_path / "out", per_class=4, format="webdataset", classes=NAMES)
    shards = sorted((tmp_path / "out").glob("*.tar"))
    assert [shard.name for shard in shards] == ["synthetic-000000.tar", "synthetic-000001.tar"]
    with tarfile.open(shards[1]) as archive:
        assert archive.getnames() == [f"{n:02d}.{kind}" for n in range(8, 12) for kind in ("cls", "json", "png")]
        read = {name: archive.extractfile(name).read() for name in archive.getnames()}  # type: ignore[union-attr]
    about = json.loads(read["09.json"])
    assert (read["09.cls"], about["class"], about["index"]) == (b"2", "dog", 9)
    assert (about["synthetic"], about["digitalSourceType"]) == (True, SOURCE_TYPE)
    assert about["checkpoint"] == smote.checkpoint_hash()


# Its reader leaves the file to the garbage collector.
@pytest.mark.filterwarnings("ignore:.*synthetic-000000.tar:pytest.PytestUnraisableExceptionWarning")
def test_webdataset_reads_the_shards(smote: ConditionalVAE, tmp_path: Path) -> None:
    import webdataset

    ag.export(smote, tmp_path / "out", per_class=4, format="webdataset")
    shards = str(tmp_path / "out" / "synthetic-000000.tar")
    samples = list(webdataset.WebDataset(shards, shardshuffle=False).decode("torchrgb").to_tuple("png", "cls"))
    assert [label for _, label in samples] == [0] * 4 + [1] * 4 + [2] * 4
    assert samples[0][0].shape == (3, *SHAPE[1:])


def test_arrays_hold_all_channels(tmp_path: Path) -> None:
    class Deep(Own):
        image_shape = (5, 8, 8)

        def generate(self, labels: Any, seed: int = 0, **options: Any) -> Any:
            batch = super().generate(labels, seed, **options)
            return type(batch)(torch.full((len(labels), 5, 8, 8), 0.2), batch.label, batch.synthetic, batch.provenance)

    with pytest.raises(AugsynthError, match=r"1, 3 or 4 channels, these images 5; use format=npz"):
        ag.export(Deep(), tmp_path / "out", per_class=2)
    ag.export(Deep(), tmp_path / "out", labels=[1, 0, 1], format="npz")
    found = np.load(tmp_path / "out" / "samples.npz")
    assert (found["image"].shape, found["image"].dtype) == ((3, 5, 8, 8), np.uint8)
    assert found["image"].min() == found["image"].max() == 51
    assert (found["label"].tolist(), found["synthetic"].all()) == ([1, 0, 1], True)


def test_arrays_say_what_made_each_sample(smote: ConditionalVAE, tmp_path: Path) -> None:
    ag.export(smote, tmp_path / "out", labels=[2, 0], seed=6, format="npz")
    said = [json.loads(text) for text in np.load(tmp_path / "out" / "samples.npz")["provenance"]]
    assert [(one["label"], one["index"], one["seed"]) for one in said] == [(2, 0, 6), (0, 1, 6)]
    assert said[0]["checkpoint"] == smote.checkpoint_hash()


@RDFLIB
@pytest.mark.parametrize("format", list(WRITERS))
def test_the_manifest_is_valid_croissant_and_its_records_can_be_read(
    smote: ConditionalVAE, tmp_path: Path, format: str, mlcroissant: ModuleType
) -> None:
    record(smote, Verdict(True, (), smote.checkpoint_hash()))
    ag.export(smote, tmp_path / "out", per_class=2, format=format, classes=NAMES, seed=4)
    data = mlcroissant.Dataset(jsonld=str(tmp_path / "out" / "manifest.json"))
    assert not data.metadata.ctx.issues.errors
    records = list(data.records("samples"))
    assert [record["samples/label"] for record in records] == [0, 0, 1, 1, 2, 2]
    assert [record["samples/class"].decode() for record in records][3:] == ["cat", "dog", "dog"]
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["digitalSourceType"] == SOURCE_TYPE
    story = manifest["wasGeneratedBy"]
    assert (story["checkpoint"], story["seed"], story["version"]) == (smote.checkpoint_hash(), 4, ag.__version__)
    assert story["evaluation"]["passed"] is True
    assert story["classes"][1] == {"label": 1, "name": "cat", "samples": 2, "draws": 2}


@RDFLIB
def test_a_manifest_with_another_hash_is_seen_to_be_wrong(
    smote: ConditionalVAE, tmp_path: Path, mlcroissant: ModuleType
) -> None:
    ag.export(smote, tmp_path / "out", per_class=2)
    (tmp_path / "out" / "samples.csv").write_text("file,label\nx,1\n")
    data = mlcroissant.Dataset(jsonld=str(tmp_path / "out" / "manifest.json"))
    with pytest.raises(Exception, match=r"Download\(samples\.csv\)"):
        list(data.records("samples"))


def test_attributes_are_given_by_sample_and_stand_in_the_table(tmp_path: Path) -> None:
    gan = ConditionalGAN(SHAPE, CLASSES, attributes={"size": (0.0, 1.0)}, width=8, max_width=8, latent_dim=4)
    gan.remember(torch.arange(6) % 3, torch.linspace(0, 1, 6)[:, None])
    sizes = [i / 600 for i in range(600)]
    ag.export(gan, tmp_path / "out", labels=[0, 1, 2] * 200, attributes={"size": sizes}, format="npz")
    rows = table(tmp_path / "out")
    assert [float(row["attribute size"]) for row in rows] == pytest.approx(sizes)
    assert [int(row["label"]) for row in rows[:4]] == [0, 1, 2, 0]


@pytest.mark.parametrize(
    ("names", "folders"),
    [
        (["ant", "bee", "cat"], ["ant", "bee", "cat"]),
        (["Trouser", "Dress"], ["0 Trouser", "1 Dress"]),
        (["T-shirt/top", "Bag"], ["0 T-shirt_top", "1 Bag"]),
        (["a/b", "a_b"], ["0 a_b", "1 a_b"]),
        ([str(i) for i in range(11)], [f"{i:02d}" for i in range(11)]),
        (["..", "x"], ["0", "1 x"]),
    ],
)
def test_folders_sort_as_their_labels_do(names: list[str], folders: list[str]) -> None:
    assert folder_names(names) == folders == sorted(folders)


def test_nothing_is_left_behind_by_an_error_or_ctrl_c(smote: ConditionalVAE, tmp_path: Path) -> None:
    class Stopped:
        num_classes, image_shape, left = CLASSES, SHAPE, 1

        def generate(self, *arguments: Any, **options: Any) -> Any:
            self.left -= 1
            if self.left < 0:
                raise KeyboardInterrupt
            return smote.generate(*arguments, **options)

    (tmp_path / "empty").mkdir()
    for out in ("new", "empty"):
        with pytest.raises(KeyboardInterrupt):
            ag.export(Stopped(), tmp_path / out, per_class=300)
    assert [path.name for path in tmp_path.rglob("*")] == ["empty"]


def test_an_empty_folder_is_filled_and_another_one_is_left_alone(smote: ConditionalVAE, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    ag.export(smote, tmp_path / "out", per_class=1)
    names = ["0", "1", "2", "manifest.json", "samples.csv"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == names
    with pytest.raises(AugsynthError, match="out is not empty; name another folder"):
        ag.export(smote, tmp_path / "out", per_class=1)
    with pytest.raises(AugsynthError, match=r"samples\.csv is a file; out is a folder"):
        ag.export(smote, tmp_path / "out" / "samples.csv", per_class=1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "give per_class or labels"),
        ({"per_class": 1, "labels": [0]}, "give per_class or labels"),
        ({"per_class": 0}, "per_class=0 must be an integer of at least 1"),
        ({"labels": []}, "of at least one sample"),
        ({"labels": [7]}, "label 7 is outside"),
        ({"per_class": 1, "format": "tar"}, "format='tar' is not known.*folder, webdataset, npz"),
        ({"per_class": 1, "classes": ["a"]}, "1 names for the generator's 3 classes"),
        ({"per_class": 1, "truncation": 1.5}, r"truncation=1\.5 must be a number from 0 to 1"),
        ({"per_class": 1, "keep": 0.5}, "keep and judge belong together"),
    ],
)
def test_what_does_not_fit_is_refused(
    smote: ConditionalVAE, tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        ag.export(smote, tmp_path / "out", **options)
    assert not list(tmp_path.iterdir())


def test_only_classes_seen_in_training_are_written(tmp_path: Path) -> None:
    from augsynth.generators import fit

    images, labels = torch.randint(0, 255, (24, *SHAPE), dtype=torch.uint8), torch.arange(24) % 2 * 2
    rare = fit(LatentSMOTE(SHAPE, 3, latent_dim=4, width=4), (images, labels), max_images=24)
    assert ag.export(rare, tmp_path / "out", per_class=2).counts.tolist() == [2, 0, 2]
    with pytest.raises(AugsynthError, match="this ConditionalGAN is not trained"):
        ag.export(ConditionalGAN(SHAPE, 3, width=8), tmp_path / "other", per_class=2)


def test_files_that_say_nothing_or_nonsense(tmp_path: Path) -> None:
    Image.new("L", (4, 4)).save(tmp_path / "plain.png")
    assert ag.provenance_of(tmp_path / "plain.png") is None
    assert source_type_of(tmp_path / "plain.png") is None
    (tmp_path / "text.png").write_text("no image")
    with pytest.raises(AugsynthError, match=r"text\.png cannot be read as an image"):
        ag.provenance_of(tmp_path / "text.png")
    (tmp_path / "odd.png").write_bytes(encode(np.zeros((3, 4, 5), np.uint8), None))
    assert ag.provenance_of(tmp_path / "odd.png") is None
    with Image.open(tmp_path / "odd.png") as picture:
        assert (picture.mode, picture.size) == ("RGB", (5, 4))
