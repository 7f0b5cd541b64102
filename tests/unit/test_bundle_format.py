"""Each message that docs/BUNDLE-FORMAT.md quotes is one that the parser writes."""

import re

import pytest
from constants import TREE
from corpus import BUNDLES, CASES

from gpupanel.bundle_check import check_file
from gpupanel.errors import ManifestError
from gpupanel.config import MountSettings
from gpupanel.manifest import parse_manifest
from gpupanel.manifest.entries import MAX_ITEM_PROBLEMS
from gpupanel.manifest.messages import LONGEST, ProblemList

MANUAL = (TREE / "docs" / "BUNDLE-FORMAT.md").read_text(encoding="utf-8")
SPAN = re.compile(r"`([^`]+)`")
# What differs from one manifest to another: quoted values, numbers, hashes, keys of the example, times.
VARIABLE = re.compile(r'\\?"(?:[^"\\]|\\.)*"|\b[0-9a-f]{64}\b|5e88\.\.\.|4e07\.\.\.|\d+|\.\.\.|-?Infinity|NaN|\bS\b')
PLACE = re.compile(r"^[\w.\[\]\\\"-]+: ")
MEMBERS = ",".join(f'"{n:064x}"' for n in range(3))
COSTLY = {
    "manifest_limit": b"{}" * 20, "max_items": b'{"items": [{}, {}, {}]}',
    "max_containers": b'{"containers": [{}, {}, {}]}',
    "max_members": b'{"containers": [{"type": "gallery", "container_hash": "%s", "items": [%s]}]}' % (
        b"a" * 64, MEMBERS.encode()),
    "max_text_bytes": b'{"%s": 1}' % (b"k" * 99),
}
KEYS = b'{"x": {' + b",".join(b'"%d": 0' % n for n in range(500_002)) + b"}}"


def section(title: str) -> str:
    return MANUAL.partition(f"## {title}\n")[2].partition("\n## ")[0]


def problems(raw: bytes, **limits: int) -> list[str]:
    with pytest.raises(ManifestError) as caught:
        parse_manifest(raw, "x", MountSettings(**limits))
    return caught.value.problems


@pytest.fixture(scope="module")
def written() -> list[str]:
    """Messages of the parser: all of the corpus, and those of the limits."""
    checks = [check_file(BUNDLES / case.file, None) for case in CASES]
    corpus = [message for each in checks for message in each.problems + each.item_problems]
    small = {"manifest_limit": 30, "max_text_bytes": 90}
    limited = [text for name, raw in COSTLY.items() for text in problems(raw, **{name: small.get(name, 2)})]
    return corpus + limited + problems(KEYS)


def general(message: str) -> str:
    """Return a message without its place and its values."""
    return VARIABLE.sub("#", PLACE.sub("", message, count=1)).replace("the database's time", "the time of this machine")


def quoted() -> list[str]:
    text = "".join(map(section, ("How problems are reported", "Rules for the text", "Rules for the bundle",
                                 "Rules for an item")))
    lines = [line.strip() for line in text.splitlines() if line.startswith("    ")]
    return [message for message in [*SPAN.findall(text), *lines] if ": found " in message and "VALUE" not in message]


def test_each_quoted_message_is_one_of_the_parser(written):
    patterns = {general(message) for message in written}
    wrong = [message for message in quoted() if not any(each.startswith(general(message).removesuffix(", #"))
                                                       or general(message) == each for each in patterns)]
    assert len(quoted()) > 20 and wrong == []


def test_each_quoted_rule_is_one_of_the_parser(written):
    rows = [line.strip("|").split(" | ") for title in ("Rules for the bundle", "Rules for an item")
            for line in section(title).splitlines() if line.startswith("| ")]
    rules = [rule for row in rows for rule in SPAN.findall(row[1]) if " " in rule]
    patterns = {VARIABLE.sub("#", message.partition("expected ")[2]) for message in written}
    wrong = [rule for rule in rules if not any(VARIABLE.sub("#", rule) in each for each in patterns)]
    assert len(rules) > 30 and wrong == []


def test_the_quoted_limits_are_the_defaults():
    limits = MountSettings()
    text = section("Rules for the text")
    for number, option in (
        (limits.manifest_limit, "manifest_limit"), (limits.max_items, "max_items"), (limits.max_members, "max_members"),
        (limits.max_containers, "max_containers"), (limits.max_derivatives, "max_derivatives"),
        (limits.max_text_bytes, "max_text_bytes"),
    ):
        row = next(line for line in text.splitlines() if option in line)
        assert f"expected at most {number}" in row, option


def test_the_quoted_sizes_of_a_report_are_those_of_the_parser():
    text = " ".join(section("How problems are reported").split())
    most, length = MAX_ITEM_PROBLEMS
    assert f"cut at {LONGEST} characters" in text
    assert (f"at most {ProblemList.MAX_REPORTED} problems ({ProblemList.MAX_CHARACTERS:,} characters) for a bundle"
            f" and {most} ({length:,}) for an item") in text
    assert f"after {ProblemList.MAX_COUNTED:,} problems" in text
