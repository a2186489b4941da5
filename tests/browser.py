"""A headless Chromium, driven over a pipe by its DevTools protocol: no driver, no package."""

import base64
import itertools
import json
import os
import select
import shutil
import subprocess
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
_WAIT_S = 30


class Browser:
    """One page in a browser without a window; use it as a context manager.

    Args:
        folder: Empty folder for the browser's own files.
        width: Width of the page, in CSS pixels.
        dark: Prefer dark colours.
    """

    def __init__(self, folder: Path, *, width: int = 1280, height: int = 800, dark: bool = False) -> None:
        reads, self._to = os.pipe()
        self._from, writes = os.pipe()
        command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--remote-debugging-pipe"]
        command += [f"--user-data-dir={folder}", "about:blank"]
        # Chromium takes commands from file descriptor 3 and answers on 4.
        shell = ["bash", "-c", f'exec "$0" "$@" 3<&{reads} 4>&{writes}', *command]
        self._process = subprocess.Popen(shell, pass_fds=(reads, writes), stderr=subprocess.DEVNULL)
        os.close(reads)
        os.close(writes)
        self._ids = itertools.count(1)
        self._rest = b""
        self._session = None
        self.events: list[dict[str, Any]] = []
        target = self("Target.createTarget", url="about:blank")["targetId"]
        self._session = self("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Runtime"):
            self(f"{domain}.enable")
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        self("Emulation.setDeviceMetricsOverride", **size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self("Emulation.setEmulatedMedia", features=[scheme])

    def __enter__(self) -> "Browser":
        return self

    def __exit__(self, *error: object) -> None:
        self._session = None
        self("Browser.close")
        self._process.wait(_WAIT_S)
        os.close(self._to)
        os.close(self._from)

    def __call__(self, method: str, **params: Any) -> Any:
        """Run a command of the protocol, and return its result."""
        message = {"id": next(self._ids), "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == message["id"]:
                assert "error" not in answer, answer
                return answer["result"]
            self.events.append(answer)

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            assert select.select([self._from], [], [], _WAIT_S)[0], "the browser does not answer"
            part = os.read(self._from, 2**16)
            assert part, "the browser has ended"
            self._rest += part
        message, _, self._rest = self._rest.partition(b"\0")
        return json.loads(message)

    def open(self, url: str) -> None:
        self("Page.navigate", url=url)
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(self._receive())

    def run(self, script: str) -> Any:
        """The value of an expression in the page; a promise is awaited."""
        done = self("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in done, done
        return done["result"].get("value")

    def wait_for(self, condition: str) -> None:
        """Wait until an expression is true; fails after some seconds."""
        check = (
            f"new Promise(done => {{ const look = n => ({condition}) ? done(true) : n ? setTimeout(look, 20, n - 1) "
        )
        assert self.run(f"{check}: done(false); look(500); }})"), condition

    def text(self, selector: str) -> str:
        return self.run(f"document.querySelector({json.dumps(selector)}).textContent.trim()")

    def box(self, selector: str) -> tuple[float, float, float, float]:
        """Left, top, width and height, in pixels of the page."""
        script = (
            f"(b => [b.left, b.top, b.width, b.height])(document.querySelector('{selector}').getBoundingClientRect())"
        )
        return tuple(self.run(script))

    def draw(self, *points: tuple[float, float], on: str = "#drawing", finger: bool = False) -> None:
        """Draw a line with the mouse or a finger; the points are shares of the width and height."""
        left, top, width, height = self.box(on)
        path = [(left + x * width, top + y * height) for x, y in between(points)]
        if finger:
            self("Emulation.setTouchEmulationEnabled", enabled=True)
            for at, (x, y) in enumerate(path):
                self(
                    "Input.dispatchTouchEvent", type="touchMove" if at else "touchStart", touchPoints=[{"x": x, "y": y}]
                )
            self("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])
            return
        for at, (x, y) in enumerate(path):
            kind = "mouseMoved" if at else "mousePressed"
            self("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=1, clickCount=1)
        self("Input.dispatchMouseEvent", type="mouseReleased", x=x, y=y, button="left", clickCount=1)

    def click(self, selector: str) -> None:
        self.draw((0.5, 0.5), on=selector)

    def press(self, key: str, times: int = 1, **more: Any) -> None:
        for _ in range(times):
            text = {"text": key} if len(key) == 1 and not more else {}
            self("Input.dispatchKeyEvent", type="keyDown", key=key, **text, **more)
            self("Input.dispatchKeyEvent", type="keyUp", key=key, **more)

    def drop(self, file: Path, on: str = "#drawing") -> None:
        """Drop a file from the desktop."""
        left, top, width, height = self.box(on)
        data = {"items": [], "files": [str(file)], "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):
            self("Input.dispatchDragEvent", type=kind, x=left + width / 2, y=top + height / 2, data=data)

    def screenshot(self, file: Path) -> None:
        shot = self("Page.captureScreenshot", captureBeyondViewport=True)
        file.write_bytes(base64.b64decode(shot["data"]))

    def requested(self) -> list[str]:
        """The addresses that the page has asked for."""
        sent = (event for event in self.events if event.get("method") == "Network.requestWillBeSent")
        return [event["params"]["request"]["url"] for event in sent]


def between(points: Any, steps: int = 8) -> list[tuple[float, float]]:
    """The points and some between them, as a hand moves."""
    path = [points[0]]
    for (x0, y0), (x1, y1) in itertools.pairwise(points):
        path += [(x0 + (x1 - x0) * at / steps, y0 + (y1 - y0) * at / steps) for at in range(1, steps + 1)]
    return path
