"""What the transforms that run a language model have in common."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import torch

from augsynth.text import models
from augsynth.text.document import Document
from augsynth.text.stream import Stream
from augsynth.transforms.base import is_number
from augsynth.transforms.text import Text

__all__: list[str] = []


@dataclass(frozen=True, kw_only=True)
class Modelled(Text):
    """A transform that runs language models of transformers on a whole batch, in the main process.

    A model is a folder that `save_pretrained` has written, or a model built already with its tokenizer. device: for a
    folder, "cpu" by default; a built model stays where it is. batch_tokens: tokens of one forward pass, padding
    included; what the model makes of them takes 4 bytes * batch_tokens * the size of the vocabulary.
    Pickling keeps the folder's name; a transform with a built model cannot be pickled.
    """

    device: str | None = None
    batch_tokens: int = 2048

    slots: ClassVar[Mapping[str, tuple[str, str]]] = {}  # field of a model -> field of its tokenizer, kind

    def __post_init__(self) -> None:
        super().__post_init__()
        for model, (tokenizer, _) in self.slots.items():
            self._check_model(model, tokenizer)
        self.check_count("batch_tokens")
        try:
            torch.device(self.device or "cpu")
        except (RuntimeError, TypeError):
            self.fail("device", 'None or the name of a device, such as "cuda"')

    def _check_model(self, model: str, tokenizer: str) -> None:
        if isinstance(getattr(self, model), (str, Path)):
            if getattr(self, tokenizer) is not None:
                self.fail(tokenizer, f"None where {model} is a folder, which has its own tokenizer")
        elif not callable(getattr(getattr(self, model), "forward", None)):
            self.fail(model, "the path of a folder, or a model of transformers")
        elif not callable(getattr(self, tokenizer)):
            self.fail(tokenizer, f"the tokenizer of the model that {model} is")
        elif self.device is not None:
            self.fail("device", f"None where {model} is built already: move the model yourself")

    def __getstate__(self) -> dict[str, Any]:
        built = [name for name in self.slots if not isinstance(getattr(self, name), (str, Path))]
        if built:
            raise TypeError(
                f"{type(self).__name__}: {built[0]} is a model that is built already, and is not pickled; save it with "
                "save_pretrained, with its tokenizer, and give the folder"
            )
        return super().__getstate__()

    def __deepcopy__(self, memo: Any) -> Modelled:
        return self  # nothing in it changes, and a model is large

    def language(self, field: str) -> models.Language:
        """Return the model of a field. Raises ModelError in a worker, or where there is no such model."""
        models.check_process(type(self).__name__)
        value = getattr(self, field)
        if isinstance(value, (str, Path)):
            return models.load(self.slots[field][1], value, self.device)
        return self._built[field]

    @cached_property
    def _built(self) -> dict[str, models.Language]:
        name = type(self).__name__
        return {
            field: models.Language(getattr(self, field), getattr(self, tokenizer), f"{name}: {field}")
            for field, (tokenizer, _) in self.slots.items()
        }

    def edit(self, document: Document, stream: Stream, strength: float) -> None:
        self.edit_batch([document], [stream], strength)

    def edit_batch(self, documents: Sequence[Document], streams: Sequence[Stream], strength: float) -> None:
        """Add edits to all documents of a batch; each gets what it would get alone, up to the rounding of floats."""
        raise TypeError(f"{type(self).__name__} does not edit")

    def warn(self, number: int, total: int, what: str) -> None:
        """Warn of a number of texts, if there are any."""
        if number:
            message = f"{type(self).__name__}: {number} of {total} texts {what}"
            warnings.warn(message, UserWarning, stacklevel=3)

    def check_count(self, *names: str) -> None:
        """Raise ValueError for a field that is no whole number above 0."""
        for name in names:
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                self.fail(name, "a whole number, 1 or more")

    def check_sampling(self) -> None:
        """Check top_k and temperature."""
        self.check_count("top_k")
        value: Any = getattr(self, "temperature", None)
        if not (is_number(value) and value > 0):
            self.fail("temperature", "a number above 0")
