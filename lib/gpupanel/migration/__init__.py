"""Compare this system with the Perl panel.

A side is a database with the names that a mapping file gives to its tables and columns. The rows of both sides are read
in the order of their natural keys and merged. Each Difference is grouped by kind and cause, and reported as text, JSON
or one HTML page. Nothing else imports this package; it can be deleted after the cutover.
"""
