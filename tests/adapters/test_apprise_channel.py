"""Messages arrive over a real socket; a service that refuses or hangs is told without a secret."""

import asyncio
import logging
from collections.abc import Iterator

import pytest
from apprise.plugins.custom_json import NotifyJSON

from livebot.adapters.apprise_channel import AppriseChannel
from livebot.errors import BadInput, Transient
from tests.adapters.webhook import Webhook
from tests.virtual_loop import REAL_WAIT_S

PLANTED = "Pl4ntedT0ken"
CLOSED_PORT = f"json://user:{PLANTED}@127.0.0.1:1/{PLANTED}"


@pytest.fixture
def hook() -> Iterator[Webhook]:
    with Webhook() as made:
        yield made


def test_a_message_arrives(hook: Webhook):
    channel = AppriseChannel("phone", [hook.url()], timeout_s=REAL_WAIT_S)
    asyncio.run(channel.send("livebot spot-1: test", "one\ntwo", "critical"))
    assert [(each["title"], each["message"], each["type"]) for each in hook.taken] == [
        ("livebot spot-1: test", "one\ntwo", "failure")
    ]


def test_a_text_too_long_for_a_service_arrives_in_parts(hook: Webhook, monkeypatch: pytest.MonkeyPatch):
    """As they come, services refuse it, or cut it off."""
    monkeypatch.setattr(NotifyJSON, "body_maxlen", 60)
    channel = AppriseChannel("phone", [hook.url()], timeout_s=REAL_WAIT_S)
    text = "\n".join(f"line {number} says this" for number in range(9))
    asyncio.run(channel.send("t", text, "info"))
    assert len(hook.taken) > 2
    assert all(f"line {number} says" in hook.text for number in range(9))


def test_who_refuses_is_told_with_his_reason(hook: Webhook):
    hook.code = 500
    channel = AppriseChannel("phone", [hook.url(PLANTED)], timeout_s=REAL_WAIT_S)
    with pytest.raises(Transient, match="error=500"):
        asyncio.run(channel.send("t", "b", "info"))


def test_a_second_attempt_goes_only_to_who_has_not_got_it(hook: Webhook):
    """Two services behind one channel: who has it is not told twice."""
    with Webhook() as other:
        other.code = 503
        channel = AppriseChannel("phone", [hook.url(), other.url()], timeout_s=REAL_WAIT_S)

        async def story() -> None:
            with pytest.raises(Transient, match="503"):
                await channel.send("t", "b", "info")
            other.code = 200
            await channel.send("t", "b", "info")
            await channel.send("t", "another", "info")

        asyncio.run(story())
        assert hook.text == other.text == "b\nanother"


def test_a_service_that_hangs_is_not_waited_for_and_keeps_nobody(hook: Webhook):
    """The loop goes on meanwhile, nothing new is handed to the thread, and what arrives late is not sent again."""
    channel = AppriseChannel("phone", [hook.url()], timeout_s=0.3)
    hook.held.clear()

    async def story() -> None:
        for _ in range(2):
            with pytest.raises(Transient, match=r"no answer within 0\.3 s"):
                await channel.send("t", "b", "info")
        async with asyncio.timeout(REAL_WAIT_S):
            while not hook.tries:
                await asyncio.sleep(0.01)
        assert (hook.tries, hook.taken) == (1, [])  # the loop has gone on, and the service hangs still
        hook.held.set()
        channel._timeout_s = REAL_WAIT_S
        await channel.send("t", "b", "info")
        assert (hook.tries, hook.text) == (1, "b")

    asyncio.run(story())


def test_the_end_of_the_loop_does_not_hurt_a_thread_that_hangs(hook: Webhook):
    channel = AppriseChannel("phone", [hook.url()], timeout_s=0.1)
    hook.held.clear()
    with pytest.raises(Transient):
        asyncio.run(channel.send("t", "b", "info"))
    hook.held.set()


@pytest.mark.parametrize("url", ["", "nonsense", f"nothing://{PLANTED}/x", f"tgram://{PLANTED}"])
def test_a_url_that_apprise_does_not_understand_is_refused_by_its_place(url: str, caplog: pytest.LogCaptureFixture):
    with pytest.raises(BadInput) as refused:
        AppriseChannel("phone", ["json://127.0.0.1:1", url], timeout_s=1)
    assert str(refused.value).startswith("phone: URL 2 is not one that apprise understands;")
    assert PLANTED not in str(refused.value) + caplog.text


def test_a_channel_without_a_url_is_refused():
    with pytest.raises(BadInput, match="phone: no URL"):
        AppriseChannel("phone", [], timeout_s=1)


class _Everything(logging.Handler):
    """What reaches the root logger, as the daemon's log does, at any level."""

    def __init__(self) -> None:
        super().__init__(logging.NOTSET)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())


@pytest.fixture
def log() -> Iterator[_Everything]:
    root, everything = logging.getLogger(), _Everything()
    level = root.level
    root.addHandler(everything)
    root.setLevel(1)
    yield everything
    root.removeHandler(everything)
    root.setLevel(level)


def test_no_secret_is_in_an_error_a_log_or_a_repr(log: _Everything):
    """Whatever level the log has: apprise says the URL at debug, and would say it here."""
    channel = AppriseChannel("phone", [CLOSED_PORT, f"tgram://123456789:{PLANTED * 3}/42"], timeout_s=REAL_WAIT_S)
    channel._services[1] = channel._services[0]  # telegram itself is out of reach here
    with pytest.raises(Transient) as failed:
        asyncio.run(channel.send("t", "b", "info"))
    assert str(failed.value) and log.said
    said = "\n".join([str(failed.value), repr(failed.value), repr(channel), *log.said])
    assert PLANTED not in said


class _Raising:
    """A service whose code fails as code of others does, with the URL in the text."""

    def notify(self, **_: object) -> None:
        raise RuntimeError(f"cannot reach https://hooks.example/{PLANTED}/x")


class _Mute:
    """Refuses and does not say why."""

    def notify(self, **_: object) -> "_Mute":
        return self

    def __bool__(self) -> bool:
        return False

    def logs(self) -> list[object]:
        return []


def test_what_the_code_of_a_service_raises_is_told_without_the_url():
    channel = AppriseChannel("phone", [CLOSED_PORT], timeout_s=REAL_WAIT_S)
    channel._services = [_Raising()]
    with pytest.raises(Transient) as failed:
        asyncio.run(channel.send("t", "b", "info"))
    assert str(failed.value) == "RuntimeError: cannot reach https://hooks.example/[secret]/x"


def test_a_service_that_does_not_say_why_has_not_taken_it():
    channel = AppriseChannel("phone", [CLOSED_PORT], timeout_s=REAL_WAIT_S)
    channel._services = [_Mute()]
    with pytest.raises(Transient, match="did not take it"):
        asyncio.run(channel.send("t", "b", "info"))


def test_a_key_of_the_venue_does_not_leave_with_a_message(hook: Webhook, monkeypatch: pytest.MonkeyPatch):
    """An error's text may hold it; a chat is worse a place for it than a log."""
    monkeypatch.setenv("LIVEBOT_API_SECRET", "venue-secret-9")
    channel = AppriseChannel("phone", [hook.url()], timeout_s=REAL_WAIT_S)
    asyncio.run(channel.send("t", "ValueError: venue-secret-9 is bad", "info"))
    assert hook.text == "ValueError: [secret] is bad"
