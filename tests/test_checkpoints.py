from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from toy import CLASSES, trained

from augsynth.generators import CheckpointError, ConditionalVAE, load
from augsynth.provenance import Provenance


@pytest.fixture(scope="module")
def smote() -> ConditionalVAE:
    return trained()


@pytest.fixture(scope="module")
def vae() -> ConditionalVAE:
    return trained(ConditionalVAE)


@pytest.fixture(params=["smote", "vae"])
def generator(request: pytest.FixtureRequest) -> ConditionalVAE:
    found: ConditionalVAE = request.getfixturevalue(request.param)
    return found


def test_a_loaded_generator_makes_the_same_samples(generator: ConditionalVAE, tmp_path: Path) -> None:
    generator.save(tmp_path / "new" / "generator.ckpt")
    again = load(tmp_path / "new" / "generator.ckpt", num_classes=CLASSES)
    assert type(again) is type(generator)
    assert torch.equal(again.generate([0, 1, 2], 4).image, generator.generate([0, 1, 2], 4).image)
    assert again.checkpoint_hash() == generator.checkpoint_hash()


def test_provenance_is_enough_to_make_a_sample_again(generator: ConditionalVAE, tmp_path: Path) -> None:
    batch = generator.generate([1, 2], seed=8, index=[30, 40], epoch=5)
    generator.save(tmp_path / "generator.ckpt")
    assert batch.provenance[1] is not None
    made = Provenance.from_dict(batch.provenance[1].to_dict())
    again = load(tmp_path / "generator.ckpt").generate(
        [made.label], made.seed or 0, index=[made.index], epoch=made.epoch or 0
    )
    assert torch.allclose(again.image[0], batch.image[1], atol=1e-5)
    assert '"seed": 8' in made.to_json()


def test_a_pickled_generator_makes_the_same_samples(generator: ConditionalVAE) -> None:
    again = pickle.loads(pickle.dumps(generator))
    assert torch.equal(again.generate([0, 1]).image, generator.generate([0, 1]).image)


def test_the_hash_follows_the_weights() -> None:
    generator = trained(images=64)
    before = generator.checkpoint_hash()
    with torch.no_grad():
        next(generator.decoder.parameters()).add_(1e-3)
    assert generator.checkpoint_hash() != before


def test_a_failed_write_leaves_the_older_file(
    smote: ConditionalVAE, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "generator.ckpt"
    smote.save(path)
    before = path.read_bytes()

    def full_disk(content: Any, stream: Any) -> None:
        stream.write(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(torch, "save", full_disk)
    with pytest.raises(CheckpointError, match=r"cannot write the checkpoint .*generator.ckpt: No space left"):
        smote.save(path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["generator.ckpt"]


def test_an_unwritable_folder_is_named(smote: ConditionalVAE, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(CheckpointError, match=r"cannot write the checkpoint .*file/generator.ckpt"):
        smote.save(tmp_path / "file" / "generator.ckpt")


def test_a_checkpoint_of_another_class_count_is_refused(smote: ConditionalVAE, tmp_path: Path) -> None:
    smote.save(tmp_path / "generator.ckpt")
    with pytest.raises(CheckpointError, match="has 3 classes, the data has 10"):
        load(tmp_path / "generator.ckpt", num_classes=10)


def test_what_is_no_checkpoint_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"there is no checkpoint .*missing.ckpt"):
        load(tmp_path / "missing.ckpt")
    (tmp_path / "text.ckpt").write_text("hello")
    with pytest.raises(CheckpointError, match=r"text.ckpt is not an augsynth checkpoint"):
        load(tmp_path / "text.ckpt")
    torch.save({"weights": torch.zeros(2)}, tmp_path / "other.ckpt")
    with pytest.raises(CheckpointError, match=r"other.ckpt is not an augsynth checkpoint"):
        load(tmp_path / "other.ckpt")
    torch.save({"pytorch-lightning_version": "2.6.6"}, tmp_path / "lightning.ckpt")
    with pytest.raises(CheckpointError, match="load_from_checkpoint"):
        load(tmp_path / "lightning.ckpt")


def test_a_checkpoint_that_does_not_fit_this_version_is_named(smote: ConditionalVAE, tmp_path: Path) -> None:
    smote.save(tmp_path / "generator.ckpt")
    content = torch.load(tmp_path / "generator.ckpt", weights_only=True)
    del content["state"]["decoder.head.weight"]
    torch.save(content, tmp_path / "damaged.ckpt")
    with pytest.raises(CheckpointError, match=r"damaged.ckpt was written by augsynth .* does not fit"):
        load(tmp_path / "damaged.ckpt")
