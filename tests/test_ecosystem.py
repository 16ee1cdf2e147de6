"""Small programs as users write them, each run as it is, in a process of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAMS = Path(__file__).resolve().parent / "ecosystem"
CHECKOUT = PROGRAMS.parent.parent


def run(program: str, folder: Path, *arguments: str) -> str:
    path = os.pathsep.join(filter(None, [str(CHECKOUT), os.environ.get("PYTHONPATH", "")]))
    command = [sys.executable, str(PROGRAMS / program), *arguments]
    one = {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "HF_DATASETS_CACHE": str(folder / "datasets")}
    done = subprocess.run(
        command, cwd=folder, env=os.environ | one | {"PYTHONPATH": path}, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def accuracy(said: str) -> float:
    found = re.findall(r"^accuracy (\S+)$", said, re.MULTILINE)
    assert found, said
    return float(found[-1])


@pytest.mark.parametrize("program", sorted(path.name for path in PROGRAMS.glob("*.py")))
def test_a_program_is_short(program: str) -> None:
    assert len((PROGRAMS / program).read_text().splitlines()) < 40


# Ten classes of digits, pixels of three classes of which two are rare, and two kinds of reviews.
@pytest.mark.parametrize(
    ("program", "least"),
    [
        ("plain_loop.py", 0.85),
        ("lightning_module.py", 0.85),
        ("datamodule.py", 0.85),
        ("hugging_face.py", 0.85),
        ("web_dataset.py", 0.85),
        ("segmentation.py", 0.95),
        ("text_classification.py", 0.95),
    ],
)
def test_a_program_learns(program: str, least: float, tmp_path: Path) -> None:
    assert accuracy(run(program, tmp_path)) >= least


def test_a_detector_takes_boxes_in_any_number(tmp_path: Path) -> None:
    assert "boxes [0, 1, 2, 3] loss finite True" in run("detection.py", tmp_path)


@pytest.mark.parametrize("program", ["ddp.py", "ddp_synthetic.py"])
def test_two_processes_see_together_what_one_sees(program: str, tmp_path: Path) -> None:
    alone, together = (re.findall("^seen.*$", run(program, tmp_path, n), re.MULTILINE) for n in ("1", "2"))
    assert alone == together
    assert len(set(alone)) == 2
