"""Text of commands fits the terminal, or 100 characters in a file."""

import io
import os
import sys

import pytest
from gpupanel.cli import output

ROWS = [
    ("photo", "3016f8bdfa702d3d...", "title: The quay at dusk; path: photo/30/16; mime type: image/jpeg; width: 1,200"),
    ("gallery", "90e59a6160fd46dd...", "title: Album"),
]


def test_rows_that_fit_are_a_table():
    assert list(output.format_entries(ROWS, 200)) == output.format_table(ROWS)
    assert list(output.format_entries([], 20)) == []


@pytest.mark.parametrize("width", [40, 60, 80, 100])
def test_the_last_column_of_wide_rows_follows_below_and_is_broken_between_words(width):
    lines = list(output.format_entries(ROWS, width, ("kind", "hash", "values")))
    assert lines[:2] == ["  KIND     HASH", "  photo    3016f8bdfa702d3d..."]
    assert all(len(line) <= width for line in lines)
    assert all(line.startswith(output.HANGING) for line in lines[2:-2])
    assert " ".join(" ".join(lines[2:-2]).split()) == ROWS[0][2]
    assert lines[-2:] == ["  gallery  90e59a6160fd46dd...", "    title: Album"]


def test_a_long_word_stays_whole_and_nothing_escapes():
    path = "photo/" + "a" * 90
    assert output.wrap_text(f"path: {path} \x1b[2J", 40) == ["path:", f"    {path}", "    \\x1b[2J"]


@pytest.mark.parametrize("columns, width", [("72", 72), ("9", output.LEAST_WIDTH)])
def test_a_terminal_says_its_width_and_a_file_has_a_hundred_characters(monkeypatch, columns, width):
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert output.report_width() == output.REPORT_WIDTH
    ours, theirs = os.openpty()
    with open(theirs, "w") as terminal:
        monkeypatch.setattr(sys, "stdout", terminal)
        assert output.report_width() == width
        monkeypatch.undo()
    os.close(ours)
