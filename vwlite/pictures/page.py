"""A page of charts: one HTML file that needs nothing else, with the same code for SVG as the page of the service."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from importlib import resources

from vwlite.pictures.chart import Chart

POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:"


def asset(name: str) -> str:
    """A file of the page."""
    return resources.files("vwlite.pictures").joinpath("page", name).read_text(encoding="utf-8")


def page(title: str, about: str, charts: Sequence[Chart]) -> str:
    """The page.

    Args:
        title: Its title.
        about: A sentence below it.
        charts: Its charts.

    Returns:
        HTML, in which all texts are data: no name of a feature can be markup.
    """
    content = json.dumps([chart._asdict() for chart in charts], allow_nan=False).replace("<", "\\u003c")
    style = "".join(asset(name) for name in ("style.css", "charts.css", "report.css"))
    script = asset("charts.js").replace("\nexport ", "\n") + asset("report.js")
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="{escape(POLICY)}">
<title>{escape(title)}</title>
<link rel="icon" href="data:,">
<style>
{style}</style>
</head>
<body>
<main>
<header>
<h1>{escape(title)}</h1>
<p>{escape(about)}</p>
</header>
<noscript><p class="problem">The charts of this page need JavaScript.</p></noscript>
</main>
<script type="application/json" id="content">{content}</script>
<script type="module">
{script}</script>
</body>
</html>
"""
