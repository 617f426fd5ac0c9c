"""A headless Chromium, driven through its own DevTools protocol over two pipes.

Messages are JSON that ends with a zero byte (--remote-debugging-pipe): nothing needs to be
installed but the browser.
"""

import base64
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from typing import Any, BinaryIO

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
PATIENCE = 60.0  # s for an answer, on a busy machine
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--mute-audio", "--no-first-run",
    "--disable-extensions", "--disable-dev-shm-usage", "--remote-debugging-pipe",
    "--autoplay-policy=user-gesture-required", "about:blank",
)  # fmt: skip
KEYS = {  # a key -> its code and its number
    " ": ("Space", 32), "Enter": ("Enter", 13), "Escape": ("Escape", 27), "Tab": ("Tab", 9),
    "Home": ("Home", 36), "End": ("End", 35), "ArrowLeft": ("ArrowLeft", 37),
    "ArrowRight": ("ArrowRight", 39), "+": ("Equal", 187), "-": ("Minus", 189),
    "?": ("Slash", 191), "n": ("KeyN", 78),
}  # fmt: skip
TYPED = {"Enter": "\r"}  # what a key types, where it is not its name


def program() -> str | None:
    """Return the path of a Chromium, or None where there is none."""
    return next((path for path in map(shutil.which, NAMES) if path), None)


@contextmanager
def launched(*flags: str) -> Iterator["Browser"]:
    """Run a browser with an empty profile, and flags of its own; it ends with the block."""
    (read, to), (of, write) = os.pipe(), os.pipe()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        # the browser reads commands from 3 and writes answers to 4
        shell = ["bash", "-c", f'exec "$@" 3<&{read} 4>&{write}', "-"]
        process = subprocess.Popen(
            [*shell, str(program()), f"--user-data-dir={profile}", *FLAGS, *flags],
            pass_fds=(read, write),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(read)
        os.close(write)
        with os.fdopen(to, "wb", 0) as commands, os.fdopen(of, "rb") as answers:
            browser = Browser(commands, answers)
            try:
                yield browser
                with suppress(OSError):
                    browser.command("Browser.close")
                process.wait(PATIENCE)
            finally:
                process.kill()
                process.wait()
                browser.reader.join()


class Browser:
    """The two pipes to a browser."""

    def __init__(self, commands: BinaryIO, answers: BinaryIO) -> None:
        self._commands = commands
        self._received: Queue[dict[str, Any] | None] = Queue()
        self._number = 0
        self.events: list[dict[str, Any]] = []
        self.reader = Thread(target=self._read, args=(answers,), daemon=True)
        self.reader.start()

    def _read(self, answers: BinaryIO) -> None:
        waiting = b""
        while part := os.read(answers.fileno(), 1 << 16):
            *messages, waiting = (waiting + part).split(b"\0")
            for message in messages:
                self._received.put(json.loads(message))
        self._received.put(None)

    def command(self, method: str, session: str | None = None, **params: Any) -> dict[str, Any]:
        """Send a command and return its result; events that come meanwhile are kept."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        message |= {"sessionId": session} if session else {}
        self._commands.write(json.dumps(message).encode() + b"\0")
        while (answer := self._next(PATIENCE)).get("id") != self._number:
            self.events.append(answer)
        assert "error" not in answer, f"{method}: {answer['error']}"
        return dict(answer["result"])

    def _next(self, patience: float) -> dict[str, Any]:
        try:
            answer = self._received.get(timeout=patience)
        except Empty:
            raise TimeoutError(f"the browser did not answer in {patience} s") from None
        assert answer is not None, "the browser has ended"
        return answer

    def open(self, path: Path, width: int = 1280, height: int = 800, **media: Any) -> "Page":
        """Open a file in a window of its own, as `Page` explains."""
        target = self.command("Target.createTarget", url="about:blank")["targetId"]
        attached = self.command("Target.attachToTarget", targetId=target, flatten=True)
        return Page(self, target, attached["sessionId"], path.as_uri(), width, height, **media)


class Page:
    """One page of a browser.

    Args:
        browser: that runs.
        target: the browser's name of the page.
        session: the browser's name of the connection to it.
        url: what to open.
        width: of the window in CSS pixels.
        height: of the window in CSS pixels.
        scheme: "light" or "dark".
        touch: whether it is a phone.
    """

    def __init__(
        self, browser: Browser, target: str, session: str, url: str, width: int, height: int,
        scheme: str = "light", touch: bool = False,
    ) -> None:  # fmt: skip
        self._browser, self._target, self._session = browser, target, session
        self.command("Emulation.setDeviceMetricsOverride", width=width, height=height,
                     deviceScaleFactor=2 if touch else 1, mobile=touch)  # fmt: skip
        self.command("Emulation.setTouchEmulationEnabled", enabled=touch)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.command("Emulation.setEmulatedMedia", features=features)
        for domain in ("Runtime", "Log", "Page", "Accessibility"):
            self.command(f"{domain}.enable")
        self.command("Page.navigate", url=url)
        self.wait("document.readyState === 'complete' && location.href !== 'about:blank'")

    def command(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command of the DevTools protocol and return its result."""
        return self._browser.command(method, self._session, **params)

    def evaluate(self, expression: str) -> Any:
        """Return the value of a JavaScript expression; of a promise what it gives."""
        answer = self.command("Runtime.evaluate", expression=expression, awaitPromise=True,
                              returnByValue=True, userGesture=False)  # fmt: skip
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait(self, condition: str) -> Any:
        """Return the value of an expression once it is true."""
        limit = time.monotonic() + PATIENCE
        while not (value := self.evaluate(condition)):
            assert time.monotonic() < limit, f"never came true: {condition}"
            time.sleep(0.02)
        return value

    def settle(self) -> None:
        """Wait until what was begun is drawn."""
        frame = "new Promise((drawn) => requestAnimationFrame(drawn))"
        self.evaluate(f"{frame}.then(() => {frame}).then(() => 0)")

    def press(self, key: str, **modifiers: int) -> None:
        """Press and release a key: a name of KEYS."""
        code, number = KEYS[key]
        text = TYPED.get(key, key if len(key) == 1 else "")
        named = {"key": key, "code": code, "windowsVirtualKeyCode": number, **modifiers}
        self.command("Input.dispatchKeyEvent", type="keyDown", text=text, **named)
        self.command("Input.dispatchKeyEvent", type="keyUp", **named)

    def mouse(self, kind: str, x: float, y: float, **more: Any) -> None:
        """Send an event of the mouse: mouseMoved, mousePressed, mouseReleased or mouseWheel."""
        self.command("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)

    def hover(self, x: float, y: float) -> None:
        """Move the mouse to a place, from beside it."""
        self.settle()
        self.mouse("mouseMoved", x + 2, y)
        self.mouse("mouseMoved", x, y)

    def click(self, x: float, y: float) -> None:
        """Click with the left button."""
        self.drag([(x, y)])

    def drag(self, points: list[tuple[float, float]]) -> None:
        """Press the left button at the first point, move, and release it at the last."""
        self.mouse("mouseMoved", *points[0])
        self.mouse("mousePressed", *points[0], button="left", clickCount=1)
        for point in points[1:]:
            self.mouse("mouseMoved", *point, button="left", buttons=1)
        self.mouse("mouseReleased", *points[-1], button="left", clickCount=1)

    def touch(self, *moves: list[tuple[float, float]]) -> None:
        """Put fingers down at the first points, move them to the next ones, and lift them."""
        kinds = ["touchStart", *["touchMove"] * (len(moves) - 1)]
        for kind, points in zip(kinds, moves, strict=True):
            fingers = [{"x": x, "y": y} for x, y in points]
            self.command("Input.dispatchTouchEvent", type=kind, touchPoints=fingers)
        self.command("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])

    def names(self) -> list[tuple[str, str]]:
        """Return role and name of what assistive technology is told of, in order."""
        nodes = self.command("Accessibility.getFullAXTree")["nodes"]
        return [
            (node["role"]["value"], node.get("name", {}).get("value", ""))
            for node in nodes
            if not node["ignored"]
        ]

    def problems(self) -> list[str]:
        """Return what the page wrote to the console, and its errors."""
        self.command("Runtime.evaluate", expression="0")  # what was written before it has come
        kinds = ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded")
        return [
            json.dumps(event["params"])
            for event in self._browser.events
            if event.get("sessionId") == self._session and event["method"] in kinds
        ]

    def screenshot(self, path: Path) -> None:
        """Write what the window shows as PNG."""
        path.write_bytes(base64.b64decode(self.command("Page.captureScreenshot")["data"]))

    def pdf(self) -> bytes:
        """Return the page as it is printed."""
        return base64.b64decode(self.command("Page.printToPDF", printBackground=False)["data"])

    def close(self) -> None:
        """Close the window."""
        self._browser.command("Target.closeTarget", targetId=self._target)
