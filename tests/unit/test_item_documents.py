"""The documents of an item: known kinds must be JSON, unknown kinds are stored unchanged."""

from hashlib import sha256

import pytest
from gpupanel.mount import Document
from gpupanel.worker import item_documents
from gpupanel.worker.item_documents import InvalidDocumentError, collect_documents, text_of

SOURCE = Document("source.json", b'{"a": 1}', is_source=True)


@pytest.mark.parametrize("content", [
    b"", b"{", b"{]", b"nope", b'{"a": NaN}', b"[Infinity]", b"-Infinity", b'{"a": 1,}', b"\xff{}", b"\xef\xbb\xbf{}",
    b"'a'", b'"\x01"', b"[" * 100_000,
])
def test_what_is_not_json_is_told_as_such(content):
    with pytest.raises(ValueError):
        text_of(content)


@pytest.mark.parametrize("content", [
    b"{}", b' {"a": 1, "a": 2} ', b"1e400", b"123456789012345678901234567890", b'"\\ud800"', "\"ä\"".encode(), b"null",
])
def test_what_is_json_stays_as_it_came(content):
    assert text_of(content) == content.decode()


@pytest.mark.parametrize("file, kind", [
    ("photo.manifest.json", "manifest"), ("photo.analysis.json", "analysis"), ("photo.meaning.json", "meaning"),
    ("photo.family.json", "family"), ("color.palette.json", "source_data:color.palette.json"),
])
def test_a_file_s_name_tells_the_kind_of_analysis(file, kind):
    (run,) = collect_documents([SOURCE, Document(file, b"{}")]).runs
    assert (run.kind, run.file, run.text, run.sha256) == (kind, file, "{}", sha256(b"{}").hexdigest())


@pytest.mark.parametrize("bad", [Document("source.json", b"{", True), Document("photo.family.json", b"{")])
def test_a_known_file_that_is_not_json_is_refused_by_name(bad):
    with pytest.raises(InvalidDocumentError, match=bad.name):
        collect_documents([bad] if bad.is_source else [SOURCE, bad])


def test_an_unknown_file_that_is_not_json_is_kept_as_a_digest_and_a_reason():
    (run,) = collect_documents([SOURCE, Document("notes.json", b"# hello")]).runs
    assert run.text is None and "Expecting value" in run.parse_error
    assert run.sha256 == sha256(b"# hello").hexdigest()


def test_more_documents_than_memory_should_hold_are_refused(monkeypatch):
    monkeypatch.setattr(item_documents, "MAX_ITEM_DOCUMENT_BYTES", 10)
    with pytest.raises(InvalidDocumentError, match="larger than 10 bytes"):
        collect_documents([SOURCE, Document("notes.json", b"{   }")])
