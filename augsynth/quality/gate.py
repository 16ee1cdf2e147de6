"""What a generator must reach before its samples are mixed in with real ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

from augsynth.quality.copying import Copying


@dataclass(frozen=True)
class Metric:
    """One number about generated samples, and the same about as many held-out real ones in their place, if there is.

    quantity: such as "coverage". features: the extractor's name for what is measured on features, else "".
    """

    quantity: str
    value: float
    real: float | None = None
    features: str = ""

    @property
    def name(self) -> str:
        """The quantity and what it was measured on; a Fréchet distance is FID on Inception's features alone."""
        if self.features == "inception" and self.quantity == "FD":
            return "FID"
        return f"{self.quantity}({self.features})" if self.features else self.quantity


@dataclass(frozen=True)
class Gate:
    """Thresholds; each may be None, which turns it off.

    label_agreement: least accuracy on generated samples of a classifier trained on real ones, as a share of its
    accuracy on held-out real ones. worst_class: the same of each class. coverage: least share of held-out real samples
    with a generated one nearby, relative to real ones. copies: by how much the share of suspiciously near samples may
    exceed the holdout's, in any space; more where the holdout is too small to tell. usefulness: least accuracy on real
    samples after training on synthetic ones, as a share of that after real ones. fd_ratio: most, over the floor.
    """

    # On the demo data a variational autoencoder and latent SMOTE reach, in this order, 0.94 and 1.00, 0.56 and 0.66,
    # 0.67 and 0.65, -0.01 and 0.01, 0.90 and 0.92; see tests/test_evaluation.py for generators that must not pass.
    label_agreement: float | None = 0.8
    worst_class: float | None = 0.3
    coverage: float | None = 0.35
    copies: float | None = 0.05
    usefulness: float | None = 0.6
    # Off: the floor falls with the number of samples, so that no ratio is right for all.
    fd_ratio: float | None = None
    # Most that a generator's own `critic(images, labels)` may score training samples above held-out ones, in standard
    # deviations; off, because a discriminator that knows its training samples need not have told the generator.
    critic_gap: float | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float)) or not value >= 0):
                raise ValueError(f"Gate: {field.name}={value!r} must be a number from 0, or None to turn it off")

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Gate:
        """Build from a configuration. Raises: ValueError for a key that is no threshold."""
        known = [field.name for field in fields(cls)]
        for key in values:
            if key not in known:
                raise ValueError(f"Gate: {key!r} is no threshold; valid: {', '.join(known)}")
        return cls(**values)

    def reasons(
        self,
        metrics: Mapping[str, Metric],
        classes: Mapping[int, Mapping[str, Metric]],
        copies: Mapping[str, Copying],
    ) -> tuple[str, ...]:
        """Return why these results fail, a sentence with value and threshold each; nothing where they pass."""
        found = [*self._wholes(metrics), *self._classes(classes), *self._copies(copies), *self._most(metrics)]
        return tuple(found)

    def _wholes(self, metrics: Mapping[str, Metric]) -> Iterator[str]:
        least = {
            "label agreement": self.label_agreement,
            "coverage": self.coverage,
            "train synthetic, test real": self.usefulness,
        }
        for metric in metrics.values():
            if not metric.features.startswith(("random", "inception")):
                yield from _below(metric, least.get(metric.quantity))

    def _classes(self, classes: Mapping[int, Mapping[str, Metric]]) -> Iterator[str]:
        found = {}
        for label, metrics in classes.items():
            for reason in _below(metrics["label agreement"], self.worst_class):
                found[label] = reason
        if found:
            worst = min(found, key=lambda label: classes[label]["label agreement"].value)
            others = ", ".join(str(label) for label in found if label != worst)
            yield f"class {worst}: {found[worst]}" + (f"; too low in classes {others} too" if others else "")

    def _copies(self, copies: Mapping[str, Copying]) -> Iterator[str]:
        for space, found in copies.items():
            if self.copies is None:
                continue
            allowed = max(self.copies, found.noise)
            if not found.suspicious - found.expected <= allowed:
                limit = f"{found.expected + allowed:.1%} ({allowed:.1%} more than of held-out real samples)"
                seen = f"{found.suspicious:.1%} of the generated samples are suspiciously near to training samples"
                yield f"near copies({space}): {seen}, above {limit}"

    def _most(self, metrics: Mapping[str, Metric]) -> Iterator[str]:
        for metric in metrics.values():
            if metric.quantity == "FD" and self.fd_ratio is not None and metric.real is not None:
                limit = self.fd_ratio * metric.real
                if not metric.value <= limit:
                    floor = f"{self.fd_ratio:g} times the floor of real samples, {metric.real:.3f}"
                    yield f"{metric.name} {metric.value:.3f} is above {limit:.3f} ({floor})"
            if metric.quantity == "critic gap" and self.critic_gap is not None and not metric.value <= self.critic_gap:
                yield f"critic gap {metric.value:.3f} is above {self.critic_gap:g}"


def _below(metric: Metric, share: float | None) -> Iterator[str]:
    if share is None or metric.real is None:
        return
    # "not at least" also where the value is NaN.
    if not metric.value >= share * metric.real:
        yield (
            f"{metric.name} {metric.value:.3f} is below {share * metric.real:.3f} ({share:.0%} of what real samples "
            f"reach, {metric.real:.3f})"
        )
