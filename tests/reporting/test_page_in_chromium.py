"""The page in a real browser, opened from disk: nothing is fetched, nothing fails, and there is something to see."""

import base64
import os
import re
import shutil

import pytest
from playwright.sync_api import sync_playwright

from livebot.reporting.performance_page import as_html, live_page
from livebot.reporting.performance_report import performance
from tests.reporting.records import run
from tests.reporting.rows import DECISIONS, FACTS, live

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
WAIT_MS = 60_000
HOSTILE = "</script><img src=x onerror=alert(1)>"
# of each of the page's colours: how many pixels of a picture have it, and how far apart they are, from left to right
PAINTED = """async picture => {
    const style = getComputedStyle(document.documentElement);
    const found = {}, names = new Map();
    for (const name of ['accent', 'up', 'down', 'gain', 'loss']) {
        names.set(parseInt(style.getPropertyValue('--' + name).trim().slice(1), 16), name);
        found[name] = { pixels: 0, left: Infinity, right: -Infinity };
    }
    const bytes = Uint8Array.from(atob(picture), character => character.charCodeAt(0));
    const image = await createImageBitmap(new Blob([bytes], { type: 'image/png' }));
    const { width, height } = image;
    const copy = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true });
    copy.drawImage(image, 0, 0);
    const { data } = copy.getImageData(0, 0, width, height);
    for (let place = 0; place < data.length; place += 4) {
        const name = names.get((data[place] << 16) + (data[place + 1] << 8) + data[place + 2]);
        if (name === undefined) continue;
        const column = (place / 4) % width / width;
        found[name].pixels += 1;
        found[name].left = Math.min(found[name].left, column);
        found[name].right = Math.max(found[name].right, column);
    }
    return Object.fromEntries(Object.entries(found).map(([name, { pixels, left, right }]) => [name, [pixels, right - left]]));
}"""

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("chromium")]


@pytest.fixture(scope="module")
def browser():
    """A headless Chromium, or a skip that names it."""
    path = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if path is None:
        pytest.skip("chromium is not installed, so no page was opened; `make browser` installs it")
    with sync_playwright() as playwright:
        # whoever is root, as in a container, has no sandbox to run it in
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        started = playwright.chromium.launch(executable_path=path, args=arguments)
        yield started
        started.close()


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A run's page, a ledger's, and one whose names want out."""
    folder = tmp_path_factory.mktemp("pages")
    made = run(trades_each=30)
    hostile = run(symbols=(HOSTILE,), days=30, trades_each=5, title=HOSTILE)
    texts = {
        "run": as_html(made, performance(made)),
        "ledger": live_page(live("demo", FACTS, DECISIONS)),
        "hostile": as_html(hostile, performance(hostile)),
    }
    for name, text in texts.items():
        folder.joinpath(f"{name}.html").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def opened(browser, files):
    """Opens a page; afterwards nothing may have been said, asked for or thrown."""
    said, asked, contexts = [], [], []

    def open_page(name="run", size=DESKTOP, scheme="light"):
        phone = size is PHONE
        context = browser.new_context(viewport=size, color_scheme=scheme, is_mobile=phone, has_touch=phone)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(WAIT_MS)
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("dialog", lambda dialog: said.append(dialog.message))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(files.joinpath(f"{name}.html").as_uri())
        page.wait_for_function(
            "document.querySelectorAll('.chart').length === document.querySelectorAll('.chart .modebar').length"
        )
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert said == []
    assert len(asked) == len(contexts)
    assert all(url.startswith("file://") for url in asked)


def painted(page, chart):
    """In a picture of it."""
    picture = page.locator(chart).screenshot()
    return page.evaluate(PAINTED, base64.b64encode(picture).decode())


def has_equity(page):
    found = painted(page, "#equity-chart")
    return all(pixels > 50 and breadth > 0.7 for pixels, breadth in (found["accent"], found["down"]))


def has_candles(page):
    """Rising and falling ones from left to right, an entry and an exit."""
    found = painted(page, "#trade-chart")
    rising, falling, entry = found["up"], found["down"], found["accent"]
    exits = found["gain"][0] + found["loss"][0]
    return min(rising[1], falling[1]) > 0.7 and min(rising[0], falling[0], exits) > 20 and entry[0] > 20


def ranges(page):
    """Of the equity: its times in view, in ms, and its values."""
    return page.evaluate("""() => {
        const { xaxis, yaxis } = document.getElementById('equity-chart').layout;
        return [xaxis.range.map(milliseconds), yaxis.range];
    }""")


def drag(page, path):
    """Fingers on the glass: the points of all of them, moment by moment."""
    session = page.context.new_cdp_session(page)
    for number, fingers in enumerate(path):
        points = [{"x": x, "y": y, "id": finger} for finger, (x, y) in enumerate(fingers)]
        kind = "touchMove" if number else "touchStart"
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def wide(page):
    return page.evaluate("document.documentElement.scrollWidth")


@pytest.mark.parametrize(("size", "scheme"), [(DESKTOP, "light"), (PHONE, "dark")], ids=["desktop", "phone"])
def test_the_page_is_drawn_on_every_screen(opened, size, scheme):
    page = opened(size=size, scheme=scheme)
    first = page.locator("section").first
    assert first.locator("h2").inner_text() == "Comparison of symbols"
    assert first.locator("tbody tr").all_inner_texts()[-1].startswith("All\t")
    assert has_equity(page)
    assert has_candles(page)
    assert painted(page, "#trade-chart")["accent"][1] > 0.7  # entries all along
    assert page.locator(".bars .track i").count() == 3
    assert wide(page) <= size["width"]
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert paper == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(18, 22, 29)")


def test_a_trade_is_shown_on_its_candles_when_it_is_chosen(opened):
    page = opened()
    reading, rows = page.locator("#trade-reading"), page.locator("#trades tbody tr")
    assert reading.inner_text().startswith("BTC/USDT: 30 trades on 2-hour candles")
    row = rows.nth(4)
    symbol, side = row.locator("td").nth(1).inner_text(), row.locator("td").nth(2).inner_text()
    row.click()
    assert f"/{symbol}#" in reading.inner_text()
    assert f": {side} " in reading.inner_text()
    assert "(1-hour candles)" in reading.inner_text()
    assert page.locator("#symbol").input_value() == symbol
    assert page.locator("tr.chosen").all_inner_texts() == [row.inner_text()]
    assert has_candles(page)


def test_one_goes_from_trade_to_trade_by_mouse_and_by_key(opened):
    page = opened()
    older, newer, whole = page.locator("#older"), page.locator("#newer"), page.locator("#whole")
    assert (older.is_enabled(), newer.is_enabled(), whole.is_enabled()) == (True, False, False)
    page.locator("#symbol").select_option("ETH/USDT")
    older.click()
    newest = page.locator("#trade-reading").inner_text()
    assert "/ETH/USDT#" in newest
    older.click()
    assert page.locator("#trade-reading").inner_text() != newest
    newer.click()
    assert page.locator("#trade-reading").inner_text() == newest
    assert newer.is_disabled()
    whole.click()
    assert page.locator("#trade-reading").inner_text().startswith("ETH/USDT: 30 trades")
    page.locator("#trades tbody tr").nth(2).press("Enter")
    assert page.locator("tr.chosen").count() == 1


def test_the_chart_tells_what_is_under_the_pointer(opened):
    page = opened()
    reading = page.locator("#equity-reading")
    at_the_end = reading.inner_text()
    page.locator("#equity-chart").hover(position={"x": 300, "y": 100})
    page.wait_for_function("text => document.getElementById('equity-reading').textContent !== text", arg=at_the_end)
    assert "UTC: equity " in reading.inner_text()
    assert "drawdown " in reading.inner_text()
    candle = page.locator("#candle-reading")
    assert re.fullmatch(
        r"2026-04-30 22:00 UTC: open [\d,.]+, high [\d,.]+, low [\d,.]+, close [\d,.]+", candle.inner_text()
    )
    page.locator("#trade-chart").hover(position={"x": 300, "y": 100})
    page.wait_for_function("document.getElementById('candle-reading').textContent.startsWith('2026-01-31 ')")


def test_a_trade_has_its_stop_and_its_target_on_the_axis_and_its_way_between_entry_and_exit(opened):
    page = opened()
    tags = page.locator("#trade-chart .annotation-text").filter(has_text=re.compile("^(stop|target)"))
    assert tags.count() == 0
    page.locator("#older").click()
    assert sorted(text[:4] for text in tags.all_text_contents()) == ["stop", "targ"]
    assert page.locator("#trade-chart .shapelayer path").count() == 2
    assert page.locator("#trade-chart .scatterlayer .js-line").count() == 1
    assert page.locator("#trade-chart .scatterlayer .point").count() == 2


def test_a_chart_has_the_buttons_that_a_finger_needs_and_no_others(opened):
    page = opened(size=PHONE)
    titles = [each.get_attribute("data-title") for each in page.locator("#equity-chart .modebar-btn").all()]
    assert titles == ["Zoom in", "Zoom out", "Reset axes"]
    whole = ranges(page)
    page.locator("#equity-chart .modebar-btn").first.tap()
    page.wait_for_function(
        "whole => document.getElementById('equity-chart').layout.xaxis.range[0] !== whole", arg=whole[0][0]
    )
    closer = ranges(page)
    assert whole[0][0] < closer[0][0] < closer[0][1] < whole[0][1]
    assert closer[1][1] - closer[1][0] < whole[1][1] - whole[1][0]  # values fit what is in view
    page.locator("#equity-chart .modebar-btn").last.tap()
    page.wait_for_function(
        "whole => document.getElementById('equity-chart').layout.yaxis.range[0] === whole", arg=whole[1][0]
    )
    assert ranges(page) == whole


def test_two_fingers_zoom_one_moves_and_up_and_down_is_left_to_the_page(opened):
    page = opened(size=PHONE)
    page.locator("#equity-chart").scroll_into_view_if_needed()
    height = page.locator("#equity-chart").bounding_box()["y"] + 120
    whole, scrolled = ranges(page), page.evaluate("scrollY")
    drag(page, [((150 - 5 * step, height), (220 + 5 * step, height)) for step in range(15)])
    closer = ranges(page)
    assert whole[0][0] < closer[0][0] < closer[0][1] < whole[0][1]
    drag(page, [((150 + 8 * step, height),) for step in range(15)])
    earlier = ranges(page)
    assert earlier[0][0] < closer[0][0]
    assert earlier[0][1] - earlier[0][0] == pytest.approx(closer[0][1] - closer[0][0], rel=1e-3)
    assert page.evaluate("scrollY") == scrolled
    drag(page, [((150, height - 8 * step),) for step in range(15)])
    page.wait_for_function("before => scrollY > before", arg=scrolled)
    assert ranges(page) == earlier


def test_the_wheel_zooms_and_a_double_click_shows_all_again(opened):
    page = opened()
    whole = ranges(page)
    page.locator("#equity-chart").hover(position={"x": 500, "y": 120})
    for _ in range(4):
        page.mouse.wheel(0, -500)
    page.wait_for_function(
        "low => document.getElementById('equity-chart').layout.yaxis.range[0] !== low", arg=whole[1][0]
    )
    closer = ranges(page)
    assert whole[0][0] < closer[0][0] < closer[0][1] < whole[0][1]
    assert closer[1][1] - closer[1][0] < whole[1][1] - whole[1][0]
    page.locator("#equity-chart").dblclick(position={"x": 500, "y": 120})
    page.wait_for_function(
        "low => document.getElementById('equity-chart').layout.yaxis.range[0] === low", arg=whole[1][0]
    )
    assert ranges(page) == whole


def test_the_colours_follow_the_system_while_the_page_is_open(opened):
    page = opened(scheme="light")
    page.emulate_media(color_scheme="dark")
    page.wait_for_function("getComputedStyle(document.body).backgroundColor === 'rgb(18, 22, 29)'")
    assert has_candles(page)


def test_the_page_of_a_ledger_without_candles_has_its_signals(opened):
    page = opened("ledger")
    assert painted(page, "#equity-chart")["accent"][1] > 0.5
    assert page.locator("#trade-chart").count() == 0
    assert page.get_by_role("cell", name="other/BTC/USDT#1").count() == 1


def test_hostile_names_do_nothing(opened):
    page = opened("hostile")
    assert page.locator("img").count() == 0
    assert page.locator("h1").inner_text() == HOSTILE
    page.locator("#trades tbody tr").first.click()
    assert HOSTILE in page.locator("#trade-reading").inner_text()
