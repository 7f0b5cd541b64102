"""Profiles that a person can read: each module here has `write(folder)`, which yields the files that it wrote."""
