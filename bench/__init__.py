"""Side-by-side measurements: ours, its peers and the limit, in turns within one run. Never part of the tests.

`make bench` runs all rows in their quick size, `make bench ARGS='--full cgi'` one of them in full; results go to
bench/RESULTS.md. A figure is worth something only beside the others of its run.
"""
