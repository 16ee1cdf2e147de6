"""One-line faults in adversarial training and in what goes on from a checkpoint."""

from __future__ import annotations

from faults import Mutant


def _gan(name: str, file: str, old: str, new: str, test: str) -> Mutant:
    return Mutant(f"{name} (gan)", f"generators/{file}.py", old, new, (f"test_gan.py::test_{test}",))


_RESUME = "a_training_that_was_stopped_goes_on_to_the_bit"
MUTANTS = [
    _gan("optimisers forgotten", "adversarial", "optimizer.load_state_dict(content)", "pass", _RESUME),
    _gan(
        "noise of every batch the same",
        "adversarial",
        "np.arange(len(mine[1])) + seen",
        "np.arange(len(mine[1]))",
        "each_step_has_noise_of_its_own",
    ),
    _gan(
        "samples by the weights of the last step",
        "gan",
        "self.average(*part)",
        "self.net(*part)",
        "samples_are_made_by_the_averaged_weights",
    ),
    _gan(
        "labels unheard by the critic",
        "residual",
        "(features * self.embed(conditions)).sum(1)",
        "features.sum(1)",
        "the_critic_hears_the_label",
    ),
    _gan(
        "orders without the pass",
        "samples",
        "Rng.of(self.seed, number)",
        "Rng.of(self.seed, 0)",
        "every_pass_shows_each_sample_once_from_any_place",
    ),
    _gan(
        "step of the difference not divided",
        "losses",
        "- scores) / step)",
        "- scores))",
        "the_finite_difference_is_the_slope_on_average",
    ),
    _gan(
        "strength the wrong way",
        "adversarial",
        "mean - self.settings",
        "-mean + self.settings",
        "adaptive_strength_follows_the_sign",
    ),
    _gan(
        "no way back after a divergence",
        "run",
        "self.generator.load_state_dict(state)",
        "pass",
        "divergence_stops_and_brings_back_what_was_well",
    ),
    _gan(
        "data of a checkpoint unchecked",
        "run",
        "if found[name] != wanted:",
        "if False:",
        "a_checkpoint_of_another_training_is_refused",
    ),
]
