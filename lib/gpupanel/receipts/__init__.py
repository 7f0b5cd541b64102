"""Receipts: what happened to a batch, in lines that anyone can check without the database.

docs/decisions/0155-receipts.md
"""

from .lines import EMPTY_HEAD, Hasher, next_head
from .seal import SealReport, seal
from .verify_database import DatabaseCheck, DatabaseVerifier
from .verify_file import FileCheck, verify_file

__all__ = [
    "EMPTY_HEAD", "DatabaseCheck", "DatabaseVerifier", "FileCheck", "Hasher", "SealReport", "next_head", "seal",
    "verify_file",
]
