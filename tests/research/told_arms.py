"""Results of arms, told figure by figure."""

from livebot.research.results import ArmResult, Difference, Evenness, Figures, FoldLine, Forecast, Part, Side

FIGURES = Figures(
    trades=100,
    win_rate=0.4,
    mean_gain=0.001,
    profit_factor=1.2,
    total_return=0.1,
    yearly=0.07,
    sharpe=0.9,
    sharpe_error=0.8,
    sortino=None,
    max_drawdown=0.05,
    exposure=0.3,
    turnover=20.0,
)
FORECAST = Forecast(
    rows=90,
    base_rate=0.4,
    confidence=0.41,
    log_loss=0.67,
    brier=0.24,
    auc=0.53,
    slope=None,
    intercept=None,
    curve=((0.3, 0.28, 45), (0.5, 0.52, 45)),
)
PART = Part(trades=3, win_rate=0.5, added=-0.011, mean_gain=-0.004)


def side(yearly, low, high, *, doubled=None, figures=FIGURES):
    found = tuple(
        Difference(
            against=name, yearly=yearly, low=low + 0.005, high=high - 0.005, joint_low=low, joint_high=high, sharpe=0.3
        )
        for name in ("no_filter", "random")
    )
    return Side(figures=figures, doubled=figures, differences=found, doubled_differences=doubled or found)


def arm(name, yearly=0.01, low=-0.03, high=0.05, *, chance=0.3, **changes):
    baseline = name == "no_filter"
    trained = not baseline and name != "random"
    own = (
        Side(figures=FIGURES, doubled=FIGURES, differences=(), doubled_differences=())
        if baseline
        else side(yearly, low, high)
    )
    even = Evenness(parts=5, worst_name="DOGE/USDT", worst=-0.03, median=0.01, above_zero=0.6)
    values = {
        "name": name,
        "sentence": f"what {name} is",
        "threshold": own,
        "matched": own,
        "forecast": FORECAST if trained else None,
        "cuts": {"symbol": {"BTC/USDT": PART}, "quarter": {"2025Q1": PART}},
        "symbols": even,
        "quarters": None,
        "unseen": own,
        "unseen_forecast": FORECAST if trained else None,
        "unseen_symbols": {"<b>&/USDT": PART},
        "turnover": None,
        "paths": (0.5, None, -0.2) if trained else (),
        "beats_random": 0.7,
        "chance": chance if trained else None,
        "deflated": 0.96,
        "folds": (
            FoldLine(fold="2025-01-01", trades=3, added=0.01, threshold=0.4),
            FoldLine(fold="2025-02-01", trades=2, added=-0.02, threshold=None),
        ),
        "importance": {"model_a": 0.002, "model_b": -0.001} if trained else {},
        "refused": (),
    }
    return ArmResult(**values | changes)
