"""What a connection needs while it stands: its clock compared, its bans announced and lifted.

Rules of this file: the clock is compared every few minutes, and at once when the venue refuses a timestamp; while it is
further off than allowed trading is REDUCING, though orders are signed by the venue's clock all the while; what was too far
off must be clearly right again, so that trading does not go back and forth at the limit.
"""

import asyncio
from datetime import UTC, datetime

from livebot.adapters.ccxt_venue.connection import Connection
from livebot.adapters.ccxt_venue.exchange_settings import ExchangeSettings
from livebot.adapters.ccxt_venue.health import Health
from livebot.errors import LivebotError
from livebot.ports import Clock

CLEARLY_RIGHT = 0.8  # of the limit
_CLOCK, _BAN = "clock", "ban"


class Upkeep:
    """`start` it once the connection stands, `close` it before that does.

    `clock` is the world's, in which bans end and operators live, whatever time the market keeps.
    """

    def __init__(self, connection: Connection, health: Health, clock: Clock, settings: ExchangeSettings) -> None:
        self._connection = connection
        self._health = health
        self._clock = clock
        self._settings = settings
        self._wanted = asyncio.Event()
        self._measured = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._lifting: asyncio.TimerHandle | None = None
        self._wrong = False

    def start(self) -> None:
        """Say what is to be said of the clock as it was measured when the connection was opened."""
        self._judge()
        self._connection.bans.listen(self._banned)
        if self._connection.bans.left_s:
            self._banned()
        self._task = asyncio.create_task(self._run(), name="clock of the venue")
        self._health.watch_over(self._task, _CLOCK)

    async def close(self) -> None:
        """Measure no more."""
        if self._lifting is not None:
            self._lifting.cancel()
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait((task,))

    def measure_soon(self) -> None:
        """The venue refused a timestamp."""
        self._measured.clear()
        self._wanted.set()

    async def measured(self) -> None:
        """Wait until the clock has been compared after the last `measure_soon`."""
        await self._measured.wait()

    async def _run(self) -> None:
        while True:
            try:
                async with asyncio.timeout(self._pause_s()):
                    await self._wanted.wait()
            except TimeoutError:
                pass  # it is time
            self._wanted.clear()
            try:
                await self._connection.measure_skew()
            except LivebotError:
                await asyncio.sleep(self._settings.resend_wait_s)  # said by whoever asks next
            else:
                self._judge()
            self._measured.set()

    def _pause_s(self) -> float:
        """Sooner while it is wrong: entries wait for it."""
        return self._settings.skew_again_s if self._wrong else self._settings.skew_every_s

    def _judge(self) -> None:
        skew_ms = self._connection.skew_ms
        self._wrong = abs(skew_ms) > self._settings.skew_limit_ms * (CLEARLY_RIGHT if self._wrong else 1)
        if not self._wrong:
            self._health.right(_CLOCK)
            return
        way = "ahead of" if skew_ms > 0 else "behind"
        self._health.wrong(
            _CLOCK,
            f"{self._health.venue}: its clock is {abs(skew_ms) / 1000:.1f} s {way} this machine's, more than the "
            f"{self._settings.skew_limit_ms / 1000:g} s allowed; set this machine's clock (timedatectl set-ntp true)",
            reduces=True,
        )

    def _banned(self) -> None:
        left_s = self._connection.bans.left_s
        until = datetime.fromtimestamp(self._clock.now_ms() / 1000 + left_s, UTC)
        self._health.wrong(
            _BAN,
            f"{self._health.venue} has banned this address until about {until:%H:%M:%S} UTC; nothing is sent before, the "
            "stops of open positions rest there; if it comes again, lower what asks often",
        )
        if self._lifting is not None:
            self._lifting.cancel()
        self._lifting = asyncio.get_running_loop().call_later(left_s, self._lifted)

    def _lifted(self) -> None:
        self._lifting = None
        self._health.right(_BAN, reconcile=True)
