"""Texts translated into another language and back."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from augsynth.text.document import Document
from augsynth.text.edits import Edit, splice
from augsynth.text.models import Language, evaluating, groups, padded
from augsynth.text.rewriting import keeps_held
from augsynth.text.stream import Stream
from augsynth.transforms.modelled import Modelled

__all__ = ["BackTranslation"]

# A line, without the white space around it: models do not keep line breaks.
_LINE = re.compile(r"\S(?:[^\n]*\S)?")


@dataclass(frozen=True, kw_only=True)
class BackTranslation(Modelled):
    """Translate texts by one model and back by another, line by line. Source: arXiv:1511.06709; UDA, arXiv:1904.12848.

    forward, backward, their tokenizers: see `Modelled`. A prefix, such as ">>fra<< ", is put before each line.
    do_sample: draw each token from the top_k at a temperature, by keyed numbers; else beams, the same every epoch.
    A line beyond the window is cut. A text stays as it was where a translation does not end within max_new_tokens,
    is empty, or has lost a word that `protect` holds. Warnings count both. rate and bounds have no meaning here.
    """

    forward: Any
    backward: Any
    forward_tokenizer: Any = None
    backward_tokenizer: Any = None
    forward_prefix: str = ""
    backward_prefix: str = ""
    do_sample: bool = True
    top_k: int = 20
    temperature: float = 1.0
    num_beams: int = 1
    max_new_tokens: int = 256

    rewrites: ClassVar[bool] = True
    slots: ClassVar[Mapping[str, tuple[str, str]]] = {
        "forward": ("forward_tokenizer", "translation"),
        "backward": ("backward_tokenizer", "translation"),
    }

    def validate(self) -> None:
        self.check_sampling()
        self.check_count("num_beams", "max_new_tokens")
        if self.do_sample and self.num_beams > 1:
            self.fail("num_beams", "1 with do_sample=True; beams need do_sample=False")
        for name in ("forward_prefix", "backward_prefix"):
            if not isinstance(getattr(self, name), str):
                self.fail(name, "a string")
        for name, default in (("rate", 0.1), ("min_edits", 0), ("max_edits", None)):
            if getattr(self, name) != default:
                self.fail(name, f"{default}: whole strings are translated, a share p of them")

    def edit_batch(self, documents: Sequence[Document], streams: Sequence[Stream], strength: float) -> None:
        languages = self.language("forward"), self.language("backward")
        texts = [splice(document.text, document.edits) for document in documents]
        places = [(i, *match.span()) for i, text in enumerate(texts) for match in _LINE.finditer(text)]
        lines: list[str | None] = [texts[i][start:end] for i, start, end in places]
        cut: set[int] = set()
        for language, prefix in zip(languages, (self.forward_prefix, self.backward_prefix), strict=True):
            keys = [Stream((streams[i].word(), streams[i].word())) for i, _, _ in places]
            lines, long = self._translated(language, prefix, lines, keys)
            cut |= {places[k][0] for k in long}
        edits: list[list[Edit] | None] = [[] for _ in texts]
        for (i, start, end), line in zip(places, lines, strict=True):
            found = edits[i]
            if line is None:
                edits[i] = None
            elif found is not None:
                found.append(Edit(start, end, line))
        taken = [self._take(*pair) for pair in zip(documents, texts, edits, strict=True)]
        windows = " and ".join(str(language.window) for language in languages)
        self.warn(len(cut), len(texts), f"have lines longer than the models' windows of {windows} tokens, and are cut")
        self.warn(taken.count(False), len(texts), _STAY.format(self.max_new_tokens))

    def _take(self, document: Document, text: str, edits: list[Edit] | None) -> bool:
        """Let the document become its translation; False where it cannot."""
        new = None if edits is None else splice(text, edits)
        if new is None or not keeps_held(document, new):
            return False
        if new != text:
            document.edits.clear()
            document.replace(0, len(document.text), new)
        return True

    def _translated(
        self, language: Language, prefix: str, lines: Sequence[str | None], streams: Sequence[Stream]
    ) -> tuple[list[str | None], list[int]]:
        """Return the translations, None for what has none, and which lines were cut."""
        result: list[str | None] = [None] * len(lines)
        rows = [k for k, line in enumerate(lines) if line]
        encoded = [_encoded(language, f"{prefix}{lines[k]}") for k in rows]
        for group in groups([len(ids) for ids, _ in encoded], self.batch_tokens):
            ids, mask = padded([encoded[g][0] for g in group], language.tokenizer.pad_token_id, language.device)
            for g, line in zip(
                group, self._generated(language, ids, mask, [streams[rows[g]] for g in group]), strict=True
            ):
                result[rows[g]] = line
        return result, [k for k, (_, long) in zip(rows, encoded, strict=True) if long]

    def _generated(
        self, language: Language, ids: torch.Tensor, mask: torch.Tensor, streams: Sequence[Stream]
    ) -> list[str | None]:
        config = self._config(language.model.generation_config)
        processors = [Drawing(streams, self.top_k, self.temperature)] if self.do_sample else []
        with evaluating(language.model):
            made = language.model.generate(
                input_ids=ids, attention_mask=mask, generation_config=config, logits_processor=processors
            )
        ends = config.eos_token_id if isinstance(config.eos_token_id, list) else [config.eos_token_id]
        result: list[str | None] = []
        for row in made.tolist():
            # The first one starts the text, and is the end token itself in some models.
            ended = not set(ends).isdisjoint(row[1:])
            line = language.tokenizer.decode(row, skip_special_tokens=True, clean_up_tokenization_spaces=False).strip()
            result.append(line if ended and line else None)
        return result

    def _config(self, own: Any) -> Any:
        """Return the model's own settings of generation, but for those that are ours."""
        config = copy.deepcopy(own)
        config.update(do_sample=False, temperature=1.0, top_k=50, top_p=1.0)  # the defaults: `Drawing` has ours
        config.update(num_beams=self.num_beams, num_return_sequences=1, return_dict_in_generate=False)
        if own.max_new_tokens is not None:
            config.max_new_tokens = self.max_new_tokens
        else:  # both at once are logged as a mistake; the start token counts
            config.max_length = self.max_new_tokens + 1
        return config


_STAY = "stay as they were: a translation did not end within {} tokens, was empty, or lost words that are protected"


def _encoded(language: Language, text: str) -> tuple[list[int], bool]:
    """Return the ids of a text, no more than the model can read, and whether there were more."""
    ids = language.tokenizer(text, verbose=False)["input_ids"]
    window = language.window
    if window is None or len(ids) <= window:
        return list(ids), False
    return list(language.tokenizer(text, truncation=True, max_length=window)["input_ids"]), True


class Drawing:
    """Leave one token of each row, drawn by the row's own stream: what `generate` then takes for the most likely."""

    def __init__(self, streams: Sequence[Stream], top_k: int, temperature: float) -> None:
        self.streams, self.top_k, self.temperature = streams, top_k, temperature

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Take scores `(B, V)`, return them with one finite entry in each row."""
        values, ids = scores.topk(min(self.top_k, scores.shape[1]))
        # In the order of their ids: that of nearly equal scores depends on the padding.
        ids, order = ids.sort(-1)
        weights = (values.gather(1, order).double().cpu() / self.temperature).softmax(-1).cumsum(-1)
        numbers = torch.tensor([[stream.uniform()] for stream in self.streams], dtype=torch.float64)
        drawn = (weights <= numbers * weights[:, -1:]).sum(-1, keepdim=True).clamp(max=ids.shape[1] - 1)
        return torch.full_like(scores, -torch.inf).scatter(1, ids.gather(1, drawn.to(ids.device)), 0.0)
