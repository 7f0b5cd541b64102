"""A long run of everything at once, on a slow mount: what grows with time, and what does not.

`feed` writes bundles and queues them through the panel, `run` also keeps pages open, seals, archives and kills workers,
and `slices` measures each part of the time and its trend. The installation and the kills are those of `load`.
"""
