"""Files, numbers and defaults; and whatever the bytes, the outcome is a config or its errors."""

import re
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from livebot.config.load import SIZE_MAX_BYTES, check, load
from livebot.config.model import Config
from livebot.config.problems import ConfigErrors
from tests.config.texts import MINIMAL

SHIPPED = Path(__file__).resolve().parents[2] / "config.yaml"


def test_the_shipped_config_is_right():
    loaded = load(SHIPPED)
    assert loaded.config.exchange.id == "simulator"
    assert len(loaded.config.symbols) == 10
    assert [plan.id for plan in loaded.strategies] == ["ema_cross", "mean_reversion", "breakout"]


def test_the_commented_replay_of_the_shipped_config_is_right():
    text, changed = re.subn(
        r"^( *)candles: null.*\n *# candles: (\S+).*", r"\1candles: \2", SHIPPED.read_text("utf-8"), flags=re.MULTILINE
    )
    assert changed == 1
    assert check(text, "config.yaml").config.exchange.simulator.candles == "../candles"


def test_defaults_of_the_minimal_config():
    config = check(MINIMAL, "c").config
    assert config.mode == "paper"
    assert config.exchange.simulator.speed == 60
    assert config.exchange.simulator.start is None
    assert config.risk.limits.open_signals == 10
    assert config.risk.win_rate is not None
    assert config.risk.win_rate.minimum == Decimal("0.40")
    assert config.runtime.history == 600


def test_flags():
    exchange = check(MINIMAL + "exchange: {sandbox: true, simulator: {partial_fills: True}}", "c").config.exchange
    assert (exchange.sandbox, exchange.simulator.partial_fills) == (True, True)


def test_a_config_cannot_be_changed():
    config = check(MINIMAL, "c").config
    with pytest.raises(ValidationError, match="frozen"):
        config.system = "other"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("written", "exact"),
    [
        ("0.1", "0.1"),
        ("0.10", "0.10"),
        ("0.30000000000000004441", "0.30000000000000004441"),
        ("1e-3", "0.001"),
        ("5E-1", "0.5"),
    ],
)
def test_numbers_keep_the_digits_they_were_written_with(written, exact):
    drawdown = check(MINIMAL + f"risk: {{limits: {{drawdown: {written}}}}}", "c").config.risk.limits.drawdown
    assert str(drawdown) == exact


@pytest.mark.parametrize(("written", "number"), [("600", 600), ("1_000", 1000), ("+5", 5), ("1e3", 1000), ("60.0", 60)])
def test_whole_numbers_may_be_written_in_several_ways(written, number):
    assert check(MINIMAL + f"runtime: {{history: {written}}}", "c").config.runtime.history == number


@pytest.mark.parametrize(
    ("written", "start"),
    [
        ("1970-01-01", datetime(1970, 1, 1, tzinfo=UTC)),
        ("2026-01-31", datetime(2026, 1, 31, tzinfo=UTC)),
        ("2026-01-31T12:00", datetime(2026, 1, 31, 12, tzinfo=UTC)),
        ("2026-01-31 12:00:00+02:00", datetime(2026, 1, 31, 10, tzinfo=UTC)),
        ("null", None),
    ],
)
def test_a_start_is_in_utc_unless_it_says_otherwise(written, start):
    text = MINIMAL + f"exchange: {{simulator: {{start: {written}}}}}"
    found = check(text, "c").config.exchange.simulator.start
    assert found == start
    assert getattr(found, "tzinfo", UTC) is UTC


def test_null_switches_off_what_may_be_off():
    text = (
        MINIMAL + "risk: {loss_limit: null, win_rate: ~, limits: {drawdown: null, daily_loss:}}\nmodel: null\nalerts:"
    )
    risk = check(text, "c").config.risk
    assert (risk.loss_limit, risk.win_rate, risk.limits.drawdown, risk.limits.daily_loss) == (None, None, None, None)


def test_names_that_yaml_takes_for_something_else_stay_names():
    assert check(MINIMAL.replace("demo", "no"), "c").config.system == "no"


# files


def refusal(path):
    with pytest.raises(ConfigErrors) as caught:
        load(path)
    return str(caught.value)


def test_a_file_with_a_byte_order_mark_is_read(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + MINIMAL.encode())
    assert load(path).config.system == "demo"


def test_a_missing_file(tmp_path):
    path = tmp_path / "c.yaml"
    assert refusal(path) == f"{path}: no such file; name another with --config"


def test_a_folder_instead_of_a_file(tmp_path):
    assert refusal(tmp_path) == f"{tmp_path}: cannot be read: Is a directory"


def test_a_path_no_system_takes():
    assert refusal(Path("a\0b")) == "a?b: cannot be read: embedded null byte"


def test_a_file_that_is_not_text(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_bytes(b"system: demo\nmarket: \xff\n")
    assert refusal(path) == f"{path}:2: is not UTF-8 text; save it as UTF-8"


def test_a_huge_file_is_not_read_to_its_end(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_bytes(b"#" * (SIZE_MAX_BYTES + 1))
    assert refusal(path) == f"{path}: is larger than {SIZE_MAX_BYTES} bytes; this is not a config"


# whatever comes


def check_outcome(text):
    """It is a config, or refused with errors on one printable line each."""
    try:
        check(text, "config.yaml")
    except ConfigErrors as refused:
        lines = str(refused).splitlines()
    else:
        return
    assert lines
    assert all(line.isprintable() and line.startswith("config.yaml") for line in lines)


def keys_of(model):
    """Every key that the config knows, at any depth."""
    return set(re.findall(r'"([a-z_]+)":', str(model.model_json_schema()).replace("'", '"'))) | {"class"}


KEYS = st.sampled_from(sorted(keys_of(Config))) | st.text(max_size=5)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(
        ["all", "ema_cross", "ratio", "BTC/USDT:USDT", "BTC/USDT", "simulator", "5m", "fixed", "2026-01-01"]
    )
)
TREES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5))


@pytest.mark.untraced
@given(st.text() | st.text(alphabet="[]{}:-,&*!|>'\"%@`#? \n\tab1.~<=\\ux"))
def test_any_text_is_a_config_or_refused(text):
    check_outcome(text)


@pytest.mark.untraced
@given(st.dictionaries(KEYS, TREES, max_size=6))
def test_any_yaml_is_a_config_or_refused(tree):
    check_outcome(yaml.safe_dump(tree, allow_unicode=True))


@pytest.mark.untraced
@given(st.data())
def test_a_damaged_config_is_a_config_or_refused(data):
    text = SHIPPED.read_text("utf-8")
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        stop = data.draw(st.integers(start, min(len(text), start + 30)))
        text = text[:start] + data.draw(st.text(max_size=5)) + text[stop:]
    check_outcome(text)


@pytest.mark.untraced
@given(st.dictionaries(st.sampled_from(["fast", "slow", "timeframe", "stop_loss", "x"]), TREES, max_size=4))
def test_any_params_fit_or_are_refused(params):
    tree = {**yaml.safe_load(MINIMAL), "strategies": [{"name": "ema_cross", "params": params}]}
    check_outcome(yaml.safe_dump(tree, allow_unicode=True))
