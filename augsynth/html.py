"""How our HTML pages begin."""

from __future__ import annotations

from html import escape

# The policy makes browsers enforce what a page promises: nothing is fetched.
_HEAD = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<title>augsynth {title}</title>
<style>
{style}</style>
</head>
<body>
"""


def head(title: str, style: str) -> str:
    """Return the page up to its content. title: text, after the name of the library; style: CSS, taken as it is."""
    return _HEAD.format(title=escape(title), style=style)
