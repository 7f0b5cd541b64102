"""One page, one module, one template: `show(db, visit, settings)` returns what the template and the JSON answer show."""
