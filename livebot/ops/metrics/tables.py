"""Which counts of the daemon become which counters, and which values their labels have.

Rules of this file: what stands here is exported also while it is 0, so that its first increase is seen.
"""

from collections.abc import Mapping

WORKER_STATES = ("running", "waiting", "backing_off", "quarantined", "guarded", "stopped", "done")
OUTCOMES = ("approved", "denied", "refused", "skipped")
ORDER_OUTCOMES = ("accepted", "rejected", "unknown", "absent", "not_sent")

# By key of `SystemStatus.counts`: name (without `_total`) and meaning.
COUNTS: Mapping[str, tuple[str, str]] = {
    "opened": ("livebot_signals_opened", "Signals that opened."),
    "closed": ("livebot_signals_closed", "Signals that closed."),
    "admitted": ("livebot_candidates_admitted", "Orders that the portfolio let through."),
    "restarts": ("livebot_worker_restarts", "Workers of symbols that were started again."),
    "failures": ("livebot_worker_failures", "Workers of symbols that ended by an error."),
    "slow_calls": ("livebot_strategy_slow_calls", "Strategy calls above runtime.slow_call_ms."),
    "orders_asked_for": ("livebot_orders_asked_for", "Orders whose fate had to be asked for."),
    "withdrawn": ("livebot_entries_withdrawn", "Approved entries that were not sent after all."),
    "orders_reconciled": ("livebot_orders_reconciled", "Orders that a comparison with the venue changed."),
    "fills_reconciled": ("livebot_fills_reconciled", "Fills that only a comparison with the venue told of."),
    "closed_outside": ("livebot_closed_outside", "Signals that somebody else closed at the venue."),
    "unprotected_overdue": ("livebot_unprotected_overdue", "Positions closed because no stop was confirmed in time."),
    "events_of_unknown_orders": ("livebot_unknown_order_events", "Events of orders that no state knows."),
    "gaps": ("livebot_candle_gaps", "Gaps in candles that were filled from history."),
    "refused_candles": ("livebot_candles_refused", "Candles that cannot be true."),
}

ANSWERS = (
    "judged",
    "passed",
    "model_missing",
    "model_uncovered",
    "model_stale",
    "model_unlike",
    "model_threshold",
    "model_late",
    "model_failed",
)

# By name of a figure of drift: name and meaning.
DRIFT: Mapping[str, tuple[str, str]] = {
    "feature_stability": (
        "livebot_model_feature_stability",
        "Population stability index of the feature that moved most.",
    ),
    "score_stability": ("livebot_model_score_stability", "Population stability index of the model's confidences."),
    "hit_rate": ("livebot_model_hit_rate", "Share of the last trades of the model that won."),
    "expected_hit_rate": ("livebot_model_expected_hit_rate", "Its mean confidence in those trades."),
    "calibration_error": ("livebot_model_calibration_error", "Mean difference between its confidence and what won."),
    "cusum": ("livebot_model_cusum", "Sum of log-likelihoods that its hit rate has fallen."),
}

# By key of the feed's counts.
FEED: Mapping[str, tuple[str, str]] = {
    "heard": ("livebot_feed_updates", "Candle updates that the stream told."),
    "reconnected": ("livebot_feed_reconnects", "Streams of candles that were connected anew because they were silent."),
    "renewed": ("livebot_feed_renewals", "Symbols that were subscribed anew because they were silent."),
    "asked": ("livebot_feed_questions", "Questions by REST about symbols that were silent."),
    "refetched": ("livebot_feed_candles_refetched", "Candles fetched because the stream had lost them."),
    "differing": ("livebot_feed_candles_differing", "Candles that the audit found to be others at the venue."),
    "revised": ("livebot_feed_candles_revised", "Candles that the stream told twice and otherwise."),
    "late": ("livebot_feed_candles_late", "Candles that came after a later one."),
    "unreadable": ("livebot_feed_unreadable", "Messages of the stream that could not be read."),
}
