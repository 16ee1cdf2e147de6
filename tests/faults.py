"""One-line faults in the draw, the fusing and the pixels; `tests/mutants.py` shows which tests catch them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    """Replace `old` by `new` in `file` of the package; each of `tests` (node ids below tests/) may notice."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


def _laws(*names: str) -> tuple[str, ...]:
    return tuple(f"test_laws.py::test_{name}" for name in names)


def _transforms(*names: str) -> tuple[str, ...]:
    return tuple(f"test_transforms.py::test_{name}" for name in names)


def _draws(*names: str) -> tuple[str, ...]:
    return tuple(f"test_draws.py::test_{name}" for name in names)


REFERENCE = _laws("law_11_engines_agree_with_the_float64_reference")
BATCHES = _laws("law_5_parameters_are_the_same_alone_and_in_any_batch")
DISTRIBUTIONS = _draws("parameters_are_distributed_as_torchvisions")
OPENCV, TORCH, FUSE, PLACING = "engines/opencv.py", "engines/torch.py", "fuse.py", "placing.py"
OPENCV_GEOMETRY, OPENCV_COLOR = "engines/opencv_geometry.py", "engines/opencv_color.py"

MUTANTS = [
    # Randomness.
    Mutant(
        "epoch ignored",
        "rng.py",
        "blocks = philox(counter, (np.uint64(self.seed), column[2]))",
        "blocks = philox(counter, (np.uint64(self.seed), column[2] * 0))",
        ("test_native.py::test_words_are_the_same_with_and_without_the_kernel",),
    ),
    Mutant(
        "occurrence ignored",
        "rng.py",
        "philox((i, o, *pair), (self.seed, e))",
        "philox((i, 0, *pair), (self.seed, e))",
        ("test_native.py::test_words_are_the_same_with_and_without_the_kernel",),
    ),
    Mutant(
        "a Philox word not exchanged",
        "rng.py",
        "((p1 >> 32) & MASK) ^ c1 ^ k0",
        "((p1 >> 32) & MASK) ^ c3 ^ k0",
        ("test_rng.py::test_python_ints_give_the_known_answers",),
    ),
    Mutant(
        "a pickled index loses its epoch",
        "rng.py",
        "return KeyedIndex, (int(self), self.epoch, self.occurrence)",
        "return KeyedIndex, (int(self), 0, self.occurrence)",
        ("test_rng.py::test_a_keyed_index_is_an_int_that_pickles_with_its_key",),
    ),
    Mutant(
        "a slot reused by all transforms",
        "program.py",
        "self.slots += [slot_id(name)] * blocks",
        'self.slots += [slot_id("")] * blocks',
        ("test_pipeline.py::test_two_of_a_kind_draw_independently",),
    ),
    Mutant(
        "a lane reused within a transform",
        "program.py",
        "self.lanes += range(blocks)",
        "self.lanes += [0] * blocks",
        _draws("the_numbers_that_one_transform_draws_are_independent"),
    ),
    Mutant(
        "the gate's number used again",
        "program.py",
        "start = self.column + self.transform.gated",
        "start = self.column",
        DISTRIBUTIONS,
    ),
    Mutant(
        "draws that depend on the batch",
        "program.py",
        "u = np.asarray(uniform_from_words(rng.words(plan.slots, plan.lanes)))",
        "u = np.asarray(uniform_from_words(rng.words(plan.slots, plan.lanes)))[::-1]",
        BATCHES,
    ),
    Mutant(
        "global random state consumed",
        "program.py",
        "u = np.asarray(uniform_from_words(rng.words(plan.slots, plan.lanes)))",
        "u = np.asarray(uniform_from_words(rng.words(plan.slots, plan.lanes))) + 0 * np.random.rand()",
        _laws("law_9_a_keyed_call_touches_no_global_random_state"),
    ),
    Mutant(
        "no fresh key without an index",
        "pipeline.py",
        "return Rng.fresh(count)",
        "return Rng.of(self.seed, np.arange(count))",
        ("test_pipeline.py::test_calls_without_an_index_never_repeat_by_accident_but_follow_manual_seed",),
    ),
    # The draw.
    Mutant(
        "strength ignored by the gates",
        "program.py",
        "self.transform.p * strength, ops, 0",
        "self.transform.p, ops, 0",
        _draws("strength_multiplies_probabilities_and_draws_ranges_towards_the_identity"),
    ),
    Mutant(
        "sizes not threaded",
        "program.py",
        "node.transform.output_size(drawn, before)",
        "before",
        ("test_fusion.py::test_sizes_are_threaded_so_that_later_steps_know_what_they_act_on",),
    ),
    Mutant(
        "color allowed after Normalize",
        "program.py",
        "_check_after_normalize(name, transform)\n            nodes",
        "pass\n            nodes",
        ("test_errors.py::test_normalize_stands_once_and_last_of_what_changes_values",),
    ),
    Mutant(
        "weights ignored",
        "transforms/combine.py",
        "choose(u, self.weights or [1.0] * len(rows))",
        "choose(u, [1.0] * len(rows))",
        _draws("one_of_follows_its_weights"),
    ),
    Mutant(
        "the last window never drawn",
        "transforms/crop.py",
        "(0.5 + (u - 0.5) * strength) * (free + 1)",
        "(0.5 + (u - 0.5) * strength) * np.maximum(free, 1)",
        (*DISTRIBUTIONS, *_transforms("random_crop_pads_an_image_that_is_too_small_on_both_sides")),
    ),
    # Maps and runs.
    Mutant(
        "a crop off by one",
        "transforms/crop.py",
        "np.minimum(place, free) - before",
        "np.minimum(place, free) - before + 1",
        _laws("law_9_parameters_lie_in_their_ranges"),
    ),
    Mutant(
        "x and y exchanged in a crop",
        "transforms/crop.py",
        "params[:, 2] / h, params[:, 1], params[:, 0])",
        "params[:, 2] / h, params[:, 0], params[:, 1])",
        REFERENCE,
    ),
    Mutant(
        "a rotation the wrong way round",
        "transforms/geometry.py",
        "_about((cos, -sin, sin, cos), source, target)",
        "_about((cos, sin, -sin, cos), source, target)",
        _transforms("rotation_is_torchvisions"),
    ),
    Mutant(
        "maps composed in the wrong order",
        FUSE,
        "product(matrix[part], leaf.matrix(drawn, sizes))",
        "product(leaf.matrix(drawn, sizes), matrix[part])",
        _laws("law_7_fused_equals_sequential_on_smooth_images"),
    ),
    Mutant(
        "the worst interpolation of a run",
        FUSE,
        "np.maximum(interpolation[part], kind)",
        "np.minimum(interpolation[part], kind)",
        ("test_fusion.py::test_a_run_takes_the_best_interpolation_asked_for",),
    ),
    Mutant(
        "runs not split where the border changes",
        FUSE,
        "(edge and open_edge and edge != open_edge)",
        "False",
        ("test_fusion.py::test_neighbours_fuse_until_the_border_changes",),
    ),
    Mutant(
        "a slice of a resized image cut out first",
        PLACING,
        "~(whole & (cut_first | ~sliced))",
        "~whole",
        ("test_fusion.py::test_a_crop_of_a_resized_image_sees_over_its_edges_wherever_it_falls",),
    ),
    Mutant(
        "antialias dropped",
        FUSE,
        "antialias[part] &= filtered",
        "antialias[part] = False",
        REFERENCE,
    ),
    Mutant(
        "the shrunk window in the wrong place",
        PLACING,
        "into[:, :2, 2] = -low[:, ::-1] * ratio",
        "into[:, :2, 2] = -low[:, ::-1]",
        ("test_fusion.py::test_fused_is_closer_to_the_oracle_than_the_chain_on_a_photograph",),
    ),
    # Pixels.
    Mutant(
        "half a pixel forgotten (opencv)",
        OPENCV_GEOMETRY,
        "run.matrix[:, :2, :2].sum(2) * 0.5 - 0.5",
        "run.matrix[:, :2, :2].sum(2) * 0.0",
        REFERENCE,
    ),
    Mutant(
        "half a pixel forgotten (torch)",
        "transforms/sampling.py",
        "    at = at - 0.5\n",
        "    at = at - 0.0\n",
        REFERENCE,
    ),
    Mutant(
        "fill not applied",
        OPENCV_GEOMETRY,
        "cv2.BORDER_CONSTANT, value=fill",
        "cv2.BORDER_CONSTANT, value=(0, 0, 0, 0)",
        _transforms("pad_is_torchvisions"),
    ),
    Mutant(
        "flips exchanged",
        OPENCV_GEOMETRY,
        "return (-1 if x else 0) if y else (1 if x else None)",
        "return (-1 if x else 1) if y else (0 if x else None)",
        _transforms("flips_are_exact"),
    ),
    Mutant(
        "fractions cut off",
        TORCH,
        "pixels.round().clamp(0, 255)",
        "pixels.clamp(0, 255)",
        REFERENCE,
    ),
    Mutant(
        "the input changed",
        "engines/opencv_steps.py",
        "state.pixels, state.owned = state.pixels.copy(), False",
        "state.pixels, state.owned = state.pixels, False",
        _laws("law_2_the_input_is_never_changed"),
    ),
    # Colour.
    Mutant(
        "a clamp dropped (opencv)",
        OPENCV_COLOR,
        "state.clamp = self.expands[i][step]",
        "state.clamp = False",
        REFERENCE,
    ),
    Mutant(
        "a clamp dropped (torch)",
        TORCH,
        "_bounded(_matrix(pixels, _tensor(a, pixels), shift), white)",
        "_matrix(pixels, _tensor(a, pixels), shift)",
        REFERENCE,
    ),
    Mutant(
        "wrong luma",
        "transforms/color.py",
        "LUMA = np.array([0.2989, 0.587, 0.114])",
        "LUMA = np.array([0.2126, 0.7152, 0.0722])",
        REFERENCE,
    ),
    Mutant(
        "contrast around the mean before the steps that are pending",
        OPENCV_COLOR,
        "mean = before[:, :size] @ means(state.pixels) + before[:, size]",
        "mean = means(state.pixels)",
        _transforms("color_jitter_is_torchvisions_in_the_drawn_order"),
    ),
    Mutant(
        "the pivot not carried in linear colour",
        "runs.py",
        "pivot = _weighted(_summed(total) + shift, weights)",
        "pivot = np.ones(len(shift))",
        REFERENCE,
    ),
    Mutant(
        "hue turned the wrong way in linear colour",
        "transforms/color.py",
        "+ sin * HUE_TURN",
        "- sin * HUE_TURN",
        _transforms("linear_hue_turns_the_same_way_as_exact_hue"),
    ),
    Mutant(
        "a negative hue not wrapped",
        OPENCV_COLOR,
        "shift % 1.0 * 360.0",
        "shift * 360.0",
        _transforms("color_jitter_is_torchvisions_in_the_drawn_order"),
    ),
    Mutant(
        "the mean added instead of subtracted",
        "engines/output.py",
        "-mean / std",
        "mean / std",
        _transforms("normalize_is_torchvisions"),
    ),
]
