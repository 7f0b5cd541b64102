"""The panel for mod_wsgi and other WSGI servers: `application`."""
import sys
from pathlib import Path

TREE = Path(__file__).resolve().parents[1]
PACKAGES = TREE.glob("venv/lib/python%d.%d/site-packages" % sys.version_info[:2])
sys.path[:0] = map(str, (TREE / "lib", *PACKAGES))

from gpupanel.web import entrypoints  # noqa: E402

application = entrypoints.application(TREE)
