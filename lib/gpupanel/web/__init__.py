"""The panel: routes, authentication, forms, pages. It never imports."""
