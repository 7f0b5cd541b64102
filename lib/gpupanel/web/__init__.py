"""The panel: routes, who may do what, forms, pages (docs/CONTRACT.md, 10). Never imports, never claims."""
