"""One-line faults in tones and channels; see `tests/faults.py`."""

from __future__ import annotations

from faults import Mutant

MUTANTS = [
    Mutant(
        "solarize above the threshold, not at it",
        "transforms/tone.py",
        "(values >= column(",
        "(values > column(",
        ("test_tone.py::test_tones_are_torchvisions_bit_for_bit_on_uint8",),
    ),
    Mutant(
        "solarize by OpenCV one level off",
        "transforms/tone.py",
        "np.ceil(self.limits(params[None], 255.0)[0]) - 1)",
        "np.ceil(self.limits(params[None], 255.0)[0]))",
        ("test_tone.py::test_tones_are_torchvisions_bit_for_bit_on_uint8",),
    ),
    Mutant(
        "float posterize without its last bin",
        "transforms/tone.py",
        "torch.minimum((pixels * bins).floor(), bins - 1)",
        "torch.minimum((pixels * bins).floor(), bins)",
        ("test_tone.py::test_tones_are_torchvisions_bit_for_bit_on_uint8",),
    ),
    Mutant(
        "autocontrast in double precision",
        "transforms/tone.py",
        "np.float32(high - low) * np.float32(1.0 / 255.0)",
        "np.float64(high - low) / 255.0",
        ("test_tone.py::test_autocontrast_is_torchvisions_for_every_darkest_and_brightest_level",),
    ),
    Mutant(
        "equalize counts the level itself",
        "transforms/tone.py",
        "table = (counts.cumsum(1) - counts + step // 2)",
        "table = (counts.cumsum(1) + step // 2)",
        ("test_tone.py::test_equalize_is_pils",),
    ),
    Mutant(
        "equalize does not leave the brightest out",
        "transforms/tone.py",
        "step = torch.div(index.shape[2] - last, 255",
        "step = torch.div(index.shape[2] - 0 * last, 255",
        ("test_tone.py::test_equalize_is_pils",),
    ),
    Mutant(
        "fractions enter a tone",
        "transforms/levels.py",
        "return pixels.round() if white == 255.0 else pixels",
        "return pixels",
        ("test_tone.py::test_what_came_as_uint8_is_rounded_to_whole_levels_before_a_tone",),
    ),
    Mutant(
        "a curve's table cuts fractions off",
        "transforms/levels.py",
        "values = np.rint(self.curve(",
        "values = np.floor(self.curve(",
        ("test_tone.py::test_the_tone_curve_is_albumentations",),
    ),
    Mutant(
        "a root of values below black",
        "transforms/tone.py",
        "(values / white).clip(0.0) ** numbers[0]",
        "(values / white) ** numbers[0]",
        (
            "test_laws.py::test_laws_5_and_6_pixels_do_not_depend_on_batch_size_or_order[RandomGamma-1-opencv-float32-gray]",
        ),
    ),
    Mutant(
        "a weak solarization inverts white",
        "transforms/tone.py",
        "above = 256 / 255",
        "above = 255 / 255",
        ("test_tone.py::test_at_strength_0_a_tone_does_nothing",),
    ),
    Mutant(
        "CLAHE loses what is left over",
        "transforms/clahe.py",
        " + ((level % step == 0) & (level // step < rest))",
        "",
        ("test_tone.py::test_clahe_of_a_gray_image_is_opencvs",),
    ),
    Mutant(
        "CLAHE repeats the edge",
        "transforms/clahe.py",
        "return torch.minimum(index, period - index) if size > 1 else index",
        "return index.clamp(max=size - 1) if size > 1 else index",
        ("test_tone.py::test_clahe_of_a_gray_image_is_opencvs",),
    ),
    Mutant(
        "a permutation turned round",
        "transforms/channels.py",
        "return np.eye(3)[params.astype(np.int64)], np",
        "return np.eye(3)[params.astype(np.int64)].transpose(0, 2, 1), np",
        ("test_channels.py::test_a_permutation_is_exact_and_torchvisions",),
    ),
    Mutant(
        "sepia without a clamp",
        "transforms/channels.py",
        "return np.ones(len(params), bool)",
        "return np.zeros(len(params), bool)",
        ("test_channels.py::test_chains_of_colours_agree_with_the_reference",),
    ),
    Mutant(
        "the distortion gated as a whole",
        "transforms/channels.py",
        "    gated = False  # p is the probability of each part\n",
        "",
        ("test_channels.py::test_each_part_of_the_distortion_is_as_likely_as_p_and_contrast_comes_early_or_late",),
    ),
    Mutant(
        "gray pixels take colour",
        "transforms/shades.py",
        "(s > 0) * np.float32(saturation)",
        "np.float32(saturation)",
        ("test_channels.py::test_gray_pixels_stay_gray_under_a_shift_of_the_saturation",),
    ),
    Mutant(
        "the smallest component first",
        "transforms/shades.py",
        "variances.argsort(dim=1, descending=True)",
        "variances.argsort(dim=1, descending=False)",
        ("test_channels.py::test_principal_components_of_the_colours_are_stretched",),
    ),
    Mutant(
        "the gray of a run carried by its first channel",
        "runs.py",
        "pivot = _weighted(_summed(total) + shift, weights)",
        "pivot = _summed(total)[:, 0] + shift[:, 0]",
        ("test_channels.py::test_contrast_in_linear_colour_pivots_at_the_luma_after_the_steps_before_it",),
    ),
]
