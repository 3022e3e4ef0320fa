"""Where metrics are served."""

import pytest

from livebot.config.load import check
from tests.config.texts import MINIMAL, complaints, of


def control(text):
    return check(MINIMAL + text, "config.yaml").config.control


def test_by_default_no_port_is_opened():
    found = control("")
    assert (found.metrics_port, found.metrics_address, found.metrics_symbols) == (None, "127.0.0.1", 100)


@pytest.mark.parametrize(
    ("address", "as_it_is"), [("10.0.0.5", "10.0.0.5"), ("'::1'", "::1"), ("'FD00::0:1'", "fd00::1")]
)
def test_an_address_is_one_of_a_network_interface(address, as_it_is):
    found = control(f"control: {{metrics_port: 9464, metrics_address: {address}, metrics_symbols: 0}}\n")
    assert (found.metrics_port, found.metrics_address, found.metrics_symbols) == (9464, as_it_is, 0)


@pytest.mark.parametrize(
    "wrong", ["localhost", "bot.example", "''", "127.0.0.1:9464", "2130706433", "null", "[127.0.0.1]"]
)
def test_what_is_no_address_is_refused_with_the_mend(wrong):
    (sentence,) = of(f"control: {{metrics_port: 9464, metrics_address: {wrong}}}\n")
    assert "control.metrics_address" in sentence
    assert "must be the address of a network interface such as 127.0.0.1 or ::1" in sentence


def test_an_address_without_a_port_means_nothing():
    (sentence,) = of("control: {metrics_address: 127.0.0.1}\n")
    assert "means nothing without metrics_port" in sentence


@pytest.mark.parametrize("port", ["0", "65536", "'9464'", "true"])
def test_a_port_is_one_that_can_be_asked(port):
    (sentence,) = complaints(MINIMAL + f"control: {{metrics_port: {port}}}\n")
    assert "control.metrics_port" in sentence
