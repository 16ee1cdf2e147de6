"""Each transform against torchvision v2 with the drawn parameters transplanted, or against a formula."""

from __future__ import annotations

import itertools

import pytest
import torch
import torchvision.transforms as v1
import torchvision.transforms.v2 as v2
import torchvision.transforms.v2.functional as F
from examples import noise
from torchvision.transforms import InterpolationMode

from augsynth import Pipeline
from augsynth import transforms as T

BILINEAR, NEAREST = InterpolationMode.BILINEAR, InterpolationMode.NEAREST
over_engines = pytest.mark.parametrize("engine", ["native", "opencv", "torch"])
over_indices = pytest.mark.parametrize("index", range(4))
SIZE = (33, 46)


def draw(transform, index=0, size=SIZE, **arguments):
    """Return the parameters of a single transform for one image."""
    return Pipeline([transform], seed=3).draw([size], index=index, **arguments).params[0, 0].tolist()


def render(transform, image, index=0, engine="torch", **arguments):
    return Pipeline([transform], seed=3, engine=engine, **arguments)(image, index=index)


def assert_close(got, expected, lsb=0.02):
    assert got.shape == expected.shape
    assert got.dtype == expected.dtype
    unit = 1 if got.dtype == torch.uint8 else 255
    assert (got.double() - expected.double()).abs().max() * unit <= lsb


def assert_mostly_equal(got, expected, share=0.01):
    assert got.shape == expected.shape
    assert (got != expected).double().mean() <= share


# --- geometry ---------------------------------------------------------------------------------------------------------


@over_engines
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_flips_are_exact(engine, dtype):
    image = noise(SIZE, 3, dtype)
    assert torch.equal(render(T.RandomHorizontalFlip(1.0), image, engine=engine), F.horizontal_flip(image))
    assert torch.equal(render(T.RandomVerticalFlip(1.0), image, engine=engine), F.vertical_flip(image))


@over_engines
@over_indices
@pytest.mark.parametrize("center", [None, (5.0, 12.0)])
def test_rotation_is_torchvisions(engine, index, center):
    image, transform = noise(SIZE), T.RandomRotation(170, "bilinear", center=center)
    angle = draw(transform, index)[0]
    assert_close(render(transform, image, index, engine), F.rotate(image, angle, BILINEAR, center=center))


@over_engines
@pytest.mark.parametrize("angle", [0, 3, 17.5, 45, 90, 91, 135, 180, 222.2, 270, -30, 359])
@pytest.mark.parametrize("size", [(33, 46), (20, 20), (7, 50)])
def test_expanded_rotation_has_torchvisions_size_and_pixels(engine, angle, size):
    image, transform = noise(size), T.RandomRotation((angle, angle), "bilinear", expand=True)
    got, expected = render(transform, image, engine=engine), F.rotate(image, angle, BILINEAR, expand=True)
    assert got.shape == expected.shape
    if angle % 90:
        assert_close(got, expected)
    else:
        assert torch.equal(got, torch.rot90(image, angle // 90, (1, 2)))


@over_engines
@pytest.mark.parametrize("turns", [1, 2, 3, -1])
def test_quarter_turns_of_a_square_are_exact(engine, turns):
    image = noise((31, 31), 3, "uint8")
    transform = T.RandomRotation((90 * turns, 90 * turns), "bilinear")
    assert torch.equal(render(transform, image, engine=engine), torch.rot90(image, turns, (1, 2)))


@over_engines
@over_indices
def test_nearest_rotation_with_fill_is_torchvisions(engine, index):
    image, transform = noise(SIZE, 3, "uint8"), T.RandomRotation(170, fill=(10, 20, 30))
    expected = F.rotate(image, draw(transform, index)[0], NEAREST, fill=[10.0, 20.0, 30.0])
    assert_mostly_equal(render(transform, image, index, engine), expected)


@over_engines
@over_indices
@pytest.mark.parametrize("center", [None, (5.0, 12.0)])
def test_affine_is_torchvisions(engine, index, center):
    transform = T.RandomAffine(40, (0.2, 0.1), (1.6, 2.0), (-15, 15, -10, 20), "bilinear", center=center)
    angle, shift_x, shift_y, scale, shear_x, shear_y = draw(transform, index)
    image, shift, shear = noise(SIZE), [int(shift_x), int(shift_y)], [shear_x, shear_y]
    expected = F.affine(image, angle, shift, scale, shear, BILINEAR, center=center)
    assert_close(render(transform, image, index, engine), expected)


@over_engines
@over_indices
def test_nearest_affine_is_torchvisions(engine, index):
    image, transform = noise(SIZE, 1, "uint8"), T.RandomAffine(20, (0.2, 0.1), (0.7, 1.4), 10, fill=77)
    angle, shift_x, shift_y, scale, shear_x, shear_y = draw(transform, index)
    shift = [int(shift_x), int(shift_y)]
    expected = F.affine(image, angle, shift, scale, [shear_x, shear_y], NEAREST, fill=[77.0])
    assert_mostly_equal(render(transform, image, index, engine), expected)


@over_engines
@over_indices
@pytest.mark.parametrize("mode", ["constant", "edge", "reflect", "symmetric"])
@pytest.mark.parametrize("padding", [None, 3, (4, 2), (1, 2, 3, 4)])
def test_random_crop_is_torchvisions_pad_and_crop(engine, index, mode, padding):
    image = noise(SIZE, 3, "uint8")
    transform = T.RandomCrop((20, 31), padding, fill=9, padding_mode=mode)
    top, left = (int(v) for v in draw(transform, index))
    sides = [padding] if isinstance(padding, int) else list(padding or [0])
    before = (sides[1 % len(sides)], sides[0])
    padded = F.pad(image, sides, fill=9, padding_mode=mode)
    expected = F.crop(padded, top + before[0], left + before[1], 20, 31)
    assert torch.equal(render(transform, image, index, engine), expected)


@over_engines
@over_indices
@pytest.mark.parametrize("size", [(20, 60), (50, 50), (40, 30)])
def test_random_crop_pads_an_image_that_is_too_small_on_both_sides(engine, index, size):
    image, transform = noise(SIZE, 1, "uint8"), T.RandomCrop(size, pad_if_needed=True, fill=200)
    top, left = (int(v) for v in draw(transform, index))
    missing = [max(want - have, 0) for want, have in zip(size, SIZE, strict=True)]
    padded = F.pad(image, [missing[1], missing[0]], fill=200)
    expected = F.crop(padded, top + missing[0], left + missing[1], *size)
    assert torch.equal(render(transform, image, index, engine), expected)
    reach = [h + 2 * m - s for h, m, s in zip(SIZE, missing, size, strict=True)]
    tops = [draw(transform, i)[0] + missing[0] for i in range(200)]
    assert min(tops) == 0
    assert max(tops) == reach[0]


def test_random_crop_of_an_image_that_is_too_small_names_the_sample():
    images = [noise((40, 40)), noise((12, 40)), noise((40, 40))]
    with pytest.raises(
        ValueError, match=r"random_crop: sample 1 \(index 7\): size=20 .* \(12 x 40 pixels.*pad_if_needed"
    ):
        Pipeline([T.RandomCrop(20)])(images, index=[3, 7, 9])


@over_engines
@pytest.mark.parametrize("size", [*itertools.product((9, 10), (9, 10)), (30, 9), (10, 41), (31, 42)])
@pytest.mark.parametrize("have", [(20, 20), (21, 20), (20, 31), (8, 31), (7, 8)])
def test_center_crop_is_torchvisions_also_of_small_images(engine, size, have):
    image = noise(have, 3, "uint8")
    assert torch.equal(render(T.CenterCrop(size), image, engine=engine), F.center_crop(image, list(size)))


@over_engines
@pytest.mark.parametrize("mode", ["constant", "edge", "reflect", "symmetric"])
@pytest.mark.parametrize("padding", [4, (2, 5), (1, 0, 7, 3)])
def test_pad_is_torchvisions(engine, mode, padding):
    image, sides = noise(SIZE, 3, "uint8"), [padding] if isinstance(padding, int) else list(padding)
    expected = F.pad(image, sides, fill=12, padding_mode=mode)
    assert torch.equal(render(T.Pad(padding, 12, mode), image, engine=engine), expected)


@pytest.mark.parametrize("mode", ["reflect", "symmetric"])
def test_padding_beyond_a_reflection_is_an_error(mode):
    with pytest.raises(ValueError, match=f"pad: sample 0 .*padding_mode={mode} needs padding smaller"):
        Pipeline([T.Pad(9, padding_mode=mode)])(noise((8, 30)), index=0)


@pytest.mark.parametrize(
    "arguments",
    [(20,), ((20, 30),), (60,), (20, 25), (50, 55), (7, 9)],
    ids=str,
)
@pytest.mark.parametrize("have", [(33, 46), (46, 33), (30, 30), (101, 17), (12, 40)])
def test_resize_has_torchvisions_size(arguments, have):
    size, max_size = arguments if len(arguments) == 2 else (arguments[0], None)
    got = render(T.Resize(size, max_size=max_size), noise(have))
    assert got.shape == v2.Resize(size, max_size=max_size)(noise(have)).shape


@over_engines
@pytest.mark.parametrize("size", [(15, 20), (70, 91), (20, 90), (90, 20), (33, 46)])
@pytest.mark.parametrize("antialias", [True, False])
@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_resize_is_torchvisions(engine, size, antialias, mode):
    image, transform = noise(SIZE), T.Resize(size, mode, antialias=antialias)
    expected = F.resize(image, list(size), InterpolationMode(mode), antialias=antialias).clamp(0, 1)
    assert_close(render(transform, image, engine=engine), expected)


@pytest.mark.parametrize("size", [(15, 20), (70, 91), (20, 90)])
def test_resize_of_bytes_is_within_one_level_of_torchvisions(size):
    image = noise(SIZE, 3, "uint8")
    for engine in ("opencv", "torch"):
        assert_close(render(T.Resize(size), image, engine=engine), F.resize(image, list(size), BILINEAR), lsb=1)


@over_engines
@pytest.mark.parametrize("size", [(16, 20), (20, 23), (64, 96), (7, 5)])
def test_nearest_resize_picks_the_pixel_under_the_centre(engine, size):
    # 40 to 20 maps centres onto pixel edges: the pixel that begins there is taken, on every engine.
    image = noise((40, 46), 3, "uint8")
    expected = F.resize(image, list(size), InterpolationMode.NEAREST_EXACT)
    assert torch.equal(render(T.Resize(size, "nearest"), image, engine=engine), expected)


@over_engines
@over_indices
@pytest.mark.parametrize("scale", [(0.08, 1.0), (0.02, 0.1)])
def test_random_resized_crop_is_torchvisions(engine, index, scale):
    image, transform = noise(SIZE), T.RandomResizedCrop((18, 21), scale)
    top, left, height, width = (int(v) for v in draw(transform, index))
    expected = F.resized_crop(image, top, left, height, width, [18, 21], BILINEAR, antialias=True)
    assert_close(render(transform, image, index, engine), expected)


def test_random_resized_crop_falls_back_to_the_middle():
    for size in ((10, 200), (200, 10)):
        drawn = draw(T.RandomResizedCrop(8, scale=(1.0, 1.0)), size=size)
        torch.manual_seed(0)
        assert tuple(map(int, drawn)) == v1.RandomResizedCrop.get_params(
            torch.zeros(3, *size), [1.0, 1.0], [0.75, 4 / 3]
        )


# --- colour, output, erasing ------------------------------------------------------------------------------------------


def torchvision_jitter(image, parameters):
    functions = {
        "brightness": F.adjust_brightness,
        "contrast": F.adjust_contrast,
        "saturation": F.adjust_saturation,
        "hue": F.adjust_hue,
    }
    for name, (factor,) in parameters.items():
        image = functions[name.split("/")[1]](image, factor)
    return image


@over_engines
@pytest.mark.parametrize("index", range(12))
@pytest.mark.parametrize("channels", [3, 1])
def test_color_jitter_is_torchvisions_in_the_drawn_order(engine, index, channels):
    image, transform = noise(SIZE, channels), T.ColorJitter(0.6, 0.6, 0.8, 0.3)
    parameters = Pipeline([transform], seed=3).draw([SIZE], index=index).parameters(0)
    assert len(parameters) == 4
    assert_close(render(transform, image, index, engine), torchvision_jitter(image, parameters), lsb=1e-3)


@over_engines
@pytest.mark.parametrize("index", range(6))
def test_color_jitter_of_bytes_is_within_torchvisions_truncations(engine, index):
    image, transform = noise(SIZE, 3, "uint8"), T.ColorJitter(0.4, 0.4, 0.4, 0.1)
    parameters = Pipeline([transform], seed=3).draw([SIZE], index=index).parameters(0)
    # torchvision cuts fractions off after each of the four steps, which the later ones enlarge.
    assert_close(render(transform, image, index, engine), torchvision_jitter(image, parameters), lsb=7)


@over_engines
def test_linear_hue_turns_the_same_way_as_exact_hue(engine):
    red = torch.zeros(3, 4, 4)
    red[0] = 0.8
    transform = T.ColorJitter(hue=(0.1, 0.1))
    for color in ("exact", "linear"):
        out = render(transform, red, engine=engine, color=color)[:, 0, 0]
        assert out[1] > out[2] + 0.05, color


@over_engines
@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation", "hue"])
def test_linear_color_keeps_gray_gray(engine, name):
    image = noise(SIZE, 1).expand(3, -1, -1).clone()
    out = render(T.ColorJitter(**{name: (0.3, 0.4)}), image, engine=engine, color="linear")
    assert (out.amax(0) - out.amin(0)).max() < 1e-5


def test_linear_and_exact_agree_where_nothing_is_clamped():
    image, transform = noise(SIZE) * 0.2 + 0.4, T.ColorJitter(0.2, 0.2, 0.2)
    for index in range(4):
        exact, linear = (render(transform, image, index, color=color) for color in ("exact", "linear"))
        assert_close(linear, exact, lsb=0.05)  # the luma weights sum to 0.9999 in exact


@over_engines
def test_grayscale_is_torchvisions(engine):
    image = noise(SIZE)
    assert_close(render(T.RandomGrayscale(1.0), image, engine=engine), F.rgb_to_grayscale(image, 3), lsb=1e-3)


@over_engines
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_normalize_is_torchvisions(engine, dtype):
    image, mean, std = noise(SIZE, 3, dtype), (0.4, 0.5, 0.6), (0.2, 0.3, 0.4)
    expected = F.normalize(F.to_dtype(image, torch.float32, scale=True), mean, std)
    assert_close(render(T.Normalize(mean, std), image, engine=engine), expected, lsb=1e-3)


@over_engines
@over_indices
def test_erasing_is_torchvisions(engine, index):
    image, transform = noise(SIZE, 3, "uint8"), T.RandomErasing(1.0, value=(1, 2, 3))
    value = torch.tensor([1, 2, 3], dtype=torch.uint8)[:, None, None]
    expected = F.erase(image, *(int(v) for v in draw(transform, index)), v=value)
    assert torch.equal(render(transform, image, index, engine), expected)


# --- arguments --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [BILINEAR, 2, "bilinear"])
def test_interpolation_may_be_torchvisions_enum_or_pils_number(mode):
    assert T.Resize(9, mode) == T.Resize(9, "bilinear")
    assert T.RandomRotation(9, mode).interpolation == "bilinear"


def test_lists_become_tuples_so_that_yaml_works():
    assert T.RandomAffine([-5, 5], translate=[0.1, 0.1]) == T.RandomAffine((-5, 5), translate=(0.1, 0.1))
    assert T.RandomResizedCrop([8, 9], scale=[0.5, 1.0]) == T.RandomResizedCrop((8, 9), (0.5, 1.0))
