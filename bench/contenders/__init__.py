"""The peers' side of the worker's rows: each module is a program that the peers' Python runs, and prints what it measured."""
