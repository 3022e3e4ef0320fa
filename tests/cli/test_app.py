"""The commands, as an operator and as a script call them."""

import json
import os
import resource
import signal
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

import pytest
import typer
from typer.testing import CliRunner

from livebot import bootstrap
from livebot.cli import app as app_module
from livebot.cli import main
from livebot.cli.app import app
from livebot.cli.interrupt import INTERRUPTED, leaving_at_once
from livebot.errors import Fatal, Transient
from livebot.ops.status_json import encode_status
from livebot.reporting.live_report import live_report
from livebot.reporting.signals_report import FactRow, Selection, make_report
from tests.ops.fake_control import REFUSAL, TROUBLE, FakeControl, a_signal, a_status, a_symbol
from tests.ops.served import Served

CONFIG = "system: demo\nmarket: perpetual\nsymbols: [BTC/USDT:USDT]\nstrategies: [{name: ema_cross}]\n"
COMMANDS = [
    "run",
    "check",
    "status",
    "watch",
    "pause",
    "resume",
    "restart",
    "flatten",
    "adopt",
    "halt",
    "unhalt",
    "reload",
    "log-level",
    "report",
]
START_TIMES_MAX = 2.2  # what typer and pydantic take to load; it is 1.3, and with numpy 3


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch):
    for name in ("STATE_DIRECTORY", "LIVEBOT_LOG", "CREDENTIALS_DIRECTORY", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "100")


@pytest.fixture
def root(tmp_path):
    (tmp_path / "config.yaml").write_text(CONFIG)
    (tmp_path / "state").mkdir()
    return tmp_path


@pytest.fixture
def served(root):
    with Served(root / "state" / "control.sock", FakeControl()) as served:
        yield served


@pytest.fixture
def livebot(root):
    """Call a command in this process, with the config of the root."""

    def call(*arguments):
        return CliRunner().invoke(app, [*arguments, "--config", str(root / "config.yaml")])

    return call


def process(*arguments, **options):
    """Call it as the shell does."""
    return subprocess.run(
        [sys.executable, "-m", "livebot", *arguments],
        check=False,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        timeout=110,
        **options,
    )


# ------------------------------------------------------------------ help


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example(name):
    """And the example is a call of that command."""
    result = CliRunner().invoke(app, [name, "--help"])
    assert result.exit_code == 0
    assert f"Example: livebot {name}" in result.output


def test_the_help_lists_the_commands_and_the_exit_codes():
    """Whoever has never seen it finds all of it."""
    result = CliRunner().invoke(app, ["--help"])
    listed = [line.split()[0] for line in result.output.split("Commands:")[1].splitlines() if line.startswith("  ")]
    assert listed[: len(COMMANDS)] == COMMANDS
    assert "4 the" in result.output
    assert ".." not in result.output.replace("[ARGS]...", "")


def test_help_imports_nothing_heavy():
    """Else it would not answer at once.  (pydantic is not in the list: typer itself needs it.)"""
    heavy = "numpy sqlalchemy aiohttp talib structlog rich asyncio uvloop orjson"
    code = (
        "import sys; from livebot.cli.app import app\n"
        "try: app(['status', '--help'])\n"
        f"except SystemExit: print([name for name in {heavy.split()!r} if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert run.stdout.splitlines()[-1] == "[]"


def test_help_answers_at_once():
    """In processor time, to which a busy machine adds nothing, and a slow one as much to what it cannot do without."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    times = []
    for _ in range(5):
        begun = children_seconds()
        subprocess.run([sys.executable, "-c", "import typer, pydantic"], check=True, env=environment)
        needed = children_seconds() - begun
        assert process("status", "--help", env=environment).returncode == 0
        times.append((children_seconds() - begun - needed) / needed)
    assert min(times) < START_TIMES_MAX


def children_seconds():
    """Processor time of the children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@pytest.mark.parametrize("arguments", [["bogus"], ["status", "--bogus"], ["watch", "--every", "0"], ["unhalt"]])
def test_bad_usage_is_exit_code_2(arguments):
    """Before anything is asked of anybody."""
    assert CliRunner().invoke(app, arguments).exit_code == 2


# ------------------------------------------------------------------ asking


def test_status_is_one_screen(served, livebot):
    """The answer first."""
    served.control.present = a_status(symbols=(a_symbol(signals=(a_signal(),)),))
    result = livebot("status")
    assert result.exit_code == 0
    assert result.output.splitlines()[0].strip() == "SAFE  every open position has its stop on the venue"
    assert "BTC/USDT:USDT" in result.output


def test_status_as_json_is_the_status(served, livebot):
    """Every key, decimals as text."""
    result = livebot("status", "--json")
    assert json.loads(result.output) == json.loads(encode_status(a_status()))


@pytest.mark.parametrize("command", [["status"], ["watch"], ["halt"], ["pause", "--all"]])
def test_no_daemon_is_exit_code_4(livebot, command):
    """With a sentence on stderr and nothing on stdout."""
    result = livebot(*command)
    assert (result.exit_code, result.stdout) == (4, "")
    assert "no daemon runs here" in result.stderr


def test_a_status_of_another_version_is_exit_code_3(served, livebot):
    """A sentence, not a traceback."""
    served.control.present = a_status(limits=({"name": "of another shape"},))
    result = livebot("status")
    assert result.exit_code == 3
    assert "another version" in result.stderr


def test_no_config_is_exit_code_2(tmp_path):
    """And says how to name one."""
    result = CliRunner().invoke(app, ["status", "--config", str(tmp_path / "absent.yaml")])
    assert result.exit_code == 2
    assert "name another with --config" in result.stderr


def test_a_broken_config_does_not_stop_a_halt(served, livebot, root):
    """It is told, and the daemon is found at its usual place."""
    (root / "config.yaml").write_text("system: [")
    result = livebot("halt", "--reason", "typing error")
    assert result.exit_code == 0
    assert "trying the daemon's usual place" in result.stderr
    assert served.control.asked == [("halt", "typing error")]


# ------------------------------------------------------------------ telling


@pytest.mark.parametrize("name", ["pause", "resume", "restart", "flatten"])
def test_commands_take_symbols_or_all(served, livebot, name):
    """All is said, never meant by silence."""
    assert livebot(name, "A/USDT", "B/USDT").stdout == f"{name} done\n"
    assert livebot(name, "--all", "--reason", "why not").exit_code == 0
    assert served.control.asked == [(name, ["A/USDT", "B/USDT"]), (name, None)]
    assert served.audited[1][1] == {"symbols": None, "reason": "why not"}
    for wrong in ([name], [name, "A/USDT", "--all"]):
        result = livebot(*wrong)
        assert result.exit_code == 2
        assert f"name the symbols to {name}, or say --all" in result.stderr
    assert len(served.control.asked) == 2


def test_reload_and_log_level_reach_the_daemon(served, livebot):
    """With a reason, or without."""
    assert livebot("reload").stdout == "reload done\n"
    assert livebot("reload", "--reason", "limits").exit_code == 0
    assert livebot("log-level", "debug", "--json").stdout == '{\n  "message": "log_level done"\n}\n'
    assert livebot("log-level", "loud").exit_code == 2
    assert [each[:2] for each in served.audited] == [
        ("reload", {}),
        ("reload", {"reason": "limits"}),
        ("log-level", {"level": "debug"}),
    ]


def test_adopt_takes_over_or_dismisses(served, livebot):
    """With a stop, a target and a strategy, or by leaving it there."""
    named = ("--stop", "61000.50", "--target", "64000", "--strategy", "trend", "--reason", "mine")
    assert livebot("adopt", "A/USDT", *named).stdout == "adopt done\n"
    assert livebot("adopt", "--all").exit_code == 0
    assert livebot("adopt", "--dismiss", "A/USDT", "B/USDT").stdout == "dismiss done\n"
    wishes = {"stop": Decimal("61000.50"), "target": Decimal(64000), "strategy": "trend"}
    assert served.control.asked == [
        ("adopt", (["A/USDT"], wishes)),
        ("adopt", (None, {})),
        ("dismiss", ["A/USDT", "B/USDT"]),
    ]
    assert served.audited[0][1]["reason"] == "mine"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["adopt"], "name the symbols to adopt"),
        (["adopt", "A/USDT", "--stop", "below"], "must be a price"),
        (["adopt", "A/USDT", "--stop", "-1"], "above 0"),
        (["adopt", "A/USDT", "--target", "inf"], "above 0"),
        (["adopt", "--dismiss", "A/USDT", "--stop", "5"], "what is dismissed has no stop"),
    ],
)
def test_an_adoption_that_makes_no_sense_is_bad_usage(served, livebot, arguments, sentence):
    """Before the daemon is asked."""
    result = livebot(*arguments)
    assert result.exit_code == 2
    assert sentence in " ".join(result.stderr.replace("│", " ").split())
    assert served.control.asked == []


def test_halt_and_unhalt(served, livebot):
    """A halt must not need words; lifting it does."""
    assert livebot("halt").stdout == "halt done\n"
    assert livebot("unhalt").exit_code == 2
    assert livebot("unhalt", "--reason", "looked into it").exit_code == 0
    assert served.control.asked == [("halt", "by the operator"), ("unhalt", "looked into it")]


def test_a_halt_with_flatten_halts_first_and_then_closes_everything(served, livebot):
    """Whatever becomes of the halt: one that is not on disk holds all the same."""
    assert livebot("halt", "--flatten", "--reason", "enough").stdout == "halt done\nflatten done\n"
    assert served.control.asked == [("halt", "enough"), ("flatten", None)]
    served.control.raises = REFUSAL
    result = livebot("halt", "--flatten")
    assert (result.exit_code, result.stdout, result.stderr) == (3, "", f"{REFUSAL}; {REFUSAL}\n")
    assert [name for name, _ in served.control.asked[2:]] == ["halt", "flatten"]


def test_what_a_command_says_as_json(served, livebot):
    """For scripts."""
    assert json.loads(livebot("halt", "--json").stdout) == {"message": "halt done"}


@pytest.mark.parametrize("error", [REFUSAL, TROUBLE])
def test_a_refusal_is_exit_code_3(served, livebot, error):
    """With the daemon's sentence."""
    served.control.raises = error
    result = livebot("flatten", "BTC/USDT")
    assert (result.exit_code, result.stdout, result.stderr) == (3, "", f"{error}\n")


def test_no_secret_reaches_stderr(served, livebot, monkeypatch):
    """Not even when the venue's refusal repeats it."""
    monkeypatch.setenv("LIVEBOT_API_KEY", "abcdef123456")
    served.control.raises = Fatal("the venue does not know the key abcdef123456")
    assert livebot("halt").stderr == "the venue does not know the key [secret]\n"


# ------------------------------------------------------------------ check


def test_check_says_what_to_mend(livebot, root):
    """All at once, one line each; exit code 2."""
    assert livebot("check").exit_code == 0
    (root / "config.yaml").write_text(CONFIG + "riskk: 1\nmode: maybe\n")
    result = livebot("check")
    assert result.exit_code == 2
    assert len(result.stdout.splitlines()) == 2
    assert "2 things to mend" in result.stderr
    assert len(json.loads(livebot("check", "--json").stdout)["problems"]) == 2


@pytest.mark.parametrize(
    ("clusters", "told"),
    [
        ("{named: {majors: [BTC/USDT:USDT]}}", "risk.clusters: majors is BTC/USDT:USDT"),
        (
            "{correlation: {threshold: 0.7}}",
            "risk.clusters: symbols whose last 720 1h returns correlate by 0.7 on average count together; that is worked out "
            "every 24 h",
        ),
    ],
)
def test_check_says_which_symbols_count_together(livebot, root, clusters, told):
    """Named, or how it is found out."""
    (root / "config.yaml").write_text(f"{CONFIG}risk:\n  clusters: {clusters}\n")
    assert livebot("check").stdout.splitlines()[0] == told
    assert json.loads(livebot("check", "--json").stdout) == {"problems": []}


@pytest.mark.parametrize(("count", "told"), [(0, "nothing is wrong"), (1, "1 thing to mend"), (7, "7 things to mend")])
def test_problems_are_counted_in_words(count, told):
    """For the last line."""
    assert app_module._problem_count([""] * count) == told


# ------------------------------------------------------------------ run


class Daemon:
    """In place of the real one: remembers how it was started."""

    def __init__(self, code=0, raises=None):
        self.code = code
        self.raises = raises
        self.started = []

    def __call__(self, config, root, *, seconds, screen, log_level):
        self.started.append((config.name, root, seconds, screen, log_level))
        if screen is not None:
            screen.log_line("from within")
        if self.raises:
            raise self.raises
        return self.code


@pytest.fixture
def daemon(monkeypatch):
    daemon = Daemon()
    monkeypatch.setattr(bootstrap, "run_daemon", daemon)
    return daemon


def test_run_without_a_terminal_has_no_screen(daemon, livebot, tmp_path):
    """Its options reach the daemon, its exit code the shell."""
    daemon.code = 3
    result = livebot("run", "--seconds", "1.5", "--log-level", "debug", "--root", str(tmp_path))
    assert (result.exit_code, result.output) == (3, "")
    assert daemon.started == [("config.yaml", tmp_path, 1.5, None, "debug")]


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "inf"])
def test_run_for_no_time_is_bad_usage(daemon, livebot, seconds):
    """Before anything starts."""
    assert livebot("run", "--seconds", seconds).exit_code == 2
    assert daemon.started == []


@pytest.mark.parametrize(("error", "code"), [(Fatal("the disk is full"), 3), (Transient("try later"), 3)])
def test_run_that_cannot_says_why(daemon, livebot, error, code):
    """One sentence."""
    daemon.raises = error
    result = livebot("run")
    assert (result.exit_code, result.stderr) == (code, f"{error}\n")


def test_a_wrong_log_form_is_bad_usage(daemon, livebot, monkeypatch):
    """As any other setting."""
    monkeypatch.setenv("LIVEBOT_LOG", "xml")
    monkeypatch.setenv("FORCE_COLOR", "1")
    result = livebot("run")
    assert result.exit_code == 2
    assert "must be json or text" in result.stderr


def facts(count):
    return [
        FactRow(
            ts_ms=number,
            kind="SignalOpened",
            strategy="ema_cross",
            symbol="BTC/USDT",
            signal_id=f"ema_cross/BTC/USDT#{number}",
            side="long",
        )
        for number in range(count)
    ]


@pytest.fixture
def reported(monkeypatch):
    """Reports of so many open signals; remembers what was asked for."""
    ledger = SimpleNamespace(count=3, asked=[])

    def report(config, root, selection, *, candles=False):
        ledger.asked.append(selection)
        return live_report(make_report("demo", facts(ledger.count), [], selection), [])

    monkeypatch.setattr(bootstrap, "report", report)
    return ledger


@pytest.mark.parametrize("count", [3, 50])
def test_run_on_a_terminal_ends_with_the_report(daemon, reported, livebot, monkeypatch, count):
    """Of many signals the last ones, and says where the others are."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("LIVEBOT_LOG", "text")
    monkeypatch.setenv("TERM", "xterm")
    reported.count = count
    result = livebot("run")
    assert result.exit_code == 0
    assert daemon.started[0][3] is not None
    assert "from within" in result.output
    assert "Live Trading Report: demo" in result.output
    assert result.output.count("OPENED") == min(count, 40)
    assert ("`livebot report` shows 10 more" in result.output) == (count == 50)


def test_a_report_that_cannot_be_shown_does_not_fail_the_run(daemon, livebot, monkeypatch):
    """The run ended well; here no ledger was ever made."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    result = livebot("run")
    assert result.exit_code == 0
    assert "the report cannot be shown: " in result.stderr


def test_a_dumb_terminal_gets_lines_only(daemon, reported, livebot, monkeypatch):
    """No table, but the report."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "dumb")
    result = livebot("run")
    assert daemon.started[0][3] is None
    assert "Live Trading Report: demo" in result.output


# ------------------------------------------------------------------ report


@pytest.mark.parametrize(
    ("arguments", "begins"),
    [
        ([], "Live Trading Report: demo\n"),
        (["--format", "text"], "Live Trading Report: demo\n"),
        (["--format", "md"], "# Live Trading Report: demo\n"),
        (["--format", "html"], "<!doctype html>\n"),
        (["--format", "json"], "{\n"),
        (["--json"], "{\n"),
    ],
)
def test_report_in_each_format(reported, livebot, arguments, begins):
    """Text unless another is asked for."""
    result = livebot("report", *arguments)
    assert result.exit_code == 0
    assert result.stdout.startswith(begins)
    if begins == "{\n":
        assert json.loads(result.stdout)["total_events"] == 3


def test_report_of_a_choice(reported, livebot):
    """By strategy, symbol and time."""
    livebot("report", "--strategy", "ema_cross", "--symbol", "BTC/USDT", "--since", "2026-01-01")
    assert reported.asked == [Selection(strategy="ema_cross", symbol="BTC/USDT", since_ms=1_767_225_600_000)]
    result = livebot("report", "--since", "whenever")
    assert (result.exit_code, len(reported.asked)) == (2, 1)


def test_report_into_a_file(reported, livebot, tmp_path):
    """Or a sentence about why not."""
    result = livebot("report", "--format", "md", "--output", str(tmp_path / "report.md"))
    assert (result.exit_code, result.stdout) == (0, "")
    assert (tmp_path / "report.md").read_text().startswith("# Live Trading Report")
    result = livebot("report", "--output", str(tmp_path / "absent" / "report.md"))
    assert result.exit_code == 3
    assert "cannot be written" in result.stderr
    assert "No such file or directory" in result.stderr


def test_report_before_anything_ran_is_a_sentence(livebot):
    """The real thing: there is no ledger yet."""
    result = livebot("report")
    assert result.exit_code == 2
    assert "ledger" in result.stderr
    assert "Traceback" not in result.output


# ------------------------------------------------------------------ as processes


@pytest.mark.process
def test_the_shell_sees_the_same(served, root):
    """Exit codes, streams, and who asked, from a real process."""
    config = str(root / "config.yaml")
    halted = process("halt", "--config", config)
    assert (halted.returncode, halted.stdout, halted.stderr) == (0, "halt done\n", "")
    assert served.audited[0][2].startswith(f"uid={os.getuid()} pid=")
    assert json.loads(process("status", "--json", "--config", config).stdout)["system"] == "demo"
    served.control.raises = REFUSAL
    refused = process("flatten", "X/USDT", "--config", config)
    assert (refused.returncode, refused.stderr) == (3, f"{REFUSAL}\n")
    absent = process("status", "--config", str(root / "none.yaml"))
    assert (absent.returncode, "Traceback" in absent.stderr) == (2, False)
    assert process("status", "--root", str(root / "other")).returncode == 4
    assert process("run", "--config", str(root / "none.yaml")).returncode == 2


@pytest.mark.process
def test_a_reader_that_leaves_early_is_no_failure_of_ours(served, root):
    """`livebot status | head -1`: no traceback."""
    run = subprocess.run(
        f"{sys.executable} -m livebot status --config {root}/config.yaml | head -1",
        shell=True,
        check=True,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert "SAFE" in run.stdout
    assert "Traceback" not in run.stderr


def test_main_is_the_app(monkeypatch):
    """What the script calls."""
    monkeypatch.setattr(sys, "argv", ["livebot", "--help"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0


@pytest.fixture
def usual_ctrl_c():
    """As it is in a process that a terminal started; what a test does about it is undone."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_until_it_runs_ctrl_c_ends_it_at_once(usual_ctrl_c, monkeypatch, capfd):
    """And a hidden cursor comes back."""
    codes = []
    monkeypatch.setattr("livebot.cli.interrupt.os._exit", codes.append)
    with leaving_at_once(live=True):
        signal.raise_signal(signal.SIGINT)
    assert (codes, capfd.readouterr().out) == ([INTERRUPTED], "\x1b[?25h\n")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_ctrl_c_that_is_to_be_ignored_stays_so(usual_ctrl_c):
    """As under nohup."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with leaving_at_once():
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_a_command_that_is_interrupted_ends_as_shells_expect(usual_ctrl_c, monkeypatch):
    """Without a traceback."""

    def interrupted():
        raise KeyboardInterrupt

    monkeypatch.setattr("livebot.cli.app.app", interrupted)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == INTERRUPTED == 130


# ------------------------------------------------------------------ watch


@pytest.fixture
def watch_time(monkeypatch):
    """Passes only while `livebot watch` sleeps; what is put into `then` is done, once, in the sleep after so many seconds."""
    time = SimpleNamespace(now=0.0, then=None)

    def sleep(seconds):
        time.now += seconds
        if time.then and time.now >= time.then[0]:
            (_, deed), time.then = time.then, None
            deed()

    monkeypatch.setattr("livebot.cli.watch.time", SimpleNamespace(monotonic=lambda: time.now, sleep=sleep))
    return time


def test_watch_prints_one_status_after_the_other(served, livebot, watch_time):
    """Where there is no terminal."""
    result = livebot("watch", "--every", "0.1", "--seconds", "0.25")
    assert result.exit_code == 0
    assert result.output.count("no position is open") == 4


def test_watch_as_json_is_one_object_a_line(served, livebot, watch_time):
    """For scripts."""
    result = livebot("watch", "--every", "0.1", "--seconds", "0.15", "--json")
    assert {json.loads(line)["system"] for line in result.output.splitlines()} == {"demo"}


@pytest.mark.parametrize(("as_json", "force_colour"), [(True, False), (False, False), (False, True)])
def test_watch_waits_for_a_daemon_that_went_away(root, livebot, monkeypatch, watch_time, as_json, force_colour):
    """A restart is what one may want to watch; if it does not come back, that is exit code 4."""
    if force_colour:
        monkeypatch.setenv("FORCE_COLOR", "1")
        monkeypatch.setenv("TERM", "xterm")
    served = Served(root / "state" / "control.sock", FakeControl())
    served.__enter__()
    watch_time.then = (0.3, served.__exit__)
    result = livebot("watch", "--every", "0.1", "--seconds", "1", *(["--json"] if as_json else []))
    assert result.exit_code == 4
    assert "no daemon runs here" in result.stdout
    assert "demo" in result.stdout
    assert ("NOT REACHED" in result.stdout) == force_colour


def test_watch_ends_with_control_c(served, livebot, monkeypatch):
    """That is its ordinary end."""

    def interrupted(_):
        raise KeyboardInterrupt

    monkeypatch.setattr("livebot.cli.watch.time.sleep", interrupted)
    assert livebot("watch").exit_code == 0


def test_exit_codes_are_what_the_help_says():
    """They are part of the interface."""
    assert (app_module.EXIT_USAGE, app_module.EXIT_FAILED, app_module.EXIT_NOT_REACHED) == (2, 3, 4)
    assert isinstance(app, typer.Typer)
