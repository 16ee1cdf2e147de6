"""One-line faults in the compiled kernel, which `tests/mutants.py` compiles anew, and in what it is given."""

from __future__ import annotations

from faults import Mutant

_LAW = ("test_laws.py::test_law_11_engines_agree_with_the_float64_reference",)
_RANDOM = ("test_native.py::test_random_pipelines_agree_with_the_reference",)
_SETS = ("test_native.py::test_every_instruction_set_gives_the_same_bits",)
_LAYOUTS = ("test_native.py::test_layouts_are_read_by_their_strides",)
_SLICES = ("test_fusion.py::test_a_crop_of_a_resized_image_sees_over_its_edges_wherever_it_falls",)
_HORIZON = ("test_geometry_more.py::test_an_output_that_looks_past_the_horizon_agrees_with_the_reference",)
_HALVES = ("test_native.py::test_bytes_are_rounded_to_the_nearest_and_halves_to_even",)
_COPIES = ("test_native.py::test_bytes_that_are_only_moved_are_copied",)
_FLOATS = ("test_native.py::test_bytes_that_are_only_moved_are_bytes_or_floats",)
_WORDS = ("test_native.py::test_words_are_the_same_with_and_without_the_kernel",)

_DRAWS = ("test_native_draw.py::test_the_kernel_draws_the_bits_that_numpy_draws",)


def _fault(name: str, file: str, old: str, new: str, tests: tuple[str, ...] = _RANDOM) -> Mutant:
    return Mutant(f"{name} (native)", f"native/{file}", old, new, tests)


MUTANTS = [
    _fault("a crop of full strength at any", "draw.h", "(u[i] - 0.5) * n[0]", "(u[i] - 0.5)", _DRAWS),
    _fault("the last resort in a corner", "draw.h", "top = floor((height - h) / 2)", "top = 0", _DRAWS),
    _fault("a jitter's order backwards", "draw.h", "rank[at - 1] > u", "rank[at - 1] < u", _DRAWS),
    _fault("a uniform of the wrong word", "draw.h", "c[column % 4] >> 8", "c[column / 4 % 4] >> 8", _DRAWS),
    _fault(
        "a shift that is no whole pixel", "draw.h", "rint(drawn[1] * size[1] * strength)", "drawn[1] * size[1]", _DRAWS
    ),
    _fault("maps composed without a shift", "draw.h", "q * map->y + m[i + 2]", "q * map->y", _DRAWS),
    _fault(
        "a rectangle before the colours",
        "draw.h",
        "    close_colors(palette);\n    Step *made",
        "    Step *made",
        _DRAWS,
    ),
    _fault("a mean that forgets the shift", "draw.h", "t[6] + t[7] + t[8] + s[2]", "t[6] + t[7] + t[8]", _DRAWS),
    Mutant(
        "half a turn that mirrors",
        "elementary.py",
        "np.where(quarter >= 2.0, -sin, sin)",
        "np.where(quarter > 2.0, -sin, sin)",
        ("test_native_draw.py::test_elementary_functions_are_right_to_a_few_units_in_the_last_place",),
    ),
    _fault(
        "reflection one pixel off", "base.h", "(border == SYMMETRIC ? period - 1 : period) - index", "period - index"
    ),
    _fault("a footprint half a pixel off", "base.h", "floor(taps == 1 ? at : at - 0.5)", "floor(at)"),
    _fault("weights of a filter not normalized", "base.h", "axis.padded] /= total", "axis.padded] /= 1.01f"),
    _fault("a window cut out at the wrong corner", "place.h", "(int64_t)low[a] * row", "(int64_t)high[a] * row"),
    _fault("a slice cut out first", "place.h", "whole && (sample->cut_first || !sliced)", "whole", _SLICES),
    _fault("axes swapped, strides not", "place.h", "row.strides[2] = stride", "row.strides[1] = stride", _LAW),
    _fault("the shrunk window in the wrong place", "place.h", "line[b] - low[a] * row->matrix[6 + b]", "line[b]"),
    _fault("the ring of lines too short", "kernel.h", ".room = y.taps + 1", ".room = 1"),
    _fault("the horizon forgotten", "base.h", "everything |= depth < 1e-6", "everything |= 0", _HORIZON),
    _fault("a resample in every pass", "kernel.h", "if (pass == 0) FN(make_row)", "FN(make_row)"),
    _fault(
        "a clamp dropped", "steps.h", "FN(bound)(a3 * x + a4 * y + a5 * z + v1, white)", "a3 * x + a4 * y + a5 * z + v1"
    ),
    _fault("green turned as blue", "steps.h", "FN(turned)(most, spread, hue + 3)", "FN(turned)(most, spread, hue + 1)"),
    _fault(
        "a clamp dropped on the way out", "write.h", "+ a2 * b[i] + shift, white)", "+ a2 * b[i] + shift, 1e9f)", _LAW
    ),
    _fault("halves rounded up", "levels.h", "(value + 12582912.0f) - 12582912.0f", "floorf(value + 0.5f)", _HALVES),
    _fault(
        "levels stretched without a cut",
        "levels.h",
        "row[i] = floorf(FN(bound)((FN",
        "row[i] = (FN(bound)((FN",
        ("test_tone.py",),
    ),
    _fault("a histogram one level off", "levels.h", "(before + step / 2) / step", "(before + step) / step", _LAW),
    _fault(
        "neighbours sharpened first",
        "kernel.h",
        "memcpy(mine, row, canvas",
        "memcpy(mine, canvas->planes, canvas",
        _LAW,
    ),
    _fault(
        "pixels from the wrong vector (AVX2)",
        "module.c",
        "_mm256_slli_epi32(at, 28)",
        "_mm256_slli_epi32(at, 29)",
        _SETS,
    ),
    _fault(
        "pixels of four in another order",
        "module.c",
        "{0, 1, 2, NO, 3, 4, 5, NO, 6",
        "{0, 2, 1, NO, 3, 4, 5, NO, 6",
        _LAYOUTS,
    ),
    _fault("bytes of a channel in another order", "module.c", "{1, 4, 7, 10, 13, NO", "{1, 4, 7, 13, 10, NO", _LAYOUTS),
    _fault("a Philox round without its key", "philox.h", "k1 += 0xBB67AE85u", "k1 += 0", _WORDS),
    Mutant(
        "bytes kept where they were mixed",
        "engines/native.py",
        'table["interpolation"] == NEAREST',
        'table["interpolation"] >= NEAREST',
        ("test_native.py", *_LAW),
    ),
    Mutant(
        "hues left out of the compiled engine",
        "engines/native.py",
        "np.where(turned, _HUE, _MATRIX), _NOTHING",
        "np.where(turned, _NOTHING, _MATRIX), _NOTHING",
        _RANDOM,
    ),
    _fault("a mirrored row of floats forwards", "copy.h", "if (backwards) block =", "if (!step) block =", _FLOATS),
    _fault("a fill behind forgotten", "copy.h", "if (right) STORE(", "if (left && right) STORE(", _FLOATS),
    _fault(
        "pixels before the image counted behind",
        "base.h",
        "strip->left = strip->back ? behind : before",
        "strip->left = before",
        _FLOATS,
    ),
    _fault("a whole map that rises only", "base.h", "axis.start + sign * u", "axis.start + u", _FLOATS),
    _fault(
        "the outside of a row folded from the edge", "base.h", "? lines->x.start - i :", "? lines->x.start :", _FLOATS
    ),
    _fault("bytes behind not filled", "copy.h", "- strip.right, fill, strip.right)", "- strip.right, 0, 0)", _FLOATS),
    _fault("mirrored channels all alike", "copy.h", "room + c * n", "room", _FLOATS),
]
