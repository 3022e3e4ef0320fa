"""What holds for every test."""

import decimal

import pytest


@pytest.fixture(autouse=True)
def decimals_round_as_ever():
    """Stock ccxt, which some tests use, changes how its thread's decimals round."""
    with decimal.localcontext(decimal.DefaultContext):
        yield
