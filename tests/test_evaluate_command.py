"""`augsynth evaluate`: its files, its page, and what it leaves in the checkpoint."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf

from augsynth import cli
from augsynth.data import demo
from augsynth.evaluation_page import page
from augsynth.generators import LatentSMOTE, fit, load
from augsynth.quality import Gate, evaluate

TINY = ["per_class=10", "steps=2", "repeats=0"]
Call = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = demo.fashion("train")
    generator = fit(LatentSMOTE((1, 28, 28), 10, latent_dim=4, width=4), data, max_images=64)
    path = tmp_path_factory.mktemp("trained") / "smote.ckpt"
    generator.save(path)
    return path


@pytest.fixture
def call(tmp_path: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    shutil.copy(checkpoint, tmp_path / "smote.ckpt")

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as left:
            cli.main(["evaluate", *arguments])
        captured = capsys.readouterr()
        return int(left.value.code or 0), captured.out, captured.err

    return run


def test_it_prints_the_table_and_writes_its_files(call: Call, tmp_path: Path) -> None:
    code, out, err = call("checkpoint=smote.ckpt", *TINY, "hydra.run.dir=here")
    assert (code, err) == (0, "")
    assert out.startswith("LatentSMOTE ")
    assert "FAILED" in out.splitlines()[0]
    assert out.splitlines()[-1] == str(tmp_path / "here")
    found = json.loads((tmp_path / "here" / "evaluation.json").read_text())
    assert found["passed"] is False
    assert found["class_names"][5] == "Sandal"
    assert found["counts"]["generated"] == 100
    assert "<h1>LatentSMOTE" in (tmp_path / "here" / "evaluation.html").read_text()
    verdict = load(tmp_path / "smote.ckpt").verdict
    assert (verdict.passed, list(verdict.reasons)) == (False, found["reasons"])


def test_thresholds_are_those_of_the_configuration_and_recording_can_be_left_out(call: Call, tmp_path: Path) -> None:
    off = [f"gate.{name}=null" for name in ("label_agreement", "worst_class", "coverage", "copies", "usefulness")]
    before = (tmp_path / "smote.ckpt").read_bytes()
    code, out, _ = call("checkpoint=smote.ckpt", *TINY, *off, "record=false", "hydra.run.dir=here")
    assert code == 0
    assert "passed" in out.splitlines()[0]
    assert (tmp_path / "smote.ckpt").read_bytes() == before


def test_the_configuration_has_the_thresholds_of_the_code(call: Call) -> None:
    written = OmegaConf.create((files("augsynth.conf") / "evaluate.yaml").read_text())
    assert Gate.of(dict(written.gate)) == Gate()
    assert "augsynth evaluate checkpoint=gan.ckpt" in call("--help")[1]


WRONG = {
    "": "checkpoint is needed and has no default",
    "checkpoint=none.ckpt": "there is no checkpoint none.ckpt",
    "checkpoint=smote.ckpt data=banking77": "generators make images",
    "checkpoint=smote.ckpt gate.coverge=1": "did you mean 'coverage'?",
    "checkpoint=smote.ckpt gate.coverage=-1": "Gate: coverage=-1 must be a number from 0",
    "checkpoint=smote.ckpt steps=0": "steps=0 must be an integer, 1 or more",
}


@pytest.mark.parametrize("arguments", WRONG)
def test_a_mistake_is_explained(call: Call, arguments: str) -> None:
    code, _, err = call(*arguments.split(), "hydra.run.dir=here")
    assert code == 1
    assert WRONG[arguments] in err
    assert "Traceback" not in err


def test_the_page_is_whole_holds_its_pictures_and_escapes(checkpoint: Path) -> None:
    train, test = demo.fashion("train"), demo.fashion("test")
    part = (train.images[:300], train.labels[:300])
    report = evaluate(load(checkpoint), part, (test.images, test.labels), per_class=4, steps=2, repeats=0)
    text = page(report, ["<b>", *demo.CLASSES[1:]], "a: <b>")
    assert "<b>" not in text
    assert "no guarantee of privacy" in text
    assert not re.search(r'(?:src|href)="(?!data:)', text)
    spaces = len(report.copies)
    assert text.count("<img ") == sum(map(len, report.pictures.samples.values())) + 16 * spaces
    opened: list[str] = []

    class Balance(HTMLParser):
        def handle_starttag(self, tag: str, attrs: object) -> None:
            if tag not in ("meta", "img"):
                opened.append(tag)

        def handle_endtag(self, tag: str) -> None:
            assert opened.pop() == tag

    Balance().feed(text)
    assert opened == []
    assert torch.equal(report.pictures.pairs["pixels"][1][0], part[0][report.copies["pixels"].pairs[0].train])
