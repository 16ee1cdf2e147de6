"""The preview: a row per transform, drawn by the keys it states, from the user's own picture too."""

import numpy as np
import pytest
import torch
from PIL import Image

from augsynth import config
from augsynth.errors import AugsynthError
from augsynth.pipeline import Pipeline
from augsynth.preview import PAPER, Layout, arguments, draw, load, run
from augsynth.transforms import CutMix, MixUp, Normalize, OneOf, RandomAffine, RandomErasing, RandomHorizontalFlip

ERASE = RandomErasing(p=0.01, scale=(0.2, 0.21), ratio=(1.0, 1.0), value=255)


def picture(size=(40, 40)):
    ramp = np.linspace(0, 200, size[0] * size[1] * 3).reshape(size[1], size[0], 3)
    return Image.fromarray(ramp.astype(np.uint8))


def tiles(canvas, layout, top):
    """The small pictures of the row that begins at `top`, as arrays."""
    whole = np.asarray(canvas)
    return [whole[top : top + layout.tile, layout.column(i) :][:, : layout.tile] for i in range(layout.columns)]


def row_tops(layout, rows):
    first = max(2 * layout.tile + layout.gap, layout.label - 24 + 110) + layout.row_gap
    return [layout.margin + first + i * (layout.tile + layout.row_gap) for i in range(rows)]


def test_there_is_a_row_of_pictures_for_each_transform():
    layout = Layout(4)
    canvas = draw(Pipeline({"turn": RandomAffine(30), "flip": RandomHorizontalFlip()}), picture(), columns=4)
    assert canvas.width == 1440
    tops = row_tops(layout, 2)
    assert canvas.height == tops[1] + layout.tile + layout.margin
    for top in tops:
        assert all(len(np.unique(tile.reshape(-1, 3), axis=0)) > 50 for tile in tiles(canvas, layout, top))
    below = np.asarray(canvas)[tops[1] + layout.tile + 2 :]
    assert np.all(below == PAPER)


def test_draws_of_a_row_differ_and_are_those_of_the_seed():
    pipeline = Pipeline({"turn": RandomAffine(30)})
    layout = Layout(3)
    top = row_tops(layout, 1)[0]
    first, again, other = (np.asarray(draw(pipeline, picture(), columns=3, seed=s)) for s in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    one, two, _ = tiles(Image.fromarray(first), layout, top)
    assert not np.array_equal(one, two)


def test_what_mixes_samples_is_shown_on_parts_of_the_image():
    layout = Layout(4)
    mix = OneOf([MixUp(num_classes=2), CutMix(num_classes=2)])
    canvas = draw(Pipeline({"mix": mix, "normalize": Normalize((0.5,), (0.5,))}), picture(), columns=4, seed=3)
    shown = tiles(canvas, layout, row_tops(layout, 1)[0])
    assert not any(np.array_equal(a, b) for i, a in enumerate(shown) for b in shown[:i])
    again = draw(Pipeline({"mix": mix}), picture(), columns=4, seed=3)
    assert np.array_equal(np.asarray(again), np.asarray(canvas))


def test_a_rare_transform_is_shown_at_work_in_its_row_and_its_label_says_so():
    layout = Layout(3)
    canvas = draw(Pipeline({"hole": ERASE}), picture(), columns=3)
    for tile in tiles(canvas, layout, row_tops(layout, 1)[0]):
        assert (tile.min(2) > 250).mean() == pytest.approx(0.2, abs=0.05)
    assert "p=0.01 (here always)" in arguments(ERASE)
    assert arguments(RandomHorizontalFlip()) == "p=0.5"


def test_the_whole_pipeline_keeps_its_probabilities():
    layout = Layout(3)
    canvas = draw(Pipeline({"hole": ERASE}), picture(), columns=3)
    assert all((tile.min(2) > 250).mean() < 0.01 for tile in tiles(canvas, layout, layout.margin))


def test_normalize_has_no_row_and_does_not_spoil_the_others():
    plain = Pipeline({"flip": RandomHorizontalFlip()})
    normalized = Pipeline({"flip": RandomHorizontalFlip(), "normalize": Normalize((0.5,) * 3, (0.2,) * 3)})
    assert np.array_equal(np.asarray(draw(plain, picture())), np.asarray(draw(normalized, picture())))


def test_pictures_keep_their_scale_when_a_crop_makes_them_smaller():
    from augsynth.transforms import CenterCrop

    layout = Layout(3)
    canvas = draw(Pipeline({"crop": CenterCrop(20)}), picture(), columns=3)
    tile = tiles(canvas, layout, row_tops(layout, 1)[0])[0]
    inside = np.any(tile != PAPER, axis=2)
    assert inside.any(0).sum() == pytest.approx(layout.tile / 2, abs=2)


def test_the_photograph_that_ships_is_the_default_and_grey_images_work():
    assert load(None, 64).size == (64, 64)
    grey = draw(Pipeline({"flip": RandomHorizontalFlip()}), picture().convert("L"))
    assert grey.mode == "RGB"


@pytest.mark.parametrize("name", ["none", "light", "standard", "strong"])
def test_every_pipeline_that_ships_can_be_drawn(name):
    canvas = draw(config.pipeline(name, image_size=32), picture((32, 32)), columns=2)
    assert canvas.width == 1440


def values(**changes):
    node = {"_target_": "augsynth.Pipeline", "transforms": {}}
    base = {"augment": node, "image": None, "columns": 3, "seed": 0, "output": "p.png", "data": {"image_size": 32}}
    return {**base, **changes}


def test_the_file_is_written_into_the_folder(tmp_path):
    path = run(values(), tmp_path)
    assert path == tmp_path / "p.png"
    with Image.open(path) as drawn:
        assert drawn.width == 1440


def test_an_image_that_cannot_be_read_is_named(tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_text("no image")
    with pytest.raises(AugsynthError, match=r"broken\.png"):
        run(values(image=str(broken)), tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"columns": 1}, "columns=1 must be an integer from 2 to 12"),
        ({"columns": "x"}, "columns='x'"),
        ({"seed": -1}, "seed=-1"),
        ({"output": "../p.png"}, "output='../p.png'"),
        ({"output": "p.txt"}, r"must be a file name that ends in \.png"),
    ],
)
def test_a_wrong_value_is_named(tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        run(values(**change), tmp_path)


def test_drawing_leaves_the_global_generator_alone():
    state = torch.get_rng_state()
    draw(Pipeline({"turn": RandomAffine(30)}), picture())
    assert torch.equal(torch.get_rng_state(), state)
