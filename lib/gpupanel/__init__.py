"""Import Media: handover bundles of media, from a read-only mount into the library."""
