"""A manifest must be strict JSON; each violation has its own message (docs/CONTRACT.md, 4)."""

import pytest

from gpupanel import manifest
from gpupanel.errors import ManifestError

SYNC_ID = "00000000-0000-4000-8000-000000000001"


def problems(raw: bytes) -> list[str]:
    with pytest.raises(ManifestError) as caught:
        manifest.parse_manifest(raw, SYNC_ID)
    return caught.value.problems


@pytest.mark.parametrize(
    "raw, problem",
    [
        (b"", "manifest: found the end of the text at line 1, column 1, expected JSON (expecting value)"),
        (
            b'{"a": 1',
            "manifest: found the end of the text at line 1, column 8, expected JSON (the manifest was cut off here;"
            " upstream has the whole file)",
        ),
        (b'{"a": 1,}', "manifest: found "),
        (b"{'a': 1}", """manifest: found "'a': 1}" at line 1, column 2, expected JSON"""),
        (b'{"a": 1} {}', 'manifest: found "{}" at line 1, column 10, expected JSON (extra data)'),
        (b'{"a": 01}', 'manifest: found "1}" at line 1, column 8, expected JSON'),
        (b'{"a": +1}', 'manifest: found "+1}" at line 1, column 7, expected JSON'),
        (b'{"a": 1.}', 'manifest: found "}" at line 1, column 9, expected JSON'),
        (b'{"a": .5}', 'manifest: found ".5}" at line 1, column 7, expected JSON'),
        (b'{"a": 0x1}', 'manifest: found "x1}" at line 1, column 8, expected JSON'),
        (b'{"a": True}', 'manifest: found "True}" at line 1, column 7, expected JSON'),
        (b'{"a": "\\x41"}', "manifest: found "),
        (b'{"a": "\\u12"}', "manifest: found "),
        (b'{"a": "\x01"}', 'manifest: found "\\x01\\"}" at line 1, column 8, expected JSON (invalid character)'),
        (b'{"a": "\x00"}', 'manifest: found "\\x00\\"}" at line 1, column 8, expected JSON (invalid character)'),
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
        (b"[" * 65 + b"]" * 65, "manifest: found an array, expected an object"),
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
        ('"x": "\\udc00\\ud800"', 'x: found "\\udc00", expected text without lone surrogates'),
        (
            '"items": [{"asset_type": "\\udfff"}]',
            'items[0].asset_type: found "\\udfff", expected text without lone surrogates',
        ),
        ('"\\ud800": 1', '["\\ud800"]: found a lone surrogate in the key, expected text without one'),
    ],
)
def test_what_the_grammar_allows_but_a_manifest_must_not_have_is_refused_wherever_it_stands(member, problem):
    assert problem in problems(b"{" + member.encode() + b"}")


def test_a_byte_order_mark_is_refused_and_the_rest_is_looked_at_all_the_same():
    found = problems(b'\xef\xbb\xbf{"sync_id": 1}')
    assert found[0] == "manifest: found a byte-order mark, expected UTF-8 without one"
    assert "sync_id: found 1, expected a lowercase UUID" in found


@pytest.mark.parametrize(
    "raw", [b'{"x": ' + b"[" * 63 + b"]" * 63 + b"}", b'{"items": [' + b'{"a":' * 62 + b"1" + b"}" * 62 + b"]}"]
)
def test_sixty_four_levels_are_not_too_deep(raw):
    assert not any("nesting" in problem for problem in problems(raw))


@pytest.mark.parametrize(
    "raw, where",
    [
        (b'{"x": ' + b"[" * 64 + b"]" * 64 + b"}", "x"),
        (b'{"items": [{}, ' + b"[" * 63 + b"]" * 63 + b"]}", "items[1]"),
        (b'{"items": [' + b'["]", ' * 63 + b"1" + b"]" * 63 + b"]}", "items[0]"),
        (b'{"containers": [{"items": ' + b'["[", "]", ' * 70 + b"1" + b"]" * 70 + b"}]}", "containers[0]"),
    ],
)
def test_more_than_sixty_four_levels_are_too_deep(raw, where):
    assert f"{where}: found deeper nesting, expected at most 64 levels" in problems(raw)


def test_a_number_with_thousands_of_digits_is_refused_like_any_that_is_too_big():
    assert "total_bytes: found " + "1" * 60 + "..., expected a whole number from 0 to 9223372036854775807" in problems(
        b'{"total_bytes": ' + b"1" * 9000 + b"}"
    )


def test_a_repeated_key_is_found_in_values_of_any_size():
    filler = ", ".join(f'"k{n}": {n}' for n in range(100_000))
    for text, place in [
        ('{"x": {%s, "k7": 1}}', "x.k7"), ('{"x": [1, {"y": [{%s, "k7": 1}]}]}', "x[1].y[0].k7"),
        ('{%s, "k7": 1}', "k7"), ('{"items": [{%s, "y": {"k7": 1, "k7": 1}}]}', "items[0].y.k7"),
    ]:
        assert f"{place}: found the key more than once, expected it once" in problems((text % filler).encode())


def test_an_infinite_number_is_found_in_a_large_array():
    assert (
        problems(b'{"x": [' + b"1.5, " * 400_000 + b"1e999]}")[0]
        == "x[400000]: found Infinity, expected a finite number"
    )


def test_a_digit_sequence_of_any_length_is_no_problem_in_an_unknown_key():
    assert not any(
        problem.startswith("x")
        for problem in problems(b'{"x": ' + b"1" * 5000 + b', "x2": [' + b"1" * 2_000_000 + b"]}")
    )


def test_line_and_column_are_counted_in_characters():
    raw = '{"a": "é",\n "é😀": oops}'.encode()
    assert problems(raw) == ['manifest: found "oops}" at line 2, column 8, expected JSON (invalid character)']


@pytest.mark.parametrize("key", [b"\\ud800\0", b"\\ud800\n", b"\\ud800\\x", b"\\x\\ud800", b"\\udc00\\u00"])
@pytest.mark.parametrize("text", [b'{"%b": 1}', b'{"x": {"%b": 1}}', b'{"x": [{"%b": "y"}]}', b'{"%b": "\\ud800"}'])
def test_half_a_surrogate_in_a_key_that_is_no_text_at_all_is_refused(text, key):
    raw = text % key
    (problem,) = problems(raw)
    assert ": found " in problem
    assert manifest.salvage_fields(raw) == {}
