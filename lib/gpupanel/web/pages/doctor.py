"""The doctor page: `bin/gpupanel doctor` as the panel's user."""

from typing import Any

from ...config import Settings
from ...db import Database
from ..request import Request

PATIENCE = 6  # seconds for the database, and again for the mount: together well below the 20 of a request


def view(db: Database, request: Request, settings: Settings) -> dict[str, Any]:
    """Return the findings, problems first; its connections time out sooner."""
    from ... import doctor  # imported here, since no other page needs these modules

    findings = doctor.run_checks(settings, seconds=PATIENCE)
    order = (doctor.WRONG, doctor.NOTE, doctor.OK)
    return {
        "counts": {level: sum(finding.level == level for finding in findings) for level in order},
        "findings": [finding._asdict() for finding in sorted(findings, key=lambda finding: order.index(finding.level))],
    }
