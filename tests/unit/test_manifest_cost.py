"""Parsing any manifest takes at most its bytes and 192 MiB (docs/decisions/0101-one-manifest-parser.md)."""

import preloaded_programs
import pytest

from gpupanel.config import MountSettings
from gpupanel.manifest import parse_manifest
from gpupanel.errors import ManifestError

SYNC_ID = "00000000-0000-4000-8000-000000000001"
ALLOWED_BYTES = 192 * 2**20
SIZE = 3 * 2**20
KEYS_SIZE = 4 * SIZE  # enough for more than 500,000 keys

# Parses a manifest that an expression makes; prints the peak of the memory beyond the manifest, and the problems.
PROGRAM = """
import sys
from gpupanel.errors import ManifestError
from gpupanel.manifest import parse_manifest

def repeat(part, size, opening=b"[", closing=b"]"):
    return opening + b",".join([part] * (size // (len(part) + 1))) + closing

def item(number, more=b"", path=None):
    return b'{"asset_type":"photo","asset_hash":"%064x","path":"%s"%s}' % (number, path or b"p/%d" % number, more)

def memory(field):
    line = next(line for line in open("/proc/self/status") if line.startswith(field))
    return int(line.split()[1]) * 1024

SIZE = int(sys.argv[2])
raw = eval(sys.argv[1])
before = memory("VmRSS")
open("/proc/self/clear_refs", "w").write("5")
try:
    count = sum(1 for each in parse_manifest(raw, "x").items)
    problems = []
except ManifestError as error:
    problems = error.problems
print(memory("VmHWM") - before)
print(len(problems))
print(problems[0])
"""

SHAPES = {
    "repeated keys": (
        """b'{"items":' + repeat(b'{"a":1,"a":2}', SIZE) + b'}'""",
        "items[0].a: found the key more than once",
    ),
    "empty derivatives": (
        """b'{"items":[' + item(1, b',"derivatives":' + repeat(b"{}", SIZE)) + b"]}\"""",
        "items[0].derivatives: found more than 1000",
    ),
    "numbers": ("""b'{"items":' + repeat(b"0", SIZE) + b'}'""", "sync_id: found nothing"),
    "empty arrays": ("""b'{"x":' + repeat(b"[]", SIZE) + b'}'""", "sync_id: found nothing"),
    "nested arrays": ("""b'{"x":' + repeat(b"[" * 60 + b"]" * 60, SIZE) + b'}'""", "sync_id: found nothing"),
    "deep nesting": ("""b'{"x":' + b"[" * SIZE + b"]" * SIZE + b'}'""", "manifest: found deeper nesting"),
    "escapes": ("""b'{"x":' + repeat(b'"' + b"\\\\u0041" * 99 + b'"', SIZE) + b'}'""", "sync_id: found nothing"),
    "emoji": ("""b'{"x":' + repeat('"\\U0001f600"'.encode(), SIZE) + b'}'""", "sync_id: found nothing"),
    "one text": (
        """b'{"items":[' + item(1, b',"title":"' + b"x" * SIZE + b'"') + b"]}\"""",
        "items[0].title: found a text of",
    ),
    "one text with an emoji": (
        """b'{"items":[' + item(1, b',"title":"' + '\\U0001f600'.encode() + b"x" * SIZE + b'"') + b"]}\"""",
        "items[0].title: found a text of",
    ),
    "a wide object": (
        """b'{"x":{' + b",".join(b'"%x":0' % n for n in range(SIZE // 9)) + b'}}'""",
        "x: found more than 500000 keys",
    ),
    "wide items": (
        """b'{"items":[' + item(1, b"," + b",".join(b'"%x":0' % n for n in range(SIZE // 20))) + b"]}\"""",
        "sync_id: found nothing",
    ),
    "items as an object": (
        """b'{"items":{' + b",".join(b'"%x":{}' % n for n in range(SIZE // 10)) + b'}}'""",
        "items: found more than 500000 keys",
    ),
    "items repeatedly": (
        """b'{' + repeat(b'"items":[]', SIZE, b"", b"") + b'}'""",
        "manifest: found more than 500000 keys",
    ),
    "members": (
        """b'{"containers":[{"type":"gallery","container_hash":"' + b"a" * 64 + b'","items":'"""
        """ + repeat(b'"%064x"' % 1, SIZE) + b'}]}'""",
        "sync_id: found nothing",
    ),
    "containers": (
        """b'{"containers":' + repeat(b'{"type":"gallery","container_hash":"%064x","items":[]}' % 1, SIZE) + b'}'""",
        "sync_id: found nothing",
    ),
    "nested paths": (
        """b'{"items":[' + b",".join("""
        """item(n, path=b"/".join([b"a"] * (1 + n % 250))) for n in range(SIZE // 400)) + b"]}\"""",
        "sync_id: found nothing",
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_hostile_manifest_is_refused_within_its_memory(shape, tmp_path):
    expression, problem = SHAPES[shape]
    (program := tmp_path / "program.py").write_text(PROGRAM)
    done = preloaded_programs.run([program, expression, KEYS_SIZE if "keys" in problem else SIZE])
    taken, count, first = done.stdout.splitlines()
    assert int(taken) < ALLOWED_BYTES // 4  # the manifest is an eightieth of the largest one
    assert 1 <= int(count) <= 51
    assert first.startswith(problem)


def test_a_manifest_of_too_many_bytes_is_refused_before_anything_else():
    with pytest.raises(ManifestError) as caught:
        parse_manifest(b"\xff" * 11, SYNC_ID, MountSettings(manifest_limit=10))
    assert caught.value.problems == ["manifest: found 11 bytes, expected at most 10"]
