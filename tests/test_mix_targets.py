"""Boxes, masks and keypoints of mixed samples: held against the pixels that were painted under them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torchvision import tv_tensors

import augsynth as ag
from augsynth import transforms as T

COUNT, SIZE = 6, (40, 52)
INDEX = [4, 90, 17, 33, 2, 58]
MOSAIC = T.Mosaic(target_size=(60, 66), cell_shape=(50, 44), interpolation="nearest", p=1.0)
CHAINS = {
    "mosaic": [MOSAIC],
    "contain": [
        T.Mosaic(target_size=(60, 60), cell_shape=(44, 40), fit_mode="contain", interpolation="nearest", p=1.0)
    ],
    "one-row": [
        T.Mosaic((1, 3), (40, 100), (40, 52), (0.0, 1.0), interpolation="nearest", p=0.7),
        T.CenterCrop((40, 50)),
    ],
    "cut": [T.CutMix()],
    "twice": [T.SomeOf([T.CutMix(), T.CutMix(alpha=0.3)], n=2)],
    "everything": [
        T.RandomHorizontalFlip(),
        MOSAIC,
        T.RandomVerticalFlip(),
        T.RandomCrop((48, 50)),
        T.CutMix(alpha=3.0),
    ],
    "gated": [T.RandomCrop((36, 44)), T.RandomApply([MOSAIC], 0.5), T.RandomHorizontalFlip(), T.RandomCrop((36, 44))],
}
over_chains = pytest.mark.parametrize("steps", CHAINS.values(), ids=CHAINS)
over_engines = pytest.mark.parametrize("engine", ["native", "opencv", "torch"])


def scene(i):
    """Return an image of two rectangles, each of a colour of its own, on black; all targets tell of them."""
    boxes = torch.tensor([[4.0 + i, 3, 20 + i, 18], [26, 8 + i, 48, 33]])
    labels = torch.tensor([10 * i + 20, 10 * i + 25])
    mask = torch.zeros(SIZE, dtype=torch.uint8)
    for (left, top, right, bottom), label in zip(boxes.int().tolist(), labels.tolist(), strict=True):
        mask[top:bottom, left:right] = label
    middles = torch.stack([torch.cat([(box[:2] + box[2:]) / 2 // 1 + 0.5, torch.ones(1)]) for box in boxes])[:, None]
    each = torch.stack([mask == label for label in labels])
    return {
        "image": mask.expand(3, -1, -1).contiguous(),
        "mask": mask,
        "boxes": boxes,
        "labels": labels,
        "masks": each,
        "keypoints": middles,
    }


SCENES = [scene(i) for i in range(COUNT)]


def run(steps, samples=SCENES, engine="auto", **arguments):
    return ag.Pipeline(steps, seed=2, engine=engine, **arguments)(samples, index=INDEX)


def outline(pixels):
    """Return left, top, right, bottom of the pixels that are set."""
    y, x = torch.nonzero(pixels, as_tuple=True)
    return [int(x.min()), int(y.min()), int(x.max()) + 1, int(y.max()) + 1]


def shown(sample):
    """Return the colours of boxes that hold the middle of a pixel for sure."""
    wide = (sample["boxes"][:, 2:] - sample["boxes"][:, :2]).amin(1) >= 1
    return set(sample["labels"][wide].tolist())


def pieces(sample, label):
    """Return the boxes of one colour: a neighbour may be in a grid twice."""
    return sample["boxes"][sample["labels"] == label]


@over_engines
@over_chains
def test_boxes_lie_around_the_pixels_of_their_objects(steps, engine):
    checked = 0
    for out in run(steps, engine=engine):
        plane = out["image"][0]
        assert shown(out) <= set(plane.unique().tolist()) - {0} <= set(out["labels"].tolist())
        for label in shown(out):
            found = pieces(out, label)
            around = torch.cat([found[:, :2].amin(0), found[:, 2:].amax(0)])
            assert (around - torch.tensor(outline(plane == label))).abs().max() <= 1.0
            checked += 1
    assert checked >= 2 * COUNT


@over_engines
@over_chains
def test_masks_are_the_pixels_of_the_image(steps, engine):
    for out in run(steps, engine=engine):
        same = out["mask"] == out["image"][0]
        assert same.float().mean() > 0.98  # where a map falls between two pixels, the two may choose apart
        assert out["mask"].any()


@over_engines
@over_chains
def test_what_belongs_to_a_box_goes_with_it(steps, engine):
    for out in run(steps, engine=engine):
        count = len(out["boxes"])
        assert [len(out[key]) for key in ("labels", "masks", "keypoints")] == [count] * 3
        for label, own, box, (point,) in zip(
            *(out[key] for key in ("labels", "masks", "boxes", "keypoints")), strict=True
        ):
            if int(label) not in shown(out):
                continue
            assert (out["mask"][own] == label).all()
            assert (box - torch.tensor(outline(own))).abs().max() <= 1.0
            x, y, visible = point.tolist()
            if visible:
                assert out["mask"][int(y), int(x)] == label


def test_a_covered_box_shrinks_is_counted_by_what_is_left_of_it_or_goes():
    kept = {limit: run([T.CutMix()], min_visibility=limit) for limit in (0.0, 0.5, 0.95)}
    count = {limit: sum(len(out["boxes"]) for out in found) for limit, found in kept.items()}
    assert count[0.0] > count[0.5] > count[0.95] > 0
    for out in kept[0.95]:
        # What is left is whole but for a margin.
        for label, box in zip(out["labels"].tolist(), out["boxes"], strict=True):
            source = SCENES[(label - 20) // 10]
            whole = source["boxes"][source["labels"] == label][0]
            area = (out["image"][0] == label).sum()
            assert area >= 0.9 * (whole[2:] - whole[:2]).prod()
            assert (box[2:] - box[:2]).prod() >= area


def test_mixing_up_unites_both_sets_of_boxes():
    samples = [{key: value for key, value in sample.items() if key != "mask"} for sample in SCENES]
    for i, out in enumerate(run([T.MixUp()], samples)):
        assert len(out["boxes"]) == len(out["labels"]) == len(out["masks"]) == 4
        assert torch.equal(out["boxes"][:2], SCENES[i]["boxes"])
        partner = SCENES[(int(out["labels"][2]) - 20) // 10]
        for key in ("boxes", "labels", "masks", "keypoints"):
            assert torch.equal(out[key][2:], partner[key])


def test_a_sample_that_is_left_out_has_the_targets_of_the_pipeline_without():
    around = {"turn": T.RandomRotation(20, "bilinear"), "pad": T.Pad(3)}
    with_it = ag.Pipeline({"turn": around["turn"], "m": T.RandomApply([MOSAIC], 0.5), "pad": around["pad"]}, seed=2)
    without = ag.Pipeline(around, seed=2)(SCENES, index=INDEX)
    out = with_it(SCENES, index=INDEX)
    applied = [bool({"m/mosaic"} & set(with_it.draw([SIZE] * COUNT, index=INDEX).parameters(i))) for i in range(COUNT)]
    assert 0 < sum(applied) < COUNT
    for got, plain, touched in zip(out, without, applied, strict=True):
        assert touched or all(torch.equal(got[key], plain[key]) for key in got)


@pytest.mark.parametrize("steps", [[MOSAIC, T.CutMix()]], ids=["both"])
def test_a_batch_as_one_sample_gives_what_its_samples_give(steps):
    found = run(steps)
    keys = "boxes", "labels", "mask"
    lists = {"image": torch.stack([s["image"] for s in SCENES]), **{key: [s[key] for s in SCENES] for key in keys}}
    as_lists = run(steps, lists)
    dicts = lists["image"], [{key: s[key] for key in keys} for s in SCENES]
    as_dicts = run(steps, dicts)
    for i, out in enumerate(found):
        assert all(torch.equal(as_lists[key][i], out[key]) for key in keys)
        assert all(torch.equal(as_dicts[1][i][key], out[key]) for key in keys)


@pytest.mark.parametrize("kind", ["xyxy", "xywh", "cxcywh"])
def test_formats_and_types_stay(kind):
    def sample(s, wrap):
        left, top, right, bottom = s["boxes"].T
        sides = right - left, bottom - top
        corner = {"xyxy": (left, top, right, bottom), "xywh": (left, top, *sides)}
        boxes = torch.stack(corner.get(kind, ((left + right) / 2, (top + bottom) / 2, *sides)), 1)
        return {"image": s["image"], "boxes": wrap(boxes), "labels": s["labels"].tolist()}

    tv = [sample(s, lambda b: tv_tensors.BoundingBoxes(b, format=kind.upper(), canvas_size=SIZE)) for s in SCENES]
    arrays = [sample(s, lambda b: b.numpy()) for s in SCENES]
    steps = [MOSAIC, T.CutMix()]
    for one, two, plain in zip(run(steps, tv), run(steps, arrays, box_format=kind), run(steps), strict=True):
        assert isinstance(one["boxes"], tv_tensors.BoundingBoxes)
        assert (one["boxes"].canvas_size, one["boxes"].format.name.lower()) == ((60, 66), kind)
        assert isinstance(two["boxes"], np.ndarray)
        assert np.allclose(one["boxes"].numpy(), two["boxes"], atol=1e-4)
        assert one["labels"] == two["labels"] == plain["labels"].tolist()


def test_turned_boxes_are_clipped_by_visibility_alone():
    turned = [
        {"image": s["image"], "boxes": torch.cat([s["boxes"], torch.zeros(2, 1)], 1), "labels": s["labels"]}
        for s in SCENES
    ]
    for sample in turned:
        sample["boxes"][:, 2:4] -= sample["boxes"][:, :2]
    out = run([T.CutMix()], turned, box_format="xywhr")
    for got, plain in zip(out, run([T.CutMix()]), strict=True):
        assert got["labels"].tolist() == plain["labels"].tolist()
        sides = {int(label): box[2:4] for s in turned for box, label in zip(s["boxes"], s["labels"], strict=True)}
        assert all(torch.allclose(b[2:4], sides[int(n)]) for b, n in zip(got["boxes"], got["labels"], strict=True))


def test_points_of_no_box_are_dropped_where_they_do_not_show():
    samples = [{"image": s["image"], "keypoints": s["keypoints"][:, 0, :2]} for s in SCENES]
    for out in run([MOSAIC, T.CutMix()], samples):
        assert 0 < len(out["keypoints"]) < 12
        assert all(out["image"][0, int(y), int(x)] > 0 for x, y in out["keypoints"].tolist())


def test_a_safe_crop_before_a_mosaic_takes_its_boxes_along():
    samples = [{key: s[key] for key in ("image", "boxes", "labels")} for s in SCENES]
    for out in run([T.BBoxSafeRandomCrop(), MOSAIC], samples):
        assert shown(out) <= set(out["image"][0].unique().tolist()) - {0} <= set(out["labels"].tolist())


def test_class_labels_and_boxes_are_mixed_beside_each_other():
    samples = [{**s, "label": i} for i, s in enumerate(SCENES)]
    for out in run([T.CutMix(num_classes=COUNT)], samples):
        shares = torch.stack([((out["labels"] - 20) // 10 == i).any() for i in range(COUNT)])
        assert out["label"].shape == (COUNT,)
        assert ((out["label"] > 0) >= shares).all()


@pytest.mark.parametrize(
    ("change", "steps", "text"),
    [
        ({"mask": SCENES[0]["mask"]}, [T.MixUp()], "'mask' cannot follow MixUp: classes have no mean"),
        ({"boxes": None, "labels": None}, [T.CutMix()], "sample 0 and sample 1 do not both have 'boxes', 'labels'"),
        ({"keypoints": torch.zeros(2, 1, 2)}, [MOSAIC], "'keypoints' has no visibility to tell"),
    ],
)
def test_targets_that_cannot_be_mixed_are_named(change, steps, text):
    plain = {key: SCENES[0][key] for key in ("image", "boxes", "labels")}
    first = {**plain, **{key: value for key, value in change.items() if value is not None}}
    other = {key: value for key, value in first.items() if change.get(key, 0) is not None}
    with pytest.raises(TypeError) as caught:
        run(steps, [first, other, *[first] * 4])
    assert text in str(caught.value)


def test_a_skeleton_cannot_be_united():
    samples = [{"image": s["image"], "keypoints": torch.ones(4, 3)} for s in SCENES]
    with pytest.raises(TypeError, match=r"'keypoints' is a skeleton \(4 x 3\), and a mix unites those"):
        run([T.CutMix()], samples, flip_pairs=((0, 1),))
