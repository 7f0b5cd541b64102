"""Real bundles from a seed: for the demo, the tests and the benchmarks (docs/CONTRACT.md, 4)."""

from .assets import Asset
from .stories import Expectation, Story, demo
from .writer import Writer

__all__ = ["Asset", "Expectation", "Story", "Writer", "demo"]
