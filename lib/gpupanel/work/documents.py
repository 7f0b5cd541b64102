"""The documents of one item, read and judged: its provenance, and what its analyses found (docs/CONTRACT.md, 6)."""

import json
from hashlib import sha256
from typing import Iterable, NamedTuple

import msgspec

from ..errors import PanelError
from ..mount import Document

KINDS = {
    "photo.manifest.json": "manifest",
    "photo.analysis.json": "analysis",
    "photo.meaning.json": "meaning",
    "photo.family.json": "family",
}
ITEM_LIMIT = 32 * 1024 * 1024


class BadDocument(PanelError):
    """A document of the item cannot be imported."""

    message = "A document of the item cannot be imported."


class Run(NamedTuple):
    """One analysis document; `text` is None where the file is not JSON, and `parse_error` says why."""

    kind: str
    file: str
    text: str | None
    parse_error: str | None
    sha256: str


class Papers(NamedTuple):
    """All documents of an item; `size` is their bytes together."""

    source: str
    source_sha256: str
    runs: tuple[Run, ...]
    size: int


def collect(documents: Iterable[Document]) -> Papers:
    """Judge an item's documents, the source first. Raises BadDocument for one that must be JSON and is not."""
    source, runs, size = None, [], 0
    for document in documents:
        size += len(document.content)
        if size > ITEM_LIMIT:
            raise BadDocument(f"The documents of the item have more than {ITEM_LIMIT} bytes together.")
        if document.is_source:
            source = _known(document)
        else:
            runs.append(_run(document))
    return Papers(source.text, source.sha256, tuple(runs), size)


def text_of(content: bytes) -> str:
    """The text of a JSON document. Raises ValueError saying why it is none."""
    text = content.decode("utf-8")
    try:
        msgspec.json.decode(content)
    except (msgspec.DecodeError, RecursionError):
        _strictly(text)
    return text


def _strictly(text: str) -> None:
    """What the quick decoder refuses is judged, and explained, by the thorough one."""
    try:
        json.loads(text, parse_constant=_no_number, parse_int=str)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _no_number(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _known(document: Document) -> Run:
    run = _captured(document, KINDS.get(document.name, "source"))
    if run.parse_error:
        raise BadDocument(f"{document.name} is not JSON: {run.parse_error}")
    return run


def _run(document: Document) -> Run:
    return _known(document) if document.name in KINDS else _captured(document, f"source_data:{document.name}")


def _captured(document: Document, kind: str) -> Run:
    digest = sha256(document.content).hexdigest()
    try:
        return Run(kind, document.name, text_of(document.content), None, digest)
    except ValueError as error:
        return Run(kind, document.name, None, str(error)[:2000], digest)
