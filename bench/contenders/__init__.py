"""Programs that the peers' Python runs; each prints its measurements."""
