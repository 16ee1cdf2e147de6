"""The gallery as one self-contained HTML page: each transform from weak to strong, with what is to be known of it."""

from __future__ import annotations

import base64
import inspect
import io
import re
from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files

from augsynth.gallery.catalogue import FOLLOW, PARTS, REFUSE, STAY, Facts, changed, facts, signature
from augsynth.gallery.entries import NOTES
from augsynth.gallery.exhibits import Exhibit, same
from augsynth.gallery.overlay import picture
from augsynth.gallery.subject import Sample
from augsynth.html import head
from augsynth.transforms.base import snake

# Longest side of a picture on the page, in pixels; it is shown at about two thirds of that.
LARGEST = 256
QUALITY = 75
TARGETS = {
    FOLLOW: "masks, boxes and keypoints follow",
    STAY: "stay where they are",
    REFUSE: "refused: it cannot be said where they went",
    PARTS: "as its parts treat them",
}
WHOSE = {"torchvision": "torchvision's", "albumentations": "albumentations'", "": "our own"}


def page(exhibits: Mapping[str, Sequence[Exhibit]], seed: int) -> str:
    """Return the page as text. exhibits: by the titles of their families."""
    style = (files("augsynth.gallery") / "page.css").read_text(encoding="utf-8")
    originals = {one.ground: one.original for shown in exhibits.values() for one in shown}
    style += "".join(_original(ground, sample) for ground, sample in originals.items())
    parts = [head("all transforms", style), _opening(exhibits, seed), _contents(exhibits)]
    for title, shown in exhibits.items():
        parts.append(f'<h2 id="{_anchor(title)}">{escape(title)}</h2>')
        parts += [_article(one, title, last=one is shown[-1]) for one in shown]
    return "\n".join([*parts, "</body>\n</html>\n"])


def _original(ground: str, sample: Sample) -> str:
    """Return the style that shows an original, which stands in many rows and once in the page."""
    width, height = _size(sample, max(sample["image"].shape[:2]))
    uri = data_uri(sample, (width, height))
    return f".{ground} {{ background-image: url({uri}); aspect-ratio: {width} / {height}; }}\n"


def _opening(exhibits: Mapping[str, Sequence[Exhibit]], seed: int) -> str:
    amount = sum(map(len, exhibits.values()))
    return f"""<p class="kicker">augsynth preview --all</p>
<h1>{amount} transforms, from weak to strong</h1>
<p>Each row is one draw, the same at every strength: <code>pipeline(sample, index=…, strength=…)</code> with
<code>seed={seed}</code>. The strength is a factor on every range and on <code>p</code>, so what cannot grow, such as a
flip, sets in at some strength. The arguments are chosen to be seen, not to train with.</p>
<p>Where pixels move, <span class="key box"></span> boxes, <span class="key mask"></span> masks and
<span class="key point"></span> keypoints are drawn as the pipeline returns them. Pictures of one row have one
scale.</p>
<p class="soft">“Runs as” is what <code>Pipeline.explain()</code> calls the pass: neighbouring warps become one
resample, neighbouring colours one pass; the other words are passes of their own.</p>"""


def _contents(exhibits: Mapping[str, Sequence[Exhibit]]) -> str:
    rows = []
    for title, shown in exhibits.items():
        links = " ".join(f'<a href="#{_anchor(one.name)}">{one.name}</a>' for one in shown)
        rows.append(f'<a href="#{_anchor(title)}">{escape(title)}</a><div>{links}</div>')
    return f'<nav aria-label="Contents">{"".join(rows)}</nav>'


def _anchor(name: str) -> str:
    return re.sub(r"\W+", "-", snake(name)).strip("-")


def _article(one: Exhibit, family: str, last: bool) -> str:
    anchor = _anchor(one.name)
    text = [
        f'<h3><a href="#{anchor}">{one.name}</a></h3>',
        f'<p class="signature"><code>{_signature(one)}</code></p>',
        *_docstring(one),
    ]
    note = f" {escape(NOTES[one.name])}" if one.name in NOTES else ""
    below = f'<p class="here">Here: <code>{escape(changed(one.transform))}</code>{note and "."}{note}</p>'
    return (
        f'<article id="{anchor}"{" class=last" if last else ""}>\n<div class="text">{"".join(text)}</div>\n'
        f'<div><div class="tiles" style="--columns: {1 + len(one.shown)}">{_tiles(one)}</div>\n'
        f"{below}{_facts(facts(one.name, family))}</div>\n</article>"
    )


def _signature(one: Exhibit) -> str:
    arguments = (
        f"<b>{name}</b>" if default is None else f"<b>{name}</b>={escape(default)}"
        for name, default in signature(type(one.transform))
    )
    return f"({', '.join(arguments)})"


def _docstring(one: Exhibit) -> list[str]:
    text = inspect.cleandoc(type(one.transform).__doc__ or "")
    paragraphs = [" ".join(paragraph.split()) for paragraph in text.split("\n\n") if paragraph.strip()]
    return [f"<p>{_marked(paragraph)}</p>" for paragraph in paragraphs]


def _marked(text: str) -> str:
    """Escape, with what stands in backticks as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def _facts(known: Facts) -> str:
    rows = [
        ("runs as", ", ".join(known.runs)),
        ("targets", TARGETS[known.targets]),
        ("name and arguments", WHOSE[known.origin]),
    ]
    return f'<dl class="facts">{"".join(f"<div><dt>{a}</dt><dd>{b}</dd></div>" for a, b in rows)}</dl>'


def _tiles(one: Exhibit) -> str:
    """Return the original, and the exhibit at each strength, or once where the strength changes nothing."""
    extent = max(max(sample["image"].shape[:2]) for sample in (one.original, *one.shown.values()))
    share = 100 * one.original["image"].shape[1] / extent
    original = f'<div role="img" aria-label="original" class="whole {one.ground}" style="width: {share:.4g}%"></div>'
    shown = {_caption(one, strength): sample for strength, sample in one.shown.items()}
    if one.steady:
        caption, sample = next(iter(shown.items()))
        shown = {re.sub("<b>.*</b>", "<b>at any strength</b>", caption): sample}
    tiles = [_figure(_image(one.name, sample, caption, extent), caption) for caption, sample in shown.items()]
    return "".join([_figure(original, "<b>original</b>"), *tiles])


def _caption(one: Exhibit, strength: float) -> str:
    sample = one.shown[strength]
    height, width = sample["image"].shape[:2]
    if same(one.original, sample):
        return f"<b>{strength:g}</b> unchanged"
    resized = sample["image"].shape != one.original["image"].shape
    return f"<b>{strength:g}</b>" + (f" {width} &times; {height}" if resized else "")


def _figure(inner: str, caption: str) -> str:
    return f'<figure><div class="frame">{inner}</div><figcaption>{caption}</figcaption></figure>'


def _image(name: str, sample: Sample, caption: str, extent: int) -> str:
    """Return one picture, as wide as it is in a square that stands for `extent` pixels."""
    size = _size(sample, extent)
    share = 100 * sample["image"].shape[1] / extent
    label = f"{name}: {re.sub('<[^>]+>', '', caption)}"
    return (
        f'<img loading="lazy" width="{size[0]}" height="{size[1]}" style="width: {share:.4g}%" alt="{label}" '
        f'src="{data_uri(sample, size)}">'
    )


def _size(sample: Sample, extent: int) -> tuple[int, int]:
    """Return width and height on a scale on which `extent` pixels are at most `LARGEST`."""
    height, width = (max(round(side * min(1.0, LARGEST / extent)), 1) for side in sample["image"].shape[:2])
    return width, height


def data_uri(sample: Sample, size: tuple[int, int]) -> str:
    """Return a sample's picture at (width, height) pixels as a JPEG inside a data: address."""
    stream = io.BytesIO()
    picture(sample, size).save(stream, "JPEG", quality=QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode()
