"""compare without a database: equal values, mapping files, accepted differences, and the report."""

from collections import Counter
from datetime import datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from constants import TREE
from gpupanel.errors import ConfigurationError
from gpupanel.migration import (
    accepted, difference_kinds, event_diff, mapping, mapping_evidence, mapping_proposal, mapping_rows, masks,
    row_reader, table_specs, value_diff,
)
from gpupanel.migration.compared_database import ComparedDatabase
from gpupanel.migration.findings import Difference, Findings, SAMPLES
from gpupanel.migration.report import Report, format_report, render_html

NUMBERS = value_diff.NUMBER_TYPES
ETC = TREE / "etc"
NOON = datetime(2026, 4, 30, 12)


def kinds(found):
    """Return the kinds of what counts, and the names of what is tolerated."""
    return [each.path if each.kind == value_diff.TOLERATED else each.kind for each in found]


@pytest.mark.parametrize(
    ("left", "right", "found"),
    [
        ("a", "a", []),
        (None, None, []),
        (4, Decimal("4.0"), [NUMBERS]),
        (1.5, Decimal("1.5"), [NUMBERS]),
        (0.1, Decimal("0.1"), [NUMBERS]),
        (0.0, -0.0, ["value"]),
        (2**60, Decimal(2**60 + 1), ["value"]),
        ("a", "b", ["value"]),
        ("a", None, ["presence"]),
        (None, "", ["empty"]),
        ("Caf\u00e9", "Cafe\u0301", ["unicode_form"]),
        ("Br\u00c3\u00bccke", "Br\u00fccke", ["encoding"]),
        ("\u20ac 5", "\u00e2\u201a\u00ac 5", ["encoding"]),  # cp1252, which MariaDB names latin1
        ("Sun ?", "Sun \U0001f31e", ["characters"]),
        ("Zo?", "Zoe", ["value"]),
        ("Sun ?", "Son \U0001f31e", ["value"]),
        ("Flux-1", "flux-1", ["wording"]),
        ("4", 4, ["wording"]),
        ("a b", "ab", ["wording"]),
        ("assets 12", "assets 13", ["value"]),
        ("12:30", "12:31", ["value"]),
        ("Psalm:23", "Psalm:119", ["value"]),
        ("media:8080", "other.example:9090", ["value"]),
        ("asset 5", "asset 6", ["value"]),
        ("host:7", "host:8", ["value"]),
    ],
)
def test_plain_values(left, right, found):
    assert kinds(value_diff.diff_plain(left, right)) == found


@pytest.mark.parametrize(("left", "right", "found"), [
    ("asset 12, brought by x", "asset 7, brought by x", [masks.REASON_NAMES]),
    ("worker a:77 was silent", "worker b:8 was silent", [masks.REASON_NAMES]),
    ("assets 12", "assets 13", ["value"]), ("asset 12 is missing", "asset 7 is there", ["value"]),
])
def test_names_are_masked_in_reasons_and_errors_and_counted(left, right, found):
    assert kinds(value_diff.diff_plain(left, right, masks.REASON)) == found


def test_a_name_of_a_worker_is_masked_where_it_fills_its_column():
    assert kinds(value_diff.diff_plain("host:7", "other:8", masks.WORKER)) == [masks.WORKER_NAMES]
    assert kinds(value_diff.diff_plain("host:7", "admin", masks.WORKER)) == ["value"]


FORM = value_diff.JSON_FORM


@pytest.mark.parametrize(
    ("left", "right", "found"),
    [
        ('{"a":1,"b":2}', '{"b": 2, "a": 1}', [(FORM, "")]),
        ('{"a":"4"}', '{"a":4}', [("json_type", "a")]),
        ('{"a":true}', '{"a":1}', [("json_type", "a")]),
        ('{"a":null}', '{"a":1}', [("json_value", "a")]),
        ('{"a":1}', "{}", [("json_key", "a")]),
        ('{"a":{"b":[1,2]}}', '{"a":{"b":[1,3]}}', [("json_value", "a.b[]")]),
        ("[1]", "[1,2]", [("json_value", "")]),
        ('{"a":1.0}', '{"a":1}', [(FORM, "")]),
        ('{"a":"é"}', '{"a":"\\u00e9"}', [(FORM, "")]),
        ("{", "{}", [("value", "")]),
        (None, "{}", [("presence", "")]),
        ('{"%s":1}' % ("a" * 64), '{"%s":2}' % ("a" * 64), [("json_value", "*")]),
        ('{"worker":"a:1"}', '{"worker":"b:22"}', [("json_value", "worker")]),
        ('{"shot":"roll:12"}', '{"shot":"reel:99"}', [("json_value", "shot")]),
        ("[1,2,3]", "[3,2,1]", [("json_list_order", "")]),
        ('{"a":1}', '{"a":2,"a":1}', [("value", "")]),
        ('{"a":NaN}', '{"a": NaN}', [("value", "")]),
        ("[0.1]", "[0.10000000000000000001]", [("json_value", "[]")]),
        ("[0]", "[-0]", [("json_value", "[]")]),
    ],
)
def test_json_by_value(left, right, found):
    told = list(value_diff.diff_json(left, right, by_bytes=False))
    paths = ["" if each.kind == value_diff.TOLERATED else each.path for each in told]
    assert list(zip(kinds(told), paths, strict=True)) == found


def test_the_worker_is_masked_in_payloads_only():
    for by_bytes in (False, True):
        found = value_diff.diff_json('{"worker":"a:1"}', '{"worker":"b:22"}', by_bytes, masked=True)
        assert kinds(found) == [masks.WORKER_NAMES]


@pytest.mark.parametrize(("left", "right", "found"), [
    ('{"a":1}', '{"a": 1}', ["json_spacing"]), ('{"a":1,"b":2}', '{"b":2,"a":1}', ["json_order"]),
    ('{"a":1}', '{"a":1}', []), ('{"a":1}', '{"a": 2}', ["json_value"]),
])
def test_json_byte_for_byte(left, right, found):
    assert kinds(value_diff.diff_json(left, right, by_bytes=True)) == found


def test_deep_json_is_compared_as_text_instead_of_failing():
    deep = "[" * 100_000
    assert kinds(value_diff.diff_json(deep, deep + " ", by_bytes=False)) == ["value"]


@pytest.mark.parametrize(
    ("left", "right", "tolerance", "found"),
    [
        (NOON, NOON, None, []),
        (NOON, NOON + timedelta(hours=9), None, [value_diff.TIMES]),
        (NOON, None, None, ["presence"]),
        (NOON, NOON + timedelta(seconds=3), 2, ["time"]),
        (NOON, NOON + timedelta(seconds=2), 2, [value_diff.TIMES_IN_TOLERANCE]),
        (NOON, "0000-00-00 00:00:00", None, ["no_time"]),
        (None, "0000-00-00 00:00:00", None, ["zero_time"]),
        (0, None, 2, ["zero_time"]),
        (0, NOON, None, ["no_time"]),
        ("0000-00-00 00:00:00", "0000-00-00 00:00:00", 0, []),
    ],
)
def test_times(left, right, tolerance, found):
    assert kinds(value_diff.diff_time(left, right, tolerance)) == found


@pytest.mark.parametrize(
    ("stored", "moment", "name"),
    [
        (datetime(2026, 1, 1, 13), datetime(2026, 1, 1, 12), None),
        (datetime(2026, 7, 1, 14), datetime(2026, 7, 1, 12), None),
        ("2026-07-01 14:00:00", datetime(2026, 7, 1, 12), row_reader.TEXT_TIMES),
        ("2026-07-01T12:00:00Z", datetime(2026, 7, 1, 12), row_reader.TEXT_TIMES),
        (1782907200, datetime(2026, 7, 1, 12), row_reader.EPOCHS),
        ("1782907200", datetime(2026, 7, 1, 12), row_reader.EPOCHS),
        (1782907200500, datetime(2026, 7, 1, 12, 0, 0, 500_000), row_reader.EPOCHS),
        ("0000-00-00 00:00:00", "0000-00-00 00:00:00", row_reader.NO_TIMES),
        ("soon", "soon", row_reader.NO_TIMES),
        (7, 7, row_reader.NO_TIMES),
    ],
)
def test_times_are_read_in_utc_whatever_their_type_and_zone(stored, moment, name):
    converted = Counter()
    zones = row_reader.Zones(ZoneInfo("Europe/Vienna"))
    reader = row_reader.RowReader(table_specs.BY_NAME["asset"], ["created_at"], zones, converted)
    assert [row["created_at"] for row in reader.read(iter([{"created_at": stored}]))] == [moment]
    assert [found for _, _, found in converted] == ([name] if name else [])


@pytest.mark.parametrize(("local", "utc", "found"), [
    (datetime(2026, 10, 25, 2, 30), datetime(2026, 10, 25, 0, 30), value_diff.TIMES_IN_TOLERANCE),
    (datetime(2026, 10, 25, 2, 30), datetime(2026, 10, 25, 1, 30), value_diff.TIMES_TWICE),
    (datetime(2026, 10, 25, 2, 30), datetime(2026, 10, 25, 2, 30), "time"),
    (datetime(2026, 10, 25, 1, 30), datetime(2026, 10, 25, 0, 30), "time"),
    (datetime(2026, 3, 29, 2, 30), datetime(2026, 3, 29, 0, 30), "time"),  # a time that the clock skips
])
def test_a_local_time_that_exists_twice_is_either_of_both(local, utc, found):
    zones = row_reader.Zones(ZoneInfo("Europe/Vienna"))
    reader = row_reader.RowReader(table_specs.BY_NAME["asset"], ["created_at"], zones, Counter())
    [row] = reader.read(iter([{"created_at": local}]))
    near = utc + timedelta(microseconds=1)
    assert kinds(value_diff.diff_time(row["created_at"], near, 1)) == [found]
    assert kinds(value_diff.diff_time(near, row["created_at"], 1)) == [found]


def test_a_local_time_that_exists_twice_has_no_order():
    twice = value_diff.TimeTwice.of(NOON, NOON + timedelta(hours=1))
    later, straight = NOON + timedelta(minutes=30), {"a": NOON, "b": NOON - timedelta(minutes=30)}
    assert list(value_diff.diff_time_order({"a": twice, "b": later}, straight)) == []
    assert len(list(value_diff.diff_time_order({"a": NOON, "b": later}, straight))) == 1


def test_a_timestamp_is_in_utc_whatever_the_zone_of_the_side():
    zones = row_reader.Zones(ZoneInfo("Europe/Vienna"), {("asset", "updated_at")})
    reader = row_reader.RowReader(table_specs.BY_NAME["asset"], ["created_at", "updated_at"], zones, Counter())
    [row] = reader.read(iter([{"created_at": NOON, "updated_at": NOON}]))
    assert (row["created_at"], row["updated_at"]) == (NOON - timedelta(hours=2), NOON)


def test_the_order_of_times_is_told_once_and_equal_ones_are_in_either_order():
    early, late = NOON, NOON + timedelta(seconds=1)
    straight, turned = {"a": early, "b": late, "c": late}, {"a": late, "b": early, "c": early}
    [found] = value_diff.diff_time_order(straight, turned)
    assert found.left.startswith("a ") and found.right.startswith("b ")
    assert list(value_diff.diff_time_order(straight, {"a": early, "b": early, "c": None})) == []


def test_a_side_with_whole_seconds_has_an_order_from_the_second_second_on():
    fine = {"a": NOON + timedelta(microseconds=600_000), "b": NOON + timedelta(microseconds=900_000)}
    for seconds, found in ((0, 0), (1, 0), (2, 1)):
        whole = {"a": NOON + timedelta(seconds=seconds), "b": NOON}
        assert len(list(value_diff.diff_time_order(whole, fine))) == found
        assert len(list(value_diff.diff_time_order(fine, whole))) == found


@pytest.mark.parametrize(("seconds", "found"), [(0.7, 0), (1.7, 1)])
def test_a_second_hides_the_order_also_where_the_other_time_of_the_side_has_a_fraction(seconds, found):
    beat = NOON + timedelta(seconds=seconds)
    cut, fine = {"end": NOON, "beat": beat}, {"end": beat + timedelta(milliseconds=200), "beat": beat}
    assert len(list(value_diff.diff_time_order(cut, fine))) == found
    assert len(list(value_diff.diff_time_order(fine, cut))) == found


def test_numbers_are_equal_evidence_by_every_digit_whatever_their_types():
    same = {mapping_evidence.comparable(value) for value in (1234567, "1234567", Decimal("1234567.00"), 1234567.0)}
    assert same == {"1234567"}
    assert len({mapping_evidence.comparable(value) for value in (1234567, 1234568, "01234567", "1,234567")}) == 4


def test_values_that_are_new_in_each_row_mean_no_words():
    states = [("queued", "F"), *2 * [("completed", "C")], *2 * [("failed", "E")], ("failed", "C")]
    for code, share in ((None, 5 / 6), ("new in each row", 0.0)):
        rows = [(ours, theirs if code is None else f"{code} {n}") for n, (ours, theirs) in enumerate(states * 2)]
        equal = mapping_rows.EqualRows([{"state": ours} for ours, _ in rows], [{"code": theirs} for _, theirs in rows])
        assert equal.share("import_job", "state", "code") == (share, 12)


def test_a_job_is_told_by_its_place_and_keeps_its_type():
    seen = {}
    assert value_diff.renumber_jobs('{"job_id":"77"}', seen) == '{"job_id":"1"}'
    assert value_diff.renumber_jobs('{"job_id": 77,"x":77}', seen) == '{"job_id": 1,"x":77}'
    assert value_diff.renumber_jobs('{"job_id":78}', seen) == '{"job_id":2}'


def test_events_are_aligned_by_their_types():
    left, right = ([{"event_type": kind} for kind in kinds] for kinds in ("abcd", "axcd"))
    assert [
        (one and one["event_type"], other and other["event_type"]) for one, other in event_diff.aligned(left, right)
    ] == [("a", "a"), ("b", None), (None, "x"), ("c", "c"), ("d", "d")]


# ------------------------------------------------------------------------------------------------- vocabulary


def test_every_table_of_the_schema_is_compared_and_every_key_is_made_of_its_columns():
    assert set(table_specs.BY_NAME) == set(table_specs.expected())
    for table in table_specs.TABLES:
        for part in (*table.key, table.bundle):
            *way, column = part.split(".")
            here = table.name
            for step in way:
                assert step in table_specs.column_types(here)
                here = table_specs.REFERENCES[step]
            assert column == "#" or column in table_specs.column_types(here)


def test_every_id_of_the_schema_is_translated():
    for table in table_specs.TABLES:
        for column in table_specs.compared_columns(table.name):
            assert (
                not column.endswith("_id")
                or column in table_specs.IDENTIFIERS
                or table_specs.column_kind(table.name, column) in (table_specs.REFERENCE, table_specs.PRESENCE)
            )


# ----------------------------------------------------------------------------------------------- mapping files


def problems(load, tmp_path, content):
    (tmp_path / "file").write_text(content)
    with pytest.raises(ConfigurationError) as error:
        load(tmp_path / "file")
    return error.value.problems


def test_every_problem_of_a_mapping_file_is_told_at_once(tmp_path):
    found = problems(
        mapping.load_mapping,
        tmp_path,
        (
            "[side]\ntime_zone = Mars/North\nzone = x\n[tables]\nasset = a`b\nno_table = x\n"
            "[asset]\ntitle = x\npath = x\nmood = y\n[extra]\na = b\n"
            "[asset.asset_type]\nphoto = foto, foto\nbild = b\ncover =\n[asset.id]\na = b\n[asset.colour]\na = b\n"
        ),
    )
    for word in (
        "Mars/North", "[side] zone", "'a`b'", "no_table", "[asset] x: named 2 times", "[asset] mood", "[extra]",
        "[asset.asset_type] foto: named 2 times", "[asset.asset_type] bild", "[asset.asset_type] cover: empty",
        "[asset.id]: only", "[asset.colour]: unknown",
    ):
        assert sum(word in problem for problem in found) == 1, word
    assert len(found) == 12


def test_a_mapping_is_written_as_it_is_read(tmp_path):
    given = mapping.NameMapping(
        {"asset": "media"}, {("asset", "title"): "caption", ("ingest_event", "actor"): "-"}, ZoneInfo("Europe/Vienna"),
        {("asset", "asset_type"): {"foto": "photo", "it's": "photo", "100 %": "cover"}},
    )
    (tmp_path / "file").write_text(mapping.format_mapping(given))
    assert mapping.load_mapping(tmp_path / "file") == given


def test_columns_are_proposed_for_people_to_check(tmp_path):
    (tmp_path / "conf").write_text("[database]\n")
    side = ComparedDatabase(tmp_path / "conf")
    side.catalogue = {name: set(table_specs.column_types(name)) for name in table_specs.BY_NAME}
    side.types = {("asset", "caption"): "varchar"}
    side.sample = lambda table, columns, limit: []
    assert mapping_proposal.propose_mapping(side).empty
    side.catalogue["asset"] = side.catalogue["asset"] - {"title", "fingerprint"} | {"caption"}
    proposal = mapping_proposal.propose_mapping(side)
    assert proposal.mapping.columns == {("asset", "title"): "caption", ("asset", "fingerprint"): "-"}
    assert [(line.column, line.sure) for line in proposal.lines] == [("title", True), ("fingerprint", True)]
    assert "names 100% alike, varchar for varchar(255), values not compared" in mapping.format_mapping(
        proposal.mapping, proposal.notes
    )


def test_a_column_or_table_that_would_be_read_twice_is_refused():
    catalogue = {name: set(table_specs.column_types(name)) for name in table_specs.BY_NAME}
    twice = mapping.NameMapping({"asset_cover": "asset_source"}, {("asset", "title"): "path"})
    found = mapping.check_mapping(twice, catalogue)
    assert any("asset_source: 2 of our tables" in problem for problem in found)
    assert any("[asset] path and title: both are path" in problem for problem in found)
    assert mapping.check_mapping(mapping.NameMapping({}, {}), catalogue) == []


# --------------------------------------------------------------------------------------- accepted, and the report


def test_every_problem_of_a_file_of_accepted_differences_is_told_at_once(tmp_path):
    found = problems(
        accepted.load_accepted, tmp_path, "[a]\nkind = valeu\n[b]\nreason = x\n[c]\nreason = x\ntabel = asset\n"
    )
    assert len(found) == 5
    for word in ("[a] reason", "valeu", "[b]: accepts everything", "[c] tabel"):
        assert any(word in problem for problem in found), word


def test_the_example_of_accepted_differences_can_be_used():
    assert len(accepted.load_accepted(ETC / "accepted-differences.example")) >= 3


def test_an_accepted_difference_may_name_several_columns_and_no_value_is_split(tmp_path):
    (tmp_path / "file").write_text("[a]\nreason = x\nkind = value, presence\ncolumn = path, earlier*\nleft = a, b\n")
    [decision] = accepted.load_accepted(tmp_path / "file")
    one = Difference("presence", "Ledger", "ingest_batch_item", "earlier_reason", left="a, b")
    assert decision.covers(one) and decision.covers(one._replace(kind="value", column="path"))
    for other in ({"kind": "reference"}, {"column": "picture"}, {"left": "a"}):
        assert not decision.covers(one._replace(**other))


@pytest.mark.parametrize(("table", "column"), [
    ("import_job", "state"), ("ingest_batch", "status"), ("asset", "asset_hash"), ("asset", "title"),
    ("ingest_batch_item", "decision"), ("asset_gallery_item", "position"),
])
def test_the_cutover_accepts_no_missing_column_or_table_that_a_perl_side_must_have(table, column):
    decisions = accepted.load_accepted(ETC / "accepted-cutover.example")
    missing = Difference("column_missing", "Ledger", table, column, left="missing", right="present")
    assert not any(decision.covers(missing) for decision in decisions)
    assert not any(decision.covers(missing._replace(kind="table_missing", column="")) for decision in decisions)


def test_however_many_differences_there_are_only_samples_are_kept_and_all_are_told():
    told = []
    findings = Findings(each=told.append)
    for n in range(3 * SAMPLES):
        findings.add(Difference("value", "Library", "asset", "title", row=str(n), left="a", right="b"))
    [group] = findings.groups
    assert (group.count, len(group.samples), len(told)) == (3 * SAMPLES, SAMPLES, 3 * SAMPLES)


def test_each_kind_says_what_it_means_and_what_is_likely_behind_it():
    for kind in difference_kinds.KINDS:
        assert (
            difference_kinds.likely_cause("asset", "title", kind)
            and difference_kinds.weight_of("Library", kind) in difference_kinds.WEIGHTS
        )


@pytest.fixture
def report():
    findings = Findings()
    findings.tally("Library", "asset", "asset").equal = 7
    for area, table, column, kind in (
        ("Library", "asset", "title", "value"),
        ("Ledger", "ingest_event", "payload", "json_spacing"),
    ):
        findings.add(Difference(
            kind, area, table, column, row="photo <x>", bundle="b", left="<script>1</script>", right="\x1b[2J"
        ))
    return Report("Two databases", "left & co", "right", [("Times", "order")], findings, NOON)


def test_the_page_says_the_verdict_first_needs_nothing_else_and_escapes_all(report):
    html = render_html(report)
    assert (
        html.index("The two sides differ: 2 differences of 2 kinds.")
        < html.index("What to decide on first")
        < html.index("Every difference")
    )
    assert "<script" not in html and "&lt;script&gt;" in html and "left &amp; co" in html
    assert not any(word in html for word in ("http:", "https:", "src=", "url(", "@import"))


def test_the_text_cannot_steer_a_terminal_and_names_cause_and_both_values(report):
    lines = "\n".join(format_report(report))
    assert "\x1b" not in lines and "\\x1b[2J" in lines
    assert "likely: the two systems computed or copied the value differently" in lines


def test_the_heaviest_difference_comes_first(report):
    assert [group["weight"] for group in report.data()["groups"]] == ["content", "form"]
