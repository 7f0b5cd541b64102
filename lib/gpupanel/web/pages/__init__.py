"""Pages, a module each: `view(db, request, settings)` returns the values."""
