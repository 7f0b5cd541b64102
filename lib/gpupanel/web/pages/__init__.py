"""Pages: a module each, whose `show(db, visit, settings)` returns the values of the template and the JSON response."""
