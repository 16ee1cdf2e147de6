"""A page of texts and their variants, each edit marked: what the whole pipeline does, and each of its transforms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from html import escape
from typing import TYPE_CHECKING

from augsynth.html import head
from augsynth.preview import always, arguments
from augsynth.rng import Rng
from augsynth.text.edits import Edit
from augsynth.text_run import edit_and_list
from augsynth.transforms import Transform

if TYPE_CHECKING:
    from augsynth.pipeline import Pipeline

MARKS = """:root { --new: #d7f0dd; --gone: #f7d9d6; --moved: #dbe7fa; }
@media (prefers-color-scheme: dark) { :root { --new: #1f4a30; --gone: #5a2a27; --moved: #243f66; } }
.same { color: var(--soft); }
ins, del, .moved { border-radius: .2em; padding: 0 .1em; }
ins { background: var(--new); text-decoration: none; }
del { background: var(--gone); }
.moved { background: var(--moved); }
"""
KEY = '<ins>new</ins>, <del>gone</del>, <span class="moved">moved</span>.'
# Ours is a light page with dark text, and the other way round where the reader's system asks for it.
STYLE = """:root {
  color-scheme: light dark;
  --paper: #fdfdfb; --ink: #1d2125; --soft: #5c656e; --line: #dfe2e0;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #16191c; --ink: #e6e8ea; --soft: #9aa4ad; --line: #31373d;
  }
}
body {
  margin: 0 auto; padding: 2.5rem 1.5rem 4rem; max-width: 60rem; background: var(--paper); color: var(--ink);
  font: 16px/1.6 system-ui, -apple-system, "Segoe UI", "Liberation Sans", sans-serif;
}
h1 { font-size: 1.55rem; line-height: 1.25; margin: 0 0 .8rem; }
h2 { font-size: 1.15rem; margin: 2.8rem 0 .2rem; padding-bottom: .4rem; border-bottom: 2px solid var(--line); }
p { margin: .5rem 0; max-width: 46rem; }
code { font: .9em/1.45 ui-monospace, "SF Mono", Menlo, "DejaVu Sans Mono", monospace; overflow-wrap: anywhere; }
.kicker, .soft { color: var(--soft); font-size: .88rem; }
section { padding: .8rem 0; border-bottom: 1px solid var(--line); }
.original { font-weight: 600; }
ol { margin: .2rem 0; padding-left: 1.6rem; }
li { overflow-wrap: anywhere; white-space: pre-wrap; }
li::marker { color: var(--soft); font-size: .8rem; }
@media print { section { break-inside: avoid; } }
"""


def page(pipeline: Pipeline, texts: Sequence[str], *, columns: int, seed: int, name: str) -> str:
    """Return the page as text: of each text `columns` variants by the whole pipeline, then by each transform alone.

    name: of the data. Raises ValueError where the pipeline has no transforms of text.
    """
    if pipeline.text_plan is None:
        raise ValueError("this pipeline has no transforms of text; on texts choose aeda, eda, text_light or typos")
    pipeline = replace(pipeline, seed=seed)
    parts = [
        head("preview of texts", STYLE + MARKS),
        _opening(pipeline, name),
        '<h2 id="whole">The whole pipeline</h2>',
    ]
    parts += [_section(pipeline, text, i, columns) for i, text in enumerate(texts)]
    for title, transform in pipeline.transforms.items():
        alone = replace(pipeline, transforms={title: always(transform)})
        if alone.text_plan is not None:
            parts.append(_title(title, transform))
            parts.append(_section(alone, max(texts, key=len), texts.index(max(texts, key=len)), columns))
    return "\n".join([*parts, "</body>\n</html>\n"])


def _opening(pipeline: Pipeline, name: str) -> str:
    return f"""<p class="kicker">augsynth preview</p>
<h1>Texts of {escape(name)}, and what becomes of them</h1>
<p>Each line is one draw of <code>pipeline(text, index=…)</code> with <code>seed={pipeline.seed}</code>:
{KEY} All else is as it was, to the byte.</p>
<p class="soft"><code>{escape(pipeline.explain().split(" (")[0])}</code></p>"""


def _title(title: str, transform: Transform) -> str:
    said = arguments(transform)
    return (
        f'<h2 id="{escape(title)}">{escape(title)}</h2>\n<p class="soft">{type(transform).__name__}'
        + (f" <code>{escape(said)}</code>" if said else "")
        + "</p>"
    )


def _section(pipeline: Pipeline, text: str, number: int, amount: int) -> str:
    assert pipeline.text_plan is not None
    # Draws of one text are its epochs, as in training.
    rng = Rng.of(pipeline.seed, [number] * amount, range(amount))
    edits = edit_and_list(pipeline.text_plan, [text] * amount, rng)[1]
    lines = "\n".join(f"<li>{marked(text, own)}</li>" for own in edits)
    return f'<section>\n<p class="original">{escape(text)}</p>\n<ol>\n{lines}\n</ol>\n</section>'


def marked(text: str, edits: Sequence[Edit]) -> str:
    """Return the edited text as HTML, with what is new, gone and moved marked."""
    if not edits:
        return f'<span class="same">{escape(text)}</span>'
    parts, at = [], 0
    for edit in edits:
        parts.append(escape(text[at : edit.start]))
        if edit.origin is not None:
            parts.append(f'<span class="moved">{escape(edit.text)}</span>')
        else:
            gone = text[edit.start : edit.end]
            parts.append(f"<del>{escape(gone)}</del>" if gone else "")
            parts.append(f"<ins>{escape(edit.text)}</ins>" if edit.text else "")
        at = edit.end
    return "".join([*parts, escape(text[at:])])
