"""The parts of `model:` that begin once there is a model: serving it, training it anew, and noticing that it wears out.

Rules of this file: every wait and every bound has a name with its unit; null says that something is not done.
"""

from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from livebot.config.problems import Mismatch
from livebot.config.section import Section
from livebot.config.values import Count, Flag, Hours, Number, Ratio, Seconds

MOST_TRADES = 100_000  # that a drift watch holds of one pool, or a window may ask for

_Deadline = Annotated[
    int, BeforeValidator(Number(what="whole milliseconds", at_least=1, at_most=30_000, whole=True))
]  # half of the shortest candle, as a round's
_Coalesce = Annotated[int, BeforeValidator(Number(what="whole milliseconds", at_least=0, at_most=1_000, whole=True))]
_Trades = Annotated[
    int, BeforeValidator(Number(what="a whole number of trades", at_least=10, at_most=MOST_TRADES, whole=True))
]
_Days = Annotated[int, BeforeValidator(Number(what="whole days", at_least=1, at_most=365, whole=True))]
_Gain = Annotated[
    Decimal,
    BeforeValidator(
        Number(what="a ratio of a trade's notional", example="0.001 is 0.1 %", above=Decimal(-1), below=Decimal(1))
    ),
]
_Margin = Annotated[
    Decimal,
    BeforeValidator(
        Number(what="a ratio of a trade's notional", example="0.0005 is 0.05 %", at_least=0, below=Decimal(1))
    ),
]
_Certainty = Annotated[
    Decimal,
    BeforeValidator(
        Number(what="a ratio", example="0.9 is nine of ten", at_least=Decimal("0.5"), at_most=Decimal("0.9999"))
    ),
]
_Cusum = Annotated[Decimal, BeforeValidator(Number(what="a sum of log-likelihoods", example="5", above=0, at_most=100))]
_Share = Annotated[
    Decimal, BeforeValidator(Number(what="a ratio", example="0.5 is half of its features", above=0, at_most=1))
]


class ServingConfig(Section):
    """How the running daemon asks its models.

    Nobody waits for an answer longer than `deadline_ms`, counted from the moment at which the strategy decided at the close and
    until the answer is there, whatever it waited for: the others (`coalesce_ms`), a batch that is out, the model.  Then
    `on_deadline` vetoes the entry or lets it pass.
    """

    deadline_ms: _Deadline = Field(
        default=250,
        description="how long an entry waits for its confidence, from the strategy's decision at the close to the answer, "
        "waiting for others included",
    )
    on_deadline: Literal["veto", "pass"] = Field(
        default="veto", description="what becomes of an entry without an answer in time: veto or pass"
    )
    coalesce_ms: _Coalesce = Field(
        default=20, description="how long the first question of a close waits for the others, to be asked in one batch"
    )
    untrained: Literal["block", "fallback", "pass"] = Field(
        default="block",
        description="a symbol that no model was trained on: block its entries, ask the shared model, or let them pass",
    )
    expiration_hours: Hours | None = Field(
        default=None, description="a model whose training data ended longer ago is refused; null: never"
    )
    out_of_distribution: _Share | None = Field(
        default=None,
        description="an entry is refused if more than this share of its features lie outside of what was trained on",
    )
    poll_seconds: Seconds = Field(default=Decimal(30), description="how often models/ is looked at for a new version")
    hang_seconds: Seconds = Field(
        default=Decimal(10),
        description="a model that has not come back for so long is not asked again until it has, and others go on; unset: at "
        "least twice deadline_ms",
    )
    shadow_batches: Count = Field(
        default=4,
        description="how many batches may wait for versions in shadow; of what is asked beyond that they are not asked",
    )

    @model_validator(mode="after")
    def _there_is_time_to_answer(self) -> Self:
        if self.coalesce_ms >= self.deadline_ms:
            text = f"{self.coalesce_ms} leaves no time to answer; lower it below deadline_ms ({self.deadline_ms})"
            raise Mismatch(("coalesce_ms", text))
        if "hang_seconds" in self.model_fields_set and self.hang_seconds * 1000 <= self.deadline_ms:
            text = f"{self.hang_seconds} is not above deadline_ms ({self.deadline_ms}), so who is late would be given up; raise it"
            raise Mismatch(("hang_seconds", text))
        return self


class RetrainConfig(Section):
    """When `livebot train --if-due` trains, and what a new version has to show before it is used.

    The newest `window_days` are kept from the training, and there champion and challenger are compared: by the trades that
    each could have taken, one of a symbol at a time, and by how much more than chance (`certainty`) they differ.
    """

    every_hours: Hours | None = Field(
        default=Decimal(168), description="train anew this long after the last training; null: not by the clock"
    )
    new_symbols: Flag = Field(default=True, description="train when a symbol is traded that the model does not cover")
    on_drift: Flag = Field(default=True, description="train when the drift watch asks for it")
    pause_hours: Hours = Field(
        default=Decimal(6), description="a new symbol or drift trains no sooner than this after the last training"
    )
    window_days: _Days = Field(default=30, description="the newest days, on which champion and challenger are compared")
    minimum_trades: Count = Field(
        default=20, description="entries that a comparison needs in that window, in all and of a symbol to be judged"
    )
    minimum_gain: _Gain = Field(
        default=Decimal(0), description="by how much the challenger's net gain per entry must be above the champion's"
    )
    certainty: _Certainty = Field(
        default=Decimal("0.9"),
        description="how sure a difference must be to be more than chance; 0.5: any difference is",
    )
    undecided: Literal["newer", "in_use"] = Field(
        default="newer", description="who is used where chance alone could have made the difference"
    )
    undecided_margin: _Margin = Field(
        default=Decimal("0.0005"),
        description="undecided: newer: by how much its lead may be below minimum_gain",
    )
    maximum_loss_rise: _Gain = Field(
        default=Decimal("0.01"), description="by how much the challenger's log-loss may be above the champion's"
    )
    symbol_floor: _Gain | None = Field(
        default=Decimal("-0.01"),
        description="no symbol may gain less than this per taken entry, beyond chance; null: a symbol is not judged alone",
    )
    keep_versions: Count | None = Field(
        default=10,
        description="the newest versions of a scope that are kept, beside those that are needed; null: all are",
    )


class DriftConfig(Section):
    """When a model counts as worn out, by the trades it let through and the features it saw.

    A finding is a problem of the daemon, an alert, and with `retrain.on_drift` a training.
    """

    enabled: Flag = Field(default=True, description="whether the daemon and `livebot drift` watch the models")
    trades: _Trades = Field(
        default=500, description="the last trades that hit rate and calibration are worked out from"
    )
    minimum_trades: _Trades = Field(
        default=50, description="below this many nothing is said of hit rate, scores, features"
    )
    stability: Ratio = Field(
        default=Decimal("0.25"),
        description="the population stability index (PSI) from which features or scores have moved",
    )
    cusum: _Cusum = Field(
        default=Decimal(5), description="the sum of log-likelihoods from which the hit rate counts as fallen"
    )
    hit_rate_fall: Ratio = Field(
        default=Decimal("0.1"), description="the fall of the hit rate that the sum looks for, such as 0.55 to 0.45"
    )
    calibration_error: Ratio = Field(
        default=Decimal("0.15"),
        description="the difference between confidence and hit rate, averaged, that is too large",
    )
    symbols: Count = Field(default=500, description="symbols that are watched one by one, beside all of them together")

    @model_validator(mode="after")
    def _enough_is_kept(self) -> Self:
        if self.minimum_trades > self.trades:
            text = f"{self.minimum_trades} is above trades ({self.trades}), so nothing would ever be said; lower it"
            raise Mismatch(("minimum_trades", text))
        return self
