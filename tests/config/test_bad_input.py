"""Every bad input gives one exact sentence: where it stands, what is wrong, and the mend."""

import pytest

from livebot.config.load import check
from livebot.config.model import Config
from livebot.config.problems import PROBLEMS_SHOWN_MAX, ConfigErrors
from livebot.errors import BadInput
from tests.config.texts import MINIMAL, complaints, of

SECRET = (
    "a secret has no place in a config; take it out, change it at the venue if this file was shared, and set "
    "LIVEBOT_API_KEY, LIVEBOT_API_SECRET and LIVEBOT_API_PASSWORD in the environment (or files of these names "
    "under $CREDENTIALS_DIRECTORY)"
)
TOP_LEVEL = ", ".join(Config.model_fields)
SIMULATED = (
    "candles, seed, speed, start, minutes, wallet, volatility, symbols, slippage, taker_fee, maker_fee, latency_ms, "
    "partial_fills, socket"
)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "config.yaml: is empty; it needs at least system, market, symbols and strategies"),
        ("# nothing\n", "config.yaml: is empty; it needs at least system, market, symbols and strategies"),
        ("- a\n", "config.yaml:1: must be a mapping of keys, such as `system: spot`"),
        ("\njust text\n", "config.yaml:2: must be a mapping of keys, such as `system: spot`"),
        (
            "a: [1, 2\n",
            "config.yaml:2: not YAML: while parsing a flow sequence, expected ',' or ']', but got '<stream end>'",
        ),
        (
            "a:\n\tb: 1\n",
            (
                "config.yaml:2: not YAML: while scanning for the next token, found character '\\t' that cannot start any "
                "token; indent with spaces, not with tabs"
            ),
        ),
        (
            "a: b: c\n",
            (
                "config.yaml:1: not YAML: mapping values are not allowed here; "
                "check the indentation, and quote a text that holds a colon"
            ),
        ),
        (
            "a: 1\n---\nb: 2\n",
            (
                "config.yaml:2: not YAML: expected a single document in the stream, but found another document; "
                "keep one and take the line with --- out"
            ),
        ),
        ("a: 1\nb: \x00\n", "config.yaml:2: not YAML: character U+0000 is not allowed"),
        ('a: "\\UFFFFFFFF"\n', "config.yaml: not YAML: an escape or a version number is out of range"),
        ("a: &x [1]\nb: [*x, *x]\n", "config.yaml:2: aliases (*name) are not accepted; write the value out"),
        ("a: !!python/object:os.system x\n", "config.yaml:1: tags (!name) are not accepted; write the plain value"),
        ("a: " + "[" * 10_000, "config.yaml:1: is nested deeper than 20 levels"),
        pytest.param(
            "a:\n" + "- 1\n" * 50_000,
            "config.yaml:49999: holds more than 50000 keys and values; this is not a config",
            marks=pytest.mark.untraced,
        ),
    ],
)
def test_what_is_not_a_config_at_all(text, sentence):
    assert complaints(text) == [sentence]


def test_an_alias_bomb_is_refused_before_it_grows():
    bomb = "a0: &a0 [x]\n" + "".join(
        f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]\n" for level in range(1, 30)
    )
    assert complaints(bomb) == ["config.yaml:2: aliases (*name) are not accepted; write the value out"]


def test_what_must_be_there():
    assert complaints("paths: {}\n") == [
        "config.yaml:1: market: is missing; it is spot or perpetual",
        "config.yaml:1: strategies: is missing; it is a list such as [{name: ema_cross}]",
        "config.yaml:1: symbols: is missing; it is a list such as [BTC/USDT:USDT]; or find them with universe: {}",
        "config.yaml:1: system: is missing; it is the name of this daemon, such as perpetual-1",
    ]


@pytest.mark.parametrize(
    ("extra", "sentence"),
    [
        # keys
        ("risks: {}", "config.yaml:6: risks: unknown key; did you mean risk?"),
        ("zzz: 1", f"config.yaml:6: zzz: unknown key; known here: {TOP_LEVEL}"),
        (
            "exchange: {simulator: {end: 1}}",
            f"config.yaml:6: exchange.simulator.end: unknown key; known here: {SIMULATED}",
        ),
        (
            "risk:\n  limits:\n    open_signal: 3",
            "config.yaml:8: risk.limits.open_signal: unknown key; did you mean open_signals?",
        ),
        ("open_signals: 3", "config.yaml:6: open_signals: unknown key; it belongs under risk.limits"),
        ("exchange: {universe: 3}", "config.yaml:6: exchange.universe: unknown key; it belongs at the top level"),
        ("runtime: {}\nruntime: {}", "config.yaml:7: runtime: stands here twice, first on line 6; keep one"),
        ("? [a, b]\n: 1", "config.yaml:6: a key must be a plain word"),
        ("risk: {? [a] : 1}", "config.yaml:6: risk: a key must be a plain word"),
        ('"\\e[31mred": 1', f"config.yaml:6: ?[31mred: unknown key; known here: {TOP_LEVEL}"),
        # secrets
        ("exchange: {api_key: abc}", f"config.yaml:6: exchange.api_key: {SECRET}"),
        ("exchange: {apiKey: abc}", f"config.yaml:6: exchange.apiKey: {SECRET}"),
        ("apikey: abc", f"config.yaml:6: apikey: {SECRET}"),
        ("exchange: {Secret: abc}", f"config.yaml:6: exchange.Secret: {SECRET}"),
        ("password: abc", f"config.yaml:6: password: {SECRET}"),
        ("telegram-token: abc", f"config.yaml:6: telegram-token: {SECRET}"),
        ("credentials: {a: b}", f"config.yaml:6: credentials: {SECRET}"),
        # the kinds of values
        ("risk: 5", "config.yaml:6: risk: must be a mapping of keys, is 5"),
        (
            "risk:",
            "config.yaml:6: risk: must be a mapping of keys, is null; write its content below it or leave it out",
        ),
        ("mode: papr", "config.yaml:6: mode: must be live, paper or replay, is 'papr'; did you mean paper?"),
        ("exchange: {sandbox: yes}", "config.yaml:6: exchange.sandbox: must be true or false, is 'yes'"),
        ("exchange: {sandbox: 1}", "config.yaml:6: exchange.sandbox: must be true or false, is 1"),
        (
            "exchange: {loopback: {port: 0}}",
            "config.yaml:6: exchange.loopback.port: must be a port from 1 to 65535, is 0",
        ),
        (
            "exchange: {loopback: {}}",
            "config.yaml:6: exchange.loopback.port: is missing; it is where the local exchange listens",
        ),
        (
            "runtime: {history: '600'}",
            "config.yaml:6: runtime.history: must be a whole number from 1 to 1000000, is '600'",
        ),
        (
            "runtime: {history: true}",
            "config.yaml:6: runtime.history: must be a whole number from 1 to 1000000, is true",
        ),
        ("runtime: {history: 1.5}", "config.yaml:6: runtime.history: must be a whole number from 1 to 1000000, is 1.5"),
        (
            "runtime: {history: [1]}",
            "config.yaml:6: runtime.history: must be a whole number from 1 to 1000000, is a list",
        ),
        (
            "runtime: {history: {a: 1}}",
            "config.yaml:6: runtime.history: must be a whole number from 1 to 1000000, is a mapping",
        ),
        (
            "runtime: {history: 010}",
            "config.yaml:6: runtime.history: must be a whole number from 1 to 1000000, is '010'",
        ),
        (
            "runtime: {history: 1e999999999}",
            "config.yaml:6: runtime.history: must be a whole number from 1 to 1000000, is '1e999999999'",
        ),
        (
            "runtime: {shutdown_seconds: 0}",
            "config.yaml:6: runtime.shutdown_seconds: must be seconds above 0 and at most 86400, is 0",
        ),
        (
            "runtime: {shutdown_seconds: .inf}",
            "config.yaml:6: runtime.shutdown_seconds: must be seconds above 0 and at most 86400, is '.inf'",
        ),
        ("runtime: {mode: seq}", "config.yaml:6: runtime.mode: must be parallel or sequential, is 'seq'"),
        (
            "paths: {signals: ~/signals}",
            (
                "config.yaml:6: paths.signals: must be a path, absolute or relative to the root (~ is not known here), "
                "is '~/signals'"
            ),
        ),
        (
            f"paths: {{signals: {'x' * 1001}}}",
            (
                "config.yaml:6: paths.signals: must be a path, absolute or relative to the root (~ is not known here), "
                f"is {'x' * 60!r}..."
            ),
        ),
        (
            "paths: {signals: ./data, state: data}",
            "config.yaml:6: paths: the four folders must differ, and none may lie inside another",
        ),
        (
            "paths: {signals: state/x}",
            "config.yaml:6: paths: the four folders must differ, and none may lie inside another",
        ),
        # the model
        ("model: {coverage: 1}", "config.yaml:6: model.coverage: unknown key; it belongs under model.history"),
        ("model: []", "config.yaml:6: model: must be a mapping of keys, is a list"),
        ("universe: top", "config.yaml:6: universe: must be a mapping of keys, is 'top'"),
        # the simulator
        (
            "exchange: {simulator: {speed: -1}}",
            (
                "config.yaml:6: exchange.simulator.speed: must be a number from 0 to 1000000 "
                "(60 is a minute in a second, 0 as fast as possible), is -1"
            ),
        ),
        (
            "exchange: {simulator: {wallet: 0}}",
            "config.yaml:6: exchange.simulator.wallet: must be an amount of quote currency above 0, is 0",
        ),
        (
            "exchange: {simulator: {partial_fills: 2}}",
            "config.yaml:6: exchange.simulator.partial_fills: must be true or false, is 2",
        ),
        *(
            (
                f"exchange: {{simulator: {{start: {start}}}}}",
                (
                    "config.yaml:6: exchange.simulator.start: must be a date or a whole minute from 1970 on "
                    f"(2026-01-31 or 2026-01-31T12:00Z), is {shown}"
                ),
            )
            for start, shown in (
                ("tomorrow", "'tomorrow'"),
                ("20", "20"),
                ("1969-12-31", "'1969-12-31'"),
                ("2026-01-31T12:00:30Z", "'2026-01-31T12:00:30Z'"),
                ("9999-12-31T23:59-23:59", "'9999-12-31T23:59-23:59'"),
            )
        ),
        # sizing and entries
        (
            "risk: {sizing: {}}",
            "config.yaml:6: risk.sizing.kind: is missing; it is fixed, fraction, risk_to_stop, volatility or kelly",
        ),
        (
            "risk: {sizing: {kind: volatility, fraction: 0.1}}",
            (
                "config.yaml:6: risk.sizing.maximum_fraction: is missing; kind volatility needs the most of equity that "
                "one signal takes"
            ),
        ),
        (
            "risk: {sizing: {kind: volatility, fraction: 0.1, maximum_fraction: 1, period: 60}}",
            (
                "config.yaml:6: risk.sizing.period: looks at 601 candles, and runtime.history keeps 600; raise that or "
                "choose a shorter one"
            ),
        ),
        (
            "risk: {sizing: {kind: kelly, kelly_fraction: 0.25, maximum_fraction: 1, period: 10}}",
            "config.yaml:6: risk.sizing.period: means nothing for kind kelly; take it out",
        ),
        (
            "risk: {sizing: {kind: kelly, maximum_fraction: 1}}",
            (
                "config.yaml:6: risk.sizing.kelly_fraction: is missing; kind kelly needs the part of the whole Kelly stake "
                "that is risked to the stop"
            ),
        ),
        (
            "risk: {sizing: {kind: fixed}}",
            "config.yaml:6: risk.sizing.notional: is missing; kind fixed needs the quote amount of each signal",
        ),
        (
            "risk: {sizing: {kind: fixed, notional: 10, fraction: 0.1}}",
            "config.yaml:6: risk.sizing.fraction: means nothing for kind fixed; take it out",
        ),
        (
            "risk: {sizing: {kind: risk_to_stop, fraction: 0.1}}",
            (
                "config.yaml:6: risk.sizing.maximum_fraction: is missing; kind risk_to_stop needs the most of equity that "
                "one signal takes"
            ),
        ),
        (
            "risk: {entry: {minimum_stop_distance: 0.6}}",
            "config.yaml:6: risk.entry.minimum_stop_distance: 0.6 is above maximum_stop_distance (0.5); no entry could pass",
        ),
        (
            "risk: {entry: {minimum_lifetime_minutes: 10, maximum_lifetime_minutes: 5}}",
            "config.yaml:6: risk.entry.minimum_lifetime_minutes: 10 is above maximum_lifetime_minutes (5); no entry could pass",
        ),
        # exits
        (
            "risk: {exits: {trailing: {after: 0.1}}}",
            (
                "config.yaml:6: risk.exits.trailing.distance: is missing; it is how far the stop stays behind the best price, "
                "as a ratio"
            ),
        ),
        (
            "risk: {exits: {break_even: {after: 0.01, offset: 0.01}}}",
            "config.yaml:6: risk.exits.break_even.offset: 0.01 must be below after (0.01), or the stop fills at once",
        ),
        (
            "risk:\n  exits:\n    partial_levels:\n      - {gain: 0.02, fraction: 0.5}\n      - {gain: 0.01, fraction: 0.1}",
            "config.yaml:8: risk.exits.partial_levels: gains ['0.02', '0.01'] must be positive and rising",
        ),
        (
            "risk: {exits: {partial_levels: [{gain: 0.01, fraction: 0.5}, {gain: 0.02, fraction: 0.5}]}}",
            (
                "config.yaml:6: risk.exits.partial_levels: fractions must be positive and sum to less than 1; "
                "the target closes the rest"
            ),
        ),
        ("risk: {exits: {partial_levels: 3}}", "config.yaml:6: risk.exits.partial_levels: must be a list, is 3"),
        # limits that no sane operator means
        (
            "risk: {limits: {open_signals: 0}}",
            "config.yaml:6: risk.limits.open_signals: must be a whole number from 1 to 1000000, is 0",
        ),
        (
            "risk: {limits: {open_signals: -3}}",
            "config.yaml:6: risk.limits.open_signals: must be a whole number from 1 to 1000000, is -3",
        ),
        (
            "risk: {limits: {gross_exposure: -1}}",
            "config.yaml:6: risk.limits.gross_exposure: must be a ratio of equity above 0 and at most 1000 (1.5 is 150 %), is -1",
        ),
        (
            "risk: {limits: {gross_exposure: 1, symbol_exposure: 1.5}}",
            (
                "config.yaml:6: risk.limits.symbol_exposure: 1.5 is above gross_exposure (1), so it could never bind; "
                "lower it or raise gross_exposure"
            ),
        ),
        (
            "risk: {limits: {open_signals: 3, open_signals_per_strategy: 4}}",
            (
                "config.yaml:6: risk.limits.open_signals_per_strategy: 4 is above open_signals (3), so it could never bind; "
                "lower it or raise open_signals"
            ),
        ),
        (
            "risk: {limits: {daily_loss: 1}}",
            "config.yaml:6: risk.limits.daily_loss: must be a ratio above 0 and below 1 (0.05 is 5 %), is 1",
        ),
        (
            "risk: {limits: {drawdown: 25}}",
            "config.yaml:6: risk.limits.drawdown: must be a ratio above 0 and below 1 (0.05 is 5 %), is 25",
        ),
        (
            "risk: {loss_limit: {action: sell}}",
            "config.yaml:6: risk.loss_limit.action: must be stop_opening or flatten, is 'sell'",
        ),
        # bounds
        (
            "execution: {retry_backoff_seconds: 20}",
            "config.yaml:6: execution.retry_backoff_seconds: 20 is above retry_backoff_maximum_seconds (10); lower it",
        ),
        (
            "execution: {limit_reprices: 2}",
            "config.yaml:6: execution.limit_reprices: means nothing for entry: market; take it out or write entry: limit",
        ),
        (
            "execution: {entry: limit, limit_offset: 0, post_only: true}",
            "config.yaml:6: execution.limit_offset: 0 with post_only: the venue would refuse each entry; set it above 0",
        ),
        (
            "execution: {entry: limit, limit_reprices: 2, limit_chase: 0}",
            "config.yaml:6: execution.limit_chase: 0 with limit_reprices: no entry could go after the price; set it above 0",
        ),
        (
            "execution: {entry: soon}",
            "config.yaml:6: execution.entry: must be market or limit, is 'soon'",
        ),
        (
            "execution: {amend_interval_seconds: -1}",
            "config.yaml:6: execution.amend_interval_seconds: must be seconds from 0 to 86400, is -1",
        ),
        (
            "runtime: {restarts: {backoff_seconds: 100}}",
            "config.yaml:6: runtime.restarts.backoff_seconds: 100 is above backoff_maximum_seconds (60); lower it",
        ),
        (
            "runtime: {ledger: {backoff_seconds: 100}}",
            "config.yaml:6: runtime.ledger.backoff_seconds: 100 is above backoff_maximum_seconds (15); lower it",
        ),
    ],
)
def test_one_wrong_thing_gives_one_sentence(extra, sentence):
    assert of(extra) == [sentence]


LOOPBACK = "loopback: {port: 4433, ca_file: ca.pem}"


@pytest.mark.parametrize(
    ("extra", "sentence"),
    [
        ("mode: live", "6: mode: live needs a real exchange, and exchange.id is simulator; name one, or write paper"),
        (
            "exchange: {id: bybit}\nmode: replay",
            "7: mode: replay plays candle files; write exchange.id: simulator and name the files, or write paper",
        ),
        ("mode: replay", "6: mode: replay plays candle files; name them in exchange.simulator.candles, or write paper"),
        (
            "exchange: {id: bibyt}",
            "6: exchange.id: 'bibyt' is not a venue that livebot knows; known are simulator, ",
        ),
        ("exchange: {id: okx}\nmode: live", "6: exchange.id: okx perpetual: "),
        (
            f"exchange: {{id: bybit, sandbox: true, {LOOPBACK}}}\nmode: live",
            "6: exchange.sandbox: a local exchange has no sandbox; write false, or leave loopback out",
        ),
        ("exchange: {id: bybit, loopback: {port: 4433}}", "6: exchange.loopback: "),
        ("exchange: {id: bybit, connection: {clock_skew_ms: -1}}", "6: exchange.connection.clock_skew_ms: "),
    ],
)
def test_what_a_venue_cannot_do_is_refused_before_it_is_asked(extra, sentence):
    (said,) = of(extra)
    assert said.startswith("config.yaml:" + sentence)


@pytest.mark.parametrize(
    "extra",
    [
        "exchange: {id: bybit}\nmode: live",
        "exchange: {id: bybit, sandbox: true}\nmode: live",
        f"exchange: {{id: bybit, {LOOPBACK}}}\nmode: live",
        "exchange: {id: binance}",
        "exchange: {simulator: {candles: ../candles}}\nmode: replay",
        "exchange: {simulator: {socket: venue.sock}}\nmode: replay",
    ],
)
def test_what_a_venue_can_do_is_taken(extra):
    assert of(extra) == []


def test_spot_is_traded_where_perpetuals_are():
    spot = "system: demo\nmarket: spot\nsymbols: [BTC/USDT]\nstrategies: [{name: ema_cross}]\nexchange: {id: bybit}\n"
    assert complaints(spot) == []
    assert complaints(spot + "mode: live\n") == []
    assert "not proven" in complaints(spot.replace("bybit", "kraken") + "mode: live\n")[0]


def test_the_value_of_a_secret_is_in_no_message():
    text = MINIMAL + "api_key: hunter2\nexchange: {secret: {deep: hunter2}, password: [hunter2\n"
    assert "hunter2" not in "".join(complaints(text) + of("api_key: hunter2\npassword: [hunter2, {a: hunter2}]"))


def test_all_that_is_wrong_is_told_at_once_in_the_order_of_the_lines():
    text = "system: X\nmarket: spot\nsymbols: [BTC/USDT]\nstrategies:\n  - {name: nope}\n  - {}\nrisk: {limits: {drawdown: 2}}\n"
    assert [line.split(": ")[0] + " " + line.split(": ")[1] for line in complaints(text)] == [
        "config.yaml:1 system",
        "config.yaml:5 strategies[0].name",
        "config.yaml:6 strategies[1]",
        "config.yaml:7 risk.limits.drawdown",
    ]


def test_a_flood_of_problems_is_cut():
    lines = of("".join(f"unknown_key_{number}: 1\n" for number in range(500)))
    assert len(lines) == PROBLEMS_SHOWN_MAX
    lines = of("runtime: {}\n" * 250)
    assert len(lines) == PROBLEMS_SHOWN_MAX + 1
    assert lines[-1] == "config.yaml: and 149 more; mend these first"


def test_the_error_is_bad_input_and_holds_each_problem_by_itself():
    with pytest.raises(BadInput) as caught:
        check(MINIMAL + "zzz: 1", "config.yaml")
    assert isinstance(caught.value, ConfigErrors)
    problem = caught.value.problems[0]
    assert (problem.line, problem.key, problem.text) == (6, "zzz", f"unknown key; known here: {TOP_LEVEL}")
