"""Text for people is escaped, shortened and formatted in one place."""

import pytest

from gpupanel import text


@pytest.mark.parametrize(("given", "shown"), [
    ("Grüße", "Grüße"), ("a\nb\tc", "a\\nb\\tc"), ("a\x1b[2Jb", "a\\x1b[2Jb"), ("a\u202eb", "a\\u202eb"),
    ("\udc80", "\\udc80"), ("\U000e0001", "\\U000e0001"), ("", ""),
])
def test_unprintable_characters_are_escaped(given, shown):
    assert text.escape_unprintable(given) == shown


@pytest.mark.parametrize(("count", "shown"), [
    (0, "0 B"), (1023, "1023 B"), (1024, "1.0 KB"), (181162647, "172.8 MB"), (1024**2 - 1, "1.0 MB"),
    (2**63 - 1, "8.0 EB"), (2**80, "1048576.0 EB"),
])
def test_a_size_has_the_largest_fitting_unit(count, shown):
    assert text.format_size(count) == shown


@pytest.mark.parametrize(("seconds", "shown"), [
    (-5, "0 s"), (0.9, "0 s"), (41, "41 s"), (60, "1 min"), (7500, "2 h 5 min"), (90_000, "1 d 1 h"), (86_401, "1 d"),
])
def test_a_duration_has_its_two_largest_units(seconds, shown):
    assert text.format_duration(seconds) == shown


def test_a_longer_text_is_truncated_and_says_so():
    assert (text.truncate("abc", 3), text.truncate("abcd", 3)) == ("abc", "abc...")
    assert text.short_hash("0123456789abcdef" * 4) == "0123456789abcdef..."
