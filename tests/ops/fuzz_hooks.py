"""What schemathesis has to know besides the description: what a text of one line is."""

import schemathesis
from hypothesis import strategies

schemathesis.openapi.format(
    "line",
    strategies.text(strategies.characters(codec="utf-8", categories=("L", "N", "P", "S")), min_size=1, max_size=500),
)
