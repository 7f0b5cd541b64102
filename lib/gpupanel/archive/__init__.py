"""Archives: settled batches whose rows are in compressed files, and no longer in the database.

docs/decisions/0170-archive.md
"""

from .archiver import ArchiveReport, Archiver
from .restorer import RestoreReport, Restorer

__all__ = ["ArchiveReport", "Archiver", "RestoreReport", "Restorer"]
