"""What a pipeline does with texts and token ids, beside its call: for loaders, callbacks and comparisons."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

from augsynth.text.label_words import label_words
from augsynth.texts import TextPlan, edit_data, edit_samples
from augsynth.token_run import augment_tokens
from augsynth.transforms.text import is_unlearned, learned
from augsynth.transforms.textmix import TextCutMix

if TYPE_CHECKING:
    import torch

    from augsynth.finding import Rules
    from augsynth.program import Plan
    from augsynth.rng import Rng
    from augsynth.transforms.base import Transform


class Written:
    """The methods of `Pipeline` that are about texts and tokens; what it needs of it stands here without values."""

    if TYPE_CHECKING:
        transforms: Mapping[str, Transform]
        plan: Plan
        text_plan: Plan | None
        text_mix: str | None
        token_plan: Plan | None
        rules: Rules
        dtype: torch.dtype | None

    def tokens(self, batch: Any, rng: Rng, strength: float = 1.0) -> dict[str, Any]:
        """Augment a mapping with "input_ids" `(B, L)` under the keys of `rng`: see `augsynth.token_run`."""
        if self.token_plan is None:
            raise TypeError("Pipeline: it has no transform of tokens")
        return augment_tokens(self.token_plan, batch, rng, strength)

    @property
    def pictures(self) -> bool:
        """Tell whether it has anything for images; an empty pipeline passes them on."""
        return self.text_plan is None or bool(self.plan.leaves) or self.plan.normalize is not None

    @cached_property
    def idle(self) -> bool:
        """Tell that no sample is ever changed: there is no transform, or all have p=0."""
        if self.plan.normalize is not None or self.dtype is not None or self.plan.mixes or self.text_mix:
            return False
        return all(transform.p == 0 for transform in self.transforms.values())

    @cached_property
    def _texts(self) -> TextPlan:
        assert self.text_plan is not None
        transform = None if self.text_mix is None else self.transforms[self.text_mix]
        mix = (self.text_mix, transform) if self.text_mix and isinstance(transform, TextCutMix) else None
        return TextPlan(self.text_plan, mix)

    def write(self, samples: Sequence[Any], rng: Rng, strength: float = 1.0, key: Any = None, keys: Any = None) -> Any:
        """Edit the texts of a list of samples under the keys of `rng`; return them as they are where nothing edits."""
        if self.text_plan is None:
            return samples
        self._check_learned()
        rules = self.rules if keys is None else replace(self.rules, keys=keys)
        return edit_samples(self._texts, samples, rng, strength, rules, None if self.pictures else key)

    def write_batch(self, batch: Any, rng_of: Callable[[int], Rng], key: Any = None, strength: float = 1.0) -> Any:
        """Edit the texts of a batch, a list of strings somewhere in it; rng_of gives the keys of so many."""
        assert self.text_plan is not None
        self._check_learned()
        return edit_data(self._texts, batch, rng_of, strength, self.rules, None if self.pictures else key)

    def _check_learned(self) -> None:
        if "unlearned" not in self.text_plan.kept:  # type: ignore[union-attr]
            names = [name for name, transform in self.transforms.items() if is_unlearned(transform)]
            self.text_plan.kept["unlearned"] = ", ".join(names)  # type: ignore[union-attr]
        if names := self.text_plan.kept["unlearned"]:  # type: ignore[union-attr]
            raise ValueError(
                f'{names}: protect="labels" needs pipeline = pipeline.learn(train_texts, train_labels) first'
            )

    def learn(self, texts: Iterable[str], labels: Iterable[Any], p_value: float = 0.01) -> Self:
        """Return a pipeline whose transforms with protect="labels" leave the words alone by which classes differ.

        texts, labels: of the training set, and of nothing else. p_value: see `augsynth.text.label_words.label_words`.
        """
        if not any(map(is_unlearned, self.transforms.values())):
            return self
        words = label_words(texts, labels, p_value)
        given = {item.name: getattr(self, item.name) for item in fields(self) if item.init}  # type: ignore[arg-type]
        return type(self)(**{**given, "transforms": {name: learned(t, words) for name, t in self.transforms.items()}})
