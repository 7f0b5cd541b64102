"""A panel process, and a browser window on it that records console errors."""

import signal
import subprocess
import sys
from pathlib import Path

from constants import TREE

SECONDS = 60
BATCHES, TASKS = "import-media.cgi", "import-tasks.cgi"


class Panel:
    """Context manager of `bin/gpupanel serve`; `address` is its folder."""

    def __init__(self, conf: Path):
        self.conf, self.port = conf, 0

    def __enter__(self) -> "Panel":
        self.start()
        return self

    def __exit__(self, *exc) -> None:
        self.stop()

    def start(self) -> None:
        """Start the server, on the same port as before if it was started before."""
        command = [sys.executable, TREE / "bin" / "gpupanel", "serve", "--config", self.conf, "--port", str(self.port)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.address = self.process.stdout.readline().split()[-1].removesuffix(BATCHES)
        self.port = int(self.address.split(":")[2].split("/")[0])

    def stop(self) -> None:
        """Stop the server and wait for its end."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()
        self.process.stdout.close()


class Window:
    """A browser page on a panel, in its own browser context."""

    def __init__(self, browser, panel: Panel, **options):
        self.context = browser.new_context(base_url=panel.address, **options)
        self.context.set_default_timeout(SECONDS * 1000)
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.page.on("console", self._note)
        self.looks: list[str] = []  # URLs of the page's own refreshes
        self.page.on("request", lambda request: "x-refresh" in request.headers and self.looks.append(request.url))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _note(self, message) -> None:
        """Record a console error, except expected error responses."""
        expected = message.location["url"] == self.page.url
        if message.type == "error" and not (expected and "the server responded with a status of" in message.text):
            self.complaints.append(f"{message.text} {message.location['url']}")

    def show(self, address: str):
        """Open a URL below the panel's folder and return the page."""
        self.page.goto(address)
        return self.page

    def look_again(self):
        """Advance the clock until the page refreshes; return the response."""
        before = len(self.looks)
        with self.page.expect_response(lambda response: "x-refresh" in response.request.headers) as expected:
            while len(self.looks) == before:  # no further: the page counts how long the response takes
                self.page.clock.run_for(500)
        return expected.value

    def be_seen(self, seen: bool) -> None:
        """Set the page's visibility; a headless browser always reports true."""
        self.page.evaluate("""(hidden) => {
            Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
            document.dispatchEvent(new Event("visibilitychange"));
        }""", not seen)

    def close(self) -> None:
        """Close the window's browser context."""
        self.context.close()
