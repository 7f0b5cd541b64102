"""The manifest's bytes must be strict JSON; each way of not being so has its own message (docs/CONTRACT.md, 4)."""

import json

import msgspec
import pytest
from hypothesis import example, given, settings, strategies as st

from gpupanel import manifest
from gpupanel.errors import ManifestError
from gpupanel.manifest import text

SYNC_ID = "00000000-0000-4000-8000-000000000001"


def problems(raw: bytes) -> list[str]:
    with pytest.raises(ManifestError) as caught:
        manifest.parse_manifest(raw, SYNC_ID)
    return caught.value.problems


@pytest.mark.parametrize(
    "raw, problem",
    [
        (b"", "manifest: found the end of the text at line 1, column 1, expected JSON (expecting value)"),
        (b'{"a": 1', "manifest: found the end of the text at line 1, column 8, expected JSON"),
        (b'{"a": 1,}', "manifest: found "),
        (b"{'a': 1}", """manifest: found "'a': 1}" at line 1, column 2, expected JSON"""),
        (b'{"a": 1} {}', 'manifest: found "{}" at line 1, column 10, expected JSON (extra data)'),
        (b'{"a": 01}', 'manifest: found "1}" at line 1, column 8, expected JSON'),
        (b'{"a": +1}', 'manifest: found "+1}" at line 1, column 7, expected JSON'),
        (b'{"a": 1.}', 'manifest: found ".}" at line 1, column 8, expected JSON'),
        (b'{"a": .5}', 'manifest: found ".5}" at line 1, column 7, expected JSON'),
        (b'{"a": 0x1}', 'manifest: found "x1}" at line 1, column 8, expected JSON'),
        (b'{"a": True}', 'manifest: found "True}" at line 1, column 7, expected JSON'),
        (b'{"a": "\\x41"}', "manifest: found "),
        (b'{"a": "\\u12"}', "manifest: found "),
        (b'{"a": "\x01"}', 'manifest: found "\\x01\\"}" at line 1, column 8, expected JSON (invalid control character)'),
        (b'{"a": "\x00"}', 'manifest: found "\\x00\\"}" at line 1, column 8, expected JSON (invalid control character)'),
        (b'{"a": 1 /* no */}', 'manifest: found "/* no */}" at line 1, column 9, expected JSON'),
        (b'{"a": 1}\x00', 'manifest: found "\\x00" at line 1, column 9, expected JSON'),
        (b"\x0c{}", "manifest: found "),
        (b"\xc2\xa0{}", 'manifest: found "\\xa0{}" at line 1, column 1, expected JSON'),
        (b'{"a": "\xff"}', "manifest: found byte 0xff at offset 7, expected UTF-8"),
        (b'{"a": "\xc0\xaf"}', "manifest: found byte 0xc0 at offset 7, expected UTF-8"),
        (b'{"a": "\xed\xa0\x80"}', "manifest: found byte 0xed at offset 7, expected UTF-8"),
        (b'{"\xfe": 1}', "manifest: found byte 0xfe at offset 2, expected UTF-8"),
        ('{"a": 1}'.encode("utf-16"), "manifest: found byte 0xff at offset 0, expected UTF-8"),
        (b"[]", "manifest: found an array of 0, expected an object"),
        (b"null", "manifest: found null, expected an object"),
        (b'"{}"', 'manifest: found "{}", expected an object'),
        (b"[" * 65 + b"]" * 65, "[0]" * 64 + ": found deeper nesting, expected at most 64 levels"),
        (b"[" * 100_000, "manifest: found deeper nesting, expected at most 64 levels"),
        (b'{"a":' * 100_000, "manifest: found deeper nesting, expected at most 64 levels"),
    ],
)
def test_text_that_is_not_strict_json_is_refused_with_its_own_message(raw, problem):
    assert problems(raw)[0].startswith(problem)


@pytest.mark.parametrize(
    "member, problem",
    [
        ('"x": 1, "x": 2', "x: found the key more than once, expected it once"),
        ('"x": 1, "\\u0078": 1', "x: found the key more than once, expected it once"),
        ('"x:": 1, "x\\u003a": 1', '["x:"]: found the key more than once, expected it once'),
        ('"x": {"y": [{"z": 1, "z": 1}]}', "x.y[0].z: found the key more than once, expected it once"),
        ('"x": NaN', "x: found NaN, expected a finite number"),
        ('"x": [-Infinity]', "x[0]: found -Infinity, expected a finite number"),
        ('"x": 1e999', "x: found Infinity, expected a finite number"),
        ('"x": "\\ud800"', 'x: found "\\ud800", expected text without lone surrogates'),
        ('"x": "\\udc00\\ud800"', 'x: found "\\udc00\\ud800", expected text without lone surrogates'),
        ('"items": [{"asset_type": "\\udfff"}]', 'items[0].asset_type: found "\\udfff", expected text without lone surrogates'),
        ('"\\ud800": 1', '["\\ud800"]: found a lone surrogate in the key, expected text without one'),
    ],
)
def test_what_the_grammar_allows_but_a_manifest_must_not_have_is_refused_wherever_it_stands(member, problem):
    assert problem in problems(b"{" + member.encode() + b"}")


def test_a_byte_order_mark_is_refused_and_the_rest_is_looked_at_all_the_same():
    found = problems(b'\xef\xbb\xbf{"sync_id": 1}')
    assert found[0] == "manifest: found a byte-order mark, expected UTF-8 without one"
    assert "sync_id: found 1, expected a lowercase UUID" in found


def test_sixty_four_levels_are_not_too_deep():
    assert text.parse(b"[" * 64 + b"]" * 64)[1] == []
    assert text.parse(b'[{"a":' * 32 + b"1" + b"}]" * 32)[1] == []


def test_a_number_with_thousands_of_digits_is_refused_like_any_that_is_too_big():
    assert "total_bytes: found " + "1" * 60 + "..., expected a whole number from 0 to 9223372036854775807" in problems(
        b'{"total_bytes": ' + b"1" * 9000 + b"}"
    )


@pytest.mark.parametrize("raw", [b'{"x": 1e999}', b'{"a":1,"a":1}', b'{"a":"\\u003a"}', b"[" * 65 + b"]" * 65])
def test_the_quick_reading_gives_up_when_in_doubt(raw):
    with pytest.raises((ValueError, msgspec.MsgspecError)):
        text._quickly(raw)


SCRAPS = st.sampled_from(
    ['"a"', '"b:"', '"\\u0061"', '"\\u003a"', '"\\ud83d\\ude00"', '"\\ud83d"', '"\\ude00\\ud83d"', '"é:"', "{", "}", "[", "]",
     ":", ",", " ", "\n", "\f", "null", "true", "NaN", "-0", "1.0", "1e5", "1e999", "01", "9" * 25, "9" * 5000, "-", '"\x7f"', "\ufeff"]
)
VALUES = st.recursive(
    st.sampled_from(['"a"', '":"', '"\\u003a"', '"\\ud800"', "1", "-0.0", "null", "1e999", "NaN"]),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda parts: "[" + ",".join(parts) + "]"),
        st.lists(st.tuples(st.sampled_from(['"a"', '"b:"', '"\\u0061"']), inner), max_size=3).map(
            lambda pairs: "{" + ",".join(f"{key} : {value}" for key, value in pairs) + "}"
        ),
    ),
    max_leaves=12,
)


@settings(max_examples=400, deadline=None)
@given(st.one_of(st.lists(SCRAPS, max_size=8).map("".join), VALUES))
@example('{"a":null,"a":":"}')
def test_the_quick_reading_accepts_only_what_the_careful_one_accepts_and_reads_it_alike(source):
    raw = source.encode()
    try:
        quick = text._quickly(raw)
    except (msgspec.MsgspecError, ValueError, OverflowError, RecursionError):
        return
    tree, found = text._carefully(raw)
    assert found == []
    assert json.dumps(quick) == json.dumps(tree)
