"""Paths of a manifest can neither leave the mount nor meet each other (docs/CONTRACT.md, 4)."""

import pytest

from gpupanel.manifest.validation import Folders, path_faults


@pytest.mark.parametrize(
    "path, fault",
    [
        ("", "a path that is not empty"),
        ("/etc/passwd", 'no leading "/"'),
        ("//host/share", 'no leading "/"'),
        ("~/x", 'no leading "~"'),
        ("~root", 'no leading "~"'),
        ("C:/x", "no drive letter"),
        ("c:x", "no drive letter"),
        ("a\\b", "no backslash"),
        ("..\\..\\x", "no backslash"),
        ("a\x00b", "no NUL"),
        ("a\nb", "no control character"),
        ("a\x7fb", "no control character"),
        ("a\x85b", "no control character"),
        ("a\n", "no control character"),
        ("a//b", "no empty element"),
        ("a/", "no empty element"),
        (".", 'no "." or ".." element'),
        ("..", 'no "." or ".." element'),
        ("./a", 'no "." or ".." element'),
        ("a/./b", 'no "." or ".." element'),
        ("a/../../b", 'no "." or ".." element'),
        ("a/..", 'no "." or ".." element'),
        ("a/b.", "no name that ends in a dot or space"),
        ("a./b", "no name that ends in a dot or space"),
        ("a /b", "no name that ends in a dot or space"),
        ("a/b ", "no name that ends in a dot or space"),
        ("a/...", "no name that ends in a dot or space"),
        ("a/" + "x" * 256, "no name longer than 255 bytes"),
        ("a/" + "é" * 128, "no name longer than 255 bytes"),
    ],
)
def test_each_unsafe_path_is_refused_for_its_own_reason(path, fault):
    assert path_faults(path) == fault


@pytest.mark.parametrize(
    "path",
    [
        "a", "photos/ab/x.y", ".hidden/a", "a/..b", "a/b..c", "Día/日本", "a b/c", "x" * 255, "é" * 127, "ab:c", "a/C:",
        "a~",
    ],
)
def test_a_safe_path_is_accepted(path):
    assert path_faults(path) == ""


def test_all_faults_of_a_path_are_told_together():
    assert path_faults("/a\\b/..") == 'no leading "/", no backslash, no "." or ".." element'


def clashes(*paths: str) -> dict[int, str]:
    return {position: problem.partition("but it ")[2] for position, problem in clash_problems(*paths).items()}


def clash_problems(*paths: str | None) -> dict[int, str]:
    folders = Folders()
    for path in paths:
        folders.add(path)
    folders.find_clashes(lambda: paths)
    return {position: problem for position, path in enumerate(paths) if (problem := folders.clash(position, path))}


def test_folders_that_lie_side_by_side_are_no_problem():
    assert clashes("a/b", "a/c", "a/bc", "a/b-c", "a/b c", "b") == {}


def test_two_items_in_one_folder_both_fail():
    assert clashes("a/b", "c", "a/b") == {0: "is that of items[2]", 2: "is that of items[0]"}


def test_a_folder_inside_another_fails_both_however_deep_and_whatever_sorts_between():
    assert clashes("a/b/c/d", "a/b-c", "a/b", "a") == {
        0: "lies inside that of items[2]",
        1: "lies inside that of items[3]",
        2: "lies inside that of items[3]",
        3: "holds that of items[1]",
    }


@pytest.mark.parametrize(
    "one, other", [("a/B", "A/b"), ("é", "e\u0301"), ("É", "e\u0301"), ("straße", "STRASSE"), ("\u212b", "å")]
)
def test_twins_by_case_or_normalisation_both_fail(one, other):
    twin = "differs only by case or Unicode normalisation from that of"
    assert clashes(one, other) == {0: f"{twin} items[1]", 1: f"{twin} items[0]"}


def test_nesting_is_seen_through_case():
    assert clashes("A", "a/b") == {0: "holds that of items[1]", 1: "lies inside that of items[0]"}


def test_a_clash_says_where_and_what():
    assert clash_problems("a", None, None, "x", None, "x")[5] == (
        'items[5].path: found "x", expected a folder of its own, but it is that of items[3]'
    )
