"""Operators who use the real panel over loopback, each in a thread."""

import http.client
import json
import random
import threading
import time
from collections import Counter
from urllib.parse import urlencode

from .bundles import HOST
from .deployment import Deployment

BATCHES, TASKS = "/admin/import-media.cgi", "/admin/import-tasks.cgi"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
JSON = {"Accept": "application/json"}
LONGEST = 60
THINK = (0.2, 1.5)  # seconds between two clicks
PATIENCE = 120


class ResponseLog:
    """The responses of the panel: statuses, errors and durations."""

    def __init__(self):
        self.statuses, self.wrong, self.slowest = Counter(), [], (0.0, "")
        self.seconds: list[float] = []
        self._lock = threading.Lock()

    def add(self, what: str, status: int | str, seconds: float, body: str) -> None:
        with self._lock:
            self.statuses[status] += 1
            if not isinstance(status, int):
                return
            self.seconds.append(seconds)
            self.slowest = max(self.slowest, (seconds, what))
            if status >= 500:
                self.wrong.append(f"{status} after {seconds:.1f} s to {what}: {_told(body)}")

    def middle(self) -> float:
        return sorted(self.seconds)[len(self.seconds) // 2] if self.seconds else 0.0


def _told(body: str) -> str:
    try:
        return json.dumps(json.loads(body)["error"])
    except (ValueError, KeyError, TypeError):
        return " ".join(body.split())[-300:]


class Operator:
    """An operator; a request that fails because the panel was killed returns None."""

    def __init__(self, site: Deployment, name: str, answers: ResponseLog):
        self._site, self.name, self._answers = site, name, answers
        self._token = ""

    def get(self, path: str, **headers: str) -> str | None:
        return self.send("GET", path, None, headers)[1]

    def post(self, query: str = "", **fields) -> dict | None:
        """Submit a form; return its JSON, or None if the panel was unreachable or refused."""
        if not self._token:
            self._token = json.loads(self.get(BATCHES, **JSON) or "{}").get("csrf_token", "")
        body = urlencode(fields | {"csrf_token": self._token}, doseq=True)
        status, text, _ = self.send("POST", BATCHES + query, body, FORM | JSON)
        return json.loads(text) if status == 200 else None

    def insist(self, query: str = "", **fields) -> dict:
        """Submit a form, again until the panel responds."""
        deadline = time.monotonic() + PATIENCE
        while (outcome := self.post(query, **fields)) is None:
            assert time.monotonic() < deadline, f"no answer to {fields}: {self._answers.wrong[-3:]}"
            time.sleep(0.2)  # as a person would, before trying again
        return outcome

    def send(self, method: str, path: str, body: str | None, headers: dict) -> tuple[int | str, str | None, str]:
        """Send a request; return status, text and ETag of the response."""
        started, etag = time.monotonic(), ""
        connection = http.client.HTTPConnection("127.0.0.1", self._site.port, timeout=LONGEST)
        try:
            connection.request(method, path, body, headers | {"X-Remote-User": self.name})
            answer = connection.getresponse()
            status, text, etag = answer.status, answer.read().decode(), answer.headers.get("ETag", "")
        except TimeoutError:
            status, text = 599, "no answer at all"
        except (OSError, http.client.HTTPException):
            status, text = "not there", None
        finally:
            connection.close()
        self._answers.add(f"{method} {path} {(body or '')[:100]}", status, time.monotonic() - started, text or "")
        return status, text, etag


def queue_all(site: Deployment, operator: Operator) -> int:
    """Queue all batches of the host as the page does; return how many."""
    preview = operator.insist(f"?host={HOST}", preview="queue", all="1")
    queue(operator, selection=preview["selection"])
    return preview["total"]


def queue(operator: Operator, **fields) -> None:
    """Queue the batches of these fields by as many requests as the panel needs."""
    while selection := operator.insist(do="queue_selected", **fields)["result"]["selection"]:
        fields = {"selection": selection}


class OperatorTraffic:
    """Context in which all operators send random requests, each with its own seed."""

    def __init__(self, site: Deployment, sync_ids: list[str], answers: ResponseLog):
        self._over = threading.Event()
        self._threads = [
            threading.Thread(
                target=self._click, args=(Operator(site, f"operator {n}", answers), sync_ids, random.Random(n))
            )
            for n in range(site.size.operators)
        ]

    def __enter__(self) -> "OperatorTraffic":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exc) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _click(self, operator: Operator, sync_ids: list[str], chance: random.Random) -> None:
        kinds, weights = zip(*CLICKS.items(), strict=True)
        while not self._over.wait(chance.uniform(*THINK)):
            chance.choices(kinds, weights)[0](operator, sync_ids, chance)


# ------------------------------------------------------------------------------------------------- what they do


def _batches(operator: Operator, sync_ids: list[str], chance: random.Random) -> None:
    operator.get(f"{BATCHES}?status={chance.choice(('', 'queued', 'importing', 'completed', 'failed', 'discovered'))}")


def _batch(operator: Operator, sync_ids: list[str], chance: random.Random) -> None:
    operator.get(f"{BATCHES}?action=detail&sync_id={chance.choice(sync_ids)}")


def _tasks(operator: Operator, sync_ids: list[str], chance: random.Random) -> None:
    operator.get(TASKS, **chance.choice(({}, JSON)))


def _figures(operator: Operator, sync_ids: list[str], chance: random.Random) -> None:
    operator.get(chance.choice(("/admin/health", "/admin/metrics")))


def _search(operator: Operator, sync_ids: list[str], chance: random.Random) -> None:
    operator.get(f"{BATCHES}?q={chance.choice(sync_ids)[:6]}")


def _some(do: str, most: int):
    def click(operator: Operator, sync_ids: list[str], chance: random.Random) -> None:
        operator.post(do=do, sync_id=chance.sample(sync_ids, min(most, len(sync_ids))))

    return click


def _priority(operator: Operator, sync_ids: list[str], chance: random.Random) -> None:
    operator.post(do="priority", job_id=chance.randint(1, len(sync_ids)), priority=chance.randint(1, 200))


def _scan(operator: Operator, sync_ids: list[str], chance: random.Random) -> None:
    operator.post(do="scan")


CLICKS = {
    _batches: 20, _batch: 25, _tasks: 25, _figures: 6, _search: 6, _some("queue_selected", 20): 6,
    _some("preflight_selected", 5): 3, _some("retry_selected", 20): 3, _some("cancel_selected", 3): 2, _priority: 3,
    _scan: 1,
}
