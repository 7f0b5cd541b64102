"""Template filters: the Perl panel's formats."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given, strategies

from gpupanel.web import template_filters


@pytest.mark.parametrize("count, expected", [
    (None, "-"), (0, "0 B"), (1, "1 B"), (1023, "1023 B"), (1024, "1.0 KB"), (1536, "1.5 KB"), (1048524, "1023.9 KB"),
    (1048575, "1.0 MB"), (181162647, "172.8 MB"), (2**30, "1.0 GB"), (2**50, "1.0 PB"), (2**64, "16.0 EB"),
    (2**74, "16384.0 EB"),
])
def test_bytes_go_by_1024_with_one_decimal(count, expected):
    assert template_filters.size(count) == expected


@given(strategies.integers(0, 2**64))
def test_no_size_is_written_with_more_than_1023_of_a_unit(count):
    assert float(template_filters.size(count).split()[0]) < 1024


def test_a_hash_shows_its_first_16_characters():
    assert (
        template_filters.digest("6aeaaef68c502920540c647d688cced68bbe2f9f1ee7d5de57ae4c04535b6f16")
        == "6aeaaef68c502920..."
    )


@pytest.mark.parametrize("length, expected", [(199, 199), (200, 200), (201, 203)])
def test_a_payload_is_cut_at_200_characters(length, expected):
    shown = template_filters.clip("x" * length)
    assert (len(shown), shown.endswith("...")) == (expected, length > 200)


def test_a_moment_is_written_to_the_second():
    assert template_filters.format_datetime(datetime(2026, 4, 30, 0, 32, 19, 999999)) == "2026-04-30 00:32:19"


def test_a_moment_for_programs_has_its_zone():
    assert template_filters.iso(datetime(2026, 4, 30, 0, 32, 19)) == "2026-04-30T00:32:19.000000Z"


@pytest.mark.parametrize("show", [
    template_filters.digest, template_filters.clip, template_filters.format_datetime, template_filters.dash_if_empty,
    template_filters.duration,
])
def test_nothing_is_a_dash(show):
    assert show(None) == "-"


@pytest.mark.parametrize("number, expected", [(0, "0"), (9999, "9,999"), (10_000, "10,000"), (10_001, "10,000+")])
def test_a_bounded_count_does_not_pretend_to_be_complete(number, expected):
    assert template_filters.count(number) == expected


@pytest.mark.parametrize("seconds, expected", [
    (-1, "0 s"), (0, "0 s"), (41.9, "41 s"), (60, "1 min"), (125, "2 min 5 s"), (3600, "1 h"), (7501, "2 h 5 min"),
    (90_000, "1 d 1 h"),
])
def test_a_duration_names_its_two_largest_units(seconds, expected):
    assert template_filters.duration(timedelta(seconds=seconds)) == expected


@pytest.mark.parametrize("seconds, expected", [
    (-1, "just now"), (59, "just now"), (60, "1 min ago"), (3599, "59 min ago"), (7501, "2 h ago"), (90_000, "1 d ago"),
])
def test_an_age_has_one_unit_and_does_not_change_each_second(seconds, expected):
    now = datetime(2026, 4, 30)
    assert template_filters.ago(now - timedelta(seconds=seconds), now) == expected


@pytest.mark.parametrize("asset, cover, expected", [
    (None, None, "-"), (12, None, "asset 12"), (12, 3, "asset 12, cover 3"), (None, 3, "cover 3"),
])
def test_targets_name_the_library_rows(asset, cover, expected):
    assert template_filters.library_targets({"asset_id": asset, "cover_id": cover}) == expected


@pytest.mark.parametrize("value, expected", [(True, "true"), (False, "false"), (None, "none"), (528, "528")])
def test_a_fact_of_the_manifest_reads_as_it_stands_there(value, expected):
    assert template_filters.format_fact(value) == expected
