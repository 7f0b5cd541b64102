"""The panel: routes, who may do what, forms, pages (DESIGN section 10). Never imports, never claims."""
