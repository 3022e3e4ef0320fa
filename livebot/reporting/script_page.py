"""A page with charts that opens from disk: style, plotly, our scripts and the data in one file.

Rules of this file: nothing is fetched and nothing but our own script runs (the page's policy names its digest); the same
bytes for the same body and data.
"""

import html
import json
from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256
from importlib.metadata import distribution
from pathlib import Path

from livebot.reporting.shown import clean

_FOLDER = Path(__file__).with_name("page")
_STYLE = "page.css"
FOOTER = (
    "<footer>Times are UTC. Charts: plotly.js, Copyright Plotly, Inc., MIT License (its notice stands in the page's source)."
    "</footer>"
)


def script_page(title: str, body: str, data: object, scripts: Sequence[str]) -> str:
    """The page; `body` is HTML, `data` what the scripts (names of files in page/) find as JSON in the element `data`."""
    texts = (plotly_script(), *map(_file, scripts))
    # Inline styles: our bars have their widths as such, and plotly adds style elements whose text no digest foresees.
    # Images in the text itself: older plotly asks the browser with one what it can show.
    digests = " ".join(map(_digest, texts))
    policy = f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src {digests}"
    run = "\n".join(f"<script>{text}</script>" for text in texts)
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n<title>{html.escape(clean(title))}</title>\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta name="color-scheme" content="light dark">\n<style>{_file(_STYLE)}</style>\n</head>\n<body>\n{body}\n'
        f'<script type="application/json" id="data">{_json(data)}</script>\n'
        f"{run}\n</body>\n</html>\n"
    )


def plotly_script() -> str:
    """plotly.js, 5 MB of text, as the installed package has it; nothing of plotly is imported for it."""
    path = Path(str(distribution("plotly").locate_file("plotly/package_data/plotly.min.js")))
    return path.read_text("utf-8")


def _file(name: str) -> str:
    return _FOLDER.joinpath(name).read_text("utf-8")


def _json(data: object) -> str:
    """JSON that cannot end its script element."""
    return json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def _digest(script: str) -> str:
    return f"'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'"
