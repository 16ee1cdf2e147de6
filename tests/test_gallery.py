"""`augsynth preview --all`: every transform is in the picture and on the page, plainly, by the draw that is named."""

import dataclasses
import re

import numpy as np
import pytest
from PIL import Image

from augsynth import transforms as T
from augsynth.errors import AugsynthError
from augsynth.gallery import catalogue, entries, exhibits, overlay
from augsynth.gallery.catalogue import FOLLOW, REFUSE, STAY, changed, families, file_of, follow, signature, summary
from augsynth.gallery.exhibits import change, exhibit, same
from augsynth.gallery.page import page
from augsynth.gallery.run import draw, run
from augsynth.gallery.sheet import PANEL, Grid, lettering, sheet
from augsynth.gallery.subject import Subject
from augsynth.pipeline import Pipeline
from augsynth.preview import PAPER, font
from augsynth.transforms.base import snake

STRENGTHS = (0.5, 1.0)


@pytest.fixture(scope="module")
def subject():
    return Subject.of(None, 96)


@pytest.fixture(scope="module")
def gallery(subject):
    return draw(subject, STRENGTHS, 0)


@pytest.fixture(scope="module")
def html(gallery):
    return page(gallery, 0)


def every(gallery):
    return [one for shown in gallery.values() for one in shown]


@pytest.mark.parametrize("name", T.REGISTRY)
def test_every_transform_belongs_to_a_family_with_a_title(name):
    assert file_of(name), f"{T.REGISTRY[name].__module__} has no line in augsynth.gallery.catalogue.TITLES"
    assert sum(names.count(name) for names in families().values()) == 1


@pytest.mark.parametrize("name", T.REGISTRY)
@pytest.mark.parametrize("side", [64, 256, 1024])
def test_every_transform_can_be_made_to_be_shown(name, side):
    made = entries.transform(name, side)
    assert type(made) is T.REGISTRY[name]
    assert made.p == 1


def test_a_file_without_a_title_is_shown_under_its_own_name(monkeypatch):
    monkeypatch.setattr(catalogue, "TITLES", {k: v for k, v in catalogue.TITLES.items() if k != "weather"})
    assert families()["Weather"] == T.weather.__all__


def test_what_has_an_entry_is_in_the_registry():
    assert {*entries._arguments(256), *entries._combinations(256), *entries.NOTES} <= set(T.REGISTRY)


def test_every_transform_changes_what_is_shown(gallery):
    assert [one.name for one in every(gallery)] == [name for names in families().values() for name in names]
    for one in every(gallery):
        full = one.shown[1.0]
        assert not same(one.original, full), one.name
        assert change(one.original, full) > 0.5 or len(full["boxes"]) < len(one.original["boxes"]), one.name


def test_a_picture_is_what_the_pipeline_returns_for_the_index_at_each_strength(subject):
    one = exhibit("RandomAffine", subject, STRENGTHS, seed=3)
    pipeline = Pipeline({"random_affine": one.transform}, seed=3)
    for strength, shown in one.shown.items():
        expected = pipeline(subject.sample, index=one.index, strength=strength)
        assert all(np.array_equal(shown[key], expected[key]) for key in ("image", "mask", "boxes", "keypoints"))
    assert change(one.original, one.shown[0.5]) < change(one.original, one.shown[1.0])


def test_what_cannot_grow_sets_in_on_the_way(subject):
    one = exhibit("RandomHorizontalFlip", subject, (0.1, 0.5, 1.0), seed=0)
    assert np.array_equal(one.shown[0.1]["image"], one.original["image"])
    assert np.array_equal(one.shown[1.0]["image"], one.original["image"][:, ::-1])


def test_targets_are_shown_where_they_follow(subject, gallery):
    marked = {one.name: "boxes" in one.original for one in every(gallery)}
    assert marked["RandomAffine"]
    assert marked["ThinPlateSpline"]
    assert not marked["ColorJitter"]
    assert not marked["AugMix"]
    for one in every(gallery):
        assert marked[one.name] == (follow(Pipeline([one.transform])) == FOLLOW), one.name


def test_what_follows_is_asked_of_the_pipeline():
    found = [follow(Pipeline([t])) for t in (T.RandomRotation(9), T.RandomErasing(), T.AugMix())]
    assert found == [FOLLOW, STAY, REFUSE]


def test_small_boxes_vanish_where_that_is_the_point(gallery):
    one = next(one for one in every(gallery) if one.name == "SanitizeBoundingBoxes")
    assert len(one.original["boxes"]) > len(one.shown[1.0]["boxes"]) > 0


def test_one_seed_gives_one_page_and_another_one_another(subject):
    def made(seed):
        return page({"Geometry": [exhibit("RandomAffine", subject, STRENGTHS, seed)]}, seed)

    assert made(1) == made(1)
    assert made(1) != made(2).replace("seed=2", "seed=1")


def test_what_mixes_samples_gets_partners(subject, monkeypatch):
    seen = []
    monkeypatch.setattr(exhibits, "NEED_PARTNERS", ("geometry",))
    call = Pipeline.__call__
    monkeypatch.setattr(Pipeline, "__call__", lambda self, data, **k: seen.append(data) or call(self, data, **k))
    one = exhibit("RandomRotation", subject, STRENGTHS, 0)
    monkeypatch.undo()
    batches = [data for data in seen if len(data) == 4]
    assert len(batches) >= exhibits.CANDIDATES + len(STRENGTHS)
    partners = batches[0][1:]
    assert len({sample["image"].tobytes() for sample in batches[0]}) == 4
    assert [sample["label"] for sample in batches[0]] == [0, 1, 2, 3]
    assert all(sample["mask"].shape == sample["image"].shape[:2] for sample in partners)
    alone = exhibit("RandomRotation", subject, STRENGTHS, 0)
    assert np.array_equal(one.shown[1.0]["image"], alone.shown[1.0]["image"])


def test_what_mixes_samples_and_refuses_targets_gets_none(subject, monkeypatch):
    monkeypatch.setattr(exhibits, "NEED_PARTNERS", ("policy",))
    one = exhibit("AugMix", subject, STRENGTHS, 0)
    assert set(one.shown[1.0]) == {"image", "label"}


def test_the_picture_has_a_tile_for_each_transform(gallery):
    canvas = np.asarray(sheet(gallery, 12, "below"))
    grid = Grid(12)
    places = [place for family in grid.places([len(shown) for shown in gallery.values()]) for place in family]
    assert len(places) == len(T.REGISTRY)
    for row, column in places:
        tile = canvas[grid.top(row) :, grid.left(column) :][: grid.tile, : grid.tile]
        assert (tile != PANEL).any(2).mean() > 0.05
        under = canvas[grid.top(row) + grid.tile + 1 :, grid.left(column) :][: grid.caption, : grid.tile]
        assert (under != PAPER).any()
    assert canvas.shape[1] == grid.width


@pytest.mark.parametrize("columns", [4, 12, 16])
def test_families_follow_each_other_and_their_titles_have_room(columns):
    grid = Grid(columns)
    places = grid.places([len(names) for names in families().values()])
    flat = [place for family in places for place in family]
    assert flat == sorted(set(flat))
    assert max(column for _, column in flat) == columns - 1
    ends = {place: family[-1][1] if family[-1][0] == place[0] else columns - 1 for family in places for place in family}
    for title, family in zip(families(), places, strict=True):
        room = grid.left(ends[family[0]]) + grid.tile - grid.left(family[0][1])
        assert font(17, bold=True).getlength(title) <= room, title


@pytest.mark.parametrize("name", T.REGISTRY)
def test_a_name_fits_under_its_tile(name):
    lines, size = lettering(name, Grid(12).tile)
    assert "".join(lines) == name
    assert len(lines) <= 2
    assert size >= 12
    assert max(font(size).getlength(line) for line in lines) <= Grid(12).tile


def test_the_page_shows_every_transform_once_with_its_strengths(gallery, html):
    articles = re.findall(r'<article id="([\w-]+)".*?</article>', html, re.DOTALL)
    assert articles == [snake(one.name) for one in every(gallery)]
    for one in every(gallery):
        article = html.split(f'<article id="{snake(one.name)}"')[1].split("</article>")[0]
        assert f">{one.name}</a></h3>" in article
        assert article.count("<img") == (1 if one.steady else 2)
        assert f'href="#{snake(one.name)}"' in html.split("<h2")[0]


def test_the_page_is_self_contained(html):
    assert set(re.findall(r'(?:src|href)="(.)', html)) == {"d", "#"}
    assert set(re.findall(r'src="([^,]*),', html)) == {"data:image/jpeg;base64"}
    assert set(re.findall(r"url\(([^,]*),", html)) == {"data:image/jpeg;base64"}
    assert "default-src 'none'; style-src 'unsafe-inline'; img-src data:" in html
    assert "prefers-color-scheme: dark" in html


def test_links_on_the_page_lead_somewhere(html):
    assert set(re.findall(r'href="#([\w-]+)"', html)) == set(re.findall(r'id="([\w-]+)"', html))


def spot(size=60, at=(40.0, 15.0)):
    """A black picture with a soft white spot, marked by a keypoint, a box around it and a mask on it."""
    y, x = np.mgrid[:size, :size] + 0.5
    far = (x - at[0]) ** 2 + (y - at[1]) ** 2
    image = np.repeat((255 * np.exp(-far / 40))[..., None].astype(np.uint8), 3, 2)
    box = [[at[0] - 6, at[1] - 6, at[0] + 6, at[1] + 6]]
    return {
        "image": image,
        "keypoints": np.array([at]),
        "boxes": np.array(box),
        "mask": (far < 49).astype(np.uint8),
    }


def middle(weight):
    y, x = np.mgrid[: weight.shape[0], : weight.shape[1]] + 0.5
    return np.array([(x * weight).sum(), (y * weight).sum()]) / weight.sum()


def alone(sample, key):
    return {"image": np.zeros_like(sample["image"]), key: sample[key]}


MOVES = [T.RandomHorizontalFlip(1), T.RandomRotation((30, 30), "bilinear"), T.Resize((90, 40)), T.Transpose(1)]


@pytest.mark.parametrize("times", [(1, 1), (2.5, 2.5), (2, 3)], ids=str)
@pytest.mark.parametrize("move", MOVES, ids=lambda move: type(move).__name__)
def test_what_is_drawn_lies_on_what_it_marks(move, times):
    out = Pipeline([move])(spot(), index=0)
    shape = tuple(round(factor * side) for factor, side in zip(times, out["image"].shape[1::-1], strict=True))
    light = middle(
        np.asarray(Image.fromarray(out["image"]).resize(shape, Image.Resampling.BILINEAR))[..., 0].astype(float)
    )
    for key in ("keypoints", "boxes", "mask"):
        drawn = np.asarray(overlay.picture(alone(out, key), shape)).astype(float).sum(2)
        assert drawn.max() > 100, key
        assert np.abs(middle(drawn) - light).max() < 0.6, key


def test_a_box_at_the_edge_is_drawn_whole_and_a_point_outside_is_not():
    blank = np.zeros((50, 50, 3), np.uint8)
    box = np.asarray(overlay.picture({"image": blank, "boxes": np.array([[0.0, 0.0, 50.0, 50.0]])}, (50, 50)))
    assert all((side.max(-1) > 150).all() for side in (box[1, 2:-2], box[-2, 2:-2], box[2:-2, 1], box[2:-2, -2]))
    point = overlay.picture({"image": blank, "keypoints": np.array([[60.0, 10.0]])}, (50, 50))
    assert not np.asarray(point).any()


def test_the_marks_of_the_photograph_survive_another_size():
    small, large = Subject.of(None, 64).sample, Subject.of(None, 256).sample
    assert np.allclose(4 * small["boxes"], large["boxes"])
    assert np.allclose(4 * small["keypoints"], large["keypoints"])
    assert abs(small["mask"].mean() - large["mask"].mean()) < 0.01


def test_a_picture_of_the_users_own_gets_marks_too(tmp_path):
    path = tmp_path / "wide.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (90, 160, 3), np.uint8)).save(path)
    sample = Subject.of(str(path), 80).sample
    assert sample["image"].shape == (80, 80, 3)
    assert ((sample["boxes"] > 0) & (sample["boxes"] < 80)).all()
    assert sample["mask"].any()


@dataclasses.dataclass(frozen=True)
class Documented(T.Transform):
    """Blur it, with probability p; see `Other`. Source: arXiv:0000.00000.

    More.
    """

    size: int
    limits: tuple[float, float] = (0.1, 1 / 3)
    p: float = 0.5


def test_a_summary_is_the_first_sentence_and_code_is_short():
    assert summary(Documented) == "Blur it"
    assert signature(Documented) == [("size", None), ("limits", "(0.1, 0.333)"), ("p", "0.5")]
    assert changed(Documented(3, p=1.0)) == "Documented(size=3, p=1)"
    assert changed(T.OneOf([T.RandomHorizontalFlip()])) == "OneOf(transforms=[RandomHorizontalFlip()])"


def test_whose_the_arguments_are():
    origins = {facts.name: facts.origin for facts in catalogue.catalogue()}
    assert origins["RandomAffine"] == "torchvision"
    assert origins["SafeRotate"] == "albumentations"
    assert origins["SolarizeAdd"] == ""


def values(**changes):
    base = {"image": None, "columns": 4, "strengths": [1.0], "seed": 0, "output": "g.png", "page": "g.html"}
    return {**base, "data": {"image_size": 64}, **changes}


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setattr("augsynth.gallery.run.families", lambda: {"Geometry": ["RandomAffine", "D4"]})


def test_both_files_are_written_and_either_can_be_left_out(few, tmp_path):
    assert run(values(), tmp_path) == [tmp_path / "g.png", tmp_path / "g.html"]
    with Image.open(tmp_path / "g.png") as drawn:
        assert drawn.width == 1760
    assert "RandomAffine" in (tmp_path / "g.html").read_text(encoding="utf-8")
    assert run(values(page=None, output="o.png"), tmp_path) == [tmp_path / "o.png"]
    assert run(values(page="p.html", output=None), tmp_path) == [tmp_path / "p.html"]


def test_progress_is_said_when_it_takes_long(few, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("augsynth.gallery.run.PATIENCE", -1.0)
    run(values(page=None), tmp_path)
    assert capsys.readouterr().err.splitlines()[-1] == "drawing: 1 of 2 transforms done"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"columns": 3}, "columns=3 must be an integer from 4 to 16"),
        ({"seed": -1}, r"seed=-1 must be an integer from 0 to 2\*\*32 - 1"),
        ({"output": "../g.png"}, r"output='../g.png' must be a file name that ends in \.png, \.jpg or \.webp"),
        ({"page": "g.pdf"}, r"page='g.pdf' must be a file name that ends in \.html"),
        ({"page": None, "output": None}, "output=None and page=None: give one of them a name"),
        ({"strengths": [0.5, 0.5]}, r"strengths=\[0.5, 0.5\] must be 1 to 8 ascending numbers above 0, at most 1"),
        ({"strengths": []}, "strengths="),
        ({"strengths": [0.0, 1.0]}, "strengths="),
        ({"strengths": "strong"}, "strengths='strong'"),
        ({"data": {"image_size": 63}}, r"data.image_size=63 must be an integer from 64 to 1024, or two"),
        ({"data": {"image_size": [64]}}, r"data.image_size=\[64\]"),
        ({"data": {"image_size": 64.0}}, "data.image_size=64.0"),
    ],
)
def test_a_wrong_value_is_named(few, tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        run(values(**change), tmp_path)


def test_an_image_that_cannot_be_read_is_named(few, tmp_path):
    with pytest.raises(AugsynthError, match=r"missing\.png"):
        run(values(image=str(tmp_path / "missing.png")), tmp_path)
