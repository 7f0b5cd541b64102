"""The panel: routes, authentication, forms and pages (docs/CONTRACT.md, "10. Pages"). It never imports or claims."""
