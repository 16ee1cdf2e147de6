"""One-line faults in the conversion of other libraries' pipelines; see `tests/faults.py`."""

from __future__ import annotations

from faults import Mutant


def _foreign(*names: str) -> tuple[str, ...]:
    return tuple(f"test_foreign.py::test_{name}" for name in names)


def _of(part: str, *names: str) -> tuple[str, ...]:
    return tuple(f"test_adapters_{part}.py::test_{name}" for name in names)


FOREIGN, TARGETS, LEAVES = "adapters/foreign.py", "adapters/conventions.py", "adapters/leaves.py"
TORCHVISION, ALBUMENTATIONS = "adapters/torchvision.py", "adapters/albumentations.py"
WHOLE = _of("torchvision_parity", "a_whole_pipeline_without_randomness_gives_what_the_original_gives")

MUTANTS = [
    Mutant(
        "a barrier leaves torch's generator seeded",
        FOREIGN,
        "        torch.random.set_rng_state(torch_state)\n",
        "        pass\n",
        _foreign("global_random_states_are_put_back"),
    ),
    Mutant(
        "a barrier seeds numpy by nothing",
        FOREIGN,
        "        np.random.seed(seed)  # noqa: NPY002\n",
        "        pass\n",
        _foreign("each_of_the_three_generators_follows_the_key"),
    ),
    Mutant(
        "a barrier hands out the input itself",
        FOREIGN,
        "        return pixels.copy()\n",
        "        return pixels\n",
        _foreign("it_may_write_into_what_it_is_given"),
    ),
    Mutant(
        "a barrier never moves pixels",
        FOREIGN,
        "        return self.may_move\n",
        "        return False\n",
        _foreign("targets_beside_what_may_move_pixels_are_an_error"),
    ),
    Mutant(
        "modules that print alike are one",
        FOREIGN,
        "return self.transform is other.transform or (self.transform == other.transform) is True",
        "return repr(self.transform) == repr(other.transform)",
        _foreign("two_modules_that_print_alike_are_not_rendered_together"),
    ),
    Mutant(
        "the parts of a barrier start alike",
        FOREIGN,
        "transform.set_random_state(np.random.default_rng(seed), random.Random(_number(seed)))",
        "transform.set_random_seed(_number(seed))",
        _of("albumentations", "the_parts_of_a_barrier_do_not_draw_alike"),
    ),
    Mutant(
        "workers that unpickle ask a server",
        FOREIGN,
        '    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")\n',
        "    pass\n",
        _of("workers", "neither_the_conversion_nor_a_worker_asks_a_server"),
    ),
    Mutant(
        "a fill after ToTensor on the wrong scale",
        "adapters/range.py",
        "self.factor, self.high = WHITE, 1.0",
        "self.factor, self.high = 1.0, 1.0",
        WHOLE,
    ),
    Mutant(
        "a fill after Normalize not taken back",
        "adapters/range.py",
        "white * (m + s * v) for m, s, v",
        "white * v for m, s, v",
        WHOLE,
    ),
    Mutant(
        "two Normalizes in the wrong order",
        "adapters/range.py",
        "mean = tuple(m + white * s * n for",
        "mean = tuple(white * n + m * s for",
        WHOLE,
    ),
    Mutant(
        "a subclass taken for what it derives from",
        TORCHVISION,
        'return type(value).__module__.startswith("torchvision.transforms")',
        'return any(kind.__module__.startswith("torchvision.transforms") for kind in type(value).__mro__)',
        _of("torchvision", "a_class_of_ones_own_is_not_converted_by_its_name"),
    ),
    Mutant(
        "what does nothing takes no share of a choice",
        "adapters/parts.py",
        "p * share / total if share < total else p",
        "p",
        _of("torchvision", "choices_keep_their_odds_and_their_parts"),
    ),
    Mutant(
        "the chosen one's own probability holds",
        ALBUMENTATIONS,
        "options = [self.inner(child, True) for child in one.transforms]",
        "options = [self.inner(child) for child in one.transforms]",
        _of("albumentations", "one_of_takes_probabilities_for_weights"),
    ),
    Mutant(
        "some of them in any order",
        LEAVES,
        'np.sort(np.argsort(u, axis=1, kind="stable")[:, : self.n], axis=1)',
        'np.argsort(u, axis=1, kind="stable")[:, : self.n]',
        _of("albumentations", "some_of_keeps_the_order_of_the_list_and_random_order_does_not"),
    ),
    Mutant(
        "a shear the other way",
        LEAVES,
        "np.sin(angle), -np.tan(shear_x), -np.tan(shear_y)",
        "np.sin(angle), np.tan(shear_x), np.tan(shear_y)",
        _of("albumentations_parity", "under_fixed_parameters_it_does_what_the_original_does"),
    ),
    Mutant(
        "an albumentations border mirrored at another place",
        "adapters/equivalents.py",
        '2: "symmetric", 4: "reflect"}',
        '2: "reflect", 4: "symmetric"}',
        _of("albumentations_parity", "under_fixed_parameters_it_does_what_the_original_does"),
    ),
    Mutant(
        "keypoints half a pixel off",
        TARGETS,
        "array = _moved(array, -0.5)",
        "array = _moved(array, 0.5)",
        _of("albumentations_targets", "keypoints_are_pixel_indices_as_there"),
    ),
    Mutant(
        "shares of the old width",
        TARGETS,
        "height, width = canvas[entry.owner].tolist()",
        "height, width = self._sizes[entry.owner].tolist()",
        _of("albumentations_targets", "boxes_of_every_format_go_where_the_original_puts_them"),
    ),
    Mutant(
        "keypoints dropped without what is theirs",
        TARGETS,
        "if isinstance(beside, Mapping) and name in beside:",
        "if False:",
        _of("albumentations_targets", "keypoints_off_the_image_go_with_what_is_theirs_or_stay"),
    ),
]
