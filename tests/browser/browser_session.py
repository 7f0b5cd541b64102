"""A panel as a process, and a window on it that notes what its console complains of."""

import signal
import subprocess
import sys
from pathlib import Path

from constants import TREE

SECONDS = 60
BATCHES, TASKS = "import-media.cgi", "import-tasks.cgi"


class Panel:
    """A context: `bin/gpupanel serve` with this configuration; `address` is the folder of its pages."""

    def __init__(self, conf: Path):
        self.conf, self.port = conf, 0

    def __enter__(self) -> "Panel":
        self.start()
        return self

    def __exit__(self, *exc) -> None:
        self.stop()

    def start(self) -> None:
        """On the port that it had before, if any."""
        command = [sys.executable, TREE / "bin" / "gpupanel", "serve", "--config", self.conf, "--port", str(self.port)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.address = self.process.stdout.readline().split()[-1].removesuffix(BATCHES)
        self.port = int(self.address.split(":")[2].split("/")[0])

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()
        self.process.stdout.close()


class Window:
    """One page of a browser on a panel, in a context of its own with these options."""

    def __init__(self, browser, panel: Panel, **options):
        self.context = browser.new_context(base_url=panel.address, **options)
        self.context.set_default_timeout(SECONDS * 1000)
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.page.on("console", self._note)
        self.looks: list[str] = []  # the addresses that the page asked for anew by itself
        self.page.on("request", lambda asked: "x-refresh" in asked.headers and self.looks.append(asked.url))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _note(self, message) -> None:
        """That a page is an error, or a picture is missing, is told by the console too; the tests look at that themselves."""
        told = message.location["url"] == self.page.url or "action=picture" in message.location["url"]
        if message.type == "error" and not (told and "the server responded with a status of" in message.text):
            self.complaints.append(f"{message.text} {message.location['url']}")

    def show(self, address: str):
        """Go to an address below the panel's folder; returns the page."""
        self.page.goto(address)
        return self.page

    def look_again(self):
        """Let the time pass after which the page looks again, by a clock that was installed; returns what was answered."""
        with self.page.expect_response(lambda answer: "x-refresh" in answer.request.headers) as answer:
            self.page.clock.run_for(10_000)
        return answer.value

    def be_seen(self, seen: bool) -> None:
        """Whether anybody sees the page. A headless browser's pages are always in front, so that they are told otherwise here."""
        self.page.evaluate("""(hidden) => {
            Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
            document.dispatchEvent(new Event("visibilitychange"));
        }""", not seen)

    def close(self) -> None:
        self.context.close()
