"""Points in time as an operator writes them."""

import re
from datetime import UTC, datetime

from livebot.errors import BadInput

_BACK = re.compile(r"([0-9]{1,6})([mhdw])")
_UNIT_MS = {"m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}


def since_ms(text: str, now_ms: int, option: str = "--since") -> int:
    """UTC milliseconds of `2026-01-31`, `2026-01-31T12:00` (UTC unless it says otherwise), or `90m`, `24h`, `7d`, `2w`
    before now.

    Raises:
        BadInput: it is neither.

    """
    if back := _BACK.fullmatch(text.strip()):
        return max(0, now_ms - int(back[1]) * _UNIT_MS[back[2]])
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise BadInput(
            f"{option} {text!r}: write a date such as 2026-01-31, a time such as 2026-01-31T12:00, or 24h"
        ) from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
