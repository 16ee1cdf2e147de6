"""The README's tables of transforms are those of the registry."""

from pathlib import Path

import pytest

from augsynth import transforms as T
from augsynth.errors import AugsynthError
from augsynth.gallery.__main__ import main
from augsynth.gallery.table import BEGIN, COMMAND, END, block, replaced

README = Path(__file__).resolve().parent.parent / "README.md"


def test_the_readme_agrees_with_the_registry():
    text = README.read_text(encoding="utf-8")
    assert text == replaced(text), f"README.md and the registry disagree about the transforms; run: {COMMAND}"


@pytest.mark.parametrize("name", T.REGISTRY)
def test_every_transform_is_in_both_tables(name):
    assert block().count(f"`{name}`") >= 2
    assert sum(line.startswith(f"| `{name}` |") for line in block().splitlines()) == 1


def test_the_picture_of_the_readme_is_there_and_light():
    assert "](.github/gallery.jpg)" in README.read_text(encoding="utf-8")
    assert 100_000 < (README.parent / ".github" / "gallery.jpg").stat().st_size < 1_200_000


def test_what_stands_outside_the_markers_is_left_alone(tmp_path, capsys):
    path = tmp_path / "README.md"
    path.write_text(f"before | `x`\n\n{BEGIN}\nold\n{END}\nafter\n", encoding="utf-8")
    assert main([str(path)]) == 0
    assert path.read_text(encoding="utf-8") == f"before | `x`\n\n{BEGIN}\n\n{block()}\n\n{END}\nafter\n"
    assert capsys.readouterr().out == f"{path}\n"


@pytest.mark.parametrize("text", ["", BEGIN, f"{END}\n{BEGIN}", f"{BEGIN}\n{BEGIN}\n{END}"])
def test_missing_markers_are_an_error(text, tmp_path, capsys):
    with pytest.raises(AugsynthError, match="transforms: begin"):
        replaced(text)
    path = tmp_path / "README.md"
    path.write_text(text, encoding="utf-8")
    assert main([str(path)]) == 1
    assert str(path) in capsys.readouterr().err
    assert path.read_text(encoding="utf-8") == text


def test_without_a_file_the_usage_is_shown(capsys):
    assert main([]) == 1
    assert COMMAND in capsys.readouterr().err
