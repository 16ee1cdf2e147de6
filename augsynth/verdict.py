"""Whether an evaluation has let a generator pass, and of which weights it spoke."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch

from augsynth.errors import AugsynthError
from augsynth.provenance import weights_hash

ADVICE = "run augsynth.quality.evaluate(generator, train, holdout) first, or pass gate=None"


class GateError(AugsynthError):
    """A generator must not be mixed in: its evaluation failed, or it has none."""


@dataclass(frozen=True)
class Verdict:
    """What `augsynth.quality.evaluate` leaves on a generator as its attribute `verdict`.

    reasons: why it failed, empty where it passed. checkpoint: hash of the weights that were evaluated, "" if unknown.
    """

    passed: bool
    reasons: tuple[str, ...] = ()
    checkpoint: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values."""
        return {**asdict(self), "reasons": list(self.reasons)}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Verdict:
        """Build from what `to_dict` gave."""
        return cls(bool(fields["passed"]), tuple(map(str, fields["reasons"])), str(fields["checkpoint"]))


def checkpoint_of(generator: Any) -> str:
    """Return the hash of a generator's weights; "" for one that has neither `checkpoint_hash` nor a state dict."""
    if callable(getattr(generator, "checkpoint_hash", None)):
        return str(generator.checkpoint_hash())
    return weights_hash(generator.state_dict()) if isinstance(generator, torch.nn.Module) else ""


def record(generator: Any, verdict: Verdict) -> None:
    """Leave `verdict` on the generator, also on a frozen dataclass; one with slots keeps none."""
    try:
        setattr(generator, "verdict", verdict)  # noqa: B010
    except AttributeError:
        if hasattr(generator, "__dict__"):
            object.__setattr__(generator, "verdict", verdict)


def require(generator: Any, gate: str | None, who: str) -> None:
    """Let a generator pass that was evaluated with its present weights and passed; any where gate is None.

    gate: "passed" or None. Raises: GateError that says why and what to do; ValueError for another gate.
    """
    if gate is None:
        return
    if gate != "passed":
        raise ValueError(f'{who}: gate={gate!r} must be "passed", or None for a generator that was not evaluated')
    name, verdict = type(generator).__name__, getattr(generator, "verdict", None)
    if not isinstance(verdict, Verdict):
        raise GateError(f"{who}: this {name} was never evaluated: {ADVICE}")
    if verdict.checkpoint != checkpoint_of(generator):
        raise GateError(f"{who}: this {name} has other weights than when it was evaluated: {ADVICE}")
    if not verdict.passed:
        reasons = "; ".join(verdict.reasons)
        raise GateError(f"{who}: this {name} failed its evaluation: {reasons}. Train a better one, or pass gate=None")
