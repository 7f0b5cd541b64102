"""One page, one module, one template: `show(db, visit, settings)` returns what template and JSON answer show."""
