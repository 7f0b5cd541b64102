"""Pages, a module each: `show(db, visit, settings)` returns the values."""
