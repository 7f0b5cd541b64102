"""Readable profiles; `write(folder)` of each module yields its files."""
