"""The table of pages; a page's module is imported on its first request."""

from importlib import import_module
from types import ModuleType
from typing import NamedTuple

from ..search.filters import ACTIONS
from .responses import Environ
from .request import Request

FOLDER = "/admin"  # the folder of the pages, if the web server chose none


class Route(NamedTuple):
    """A page at `path` with the query `selected` and template `<name>.html`.

    `module` in pages/ has `view(db, request, settings)`, which returns template values or a FileResponse. With
    `has_version`, it also has `etag_source(...)`, which returns the ETag's source and the status bar's summary.
    """

    name: str
    module: str
    path: str
    query: dict[str, str]
    operators_only: bool = False
    has_version: bool = False

    def load(self) -> ModuleType:
        return import_module(f".pages.{self.module}", __package__)


# The first matching page is shown.
PAGES = (
    Route("batch", "batch", "/import-media.cgi", {"action": "detail"}, has_version=True),
    Route("items", "export", "/import-media.cgi", {"action": "items"}),
    Route("picture", "thumbnail", "/import-media.cgi", {"action": "picture"}),
    Route("doctor", "doctor", "/import-media.cgi", {"action": "doctor"}, operators_only=True),
    Route("asset", "asset", "/import-media.cgi", {"action": "asset"}),
    Route("events", "events", "/import-media.cgi", {"action": "events"}),
    Route("tasks", "import_tasks", "/import-media.cgi", {"tab": "queue"}, has_version=True),
    Route("batches", "batches", "/import-media.cgi", {}, has_version=True),
    Route("tasks", "import_tasks", "/import-tasks.cgi", {}, has_version=True),
)
PATHS = tuple(dict.fromkeys(page.path for page in PAGES))
HEALTH, READY, METRICS = "/health", "/ready", "/metrics"  # for programs
READING = ("GET", "HEAD")
# path -> accepted methods
METHODS = dict.fromkeys(PATHS, (*READING, "POST")) | dict.fromkeys(("/", HEALTH, READY, METRICS), READING)


def match(request: Request) -> Route:
    """Return the page of a request. Raises InvalidInputError for unknown ones."""
    request.choice("tab", ["batches", "queue"])
    request.choice("action", ["detail", "items", "picture", "doctor", "events", "asset", *ACTIONS])
    return next(
        page for page in PAGES if page.path == request.path and page.query.items() <= request.query.items()
    )


def normalize_path(environ: Environ) -> Environ:
    """Set SCRIPT_NAME to the pages' folder and PATH_INFO to the page.

    Bytes that are not UTF-8 become replacement characters: dropping them would turn one address into another.
    """
    script = environ.get("SCRIPT_NAME", "").rstrip("/")
    path = environ.get("PATH_INFO", "").encode("latin-1", "replace").decode("utf-8", "replace")
    folder, slash, name = script.rpartition("/")
    if slash + name in (*PATHS, HEALTH, READY, METRICS):
        script, path = folder, slash + name + path
    elif path == FOLDER or path.startswith(FOLDER + "/"):
        script, path = script + FOLDER, path[len(FOLDER):]
    elif not script and path in ("", "/"):
        script = FOLDER
    return environ | {"SCRIPT_NAME": script, "PATH_INFO": path or "/"}
