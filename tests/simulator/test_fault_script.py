"""Files of faults, and faults that time arms and withdraws."""

import asyncio

import pytest

from livebot.errors import BadInput
from livebot.simulator.fault_script import (
    ENTRIES_MAX,
    KEYS,
    SIZE_MAX_BYTES,
    check_symbols,
    format_text,
    parse_faults,
    read_faults,
)
from livebot.simulator.venue_faults import PLACES, Fault, Faults, Place
from tests.virtual_loop import run

BTC = "BTC/USDT:USDT"


class TestFiles:
    """A file is right, or refused whole."""

    def test_yaml_and_json_say_the_same(self, tmp_path):
        yaml, json = tmp_path / "faults.yaml", tmp_path / "faults.json"
        yaml.write_text("- {kind: drop, symbols: BTCUSDT, odds: 0.5}\n- kind: cut\n  times: null\n")
        json.write_text('[{"kind": "drop", "symbols": ["BTCUSDT"], "odds": 0.5}, {"kind": "cut", "times": null}]')
        assert read_faults(yaml) == read_faults(json)
        assert [fault.kind for fault in read_faults(yaml)] == ["drop", "cut"]
        assert read_faults(yaml)[1].times is None
        assert parse_faults("kind: drop", "one") == (Fault(kind="drop"),)
        assert parse_faults("# nothing\n", "none") == ()

    def test_all_that_is_wrong_is_told_with_the_entrys_number(self):
        text = """
- {kind: wish}
- {kind: drop}
- {kind: drop, odds: 2, much: 1}
- {kind: ban}
- {kind: late, seconds: .nan}
- {kind: freeze, seconds: -1}
- {kind: delist}
- {kind: cut, every_s: 1, for_s: 3}
- 5
- {kind: partial, pieces: 1}
"""
        with pytest.raises(BadInput) as caught:
            parse_faults(text, "faults.yaml")
        lines = str(caught.value).splitlines()
        assert [line.split(":")[1].strip() for line in lines] == [
            f"entry {number}" for number in (1, 3, 3, 4, 5, 6, 7, 8, 9, 10)
        ]
        assert lines[0].startswith("faults.yaml: entry 1: kind: ")
        for line, word in zip(
            lines[1:], ("odds", "much", "above 0", "finite", "negative", "symbols", "every_s"), strict=False
        ):
            assert word in line

    @pytest.mark.parametrize(
        "text",
        [
            *("- {kind: drop", "a: b: c", "- !!python/object:os.system {}", "\t- x"),
            pytest.param("[" * 5000, marks=pytest.mark.untraced),
        ],
    )
    def test_what_is_no_yaml_is_refused(self, text):
        with pytest.raises(BadInput, match="neither YAML nor JSON"):
            parse_faults(text, "faults.yaml")

    def test_files_that_are_none_are_refused(self, tmp_path):
        with pytest.raises(BadInput, match="cannot be read"):
            read_faults(tmp_path / "none.yaml")
        huge, binary = tmp_path / "huge.yaml", tmp_path / "binary.yaml"
        huge.write_bytes(b"#" * (SIZE_MAX_BYTES + 1))
        binary.write_bytes(b"\xff\xfe\x00")
        with pytest.raises(BadInput, match="larger"):
            read_faults(huge)
        with pytest.raises(BadInput, match="UTF-8"):
            read_faults(binary)
        with pytest.raises(BadInput, match="more than"):
            parse_faults("- {kind: drop}\n" * (ENTRIES_MAX + 1), "many.yaml")

    def test_symbols_that_nobody_trades_are_told(self):
        faults = (Fault(kind="drop", symbols=("BTCUSDT", "XRPUSDT")), Fault(kind="cut", symbols=("ETH/USDT:USDT",)))
        check_symbols(faults[:0], [BTC], "f")
        with pytest.raises(BadInput) as caught:
            check_symbols(faults, [BTC], "f")
        assert str(caught.value).splitlines() == [
            "f: entry 1: symbols: XRPUSDT is not traded at this exchange",
            "f: entry 2: symbols: ETH/USDT:USDT is not traded at this exchange",
        ]

    def test_the_format_names_every_kind_and_key_and_its_example_is_right(self):
        text = format_text()
        for name in (*PLACES, *Fault.model_fields):
            assert name in text, name
        example = "".join(line[4:] + "\n" for line in text.splitlines() if line.startswith("    - {"))
        assert len(parse_faults(example, "example")) == 3
        assert KEYS in text


class Exchange:
    """Does what it is told, and remembers it."""

    def __init__(self):
        self.done = []

    def check(self, symbols):
        if "XRP" in symbols:
            raise BadInput("this exchange does not trade XRP")

    def delist(self, symbols):
        self.check(symbols)
        self.done.append(("delist", symbols))

    def list_again(self, symbols):
        self.done.append(("list again", symbols))

    def close_positions(self, symbols):
        self.done.append(("close", symbols))

    def liquidate(self, symbols):
        self.done.append(("liquidate", symbols))

    def expire_listen_keys(self):
        self.done.append(("expire", ()))
        return "two keys are gone"


def armed_over(faults: Faults, seconds: int) -> list[int]:
    async def main():
        faults.begin(Exchange())
        seen = []
        for _ in range(seconds):
            await asyncio.sleep(1)
            seen.append(len(faults.armed))
        faults.end()
        return seen

    return run(main())


class TestTime:
    """A script of faults."""

    def test_a_fault_is_armed_when_its_time_comes(self):
        faults = Faults()
        faults.arm(Fault(kind="drop", after_s=2.5))
        assert armed_over(faults, 5) == [0, 0, 1, 1, 1]

    def test_it_is_withdrawn_when_its_time_is_over(self):
        faults = Faults()
        faults.arm(Fault(kind="drop", after_s=1.5, for_s=2, times=None))
        assert armed_over(faults, 5) == [0, 1, 1, 0, 0]

    def test_it_comes_again_as_fresh_as_the_first_time(self):
        async def main():
            faults = Faults()
            faults.begin(Exchange())
            faults.arm(Fault(kind="drop", every_s=3, for_s=1, times=1))
            struck = []
            for _ in range(9):
                await asyncio.sleep(0.999)
                struck.append(faults.take(Place.PUSH, "kline") is not None)
            assert faults.struck == {"drop": 3}
            faults.clear()
            await asyncio.sleep(10)
            assert faults.armed == []
            faults.end()
            return struck

        # every 3 s it may strike once within a second
        assert sum(run(main())) == 3

    def test_what_never_struck_is_known_by_its_entry_also_after_all_was_cleared(self):
        async def main():
            faults = Faults()
            faults.begin(Exchange())
            faults.arm_json(
                b'[{"kind": "drop", "endpoints": ["klien"], "symbols": ["BTC/USDT"]}, {"kind": "drop", "every_s": 1},'
                b' {"kind": "cut", "after_s": 50}]'
            )
            await asyncio.sleep(1.5)
            assert faults.take(Place.PUSH, "kline") is not None
            faults.clear()
            faults.end()
            return list(faults.idle.values())

        assert run(main()) == ["entry 1: drop (endpoints klien; symbols BTC/USDT)", "entry 3: cut"]

    def test_what_happens_at_once_can_wait_and_be_undone(self):
        async def main():
            exchange, faults = Exchange(), Faults()
            faults.begin(exchange)
            faults.arm(Fault(kind="skew", seconds=8, after_s=1, for_s=2))
            faults.arm(Fault(kind="delist", symbols=("BTC",), after_s=1, for_s=2))
            faults.arm(Fault(kind="close_position", after_s=2))
            faults.arm(Fault(kind="expire_listen_key", after_s=2.1))
            faults.arm(Fault(kind="delist", symbols=("XRP",), after_s=2.2))
            skews = []
            for _ in range(4):
                skews.append(faults.skew_ms)
                await asyncio.sleep(0.9)
            faults.end()
            assert exchange.done == [("delist", ("BTC",)), ("close", ()), ("expire", ()), ("list again", ("BTC",))]
            assert list(faults.remarks) == ["two keys are gone", "this exchange does not trade XRP"]
            return skews

        assert run(main()) == [0, 0, 8000, 8000]

    def test_all_is_well_again_when_it_is_cleared(self):
        async def main():
            exchange, faults = Exchange(), Faults()
            faults.begin(exchange)
            faults.arm(Fault(kind="delist", symbols=("BTC",)))
            faults.arm(Fault(kind="cut"))
            faults.arm(Fault(kind="cut", after_s=1))
            faults.clear()
            await asyncio.sleep(5)
            assert (faults.armed, exchange.done[-1]) == ([], ("list again", ("BTC",)))
            faults.end()

        run(main())

    def test_before_the_exchange_stands_nothing_can_happen_to_it(self):
        faults = Faults()
        with pytest.raises(BadInput, match="after_s"):
            faults.arm(Fault(kind="close_position"))
        faults.arm(Fault(kind="skew", seconds=1))
        assert faults.skew_ms == 1000

    def test_how_orders_fill(self):
        faults = Faults()
        faults.arm(Fault(kind="burst", symbols=("BTCUSDT",), pieces=7))
        assert faults.fill_shape(("ETHUSDT",)) is None
        shape = faults.fill_shape((BTC, "BTCUSDT"))
        assert shape is not None
        assert (shape.pieces, shape.at_once) == (7, True)
        assert faults.fill_shape((BTC, "BTCUSDT")) is None

    def test_several_at_once_are_armed_together_or_not_at_all(self):
        faults = Faults()
        with pytest.raises(BadInput, match="entry 2: kind"):
            faults.arm_json(b'[{"kind": "cut"}, {"kind": "wish"}]')
        assert faults.armed == []
