"""Find the texts of a user's sample or batch, edit them, and put them back with spans and word labels in line."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch

from augsynth.batch import Path, describe, entries_of, is_dataclass
from augsynth.errors import SampleError
from augsynth.finding import Rules, get_entry, put_entries
from augsynth.program import Plan
from augsynth.rng import Rng
from augsynth.soft_labels import find_label
from augsynth.text.edits import Edit, SpanError, map_spans
from augsynth.text.words import edit_words, join
from augsynth.text_mixing import mix_labels, mix_texts
from augsynth.text_run import edit_and_list, edit_texts
from augsynth.transforms.text import Text
from augsynth.transforms.textmix import TextCutMix

TEXT_KEYS = ("text", "sentence", "sentence1", "sentence2", "premise", "hypothesis", "question", "caption")
SPAN_KEYS = ("spans", "entities", "ents")
WORD_KEYS = ("tokens", "words")
TAG_KEYS = ("ner_tags", "pos_tags", "chunk_tags", "tags", "labels")


@dataclass(frozen=True)
class TextPlan:
    """What a pipeline does with texts: edits, and behind them a mix of the batch, by name."""

    plan: Plan
    mix: tuple[str, TextCutMix] | None = None


@dataclass(frozen=True)
class Place:
    """Where one text of a sample stands: as a string or, in words, as a list of them; and what belongs to it."""

    path: Any
    in_words: bool = False
    spans: tuple[Any, ...] = ()
    tags: tuple[Any, ...] = ()


def find_texts(sample: Any, key: Path | Sequence[Path], rules: Rules, batched: bool = False) -> list[Place]:
    """Return where the texts of a sample, or of a batch as one sample, stand.

    key, or `keys` of the rules, says so; else a dict has them under `TEXT_KEYS`, or words under `WORD_KEYS` beside
    their tags, and a tuple as its only string. Raises TypeError naming what was seen where that is not clear.
    """
    entries = [(name, i, value) for i, (name, value) in enumerate(entries_of(sample))] if _is_container(sample) else []
    roles = {name: _role(rules, name, i, isinstance(sample, Mapping)) for name, i, _ in entries}
    if key is not None:
        wanted = list(key) if isinstance(key, (tuple, list)) else [key]
        missing = [name for name in wanted if name not in roles]
        if missing:
            raise TypeError(f"key={missing[0]!r} is not in {describe(sample)}")
    else:
        wanted = [name for name in roles if roles[name] == "text"]
        is_text = _is_batch_of_text if batched else _is_text
        if not wanted and rules.keys is None and not isinstance(sample, Mapping):
            wanted = [name for name, _, value in entries if is_text(value)]
            if len(wanted) > 1:
                raise TypeError(
                    f"{len(wanted)} texts in {describe(sample)}; say which to edit with key=, or name all entries with "
                    "keys=, such as keys=('text', 'label')"
                )
    belonging = {role: tuple(name for name in roles if roles[name] == role) for role in ("spans", "tags")}
    places = [Place(name, spans=belonging["spans"]) for name in wanted]
    if not places and belonging["tags"]:
        places = [Place(name, True, (), belonging["tags"]) for name in roles if roles[name] == "words"]
    if not places:
        raise TypeError(
            f"no text found in {describe(sample)}; say which entry is one with key=, or name all of them with keys="
        )
    if len(places) > 1 and belonging["spans"]:
        raise TypeError(f"{describe(sample)} has spans and several texts; say with key= which text they belong to")
    return places


def edit_data(
    plan: TextPlan, data: Any, rng_of: Callable[[int], Rng], strength: float, rules: Rules, key: Any = None
) -> Any:
    """Edit the texts of a string, a sample, a batch or a list of samples; rng_of gives the keys of so many."""
    if type(data) is str:
        _check_alone(plan, data)
        return edit_texts(plan.plan, [data], rng_of(1), strength)[0]
    if isinstance(data, list) and all(
        isinstance(entry, (str, tuple, Mapping)) or is_dataclass(entry) for entry in data
    ):
        return edit_samples(plan, data, rng_of(len(data)), strength, rules, key) if data else data
    if isinstance(data, np.ndarray) and _is_batch_of_text(data):
        _check_alone(plan, data)
        return _as(edit_texts(plan.plan, data.tolist(), rng_of(len(data)), strength), data)
    count = size_of(data, key, rules)
    if count is None:
        _check_alone(plan, data)
        return edit_samples(plan, [data], rng_of(1), strength, rules, key)[0]
    return edit_batch(plan, data, rng_of(count), strength, rules, key)


def edit_samples(
    plan: TextPlan, samples: Sequence[Any], rng: Rng, strength: float, rules: Rules, key: Any = None
) -> list[Any]:
    """Return samples (strings, or tuples and dicts around them) with their texts edited, in the structure they have."""
    if all(isinstance(sample, str) for sample in samples):
        _check_alone(plan, samples[0])
        return list(edit_texts(plan.plan, list(samples), rng, strength))
    for row, sample in enumerate(samples):
        if not _is_container(sample):
            raise SampleError(f"sample {row} (index {rng.index[row]}): no text in {describe(sample)}")
    places = find_texts(samples[0], key, rules)
    done = list(samples)
    for entry, place in enumerate(places):
        values = _edit(
            plan,
            lambda name: [_get(s, name, i, rng) for i, s in enumerate(samples)],
            place,
            rng,
            strength,
            rules,
            entry,
        )
        for name, column in values.items():
            done = [put_entries(sample, {(name,): value}) for sample, value in zip(done, column, strict=True)]
    if plan.mix is not None:
        place, label = _to_mix(plan.mix, places, samples[0], rules)
        texts, labels = _mixed(plan.mix, _gather(done, rng, place), [get_entry(s, label) for s in done], rng, strength)
        rows = zip(done, texts, labels, strict=True)
        done = [put_entries(sample, {(place,): text, label: soft}) for sample, text, soft in rows]
    return done


def edit_batch(plan: TextPlan, batch: Any, rng: Rng, strength: float, rules: Rules, key: Any = None) -> Any:
    """Return a batch (a tuple or dict around lists of strings) with its texts edited."""
    places = find_texts(batch, key, rules, batched=True)
    for entry, place in enumerate(places):
        values = _edit(plan, partial(_column, batch, rng), place, rng, strength, rules, entry)
        batch = put_entries(batch, {(name,): _as(value, get_entry(batch, (name,))) for name, value in values.items()})
    if plan.mix is not None:
        place, label = _to_mix(plan.mix, places, batch, rules)
        texts, labels = _mixed(plan.mix, _column(batch, rng, place), get_entry(batch, label), rng, strength)
        batch = put_entries(batch, {(place,): _as(texts, get_entry(batch, (place,))), label: labels})
    return batch


def size_of(data: Any, key: Any, rules: Rules) -> int | None:
    """Return how many samples a batch around lists of strings holds; None where data is one sample."""
    if not _is_container(data):
        return None
    unclear: TypeError | None = None
    for batched in (False, True):
        try:
            places = find_texts(data, key, rules, batched)
        except TypeError as error:
            if batched:
                raise unclear or error from None
            unclear = error
            continue
        value = get_entry(data, (places[0].path,))
        if places[0].in_words:
            return len(value) if value and not isinstance(value[0], str) else None
        if isinstance(value, str):
            return None
        if _is_batch_of_text(value):
            return len(value)
    raise TypeError(f"no text found in {describe(data)}; say which entry is one with key=, or keys=")


def _edit(
    plan: TextPlan,
    column: Callable[[Any], list[Any]],
    place: Place,
    rng: Rng,
    strength: float,
    rules: Rules,
    entry: int,
) -> dict[Any, list[Any]]:
    """Return the new values of a text and of what belongs to it, by name."""
    texts = column(place.path)
    if not place.spans and not place.in_words:
        return {place.path: edit_texts(plan.plan, texts, rng, strength, entry=entry)}
    _check_rewriters(plan.plan, place)
    words = texts
    if place.in_words:
        texts = [join(row) for row in words]
    done, edits = edit_and_list(plan.plan, texts, rng, strength, entry=entry)
    if place.in_words:
        tags = {name: column(name) for name in place.tags}
        parts = [edit_words(words[i], {n: tags[n][i] for n in tags}, edits[i]) for i in range(len(words))]
        return {place.path: [part[0] for part in parts], **{n: [part[1][n] for part in parts] for n in tags}}
    result: dict[Any, list[Any]] = {place.path: done}
    for name in place.spans:
        rows = enumerate(zip(column(name), texts, edits, strict=True))
        result[name] = [_mapped(spans, text, own, rules.span_policy, i, rng) for i, (spans, text, own) in rows]
    return result


def _mapped(spans: Any, text: str, edits: list[Edit], policy: str, row: int, rng: Rng) -> Any:
    where = f"sample {row} (index {rng.index[row]})"
    try:
        mapped = map_spans(spans, edits, policy, text)
    except SpanError as error:
        raise SpanError(f"{where}: {error}") from None
    except (ValueError, TypeError, KeyError) as error:
        raise SampleError(f"{where}: spans: {error}") from error
    return type(spans)(mapped) if isinstance(spans, (list, tuple)) else mapped


def _check_alone(plan: TextPlan, data: Any) -> None:
    if plan.mix is not None:
        raise TypeError(
            f"{plan.mix[0]} mixes the texts of a batch, and their labels with them; {describe(data)} has no label or "
            "no batch: give a batch of samples such as (text, label), as a wrapped dataset under a loader does"
        )


def _to_mix(mix: tuple[str, TextCutMix], places: list[Place], sample: Any, rules: Rules) -> tuple[Any, tuple[Any, ...]]:
    """Return where the text to be mixed and its label stand. Raises where either is not clear, or spans are present."""
    name = mix[0]
    if len(places) != 1 or places[0].spans or places[0].in_words:
        raise ValueError(f"{name} mixes samples of one text, without spans or labels of words; got {describe(sample)}")
    label = find_label(sample, places[0].path, rules)
    if label is None:
        raise TypeError(
            f"{name}: no label in {describe(sample)}, and labels are mixed with the texts; name it by keys="
        )
    return places[0].path, label


def _mixed(
    mix: tuple[str, TextCutMix], texts: list[str], labels: Any, rng: Rng, strength: float
) -> tuple[list[str], Any]:
    name, transform = mix
    if not isinstance(labels, torch.Tensor):
        labels = torch.as_tensor(np.asarray(labels))
    mixed, weights, partners = mix_texts(transform, texts, rng, strength, name)
    return mixed, mix_labels(labels, weights, partners, rng, transform.num_classes, name)


def _check_rewriters(plan: Plan, place: Place) -> None:
    for leaf in plan.leaves:
        if isinstance(leaf.transform, Text) and leaf.transform.rewrites:
            raise ValueError(
                f"{leaf.name}: {type(leaf.transform).__name__} writes the text anew, and "
                f"{', '.join(map(repr, place.spans or place.tags))} cannot follow; leave one of them out"
            )


def _role(rules: Rules, name: Any, position: int, mapping: bool) -> str | None:
    keys = rules.keys
    if isinstance(keys, Mapping):
        return keys.get(name, keys.get(position))
    if keys is not None:
        return keys[position] if position < len(keys) else None
    if not isinstance(name, str):
        return None
    for role, names in (("text", TEXT_KEYS), ("spans", SPAN_KEYS), ("words", WORD_KEYS), ("tags", TAG_KEYS)):
        if name in names:
            return role
    return None


def _is_container(sample: Any) -> bool:
    return isinstance(sample, (tuple, list, Mapping)) or is_dataclass(sample)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_batch_of_text(value: Any) -> bool:
    if isinstance(value, np.ndarray):
        return value.ndim == 1 and value.dtype.kind in "OU" and bool(len(value)) and isinstance(value[0], str)
    return isinstance(value, (list, tuple)) and bool(value) and all(isinstance(part, str) for part in value)


def _gather(samples: Sequence[Any], rng: Rng, name: Any) -> list[Any]:
    return [_get(sample, name, row, rng) for row, sample in enumerate(samples)]


def _get(sample: Any, name: Any, row: int, rng: Rng) -> Any:
    try:
        return get_entry(sample, (name,))
    except (KeyError, IndexError, TypeError, AttributeError):
        raise SampleError(f"sample {row} (index {rng.index[row]}): no entry {name!r} in {describe(sample)}") from None


def _column(batch: Any, rng: Rng, name: Any) -> list[Any]:
    values = list(get_entry(batch, (name,)))
    if len(values) != len(rng):
        raise ValueError(f"{name!r} has {len(values)} entries for {len(rng)} texts")
    return values


def _as(values: list[Any], like: Any) -> Any:
    if isinstance(like, np.ndarray):
        return np.array(values, dtype=object if like.dtype.kind == "O" else None)
    return tuple(values) if isinstance(like, tuple) else values
