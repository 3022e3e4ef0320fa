"""The backtest: ten symbols of 525,600 one-minute candles, the shipped EMA strategy on 5m, limits off.

Durations are of the CPU, per one-minute candle; the second run finds its features computed.  `growth_*` is what a candle
costs at eight times as many candles (or symbols) over what it costs at the smallest number: 1 is linear.
"""

from tests.benchmarks.frame import Benchmark, Measured, Numbers, ask_child, over_runs, scratch_folder

RUNS = 3
SYMBOLS, MINUTES = 10, 525_600
STEPS = (1, 2, 4, 8)


def measure() -> Measured:
    """Each size in a process of its own."""
    return over_runs([_run() for _ in range(RUNS)])


def _run() -> Numbers:
    whole = _ask(SYMBOLS, MINUTES)
    longer = {step: _ask(4, MINUTES // 8 * step)["first_us"] for step in STEPS}
    wider = {step: _ask(step, MINUTES // 4)["first_us"] for step in STEPS}
    return {
        "first_run_cpu_us_per_candle": whole["first_us"],
        "second_run_cpu_us_per_candle": whole["second_us"],
        "peak_mb": whole["peak_mb"],
        "signals": whole["signals"],
        "candles_per_cpu_second": 1e6 / whole["first_us"],
        **{f"candles_{step}x_us_per_candle": each for step, each in longer.items()},
        **{f"symbols_{step}x_us_per_candle": each for step, each in wider.items()},
        "growth_with_candles": longer[STEPS[-1]] / longer[STEPS[0]],
        "growth_with_symbols": wider[STEPS[-1]] / wider[STEPS[0]],
    }


def _ask(symbols: int, minutes: int) -> Numbers:
    with scratch_folder() as folder:
        return ask_child("tests.benchmarks.backtest_process", folder, str(symbols), str(minutes))


BENCHMARK = Benchmark(
    name="backtest",
    unit="us of CPU per one-minute candle, MB of memory",
    target={
        "first_run_cpu_us_per_candle": 0.4,
        "second_run_cpu_us_per_candle": 0.2,
        "peak_mb": 900,
        "growth_with_candles": 1.3,
        "growth_with_symbols": 1.3,
    },
    measure=measure,
)
