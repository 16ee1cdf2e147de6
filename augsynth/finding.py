"""Where masks, boxes and keypoints stand in a user's sample, and which rules they follow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from augsynth.batch import IMAGE_KEYS, Path, describe, entries_of, fields_of, is_dataclass, target_class, with_fields
from augsynth.boxes import FORMATS
from augsynth.target_values import split_batch
from augsynth.text.edits import POLICIES
from augsynth.transforms.base import is_number, is_pair

_ROLES = {
    **dict.fromkeys(IMAGE_KEYS, "image"),
    **dict.fromkeys(("mask", "masks", "segmentation"), "mask"),
    **dict.fromkeys(("boxes", "bboxes", "bbox"), "boxes"),
    "keypoints": "keypoints",
}
_NAMES = (*_ROLES, "labels", "label", "text", "spans", "words", "tags")
PLAIN = frozenset((int, float, str, bool, type(None)))
INSTANCES = "masks"  # the key under which detection models have one mask per box
LABEL_KEYS = ("labels", "area", "iscrowd")
Place = tuple[tuple[Any, ...], bool]
Keys = Sequence[str | None] | Mapping[Any, str | None]


@dataclass(frozen=True)
class Rules:
    """How a pipeline treats targets; each field is an argument of `Pipeline`.

    keys: names of a tuple's entries, such as ("image", "mask"), or a mapping from keys to them; None or "label" is left
    alone. mask_fill: what masks get outside the image (flags and single objects 0). box_format: of boxes that are no
    tv_tensors. min_area (square pixels), min_visibility (0 to 1, of the box's area): below them boxes are dropped.
    label_keys: what stands beside boxes and goes with them. flip_pairs: keypoints that change places in a mirror image.
    span_policy: what becomes of a span in a text that an edit touches, see `augsynth.text.edits.map_spans`.
    """

    keys: Keys | None = None
    mask_fill: float = 0
    box_format: str = "xyxy"
    min_area: float = 0.0
    min_visibility: float = 0.0
    label_keys: tuple[str, ...] = LABEL_KEYS
    flip_pairs: tuple[tuple[int, int], ...] = ()
    span_policy: str = "keep"

    def __post_init__(self) -> None:
        for item in fields(self):
            object.__setattr__(self, item.name, _frozen(getattr(self, item.name)))
        if isinstance(self.label_keys, str):
            object.__setattr__(self, "label_keys", (self.label_keys,))
        names = self.keys.values() if isinstance(self.keys, Mapping) else self.keys or ()
        if isinstance(self.keys, str) or not all(name is None or name in _NAMES for name in names):
            self._fail(
                "keys", f"a tuple with a name per entry of the sample, or a mapping to names: {', '.join(_NAMES)}"
            )
        if not is_number(self.mask_fill):
            self._fail("mask_fill", "a number")
        if self.box_format not in FORMATS:
            self._fail("box_format", "one of " + ", ".join(FORMATS))
        if not (is_number(self.min_area) and self.min_area >= 0):
            self._fail("min_area", "a number >= 0, in square pixels")
        if not (is_number(self.min_visibility) and 0 <= self.min_visibility <= 1):
            self._fail("min_visibility", "a number from 0 to 1")
        if not all(isinstance(name, str) for name in self.label_keys):
            self._fail("label_keys", "names of fields")
        if not all(is_pair(pair) and all(isinstance(v, int) and v >= 0 for v in pair) for pair in self.flip_pairs):
            self._fail("flip_pairs", "pairs of positions of keypoints, such as ((1, 2), (3, 4))")
        if self.span_policy not in POLICIES:
            self._fail("span_policy", "one of " + ", ".join(POLICIES))

    def _fail(self, field: str, allowed: str) -> None:
        raise ValueError(f"Pipeline: {field}={getattr(self, field)!r} is not valid; expected {allowed}")

    @property
    def image(self) -> Path:
        """Where `keys` says that the image stands, or None."""
        pairs = self.keys.items() if isinstance(self.keys, Mapping) else enumerate(self.keys or ())
        return next((path for path, name in pairs if name in IMAGE_KEYS), None)

    def role(self, name: Any, position: int, value: Any, top: bool) -> str | None:
        """Return what an entry is: mask, boxes, keypoints, labels, another name, or None for what nobody names."""
        if value is None:
            return None
        if isinstance(self.keys, Mapping):
            for path in (name, position):
                if path in self.keys and (top or isinstance(path, str)):
                    return self._named(self.keys[path])
        elif self.keys is not None and top:
            return self._named(self.keys[position])
        found = target_class(value)
        if found is None and name in self.label_keys:
            return "labels"
        return found or (_ROLES.get(name) if isinstance(name, str) else None)

    def _named(self, name: str | None) -> str:
        return _ROLES.get(name or "", name or "nothing")


def _frozen(value: Any) -> Any:
    """Turn lists, which a configuration has for tuples, into tuples."""
    return tuple(map(_frozen, value)) if isinstance(value, (list, tuple)) else value


@dataclass(frozen=True)
class Entry:
    """One target of one sample: where it stands, in words and in the user's sample number `holder`, and its owner.

    owner: row of the batch. batched: the value is a part of what stands at `path`. name: its key or field name.
    """

    where: str
    holder: int
    path: tuple[Any, ...]
    role: str
    owner: int
    value: Any
    batched: bool = False

    @property
    def group(self) -> tuple[Any, ...]:
        """What entries of one container and one sample share: boxes and what belongs to them."""
        return self.holder, self.owner, self.path[:-1]


def find_entries(
    samples: Sequence[Any], paths: Sequence[Path], rules: Rules, index: Sequence[int], count: int | None = None
) -> list[Entry]:
    """Find the targets of samples whose images stand at `paths`.

    index: of each image, for error messages. count: images in the only sample, where that is a batch.
    Raises TypeError or ValueError where `keys` does not fit, or a target does not suit the batch.
    """
    found: list[Entry] = []
    for holder, (sample, path) in enumerate(zip(samples, paths, strict=True)):
        if path is not None and not (rules.keys is None and is_bare(sample, path)):
            walk = _Walk(rules, index, holder, path, count)
            walk.check_keys(sample)
            found += walk.entries(sample, (), holder if count is None else None)
    return found


def is_bare(sample: Any, path: Path) -> bool:
    """Tell at a glance that an image has nothing but numbers and strings beside it, as most have."""
    if type(sample) is tuple:
        return all(type(value) in PLAIN or position == path for position, value in enumerate(sample))
    if type(sample) is dict:
        return all(name == path or (type(value) in PLAIN and name not in _ROLES) for name, value in sample.items())
    return False


def places_of(sample: Any, path: Path, rules: Rules) -> list[Place]:
    """Return where a sample's targets stand, and which vary in number from sample to sample: boxes and theirs."""
    if path is None:
        return []
    entries = list(_Walk(rules, (0,), 0, path, None).entries(sample, (), 0))
    boxed = {entry.group for entry in entries if entry.role == "boxes"}
    return [(e.path, e.group in boxed and (e.role != "mask" or e.path[-1] == INSTANCES)) for e in entries]


@dataclass(frozen=True)
class _Walk:
    rules: Rules
    index: Sequence[int]
    holder: int
    image: Path
    count: int | None

    def check_keys(self, sample: Any) -> None:
        keys = self.rules.keys
        if keys is not None and not isinstance(keys, Mapping) and len(keys) != len(entries_of(sample)):
            raise ValueError(
                f"{self._where(self.holder)}: keys={keys!r} names {len(keys)} entries of {describe(sample)}; "
                "give one name per entry, None for what stays as it is"
            )

    def _where(self, row: int) -> str:
        return f"sample {row} (index {int(self.index[row])})"

    def entries(self, container: Any, path: tuple[Any, ...], owner: int | None) -> Iterator[Entry]:
        """Yield the targets in a container that belongs to a sample, or to all samples of the batch (owner None)."""
        top, labels, boxes = not path, [], False
        for position, (name, value) in enumerate(entries_of(container)):
            if top and self.image in (name, position):
                continue
            role, at = self.rules.role(name, position, value, top), (*path, name)
            if role in ("mask", "boxes", "keypoints"):
                boxes = boxes or role == "boxes"
                yield from self._entry(at, role, owner, value)
            elif role == "labels":
                labels.append((at, value))
            elif role is None and (isinstance(value, (Mapping, tuple, list)) or is_dataclass(value)):
                yield from self._inside(value, at, owner)
        if boxes:
            for at, value in labels:
                yield from self._entry(at, "labels", owner, value)

    def _entry(self, path: tuple[Any, ...], role: str, owner: int | None, value: Any) -> Iterator[Entry]:
        label = repr(".".join(map(str, path)))
        if owner is not None:
            yield Entry(f"{self._where(owner)}: {label}", self.holder, path, role, owner, value)
            return
        assert self.count is not None
        for row, part in enumerate(split_batch(value, self.count, label)):
            yield Entry(f"{self._where(row)}: {label}", self.holder, path, role, row, part, batched=True)

    def _inside(self, value: Any, path: tuple[Any, ...], owner: int | None) -> Iterator[Entry]:
        if type(value) in (list, tuple) and all(type(part) in PLAIN for part in value):
            return  # of which there may be many
        listed = owner is None and not isinstance(value, Mapping) and len(value) == self.count
        if listed and all(isinstance(part, Mapping) for part in value):
            # Per sample a dict of its own, as detection models take them.
            for row, part in enumerate(value):
                yield from self.entries(part, (*path, row), row)
        else:
            yield from self.entries(value, path, owner)


def get_entry(sample: Any, path: tuple[Any, ...]) -> Any:
    """Return what stands at a path of names."""
    for name in path:
        sample = getattr(sample, name) if isinstance(name, str) and fields_of(sample) is not None else sample[name]
    return sample


def put_entries(sample: Any, values: Mapping[tuple[Any, ...], Any]) -> Any:
    """Return a sample of the same type with `values` at their paths; the given one is not changed."""
    if () in values:
        return values[()]
    inner: dict[Any, dict[tuple[Any, ...], Any]] = {}
    for path, value in values.items():
        inner.setdefault(path[0], {})[path[1:]] = value
    changed = {name: put_entries(value, inner[name]) for name, value in entries_of(sample) if name in inner}
    if isinstance(sample, Mapping):
        return type(sample)({**sample, **changed})  # type: ignore[call-arg]
    if fields_of(sample) is not None:
        return with_fields(sample, changed)
    return type(sample)([changed.get(i, value) for i, value in enumerate(sample)])
