"""The page: where it is served, what it answers, and, in a headless browser, colors that change as words are typed."""

from __future__ import annotations

import socket
import threading

import explore_browser
import numpy as np
import pytest
from box_room import room

from s4token_model import cli
from s4token_model.explore.address import Address, check_address
from s4token_model.explore.cloud_session import CloudSession
from s4token_model.explore.page import Page
from s4token_model.io.files import Cloud
from s4token_model.segmenter import Segmenter


@pytest.fixture
def taken():
    """The port of a socket that listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_a_port_in_use_a_foreign_host_and_a_wrong_port_are_named(taken):
    with pytest.raises(ValueError, match=f"127.0.0.1:{taken} cannot be served: .*in use; choose another, e.g. --port"):
        check_address(Address(port=taken))
    with pytest.raises(ValueError, match="192.0.2.1:8080 cannot be served: .*use --host 127.0.0.1"):
        check_address(Address("192.0.2.1"))
    with pytest.raises(ValueError, match="--port 70000: give a number from 1 to 65535"):
        check_address(Address(port=70000))
    check_address(Address(port=0))


def test_the_address_is_local_by_default_and_one_that_a_browser_can_open():
    assert Address().url == "http://127.0.0.1:8080" and Address("0.0.0.0", 9).url == "http://localhost:9"


@pytest.mark.parametrize(
    "words, reason",
    [
        (["nothing.ply"], "nothing.ply: no such file"),
        (["--drawn", "0"], "--drawn 0: give a number of points"),
        (["--topic", "/points"], "is no bag; leave --topic out"),
    ],
)
def test_what_is_wrong_with_a_command_is_one_line(capsys, words, reason):
    pytest.importorskip("viser", reason="viser is not installed (pip install viser)")
    assert cli.main(["explore", "--port", "0", *words]) == 2
    told = capsys.readouterr().err
    assert reason in told and told.count("\n") == 1


def test_without_viser_the_command_says_how_to_install_it(capsys, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "viser", None)
    assert cli.main(["explore"]) == 2
    assert "pip install viser" in capsys.readouterr().err


@pytest.fixture(scope="module")
def served(tiny_model):
    """The page of a room, and the session behind it."""
    pytest.importorskip("viser", reason="viser is not installed (pip install viser)")
    xyz = room(0.1)[0].astype(np.float32)
    cloud = Cloud.from_fields({name: xyz[:, i] for i, name in enumerate("xyz")})
    session = CloudSession(Segmenter.load(tiny_model), [cloud], "room.ply", 10**6)
    page, done = Page(session, Address(port=0)), threading.Event()
    thread = threading.Thread(target=page.run, args=(done.is_set,))
    thread.start()
    yield page, session
    done.set()
    session.wake.set()
    thread.join(20)


@pytest.fixture(scope="module")
def browser(served):
    pytest.importorskip("playwright", reason="playwright is not installed (pip install playwright)")
    if not explore_browser.find_browser():
        pytest.skip("no Chromium; install it, or name one in S4TOKEN_BROWSER")
    with explore_browser.opened(served[0].address.url, (1000, 640)) as page:
        yield page


@pytest.mark.timeout(400)
def test_labels_change_in_the_browser_as_words_are_typed(browser, served):
    words = "chair, lamp"
    before = explore_browser.cloud_pixels(browser.screenshot())
    there, drawn = explore_browser.type_words(browser, words)
    assert 0 < there <= drawn
    browser.wait_for_function("document.querySelector('table.legend').innerText.includes('lamp')")
    view = served[1].view(served[0].panel.choice())
    assert explore_browser.legend(browser) == {row.name: row.points for row in view.rows if row.points}
    after = explore_browser.cloud_pixels(browser.screenshot())
    assert (before != after).any(axis=-1).mean() > 0.05
    # No pixel has a color of the words that are gone; lamp is yellow, chair olive: blue is less than green in both
    colored = np.ptp(after.astype(int), axis=-1) > 60
    assert colored.mean() > 0.05 and (after[colored][:, 2] < after[colored][:, 1]).mean() > 0.98
    # A wrong word is told, and the colors stay
    browser.keyboard.insert_text(", chairs")
    browser.wait_for_selector(".error")
    assert "repeated" in browser.locator(".error").inner_text()
    assert (explore_browser.cloud_pixels(browser.screenshot()) != after).any(axis=-1).mean() < 0.01


@pytest.mark.timeout(400)
def test_a_click_and_a_heat_map_are_answered_in_the_browser(browser, served):
    explore_browser.type_words(browser, "floor, wall")
    browser.mouse.click(340, 330)
    browser.get_by_text("cosines with your words").wait_for()
    explore_browser.heat_field(browser).fill("a place to sit")
    browser.get_by_text("“a place to sit”").wait_for()
    assert served[0].panel.coloring.value == "heat map"
