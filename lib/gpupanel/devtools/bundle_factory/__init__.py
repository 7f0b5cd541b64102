"""Generate real bundles from a seed (docs/CONTRACT.md, 4)."""

from .generated_asset import GeneratedAsset
from .scenarios import ExpectedOutcome, Scenario, no_checkpoint, write_demo_set
from .writer import BundleWriter

__all__ = ["BundleWriter", "ExpectedOutcome", "GeneratedAsset", "Scenario", "no_checkpoint", "write_demo_set"]
