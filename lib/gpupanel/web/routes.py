"""Which page a request means. One table lists all there are; a page is imported when it is asked for."""

from importlib import import_module
from types import ModuleType
from typing import NamedTuple

from ..filters import ACTIONS
from .visit import Visit

FOLDER = "/admin"  # where the pages are when the web server has not chosen a folder


class Page(NamedTuple):
    """Shown at `path` when the query has all of `selected`; the template bears its name, unless it shows a File.

    `module` is the one of pages/ with its `show`; a `version` in there tells, at less cost, what the page depends on, so that
    a page which is looked at again and again is not made again when it would be the same, and the status line where that was read.
    """

    name: str
    module: str
    path: str
    selected: dict[str, str]
    operators_only: bool = False

    def load(self) -> ModuleType:
        return import_module(f".pages.{self.module}", __package__)


# Every page there is; the first that fits is shown.
PAGES = (
    Page("batch", "batch", "/import-media.cgi", {"action": "detail"}),
    Page("items", "export", "/import-media.cgi", {"action": "items"}),
    Page("picture", "picture", "/import-media.cgi", {"action": "picture"}),
    Page("doctor", "doctor", "/import-media.cgi", {"action": "doctor"}, operators_only=True),
    Page("tasks", "tasks", "/import-media.cgi", {"tab": "queue"}),
    Page("batches", "batches", "/import-media.cgi", {}),
    Page("tasks", "tasks", "/import-tasks.cgi", {}),
)
PATHS = tuple(dict.fromkeys(page.path for page in PAGES))
HEALTH, METRICS = "/health", "/metrics"  # for machines
READING = ("GET", "HEAD")
# path -> the methods that it answers to
METHODS = dict.fromkeys(PATHS, (*READING, "POST")) | dict.fromkeys(("/", HEALTH, METRICS), READING)


def chosen(visit: Visit) -> Page:
    """The page that the request means. Raises InvalidInput for a tab or action that there is none of."""
    visit.choice("tab", ["batches", "queue"])
    visit.choice("action", ["detail", "items", "picture", "doctor", *ACTIONS])
    return next(
        page for page in PAGES if page.path == visit.path and page.selected.items() <= visit.query.items()
    )


def placed(environ: dict) -> dict:
    """SCRIPT_NAME is the folder of the pages and PATH_INFO the page, however the web server has divided the two. What is
    not UTF-8 stays visible as such: without it, one address would be another."""
    script = environ.get("SCRIPT_NAME", "").rstrip("/")
    path = environ.get("PATH_INFO", "").encode("latin-1", "replace").decode("utf-8", "replace")
    folder, slash, name = script.rpartition("/")
    if slash + name in (*PATHS, HEALTH, METRICS):
        script, path = folder, slash + name + path
    elif path == FOLDER or path.startswith(FOLDER + "/"):
        script, path = script + FOLDER, path[len(FOLDER):]
    elif not script and path in ("", "/"):
        script = FOLDER
    return environ | {"SCRIPT_NAME": script, "PATH_INFO": path or "/"}
