"""Doctor: what bin/gpupanel doctor would say, as the panel's own user finds it. For operators."""

from ...config import Settings
from ...database import Database
from ..visit import Visit

PATIENCE = 6  # seconds for the database, and again for the mount, which leaves a page well below its 20


def show(db: Database, visit: Visit, settings: Settings) -> dict:
    """What is wrong comes first. With connections of its own, since those of other pages wait for longer."""
    from ... import doctor  # no other page needs its modules, and a CGI process loads them anew each time

    findings = doctor.examine(settings, seconds=PATIENCE)
    order = (doctor.WRONG, doctor.NOTE, doctor.OK)
    return {
        "counts": {level: sum(finding.level == level for finding in findings) for level in order},
        "findings": [finding._asdict() for finding in sorted(findings, key=lambda finding: order.index(finding.level))],
    }
