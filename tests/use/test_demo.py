"""The page to draw on, in a real browser, and the server behind it."""

import json
import re
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from http.client import HTTPConnection

import pytest
from browser import CHROMIUM, Browser
from PIL import Image

from mnist_cli.__main__ import main
from mnist_cli.use.demo import address, make_server

SEVEN = [(0.28, 0.2), (0.72, 0.2), (0.45, 0.82)]
TWO = [(0.3, 0.32), (0.36, 0.22), (0.5, 0.17), (0.64, 0.24), (0.66, 0.36), (0.56, 0.52), (0.4, 0.68), (0.29, 0.8)]
TWO += [(0.5, 0.78), (0.72, 0.8)]
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine: apt-get install chromium")


@pytest.fixture(scope="module")
def page(reader):
    """Address of the page, served in a thread."""
    with make_server(reader, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield address(server)
        server.shutdown()
        thread.join()


def answer(browser):
    """Wait for the answer to what was drawn: the digit, and the ten shares in per cent."""
    browser.wait_for("document.querySelector('#time').textContent")
    shares = browser.run("[...document.querySelectorAll('#bars li')].map(row => parseFloat(row.lastChild.textContent))")
    return browser.text("#digit"), shares


@needs_browser
def test_a_seven_and_a_two_drawn_with_the_mouse_are_read(page, tmp_path):
    with Browser(tmp_path / "browser") as browser:
        browser.open(page)
        browser.draw(*SEVEN)
        digit, shares = answer(browser)
        assert digit == "7"
        assert shares.index(max(shares)) == 7
        assert sum(shares) == pytest.approx(100, abs=0.5)
        assert float(re.search(r"(\d+) ms", browser.text("#time"))[1]) < 1000  # 25 ms alone; other tests may be running
        bar = "document.querySelectorAll('#bars .bar')[7].style.width"
        assert browser.run(f"parseFloat({bar})") == pytest.approx(shares[7], abs=0.06)
        pixels = browser.run(
            "[...seen.getContext('2d').getImageData(0, 0, 28, 28).data].filter((_, at) => at % 4 === 0)"
        )
        inked = [max(pixels[28 * row : 28 * row + 28]) > 0 for row in range(28)]
        assert 19 <= sum(inked) <= 21
        browser.click("#erase")
        assert browser.text("#digit") == ""
        browser.draw(*TWO)
        assert answer(browser)[0] == "2"
        assert re.fullmatch(r"This is a 2: [\d.]+ %", browser.text("#message"))
        browser.draw((0.85, 0.2), (0.85, 0.8))
        browser.wait_for(
            "document.querySelector('#message').textContent.includes('but there seems to be more than one')"
        )
        assert all(url.startswith((page, "data:", "blob:")) for url in browser.requested())


@needs_browser
def test_a_phone_in_the_dark_is_drawn_on_with_a_finger_and_nothing_is_too_wide(page, tmp_path):
    with Browser(tmp_path / "browser", width=390, height=844, dark=True) as browser:
        browser.open(page)
        assert browser.run("document.documentElement.scrollWidth") == 390
        assert browser.run("getComputedStyle(document.body).backgroundColor") == "rgb(22, 23, 25)"
        browser.draw(*SEVEN, finger=True)
        assert answer(browser)[0] == "7"
        assert browser.run("document.documentElement.scrollWidth") == 390


@needs_browser
def test_the_keyboard_draws_takes_back_and_erases(page, tmp_path):
    with Browser(tmp_path / "browser") as browser:
        browser.open(page)
        browser.press("Tab", code="Tab", windowsVirtualKeyCode=9)
        assert browser.run("document.activeElement.id") == "drawing"
        browser.press(" ")
        browser.press("ArrowDown", 15)
        browser.press(" ")
        assert answer(browser)[0] == "1"
        browser.press("ArrowRight", 6)
        browser.press(" ")
        browser.press("ArrowUp", 15)
        browser.press(" ")
        browser.wait_for("strokes.length === 2")
        browser.press("z", modifiers=2)
        browser.wait_for("strokes.length === 1 && document.querySelector('#digit').textContent === '1'")
        browser.press("Delete")
        assert browser.text("#digit") == ""
        assert browser.run("strokes.length") == 0


@needs_browser
def test_a_picture_that_is_dropped_is_read_and_a_file_that_is_none_says_so(page, tmp_path, test_digits):
    images, labels = test_digits
    Image.fromarray(255 - images[0].numpy()).resize((300, 300)).save(tmp_path / "digit.png")
    (tmp_path / "text.png").write_text("no picture")
    with Browser(tmp_path / "browser") as browser:
        browser.open(page)
        browser.drop(tmp_path / "digit.png")
        assert answer(browser)[0] == str(labels[0].item())
        browser.drop(tmp_path / "text.png")
        browser.wait_for("document.querySelector('#message.wrong')")
        assert "picture" in browser.text("#message")
        assert browser.text("#digit") == ""
        browser.draw(*SEVEN)  # a stroke puts the picture away
        assert answer(browser)[0] == "7"
        browser.drop(tmp_path / "digit.png")
        browser.wait_for("picture !== null")
        browser.run("drawing.focus()")
        browser.press(" ")  # and so does one of the keyboard
        browser.press("ArrowDown", 15)
        browser.press(" ")
        browser.wait_for("strokes.length === 1 && strokes[0].length === 16")


@needs_browser
def test_the_page_says_when_the_server_does_not_answer(page, tmp_path):
    with Browser(tmp_path / "browser") as browser:
        browser.open(page)
        offline = {"offline": True, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0}
        browser("Network.emulateNetworkConditions", **offline)
        browser.draw(*SEVEN)
        browser.wait_for("document.querySelector('#message.wrong')")
        assert "mnist demo" in browser.text("#message")


def ask(page, body, **headers):
    """POST a body to the page's server: status and answer."""
    request = urllib.request.Request(f"{page}read", data=body, headers=headers)
    try:
        with urllib.request.urlopen(request) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_the_server_answers_as_the_reader_does(page, reader, tmp_path, test_digits):
    file = tmp_path / "digit.png"
    Image.fromarray(test_digits[0][3].numpy()).save(file)
    status, got = ask(page, file.read_bytes())
    reading = reader.read(file)
    assert status == 200
    assert got["digit"] == reading.digit
    assert got["probabilities"] == pytest.approx(reading.probabilities.tolist(), abs=1e-5)
    assert got["seen"] == pytest.approx((reading.seen.ravel() * 255).tolist(), abs=0.51)


@pytest.mark.parametrize("body", [b"", b"no picture", b"\x89PNG\r\n\x1a\n"])
def test_what_is_no_picture_gets_a_sentence(page, body):
    status, got = ask(page, body)
    assert status == 422
    assert got["error"].endswith(".")


def test_a_blank_sheet_gets_a_sentence(page, tmp_path):
    Image.new("L", (280, 280), 255).save(tmp_path / "blank.png")
    status, got = ask(page, (tmp_path / "blank.png").read_bytes())
    assert status == 422
    assert got["error"]


def test_other_sites_get_no_answer(page, tmp_path):
    assert ask(page, b"x", Origin="http://elsewhere.example")[0] == 403
    assert ask(page, b"x", Host="elsewhere.example:80")[0] == 403
    assert ask(page, b"x", Host="[")[0] == 403
    assert ask(page, b"x", Origin="http://[")[0] == 403


def test_a_picture_that_is_too_large_is_not_even_read(page):
    connection = HTTPConnection(page.split("/")[2])
    connection.putrequest("POST", "/read")
    connection.putheader("Content-Length", str(2**30))
    connection.endheaders()
    response = connection.getresponse()
    assert response.status == 413
    assert "32 MB" in json.load(response)["error"]
    connection.close()


def test_a_request_without_a_picture_is_told_so(page):
    connection = HTTPConnection(page.split("/")[2])
    connection.putrequest("POST", "/read")
    connection.endheaders()
    response = connection.getresponse()
    assert response.status == 411
    assert "no picture" in json.load(response)["error"]
    connection.close()


def test_only_the_files_of_the_page_are_served(page):
    for path in ("../demo.py", "%2e%2e/demo.py", "nothing"):
        with pytest.raises(urllib.error.HTTPError) as error:
            urllib.request.urlopen(f"{page}{path}")
        assert error.value.code == 404
        error.value.close()
    with urllib.request.urlopen(page) as response:
        assert "default-src 'none'" in response.headers["Content-Security-Policy"]
        assert "CNN trained on MNIST" in response.read().decode()


def test_a_port_in_use_is_named_with_the_way_out(workplace, capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["demo", "--port", str(port)]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert f"--port {port}: another program is using this port" in error
    assert f"--port {port + 1}" in error


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--port", "70000"], "0 to 65535"),
        (["--port", "many"], "'many' cannot be used"),
        (["--host", "203.0.113.1"], "nothing can listen there"),
        (["--ckpt_path", "nowhere"], "there is no such file"),
        (["--prot", "8000"], "did you mean --port?"),
    ],
)
def test_a_mistake_is_one_sentence(options, says, workplace, capsys):
    assert main(["demo", *options]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("mnist: error: ")
    assert says in error


def test_the_installed_command_serves_until_ctrl_c(workplace):
    command = [sys.executable, "-m", "mnist_cli", "demo", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        url = re.search(r"http://127\.0\.0\.1:\d+/", process.stdout.readline())[0]
        with urllib.request.urlopen(url) as response:
            assert response.status == 200
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
        assert process.returncode == 0, err
        assert "Traceback" not in err
