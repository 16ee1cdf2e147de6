from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from augsynth import Pipeline
from augsynth import transforms as T
from augsynth.cli import main
from augsynth.console import show
from augsynth.quality import Protocol, TextSource, compare_texts
from augsynth.report import page

CLASSES = ("fruit", "tool", "bird")
WORDS = {"fruit": "apple pear plum", "tool": "hammer saw drill", "bird": "robin wren crow"}
SMALL = {"labels_per_class": 6, "seeds": 2, "steps": 12, "batch_size": 8, "learning_rates": (0.01,), "test_limit": 30}
FAST = ["seeds=2", "steps=3", "labels_per_class=2", "learning_rates=[0.01]", "test_limit=100", "workers=1"]


def source(start: int, count: int = 60) -> TextSource:
    texts, labels = [], []
    for i in range(start, start + count):
        name = CLASSES[i % 3]
        word = WORDS[name].split()[i % 7 % 3]
        texts.append(f"I do not know the {word} number {i} here")
        labels.append(i % 3)
    return TextSource(texts, torch.tensor(labels), CLASSES)


def protocol(*arms: str, **more: Any) -> Protocol:
    return Protocol(**{**SMALL, "arms": arms, "primary": (arms[-1], arms[0]), "secondary": (), **more})


def edits() -> Pipeline:
    return Pipeline([T.RandomDeletion(rate=0.2), T.PunctuationInsertion(rate=0.2)])


def outcome(**options: Any) -> Any:
    arms = {"none": None, "edits": edits()}
    return compare_texts(source(0), source(600), arms=arms, protocol=protocol("none", "edits"), **options)


def test_the_same_comparison_gives_the_same_numbers_for_any_number_of_workers() -> None:
    one, two = outcome(), outcome(workers=2)
    assert one.planned == len(one.runs) == 4
    for a, b in zip(one.runs, two.runs, strict=True):
        assert (a.arm, a.seed, a.learning_rate) == (b.arm, b.seed, b.learning_rate)
        assert np.array_equal(a.probabilities, b.probabilities)
    first = {run.arm: run for run in one.runs if run.seed == 0}
    assert not np.array_equal(first["none"].probabilities, first["edits"].probabilities)


def test_an_arm_that_edits_nothing_is_plain_training() -> None:
    arms = {"none": None, "empty": Pipeline([T.RandomDeletion(p=0.0)])}
    found = compare_texts(source(0), source(600), arms=arms, protocol=protocol("none", "empty"))
    by_arm = {(run.arm, run.seed): run.probabilities for run in found.runs}
    assert all(np.array_equal(by_arm["none", seed], by_arm["empty", seed]) for seed in (0, 1))


def test_words_can_be_learned() -> None:
    found = compare_texts(
        source(0), source(600), arms={"none": None, "edits": edits()}, protocol=protocol("none", "edits", steps=90)
    )
    assert min(estimate.mean for estimate in found.accuracy().values()) > 0.8


def test_arms_may_mix_texts_and_work_on_ids() -> None:
    from augsynth.text.token_vocabulary import TokenVocabulary

    def ids(words: Any) -> Pipeline:
        table = {"[PAD]": 0, **{f"[{i}]": 1 + i for i in range(512)}}
        table |= {word: 513 + i for i, word in enumerate(words.known)}
        return Pipeline([T.TokenDelete(vocabulary=TokenVocabulary.from_mapping(table, pad="[PAD]"), rate=0.3)])

    arms = {"none": None, "mix": Pipeline([T.TextCutMix(num_classes=3)]), "ids": ids}
    found = compare_texts(source(0), source(600), arms=arms, protocol=protocol("none", "mix", "ids"))
    first = {run.arm: run.probabilities for run in found.runs if run.seed == 0}
    assert not np.array_equal(first["none"], first["mix"])
    assert not np.array_equal(first["none"], first["ids"])
    assert found.pipelines["ids"] == "none: it is a function, which cannot be written"
    assert len(str(found.pipelines["mix"])) == 64


def test_the_page_shows_texts_with_their_edits_and_escapes_them() -> None:
    few = source(0)
    few = TextSource([f"<b>&{text}" for text in few.texts], few.labels, few.classes)
    arms = {"none": None, "edits": edits()}
    found = compare_texts(few, source(600), arms=arms, protocol=protocol("none", "edits"))
    html = page(found, "steps: 12", "some texts")
    assert "&lt;b&gt;&amp;I do" in html
    assert "<b>&" not in html
    assert "<ins>" in html
    assert "<del>" in html
    assert "does it help to train with edits?" in html
    assert "generator" not in html.split("How it was done")[1].split("</p>")[0]


def test_what_is_wrong_is_said_before_any_training() -> None:
    flips = {"none": None, "flip": Pipeline([T.RandomHorizontalFlip()])}
    with pytest.raises(ValueError, match="arm 'flip' has no transforms of text"):
        compare_texts(source(0), source(600), arms=flips, protocol=protocol("none", "flip"))
    arms = {"none": None, "edits": edits()}
    with pytest.raises(ValueError, match="labels_per_class=30, but class 'fruit' has 20"):
        compare_texts(source(0), source(600), arms=arms, protocol=protocol("none", "edits", labels_per_class=30))
    with pytest.raises(ValueError, match=r"model .* gives \(2, 4\) for 2 texts; with 3 classes"):
        compare_texts(source(0), source(600), arms=arms, protocol=protocol("none", "edits"), model=lambda: Wrong())
    with pytest.raises(TypeError, match="sample 0 of list is not"):
        TextSource.of_dataset([(torch.zeros(3), 1)])
    with pytest.raises(ValueError, match="list is empty"):
        TextSource.of_dataset([])


def test_texts_that_are_too_long_are_counted() -> None:
    few = source(0)
    few = TextSource([f"{text} {'on ' * 250}" for text in few.texts], few.labels, few.classes)
    arms = {"none": None, "edits": edits()}
    with pytest.warns(UserWarning, match="31 of 61 texts have more than 256 words and signs"):
        compare_texts(few, source(600), arms=arms, protocol=protocol("none", "edits", steps=1))


class Wrong(nn.Module):
    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return torch.zeros(len(ids), 4)


def test_all_labels_can_be_used(capsys: pytest.CaptureFixture[str]) -> None:
    arms = {"none": None, "edits": edits()}
    found = compare_texts(source(0), source(600), arms=arms, protocol=protocol("none", "edits", labels_per_class=None))
    assert {len(few) for few in found.few.values()} == {60}
    show(found)
    assert "With all labelled texts a class" in capsys.readouterr().out


def run(arguments: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.chdir(folder)
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    return int(stopped.value.code or 0)


def test_the_command_compares_texts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["compare", "data=banking77", "arms=[none,text_light]", *FAST], tmp_path, monkeypatch) == 0
    out = capsys.readouterr().out
    assert "With 2 labelled texts a class: does it help to train with text_light?" in out
    folder = Path(out.splitlines()[-1])
    results = json.loads((folder / "results.json").read_text())
    assert set(results["arms"]) == {"none", "text_light"}
    assert results["protocol"]["primary"] == ["text_light", "none"]
    assert "BANKING77" in (folder / "report.html").read_text()


def test_the_command_takes_the_user_s_own_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = "".join(f"text {i} of {'good' if i % 2 else 'bad'},{i % 2}\n" for i in range(40))
    (tmp_path / "mine.csv").write_text("body,stars\n" + rows)
    own = ["data=csv", "data.path=mine.csv", "data.text=body", "data.label=stars"]
    changed = ["+augment@presets.typos=typos", "arms=[none,eda,typos]"]
    swap = "presets.eda.transforms.eda.transforms.swap.rate=0.2"
    assert run(["compare", *own, *changed, swap, *FAST], tmp_path, monkeypatch) == 0
    folder = Path(capsys.readouterr().out.splitlines()[-1])
    results = json.loads((folder / "results.json").read_text())
    config = results["config"]
    assert results["protocol"]["primary"] == ["typos", "none"]
    assert config["presets"]["eda"]["transforms"]["eda"]["transforms"]["swap"]["rate"] == 0.2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["compare", "data=csv"], "data.path is needed and has no default"),
        (["compare", "data=csv", "data.path=none.csv"], "is not a file"),
        (["compare", "data=banking77", "arms=[none,both]", "primary=[both,none]"], "'both' is for images; on texts"),
        (["compare", "data=banking77", "arms=[none,edaa]"], "'edaa' is not an arm; did you mean 'eda'"),
        (["compare", "data=banking77", "presets.eda.transforms.ed.p=1"], "no key 'ed' in presets.eda.transforms"),
        (["compare", "data=banking77", "stps=3"], "there is no key 'stps'; did you mean 'steps'?"),
        (["compare", "data=banking77", "arms=3"], "arms=3 must be at least two different arms"),
        (["compare", "data=banking77", "arms=[none,none]"], "must be at least two different arms"),
        (["compare", "data=banking77", "generator=vae"], "generator=vae: synthetic samples are of images only"),
        (["compare", "data=banking77", "augment=eda"], "augment=eda: on texts each arm is a preset"),
        (["compare", "data=banking77", "model._target_=torch.nn.Identity"], "model Identity gives (2, 8) for 2 texts"),
        (
            ["compare", "--multirun", "data=banking77,demo"],
            "one call is about texts or about images",
        ),
        (
            ["compare", "augment=eda", "arms=[none,augment]", "primary=[augment,none]", *FAST[:4], "workers=1"],
            "this pipeline edits texts, and the samples are images",
        ),
        (["preview", "augment=eda"], "this pipeline edits texts, and the samples are images"),
        (["preview", "data=banking77", "augment=none"], "no transforms of text"),
        (["preview", "data=banking77", "augment=strong"], "no transforms of text; on texts choose aeda, eda"),
        (["preview", "data=banking77", "columns=0"], "columns=0 must be an integer from 1 to 50"),
    ],
)
def test_a_mistake_about_texts_is_explained(
    arguments: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(arguments, tmp_path, monkeypatch) == 1
    err = capsys.readouterr().err
    assert said in err
    assert "Traceback" not in err


def test_the_preview_of_texts_marks_the_edits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["preview", "data=banking77", "augment=eda", "texts=3", "columns=4"], tmp_path, monkeypatch) == 0
    path = Path(capsys.readouterr().out.splitlines()[-1])
    html = path.read_text(encoding="utf-8")
    assert path.name == "preview.html"
    assert html.count("<section>") == 4
    assert html.count("<li>") == 16
    assert all(tag in html.split("<section>", 1)[1] for tag in ("<ins>", "<del>", '<span class="moved">'))


def test_the_user_s_network_and_an_experiment_serve_texts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mynet.py").write_text(
        "from torch import nn\n\n\n"
        "class Net(nn.Sequential):\n"
        "    def __init__(self, num_classes, vocab_size, width=4):\n"
        "        super().__init__(nn.EmbeddingBag(vocab_size, width), nn.Linear(width, num_classes))\n"
    )
    monkeypatch.setattr(sys, "path", [*sys.path])
    own = ["model._target_=mynet.Net", "+model.width=6", "experiment=quick", "arms=[none,eda]"]
    try:
        assert run(["compare", "data=banking77", *own, *FAST], tmp_path, monkeypatch) == 0
    finally:
        sys.modules.pop("mynet", None)
    folder = Path(capsys.readouterr().out.splitlines()[-1])
    config = json.loads((folder / "results.json").read_text())["config"]
    assert (config["model"]["_target_"], config["steps"]) == ("mynet.Net", 3)


def test_the_help_of_texts_shows_what_to_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["compare", "data=csv", "--help"], tmp_path, monkeypatch) == 0
    out = capsys.readouterr().out
    assert "data.path=FILE data.text=COLUMN data.label=COLUMN" in out
    assert "test_share" in out


def test_the_configuration_of_texts_is_shown(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "augsynth", "compare", "data=banking77", "--cfg", "job"]
    shown = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert "augsynth.quality.WordCNN" in shown
    assert "generator" not in shown


def test_the_results_say_by_fingerprint_what_each_arm_was_trained_through() -> None:
    assert outcome().results()["pipelines"] == {"none": None, "edits": edits().fingerprint}

    def nothing(text: str) -> list[tuple[int, int]]:
        return []

    unknown = Pipeline({"drop": T.RandomDeletion(protect=nothing)})
    arms = {"none": None, "edits": unknown}
    found = compare_texts(source(0), source(600), arms=arms, protocol=protocol("none", "edits", seeds=1))
    assert found.pipelines["edits"].startswith("none: Pipeline.transforms.drop (RandomDeletion).protect cannot be")
