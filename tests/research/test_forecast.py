"""How good probabilities were: against scikit-learn, and where the truth is known."""

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score

from livebot.reporting.figure import NotAvailable
from livebot.research.forecast import calibration_line, forecast_figures


def said_and_won(rows: int = 40_000, boldness: float = 1.0, shift: float = 0.0):
    random = np.random.default_rng(9)
    odds = random.normal(size=rows)
    won = random.random(rows) < 1 / (1 + np.exp(-odds))
    return 1 / (1 + np.exp(-(boldness * odds + shift))), won


def test_figures_are_the_usual_ones():
    said, won = said_and_won(500)
    figures = forecast_figures(said, won)
    assert figures.rows == 500
    assert figures.log_loss == pytest.approx(log_loss(won, said))
    assert figures.brier == pytest.approx(brier_score_loss(won, said))
    assert figures.auc == pytest.approx(roc_auc_score(won, said))
    assert figures.base_rate == pytest.approx(won.mean())
    assert figures.confidence == pytest.approx(said.mean())


@pytest.mark.parametrize(("boldness", "shift"), [(1.0, 0.0), (2.0, 0.0), (0.5, 0.3), (-1.0, 0.0)])
def test_the_line_tells_how_bold_the_confidences_were(boldness, shift):
    slope, intercept = calibration_line(*said_and_won(boldness=boldness, shift=shift))
    assert slope == pytest.approx(1 / boldness, abs=0.05)
    assert intercept == pytest.approx(-shift / boldness, abs=0.05)


def test_certainty_costs_much_but_not_everything():
    figures = forecast_figures(np.array([0.0, 1.0]), np.array([True, False]))
    assert figures.log_loss == pytest.approx(-np.log(1e-6))
    assert figures.brier == 1.0


def test_what_one_class_or_no_row_does_not_support_is_not_available():
    one = forecast_figures(np.array([0.5, 0.6]), np.array([True, True]))
    assert isinstance(one.auc, NotAvailable)
    assert isinstance(one.slope, NotAvailable)
    assert one.log_loss == pytest.approx(-np.log(0.5 * 0.6) / 2)
    none = forecast_figures(np.array([]), np.array([], dtype=bool))
    assert none.rows == 0
    assert all(
        isinstance(getattr(none, name), NotAvailable) for name in ("log_loss", "brier", "base_rate", "confidence")
    )


def test_no_line_where_none_can_be_drawn():
    apart = forecast_figures(np.array([0.1, 0.2, 0.8, 0.9]), np.array([False, False, True, True]))
    assert isinstance(apart.slope, NotAvailable)
    assert "told apart" in apart.slope.why
    same = forecast_figures(np.full(4, 0.5), np.array([False, True, True, False]))
    assert isinstance(same.intercept, NotAvailable)
    assert "same probability" in same.intercept.why
