"""Masks: exact under whole-pixel moves, picked by the floor of the mapped centre otherwise, of any dtype and type."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from reference import resample
from reference_geometry import fold
from target_samples import CHAINS, FLIP_X, IMAGE, LEVELS, SIZE, Warp

from augsynth import Pipeline
from augsynth import transforms as T

MASK_DTYPES = [np.uint8, np.int8, np.uint16, np.int16, np.int32, np.int64, np.float32, np.float64, bool]


def padded(mode):
    return lambda m: np.pad(m, [*[(0, 0)] * (m.ndim - 2), (3, 3), (3, 3)], mode)


TURNS = {
    "nothing": ([T.Pad(0)], lambda m: m),
    "flip": ([FLIP_X], lambda m: m[..., ::-1]),
    "turn": ([T.RandomRotation((90, 90), expand=True)], lambda m: np.rot90(m, axes=(-2, -1))),
    "window": ([T.CenterCrop((21, 30))], lambda m: m[..., 20:41, 25:55]),
    "flipped window": ([T.CenterCrop((21, 30)), FLIP_X], lambda m: m[..., 20:41, 54:24:-1]),
    "mirrored edge": ([T.Pad(3, padding_mode="reflect")], padded("reflect")),
    "symmetric edge": ([T.Pad(3, padding_mode="symmetric")], padded("symmetric")),
    "repeated edge": ([T.Pad(3, padding_mode="edge")], padded("edge")),
}


@pytest.mark.parametrize("dtype", MASK_DTYPES, ids=lambda dtype: dtype.__name__)
@pytest.mark.parametrize("turn", TURNS)
def test_masks_of_any_dtype_are_exact_under_whole_pixel_moves(turn, dtype):
    steps, expected = TURNS[turn]
    for mask in (
        LEVELS.astype(dtype),
        np.stack([LEVELS, LEVELS.T.reshape(SIZE)]).astype(dtype),
        LEVELS[None].astype(dtype),
    ):
        before = mask.copy()
        out = Pipeline(steps)({"image": IMAGE, "mask": mask}, index=0)["mask"]
        assert out.dtype == mask.dtype
        assert np.array_equal(out, expected(mask))
        out[...] = 1
        assert np.array_equal(mask, before)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int64, torch.bool, torch.float32, torch.bfloat16])
def test_tensor_masks_keep_dtype_and_large_numbers(dtype):
    mask = torch.from_numpy(LEVELS).to(dtype, copy=True)
    mask[0, 0] = torch.iinfo(dtype).max if dtype in (torch.uint8, torch.int16, torch.int64) else 1
    out = Pipeline([T.RandomVerticalFlip(1.0), T.Pad(2)])({"image": IMAGE, "mask": mask}, index=0)["mask"]
    assert out.dtype == dtype
    assert torch.equal(out[2:-2, 2:-2], mask.flip(0))
    assert not out[0].any()


MAPS = {
    "affine": [[0.9, 0.4, -20], [-0.3, 1.2, 9], [0, 0, 1]],
    "aligned": [[-1.37, 0, 90], [0, 0.81, -7], [0, 0, 1]],
    "turned": [[0, 1.3, -9], [0.7, 0, 3], [0, 0, 1]],
    "projective": [[0.9, 0.2, -12], [-0.1, 1.3, -5], [0.003, 0.002, 1]],
}


@pytest.mark.parametrize("dtype", [*MASK_DTYPES, "tensor"], ids=lambda dtype: getattr(dtype, "__name__", dtype))
@pytest.mark.parametrize("mode", ["constant", "edge", "reflect", "symmetric"])
@pytest.mark.parametrize("name", MAPS)
def test_a_mask_is_picked_by_the_floor_of_the_mapped_centre(name, mode, dtype):
    levels = LEVELS + 2**40 * (dtype is np.int64)
    mask = (
        torch.from_numpy(levels).to(torch.bfloat16)
        if dtype == "tensor"
        else (levels % 2 if dtype is bool else levels).astype(dtype)
    )
    sample = {"image": IMAGE, "mask": np.stack([mask, mask]) if dtype is np.uint8 else mask}
    out = Pipeline([Warp(MAPS[name], mode)], mask_fill=77)(sample, index=0)["mask"]
    assert out.dtype == mask.dtype
    got = out.float().numpy() if dtype == "tensor" else out[1] if dtype is np.uint8 else out
    values = (levels % 2 if dtype is bool else levels).astype(np.float64)[:, :, None]
    border = (mode, (0.0 if dtype is bool else 77.0,))
    expected, ties = resample(values, np.array(MAPS[name], float), SIZE, 0, False, border, False)
    assert ties.mean() < 0.02
    assert np.array_equal(got[~ties], expected[:, :, 0][~ties])


@pytest.mark.parametrize("mode", ["constant", "edge", "reflect", "symmetric"])
def test_a_mask_is_picked_by_the_floor_of_a_distortions_field(mode):
    transform = T.OpticalDistortion((0.5, 0.7), padding_mode=mode, p=1.0)
    mask = LEVELS.astype(np.uint8)
    pipeline = Pipeline([transform], mask_fill=200)
    x, y = transform.field(pipeline.draw([SIZE], index=0).params[:, 0], SIZE)[0].transpose(2, 0, 1).astype(np.float64)
    row, column = np.floor(y).astype(int), np.floor(x).astype(int)
    outside = (row < 0) | (row >= SIZE[0]) | (column < 0) | (column >= SIZE[1])
    expected = mask[fold(row, SIZE[0], mode), fold(column, SIZE[1], mode)]
    expected = np.where(outside, 200, expected) if mode == "constant" else expected
    sure = np.minimum(np.abs(x - np.rint(x)), np.abs(y - np.rint(y))) > 1e-4
    out = pipeline({"image": IMAGE, "mask": mask}, index=0)["mask"]
    assert outside.mean() > 0.05
    assert sure.mean() > 0.9
    assert np.array_equal(out[sure], expected[sure])


@pytest.mark.parametrize("fill", [255, 0, 7])
def test_mask_fill_is_what_lies_outside(fill):
    steps = [T.RandomAffine((30, 30), scale=(0.5, 0.5), interpolation="bilinear")]
    sample = {"image": IMAGE, "mask": np.full(SIZE, 9, np.uint8), "masks": np.ones((2, *SIZE), bool)}
    out = Pipeline(steps, mask_fill=fill)(sample, index=0)
    assert set(np.unique(out["mask"])) == {9, fill}
    assert ((out["mask"] == 9) == out["masks"][0]).all()
    signed = Pipeline(steps, mask_fill=-100)({"image": IMAGE, "mask": torch.full(SIZE, 3)}, index=0)["mask"]
    assert signed.unique().tolist() == [-100, 3]


def test_masks_are_never_mixed_where_the_image_is_filtered():
    mask = np.where(np.indices(SIZE).sum(0) % 2, 10, 200).astype(np.uint8)
    for steps in ([T.Resize((20, 27))], [T.RandomRotation((20, 20), "bicubic"), T.Resize((23, 31))]):
        out = Pipeline(steps, mask_fill=10)({"image": IMAGE, "mask": mask}, index=0)["mask"]
        assert set(np.unique(out)) == {10, 200}


def test_a_tie_between_two_pixels_goes_to_the_right_and_lower_one():
    mask = np.arange(64).reshape(8, 8).astype(np.uint8)
    out = Pipeline([T.Resize((4, 4))])({"image": IMAGE[:, :8, :8], "mask": mask}, index=0)["mask"]
    assert np.array_equal(out, mask[1::2, 1::2])


def test_masks_on_any_other_device_are_moved_by_the_same_pixels():
    chain = Pipeline(CHAINS["pad-perspective-resize"] + [T.ElasticTransform(30.0)], seed=2, mask_fill=3)
    arrays = [np.random.default_rng(i).integers(0, 50, (2, *SIZE)) for i in range(6)]
    tensors = [torch.from_numpy(array).to(torch.bfloat16) for array in arrays]  # a dtype that numpy lacks
    images = [IMAGE] * 6
    by_array = chain([{"image": i, "mask": m} for i, m in zip(images, arrays, strict=True)], index=range(6))
    by_tensor = chain([{"image": i, "mask": m} for i, m in zip(images, tensors, strict=True)], index=range(6))
    for one, other in zip(by_array, by_tensor, strict=True):
        assert np.array_equal(one["mask"], other["mask"].to(torch.int64).numpy())


@pytest.mark.parametrize("mode", ["1", "L", "P", "I", "I;16", "F"])
def test_pil_masks_keep_their_mode_and_palette(mode):
    picture = Image.fromarray((LEVELS % 2).astype(bool) if mode == "1" else LEVELS.astype(np.uint8))
    if mode == "P":
        picture.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    elif mode != "1":
        picture = picture.convert(mode)
    sample = {"image": Image.new("RGB", SIZE[::-1]), "mask": picture}
    out = Pipeline([T.RandomHorizontalFlip(1.0)])(sample, index=0)["mask"]
    assert out.mode == mode
    assert np.array_equal(np.asarray(out), np.asarray(picture)[:, ::-1])
    assert mode != "P" or out.getpalette()[:9] == picture.getpalette()[:9]
    tensor = Pipeline([T.RandomHorizontalFlip(1.0), T.Normalize((0.5,), (0.5,))])(sample, index=0)["mask"]
    assert torch.equal(tensor, torch.from_numpy(np.asarray(picture)[:, ::-1].copy()))


def test_erasing_leaves_targets_alone():
    sample = {"image": IMAGE, "mask": LEVELS, "boxes": torch.tensor([[1.0, 2, 30, 40]])}
    steps = [T.RandomErasing(1.0, value=9), T.RandomHorizontalFlip(1.0)]
    out = Pipeline(steps)(sample, index=0)
    assert np.array_equal(out["mask"], LEVELS[:, ::-1])
    assert out["boxes"].tolist() == [[50, 2, 79, 40]]
