"""What holds for every test."""

import decimal

import pytest


@pytest.fixture(autouse=True)
def decimals_round_as_ever():
    """Stock ccxt, which some tests use, changes how its thread's decimals round."""
    with decimal.localcontext(decimal.DefaultContext):
        yield


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The slow ones first: they mostly wait, and the others fill the time."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)
