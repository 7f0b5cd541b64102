#!/usr/bin/env -S python3 -ISXutf8
"""Import Tasks as a CGI program: one process for each request."""
import os
import sys

TREE = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
PACKAGES = "venv/lib/python%d.%d/site-packages" % sys.version_info[:2]
sys.path[:0] = [os.path.join(TREE, folder) for folder in ("lib", PACKAGES)]

from gpupanel.web.entrypoints import serve_once  # noqa: E402

serve_once(TREE)
