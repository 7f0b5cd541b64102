"""The documents of an item: its source and the results of analyses.

See docs/CONTRACT.md, "6. Tables".
"""

import json
from collections.abc import Iterable, Mapping
from hashlib import sha256
from types import MappingProxyType
from typing import NamedTuple, NoReturn

import msgspec

from ..errors import PanelError
from ..mount import Document

KINDS = {
    "photo.manifest.json": "manifest",
    "photo.analysis.json": "analysis",
    "photo.meaning.json": "meaning",
    "photo.family.json": "family",
}
MAX_ITEM_DOCUMENT_BYTES = 32 * 1024 * 1024
MAX_ERROR_LENGTH = 2000  # characters

_check_syntax = msgspec.json.Decoder(msgspec.Raw).decode  # makes no values of the text that it reads


class InvalidDocumentError(PanelError):
    """A document of the item cannot be imported."""

    message = "A document of the item cannot be imported."


class AnalysisDocument(NamedTuple):
    """An analysis document; `text` is None and `parse_error` set if not JSON."""

    kind: str
    file: str
    text: str | None
    parse_error: str | None
    sha256: str


class NewDocuments(NamedTuple):
    """The documents of an item that the library lacks; `source` is empty if the library has it.

    `before` maps the name of each (`source`, or the kind of analysis) to the digest of the document before it,
    `taken_back` the digest of an analysis that an undo took back to the id of its row.
    """

    source: str
    source_sha256: str
    runs: tuple[AnalysisDocument, ...]
    before: Mapping[str, str | None] = MappingProxyType({})
    taken_back: Mapping[tuple[str, str], int] = MappingProxyType({})

    @property
    def files(self) -> list[str]:
        return (["source.json"] if self.source else []) + [run.file for run in self.runs]

    @property
    def changes(self) -> dict[str, list[str | None]]:
        """name -> [digest before, digest] of each document."""
        before = self.before
        changes = {"source": [before.get("source"), self.source_sha256]} if self.source else {}
        for run in self.runs:
            changes[run.kind] = [before.get(run.kind), run.sha256]
        return changes


class ItemDocuments(NamedTuple):
    """All documents of an item; `size` is the sum of their bytes."""

    source: str
    source_sha256: str
    runs: tuple[AnalysisDocument, ...]
    size: int

    @property
    def all_new(self) -> NewDocuments:
        """These documents as those of an asset that the library does not have."""
        return NewDocuments(self.source, self.source_sha256, self.runs)


def collect_documents(documents: Iterable[Document]) -> ItemDocuments:
    """Return an item's documents; the source comes first.

    Raises: InvalidDocumentError, for a document that must be JSON and is not, for documents too large together, and
    without a source.
    """
    source: tuple[str, str] | None = None
    runs: list[AnalysisDocument] = []
    size = 0
    for document in documents:
        size += len(document.content)
        if size > MAX_ITEM_DOCUMENT_BYTES:
            limit = f"{MAX_ITEM_DOCUMENT_BYTES} bytes together"
            raise InvalidDocumentError(f"The documents of the item are larger than {limit}.")
        if document.is_source:
            source = _parsed_text(document), _digest(document)
        else:
            runs.append(_analysis(document))
    if source is None:
        raise InvalidDocumentError("The item has no source.json.")
    return ItemDocuments(*source, tuple(runs), size)


def text_of(content: bytes) -> str:
    """Return the text of a JSON document.

    Raises: ValueError, with the reason why it is not JSON.
    """
    text = content.decode("utf-8")
    try:
        _check_syntax(content)
    except (msgspec.DecodeError, RecursionError):
        _decode_strictly(text)
    return text


def _decode_strictly(text: str) -> None:
    """Decode with the standard parser, which explains errors better."""
    try:
        json.loads(text, parse_constant=_refuse_constant, parse_int=str)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _parsed_text(document: Document) -> str:
    try:
        return text_of(document.content)
    except ValueError as error:
        raise InvalidDocumentError(f"{document.name} is not JSON: {str(error)[:MAX_ERROR_LENGTH]}") from error


def _analysis(document: Document) -> AnalysisDocument:
    """Return a document of an analysis; one of an unknown kind may be no JSON."""
    if kind := KINDS.get(document.name):
        return AnalysisDocument(kind, document.name, _parsed_text(document), None, _digest(document))
    kind, digest = f"source_data:{document.name}", _digest(document)
    try:
        return AnalysisDocument(kind, document.name, text_of(document.content), None, digest)
    except ValueError as error:
        return AnalysisDocument(kind, document.name, None, str(error)[:MAX_ERROR_LENGTH], digest)


def _digest(document: Document) -> str:
    return sha256(document.content).hexdigest()
