"""A parsed manifest, and whether its bundle may be imported."""

from dataclasses import dataclass

from .entries import Containers, Items
from .messages import format_problem
from .schema import Verification


@dataclass(frozen=True, slots=True)
class Manifest:
    """A valid manifest: hashes are lowercase; `items` are an Item or an InvalidItem each, in the file's order."""

    sync_id: str
    sync_type: str
    action: str
    status: str
    source_host: str
    created_at: str
    item_count: int
    total_bytes: int
    verification: Verification
    items: Items
    containers: Containers
    item_type_counts: dict[str, int]
    sha256: str
    completed_at: str | None = None
    prior_sync_id: str | None = None

    @property
    def summary(self) -> dict[str, str | int | bool | None]:
        """The five facts that the batch page shows, in its order."""
        return {
            "created_at": self.created_at,
            "completed_at": self.completed_at,
            "verification.passed": self.verification.passed,
            "verification.total_files": self.verification.total_files,
            "prior_sync_id": self.prior_sync_id,
        }


def reasons_not_consumable(manifest: Manifest) -> list[str]:
    """Return why the bundle may not be imported yet; nothing when it may."""
    passed = manifest.verification.passed
    return [
        *([] if manifest.status == "completed" else [format_problem("status", manifest.status, "completed")]),
        *([] if passed else [format_problem("verification.passed", passed, "true")]),
    ]
