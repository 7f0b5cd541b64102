"""The manifest of a bundle: its types, its limits, and its parser."""

from .manifest import Manifest, reasons_not_consumable
from .parser import parse_manifest, salvage_fields, sha256_hex
from .schema import Container, Derivative, InvalidItem, Item, ManifestFields, Verification

__all__ = [
    "Container", "Derivative", "InvalidItem", "Item", "Manifest", "ManifestFields", "Verification",
    "parse_manifest", "reasons_not_consumable", "salvage_fields", "sha256_hex",
]
