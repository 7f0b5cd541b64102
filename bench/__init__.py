"""Benchmarks: this system, its peers and the limit, in turns within one run.

`make bench` runs all rows in their quick size, `make bench ARGS='--full cgi'` one of them in full; results go to
bench/RESULTS.md. A figure is worth something only beside the others of its run.
"""
