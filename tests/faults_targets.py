"""One-line faults in targets, result memory and small batches; see `tests/faults.py`."""

from __future__ import annotations

from faults import Mutant

MUTANTS = [
    Mutant(
        "a cut box comes back",
        "boxes.py",
        "outline = inside(self.outline, route.before(step)[self.owner]) if step else self.outline",
        "outline = self.outline",
        ("test_boxes.py::test_a_box_that_a_crop_has_cut_away_does_not_return_with_a_pad",),
    ),
    Mutant(
        "visibility ignored",
        "boxes.py",
        "min_share * _SLACK",
        "min_share * 0",
        ("test_boxes.py::test_small_and_hidden_boxes_are_dropped",),
    ),
    Mutant(
        "corners not mirrored",
        "boxes.py",
        "corners[:, [1, 0, 3, 2]]",
        "corners[:, [0, 1, 2, 3]]",
        ("test_boxes.py::test_turned_boxes_are_torchvisions_under_flips_and_turns",),
    ),
    Mutant(
        "ties of a mask go left",
        "masks.py",
        "_TIE = 1e-7",
        "_TIE = -1e-7",
        ("test_masks.py::test_a_tie_between_two_pixels_goes_to_the_right_and_lower_one",),
    ),
    Mutant(
        "long masks by half",
        "masks.py",
        "(np.int32, 2)",
        "(np.int32, 1)",
        ("test_masks.py::test_a_mask_is_picked_by_the_floor_of_the_mapped_centre",),
    ),
    Mutant(
        "labels stay behind",
        "targets.py",
        "value if len(kept) == len(value) else select(value, kept)",
        "value",
        ("test_boxes.py::test_boxes_are_clipped_and_those_without_area_go_with_what_belongs_to_them",),
    ),
    Mutant(
        "keypoints of tv_tensors half a pixel off",
        "targets.py",
        "return 0.5 if hasattr",
        "return 0.0 if hasattr",
        ("test_targets.py::test_tv_keypoints_are_pixel_indices",),
    ),
    Mutant(
        "points move the other way",
        "points.py",
        "np.linalg.inv(run.whole)",
        "run.whole",
        ("test_targets.py::test_law_12_keypoints_are_mapped_by_the_homography",),
    ),
    Mutant(
        "overlap ignored",
        "transforms/boxcrop.py",
        "(best >= self._options[option]).any()",
        "(best >= 0).any()",
        ("test_boxcrop.py::test_an_iou_crop_overlaps_enough_and_drops_what_has_its_centre_outside",),
    ),
    Mutant(
        "a block used again while it is read",
        "engines/buffers.py",
        "weakref.finalize(owner, _free.append, block).atexit = False",
        "_free.append(block)",
        ("test_buffers.py::test_a_view_of_any_kind_keeps_its_block",),
    ),
    Mutant(
        "windows of a batch cut at the padding's corner",
        "engines/opencv_batch.py",
        "box[:, 0] + sides[0], box[:, 1] + sides[2]",
        "box[:, 0] + sides[0], box[:, 1]",
        ("test_opencv_batch.py::test_recipes_for_small_images_take_whole_batch_calls",),
    ),
    Mutant(
        "a batch's pending colour not clamped",
        "engines/opencv_batch.py",
        "values = values.clamp_(low, high)",
        "pass",
        ("test_opencv_batch.py::test_recipes_for_small_images_take_whole_batch_calls",),
    ),
]
