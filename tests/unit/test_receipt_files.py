"""A file of receipts is verified line by line, in little memory, without a database."""

import gzip
import re
import tracemalloc
from hashlib import sha256

import pytest
from constants import TREE
from gpupanel.db.queries import queries
from gpupanel.receipts import Hasher, verify_file
from gpupanel.receipts.lines import (
    FORMAT_VERSION, ITEM, digest_of, encode_body, encode_closing, encode_line, receipt_body,
)
from gpupanel.receipts.lines import EMPTY_HEAD, MAX_MARKS, next_head
from gpupanel.receipts.rows import pack, unpack

SYNC_ID = "a5196bd6-2700-43c4-ad20-8b9aae952ea6"
FACTS = {
    "batch_id": 1, "event_id": 9, "result_id": 8, "sealed_at": "2026-12-01 00:00:00.000000", "sync_id": SYNC_ID,
    "version": FORMAT_VERSION,
}


def receipt(lines: int, number: int = 1, previous: str | None = None) -> tuple[bytes, str]:
    """Text and root of a receipt with this many results."""
    hasher, text = Hasher(), bytearray()
    for result_id in range(lines):
        body = encode_body("result", {"id": result_id, "reason": "x" * 500, "created_at": None})
        hasher.add(digest_of(body))
        text += encode_line(body, digest_of(body))
    closing = receipt_body(FACTS | {"id": number, "job_id": number, "lines": lines, "previous": previous})
    root = hasher.root(closing)
    return bytes(text) + encode_closing(closing, root), root


@pytest.fixture
def write(tmp_path):
    def write(*parts: bytes):
        path = tmp_path / "receipt.jsonl"
        path.write_bytes(b"".join(parts))
        return path

    return write


def test_the_root_is_what_the_page_for_auditors_says(write):
    text, root = receipt(2)
    *lines, closing = text.splitlines()
    bodies = [b"{" + line.split(b'",', 1)[1] for line in (*lines, closing)]
    digests = [sha256(body).hexdigest() for body in bodies]
    assert [line[11:75].decode() for line in lines] == digests[:2]
    assert root == sha256("".join(f"{digest}\n" for digest in digests).encode()).hexdigest()
    assert next_head(EMPTY_HEAD, root) == sha256(f"{EMPTY_HEAD}\n{root}\n".encode()).hexdigest()


def verify_traced(path):
    """Return the check of a file, and the most memory that it took."""
    tracemalloc.start()
    try:
        return verify_file(path), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_large_file_is_verified_in_the_memory_of_one_line(write):
    path = write(receipt(20_000)[0])
    assert path.stat().st_size > 12_000_000
    check, peak = verify_traced(path)
    assert check.is_consistent and check.lines == 20_001
    assert peak < 4 * 1024 * 1024


def many_values(kind: bytes, bytes_of_text: int) -> bytes:
    return b'"%s":{"a":[%s{}]}}\n' % (kind, b"{}," * (bytes_of_text // 3))


@pytest.mark.parametrize("text", [
    b'{"root":"' + b"0" * 64 + b'",' + many_values(b"receipt", 8_000_000),
    b'{"sha256":"' + b"0" * 64 + b'",' + many_values(b"result", 8_000_000),
    b"".join(b'{"root":"%s","receipt":{"sync_id":"%d"}}\n' % (b"0" * 64, number) for number in range(50_000)),
])
def test_a_small_compressed_file_of_any_content_takes_little_memory(write, text):
    path = write(gzip.compress(text))
    assert path.stat().st_size < 200_000
    check, peak = verify_traced(path)
    assert not check.is_consistent and check.roots == []
    assert peak < 64 * 1024 * 1024


@pytest.mark.parametrize("facts", [
    b'"batch_id":"abc","sync_id":"x"', b'"batch_id":1e999,"sync_id":"x"', b'"batch_id":1,"sync_id":[]', b"",
])
def test_the_last_line_of_an_archive_of_any_content_is_a_problem_or_an_archive(write, facts):
    body = b'{"archive":{"lines":0%s}}' % (facts and b"," + facts)
    check = verify_file(write(encode_closing(body, Hasher().root(body))))
    assert check.problems[0] == "line 1: no last line of an archive" and check.archives == []


def test_no_line_moves_the_cursor_of_a_terminal(write):
    for text in (b"\x1b[2J", b"\x9b2J", b"\x7f", "\u202e".encode()):
        body = b'{"result":{"id":1,"reason":"%s"}}' % text
        check = verify_file(write(encode_line(body, digest_of(body))))
        assert check.problems[0] == "line 1: no line of a receipt"


def test_receipts_of_a_batch_follow_each_other(write):
    first, root = receipt(3)
    second, last = receipt(1, 2, root)
    check = verify_file(write(first, second), root)
    assert check.is_consistent and (check.receipts, check.proven, check.roots) == (2, 1, [root, last])
    other, _ = receipt(1, 2, "0" * 64)
    assert "does not follow" in verify_file(write(first, other)).problems[0]
    assert verify_file(write(second)).is_consistent  # a part of the history is a receipt, too


@pytest.mark.parametrize(("change", "problem"), [
    (lambda text: text.replace(b"xxx", b"xyx", 1), "line 1: result 0: its SHA-256 does not fit"),
    (lambda text: text.split(b"\n", 1)[1], "line 3: the root of the receipt of job 1"),
    (lambda text: text.rsplit(b"\n", 2)[0] + b"\n", "the file ends without the last line"),
    (lambda text: text[:-1], "line 4: no line of a receipt"),
    (lambda text: b"", "the file has no receipt"),
    (lambda text: b"hello\n" + text, "line 1: no line of a receipt"),
    (lambda text: text.replace(b'"job_id":1', b'"job_id":2'), "line 4: the root of the receipt of job 2"),
    (lambda text: text.replace(b'"receipt":{', b'"receipt":{{'), "line 4: no last line of a receipt"),
    (lambda text: b'{"root":"' + b"0" * 64 + b'","receipt":{}}\n', "the root of the receipt of job None"),
    (lambda text: b"[" * 100_000 + b"\n", "line 1: no line of a receipt"),
])
def test_what_does_not_fit_is_named(write, change, problem):
    text, _ = receipt(3)
    check = verify_file(write(change(text)))
    assert any(problem in each for each in check.problems), check.problems


def test_a_file_with_many_problems_names_the_first_ones_and_counts_all(write):
    text, _ = receipt(3_000)
    check = verify_file(write(text.replace(b"xxx", b"xyx")))
    assert (len(check.problems), check.problem_count) == (20, 3_000)


def test_a_compressed_file_is_read_and_a_damaged_one_named(write):
    text, root = receipt(50)
    packed = gzip.compress(text)
    assert verify_file(write(packed), root).proven == 1
    assert "damaged" in verify_file(write(packed[:len(packed) // 2])).problems[0]
    assert not verify_file(write(packed[:40], b"\x00" * 40, packed[80:])).is_consistent


def test_lines_beyond_the_marks_count_for_the_root():
    hasher = Hasher()
    hasher.lines = MAX_MARKS
    before = hasher.root(b"{}")
    hasher.add("f" * 64)
    assert hasher.marks == "" and hasher.root(b"{}") != before


def test_container_lines_that_are_not_what_was_packed_fit_nothing():
    lines = [encode_body(ITEM, {"id": number}) for number in range(3)]
    assert pack([]) is None and unpack(None) == [] and unpack(pack(lines)) == lines
    assert unpack(b"not packed") == [b"not compressed by zlib"]
    assert unpack(pack(lines)[:-3]) == [b"cut off"]


def test_every_event_is_inserted_by_a_statement_that_follows_the_lock_of_its_batch():
    """Receipts rely on event ids in the order of commits; restore_events brings back ids that were sealed."""
    files = sorted(path.stem for path in (TREE / "lib/gpupanel/sql").glob("*.sql"))
    inserts = {
        f"{file}.{name}": text for file in files for name, text in queries(file).items()
        if re.search(r"INSERT\s+(IGNORE\s+)?INTO\s+ingest_event\b", text)
    }
    assert set(inserts) == {"ledger.append_event", "ledger.append_events", "archive.restore_events"}
    assert inserts["ledger.append_event"].endswith("FOR UPDATE")
    callers = [
        path.name for path in (TREE / "lib/gpupanel").rglob("*.py") if "ledger.append_events\"" in path.read_text()
    ]
    assert callers == ["events.py"]
    others = [
        path.name for path in (TREE / "lib/gpupanel").rglob("*.py")
        if re.search(r"INTO\s+ingest_event\b", path.read_text()) and "migration" not in path.parts
    ]
    assert others == []
