"""compare: where two systems agree and where they differ, for people who run the Perl panel and this one side by side.

A *side* is a database with the names that a mapping file gives to its tables and columns. Two sides are read in the order
of their natural keys and merged; what differs becomes a Difference, is grouped by kind and cause, and is reported as
text, JSON or one HTML page. Pages, events and the plan of a dry run are compared into the same report.
"""
