"""What a comparison is, fixed before it runs: arms, budget, seeds, and the question that is asked first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from augsynth.errors import suggest


@dataclass(frozen=True)
class Arm:
    """One way to train. augment: pass the batches through the pipeline. synthetic: mix generated samples in.

    salt: another salt gives other weights, batches and augmentation for the same training samples (an A/A comparison).
    """

    augment: bool = False
    synthetic: bool = False
    salt: int = 0


ARMS = {
    "none": Arm(),
    "augment": Arm(augment=True),
    "synthetic": Arm(synthetic=True),
    "both": Arm(augment=True, synthetic=True),
}


@dataclass(frozen=True)
class Protocol:
    """The budget and the question of a comparison.

    labels_per_class: training samples of each class, at least 2; None for all there are. seeds: repetitions, each with
    its own draw of training samples, weights and batches. seed: where they start; another one gives other repetitions.
    arms: what is trained; the first is the base line. primary: (arm, base), the contrast that is judged without
    correction. secondary: further contrasts besides each arm against the base line; all of these are Holm-corrected.
    steps, batch_size: optimiser steps and samples a step, the same for each arm. learning_rates: tried for each arm and
    seed on `validation_share` of the training samples. synthetic_share: of the samples that an arm sees, in (0, 1).
    test_limit: most test samples used, None for all. confidence: of the intervals and of a claim.
    """

    labels_per_class: int | None = 20
    seeds: int = 5
    seed: int = 0
    arms: tuple[str, ...] = tuple(ARMS)
    primary: tuple[str, str] = ("both", "none")
    secondary: tuple[tuple[str, str], ...] = (("both", "augment"),)
    steps: int = 600
    batch_size: int = 32
    learning_rates: tuple[float, ...] = (0.002, 0.006, 0.018)
    weight_decay: float = 0.05
    validation_share: float = 0.25
    synthetic_share: float = 0.25
    test_limit: int | None = 2000
    confidence: float = 0.95

    def __post_init__(self) -> None:
        for name, least in (("seeds", 1), ("seed", 0), ("steps", 1), ("batch_size", 2)):
            _check_integer(name, getattr(self, name), least)
        if self.labels_per_class is not None:
            _check_integer("labels_per_class", self.labels_per_class, 2)
        if self.test_limit is not None:
            _check_integer("test_limit", self.test_limit, 1)
        for name in ("validation_share", "synthetic_share", "confidence"):
            _check_number(name, getattr(self, name), "between 0 and 1", lambda v: 0 < v < 1)
        _check_number("weight_decay", self.weight_decay, "0 or more", lambda v: v >= 0)
        _set(self, "learning_rates", _sequence("learning_rates", self.learning_rates))
        for rate in self.learning_rates:
            _check_number("learning_rates", rate, "above 0", lambda v: 0 < v < float("inf"))
        _set(self, "arms", _sequence("arms", self.arms))
        _set(self, "primary", _pair("primary", self.primary))
        _set(self, "secondary", tuple(_pair("secondary", pair) for pair in self.secondary))
        if len(set(self.arms)) != len(self.arms) or len(self.arms) < 2:
            raise ValueError(f"arms={list(self.arms)} must be at least two different arms")

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Protocol:
        """Build from a configuration, ignoring the keys that are not the protocol's."""
        return cls(**{field.name: values[field.name] for field in fields(cls) if field.name in values})

    @property
    def base(self) -> str:
        """The arm that each other one is compared with."""
        return "none" if "none" in self.arms else self.arms[0]

    @property
    def labelled(self) -> str:
        """Say in words how many samples of a class are labelled, before what they are."""
        return "all labelled" if self.labels_per_class is None else f"{self.labels_per_class} labelled"

    def contrasts(self) -> tuple[tuple[str, str], ...]:
        """Return the contrasts besides the primary: each arm against the base, then `secondary` where both arms run."""
        pairs = [(arm, self.base) for arm in self.arms if arm != self.base]
        pairs += [pair for pair in self.secondary if set(pair) <= set(self.arms)]
        return tuple(dict.fromkeys(pair for pair in pairs if pair != self.primary))

    def check_arms(self, known: Sequence[str]) -> None:
        """Raise a ValueError where an arm is not known, or the primary contrast names one that does not run."""
        for arm in self.arms:
            if arm not in known:
                raise ValueError(f"arms: {arm!r} is not an arm{suggest(arm, known)}")
        for arm in self.primary:
            if arm not in self.arms:
                example = f"[{self.arms[-1]},{self.arms[0]}]"
                raise ValueError(
                    f"primary={list(self.primary)} names {arm!r}, which is not among arms={list(self.arms)}; "
                    f"name the contrast that matters most, such as primary={example}"
                )


def _set(protocol: Protocol, name: str, value: Any) -> None:
    object.__setattr__(protocol, name, value)


def _check_integer(name: str, value: Any, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{name}={value!r} must be an integer, {least} or more")


def _check_number(name: str, value: Any, allowed: str, test: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not test(value):
        raise ValueError(f"{name}={value!r} must be a number {allowed}")


def _sequence(name: str, value: Any) -> tuple[Any, ...]:
    if isinstance(value, str) or not isinstance(value, Sequence) or not len(value):
        raise ValueError(f"{name}={value!r} must be a list with at least one entry, such as {name}=[a,b]")
    return tuple(value)


def _pair(name: str, value: Any) -> tuple[str, str]:
    if isinstance(value, str) or not isinstance(value, Sequence) or len(value) != 2 or value[0] == value[1]:
        raise ValueError(f"{name}: {value!r} must be two different arms, [arm, base]")
    return str(value[0]), str(value[1])
