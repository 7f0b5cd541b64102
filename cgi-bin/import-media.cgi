#!/usr/bin/env python3
"""Import Media (Batches) as a CGI program: one process for each request."""
import sys
from pathlib import Path

TREE = Path(__file__).resolve().parents[1]
PACKAGES = TREE.glob("venv/lib/python%d.%d/site-packages" % sys.version_info[:2])
sys.path[:0] = map(str, (TREE / "lib", *PACKAGES))

from gpupanel.web.cgi import serve_once  # noqa: E402

serve_once(TREE)
