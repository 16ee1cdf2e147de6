"""One-line faults in the gallery: what is drawn, where, by which draw, and what the tables say."""

from __future__ import annotations

from faults import Mutant


def _gallery(*names: str) -> tuple[str, ...]:
    return tuple(f"test_gallery.py::test_{name}" for name in names)


OVERLAY, EXHIBITS = "gallery/overlay.py", "gallery/exhibits.py"
MARKS = _gallery("what_is_drawn_lies_on_what_it_marks")

MUTANTS = [
    Mutant(
        "keypoints drawn on the other axis' scale",
        OVERLAY,
        "pen.point(np.asarray(point, float)[:2] * scale)",
        "pen.point(np.asarray(point, float)[:2] * scale[::-1])",
        MARKS,
    ),
    Mutant(
        "a mask drawn upside down",
        OVERLAY,
        "np.where(mask > 0, 255, 0)",
        "np.where(mask[::-1] > 0, 255, 0)",
        MARKS,
    ),
    Mutant(
        "a box drawn a pixel off",
        OVERLAY,
        "        low, high = corners\n",
        "        low, high = corners + 1\n",
        MARKS,
    ),
    Mutant(
        "each strength another draw",
        EXHIBITS,
        "s: stand.draw([index], s)[0]",
        "s: stand.draw([index + round(9 * s)], s)[0]",
        _gallery("a_picture_is_what_the_pipeline_returns_for_the_index_at_each_strength"),
    ),
    Mutant(
        "a picture as its own partner",
        EXHIBITS,
        "batch = [self.sample, *self.partners]",
        "batch = [self.sample] * 4",
        _gallery("what_mixes_samples_gets_partners"),
    ),
    Mutant(
        "a transform that shows nothing",
        "gallery/entries.py",
        'FADED = ("RandomAutocontrast",)',
        "FADED: tuple[str, ...] = ()",
        _gallery("every_transform_changes_what_is_shown"),
    ),
    Mutant(
        "a title without room",
        "gallery/sheet.py",
        "if free < min(2, count, self.columns):",
        "if free < 0:",
        _gallery("families_follow_each_other_and_their_titles_have_room"),
    ),
    Mutant(
        "a table that says of all targets where they go",
        "gallery/table.py",
        '"" if known.targets == STAY else known.targets,',
        "known.targets,",
        ("test_readme.py::test_the_readme_agrees_with_the_registry",),
    ),
]
