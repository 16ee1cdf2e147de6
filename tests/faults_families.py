"""One-line faults in the families of transforms and what surrounds them; see `tests/faults.py`."""

from __future__ import annotations

from faults import Mutant

MUTANTS = [
    Mutant(
        "perspective looks the other way",
        "transforms/geometry.py",
        "result = np.linalg.inv(square)",
        "result = square.copy()",
        ("test_geometry_more.py::test_perspective_is_torchvisions",),
    ),
    Mutant(
        "corners that fold",
        "transforms/geometry.py",
        "moves / 2, moves)",
        "moves, moves)",
        ("test_geometry_more.py::test_only_corners_that_would_fold_the_picture_go_half_as_far",),
    ),
    Mutant(
        "far corners one pixel off",
        "transforms/geometry.py",
        "steps - (reach[:, None] - 1), steps)",
        "steps - reach[:, None], steps)",
        ("test_geometry_more.py::test_the_corners_are_distributed_as_torchvisions",),
    ),
    Mutant(
        "a safe rotation without its scale",
        "transforms/geometry.py",
        "(cos * wide, -sin * tall, sin * wide, cos * tall)",
        "(cos * wide, -sin * wide, sin * tall, cos * tall)",
        ("test_geometry_more.py::test_a_safe_rotation_turns_and_scales_as_albumentations_does",),
    ),
    Mutant(
        "turns the wrong way round",
        "transforms/turns.py",
        "        [0, -1, 1, 0],\n",
        "        [0, 1, -1, 0],\n",
        ("test_geometry_more.py::test_random_rotate_90_is_numpys_rot90_of_the_drawn_number",),
    ),
    Mutant(
        "a mirror's edge of the wrong side",
        "transforms/turns.py",
        "np.where(a + b < 0, width, 0.0)",
        "np.where(a + b < 0, height, 0.0)",
        ("test_geometry_more.py::test_d4_is_albumentations_element_of_the_drawn_number",),
    ),
    Mutant(
        "the horizon forgotten",
        "placing.py",
        "(mapped[:, 2] < _HORIZON).any(1)",
        "(mapped[:, 2] < -9e9).any(1)",
        ("test_geometry_more.py::test_an_output_that_looks_past_the_horizon_agrees_with_the_reference",),
    ),
    Mutant(
        "longest and smallest exchanged",
        "transforms/resize.py",
        "np.min(fits, 0) if longest else np.max(fits, 0)",
        "np.max(fits, 0) if longest else np.min(fits, 0)",
        ("test_resize.py::test_longest_and_smallest_max_size_make_albumentations_sizes",),
    ),
    Mutant(
        "one place for both axes",
        "transforms/resize.py",
        "u[:, [2, 1]]",
        "u[:, [1, 1]]",
        ("test_resize.py::test_zooming_out_draws_as_torchvision_does",),
    ),
    Mutant(
        "the upper end included",
        "transforms/resize.py",
        "np.floor(place * (self.max_size - self.min_size))",
        "np.floor(place * (self.max_size - self.min_size + 1))",
        ("test_resize.py::test_random_resize_draws_as_torchvision_without_the_upper_end",),
    ),
    Mutant(
        "half a pixel forgotten (distortions)",
        "transforms/remap.py",
        "part[0].numpy() - np.float32(0.5)",
        "part[0].numpy() - np.float32(0.0)",
        ("test_distort.py::test_every_engine_reads_at_the_points_of_the_field",),
    ),
    Mutant(
        "a lens without its fourth power",
        "transforms/distort.py",
        "return x, y, square + square**2",
        "return x, y, square",
        ("test_distort.py::test_the_camera_is_opencvs",),
    ),
    Mutant(
        "elastic noise off centre",
        "transforms/distort.py",
        "moves = (noise - 0.5) *",
        "moves = (noise - 0.4) *",
        ("test_distort.py::test_elastic_moves_are_torchvisions_for_the_same_noise",),
    ),
    Mutant(
        "points go the wrong way",
        "transforms/sampling.py",
        "at = at + np.clip(step",
        "at = at - np.clip(step",
        ("test_distort.py::test_points_land_where_the_field_reads_them",),
    ),
    Mutant(
        "every step a resample of its own",
        "fuse.py",
        "if not joined or kind",
        "if joined or kind",
        ("test_fusion_detail.py::test_one_resample_of_five_is_closer_to_the_oracle_than_torchvisions_chain",),
    ),
    Mutant(
        "`+` offered for what is deleted",
        "config.py",
        ' and override[0] not in "+~"',
        "",
        ("test_config.py::test_a_wrong_override_of_a_pipeline_says_what_would_be_right",),
    ),
]
