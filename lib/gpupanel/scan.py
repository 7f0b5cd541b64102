"""Record bundles in the ledger, and why some are skipped.

docs/CONTRACT.md, 3 and 4.
"""

from contextlib import closing
from itertools import islice
from typing import Any, NamedTuple

from . import ledger
from .db import DuplicateKeyError, Transaction
from .errors import BundleIncompleteError, FileUnreadableError, ManifestError, UnsafePathError
from .manifest import Item, Manifest, parse_manifest, reasons_not_consumable, salvage_fields, sha256_hex
from .ledger import search_words
from .models import BatchStatus
from .mount import ManifestFile, Mount
from .rows import BatchRow, Facts
from .thumbnails import choose_thumbnail

DISCOVERED, PASSED_OVER, KNOWN, CHANGED = "discovered", "passed_over", "known", "changed_upstream"
NAME_COLUMNS = ("scan_title", "scan_container", "scan_path", "scan_picture")
NAMED_ENTRIES = 50  # items and containers of a bundle whose names a scan reads; the preflight reads them all
NAMED_WORDS = 200  # words of a bundle that a scan saves
# A manifest above this size is read after all others, and not again if it was skipped and is the same.
COSTLY_BYTES = 1024 * 1024


class BundleNames(NamedTuple):
    """What names a bundle before its preflight: columns of ingest_batch, and words for the search."""

    scan_title: str | None
    scan_container: str | None
    scan_path: str | None
    scan_picture: str | None
    words: tuple[str, ...]


class ScannedBundle(NamedTuple):
    """A scanned bundle; `problem` says why it is skipped, if it is.

    `state` is that of its manifest if the bundle is skipped and reading it again would be costly.
    """

    sync_id: str
    facts: Facts
    problem: str | None
    state: str | None = None
    names: BundleNames | None = None


class CostlyBundle(NamedTuple):
    """A bundle whose manifest is to be read after the others; `size` is in bytes."""

    sync_id: str
    size: int


class UnchangedBundle(NamedTuple):
    """A bundle that was skipped before, whose costly manifest has not changed."""

    sync_id: str


def scan_bundle(
    mount: Mount, sync_id: str, *, most_bytes: int | None = None, skipped_state: str | None = None
) -> ScannedBundle | CostlyBundle | UnchangedBundle:
    """Read a manifest of up to `most_bytes`; its faults are in the result.

    `skipped_state` is that of the manifest when the bundle was skipped. Raises MountUnavailableError.
    """
    try:
        with closing(mount.open_manifest(sync_id)) as manifest:
            state = _state(mount, manifest)
            if state == skipped_state:
                return UnchangedBundle(sync_id)
            if most_bytes is not None and manifest.size > most_bytes:
                return CostlyBundle(sync_id, manifest.size)
            found = _inspect(mount, sync_id, manifest)
            return found._replace(state=state) if found.problem and manifest.size > COSTLY_BYTES else found
    except (BundleIncompleteError, UnsafePathError, FileUnreadableError) as error:
        return ScannedBundle(sync_id, ledger.manifest_columns(None, {}, None), str(error).rstrip("."))


def without_facts(sync_id: str, refusal: str) -> ScannedBundle:
    """Return a bundle that the database refused to store, with the reason."""
    problem = f"the database cannot store its manifest: {refusal}. gpupanel doctor names the columns to change"
    return ScannedBundle(sync_id, ledger.manifest_columns(None, {}, None), problem)


def _state(mount: Mount, manifest: ManifestFile) -> str:
    """Size and time of a manifest, and the limits that it is read with."""
    settings = mount.settings
    limits = (settings.manifest_limit, settings.max_items, settings.max_derivatives, settings.max_members,
              settings.max_containers, settings.max_text_bytes)
    return f"{manifest.state} {'/'.join(map(str, limits))}"


def _inspect(mount: Mount, sync_id: str, file: ManifestFile) -> ScannedBundle:
    raw = None
    try:
        raw = file.read()
        manifest = parse_manifest(raw, sync_id, mount.settings)
    except ManifestError as error:
        glimpsed = salvage_fields(raw) if raw is not None else {}
        problem = f"{error}: {'; '.join(error.problems)}"
        sha256 = None if raw is None else sha256_hex(raw)
        return ScannedBundle(sync_id, ledger.manifest_columns(None, glimpsed, sha256), problem)
    problems = reasons_not_consumable(manifest)
    columns = ledger.manifest_columns(manifest, {}, None)
    return ScannedBundle(sync_id, columns, "; ".join(problems) or None, names=_names(manifest))


def _names(manifest: Manifest) -> BundleNames:
    """Return the names of a bundle, from its first entries: a scan of a large one decodes no more than those."""
    items = [item for item in islice(manifest.items, NAMED_ENTRIES) if isinstance(item, Item)]
    containers = list(islice(manifest.containers, NAMED_ENTRIES))
    first = items[0] if items else None
    texts = [container.title for container in containers]
    texts += [text for item in items for text in (item.title, item.path)]
    words = search_words.WordSet(texts, most=NAMED_WORDS).words
    return BundleNames(
        first.title if first else None, containers[0].title if containers else None, first.path if first else None,
        choose_thumbnail(first) if first else None, tuple(words)[:NAMED_WORDS],
    )


def save_scan(tx: Transaction, findings: list[ScannedBundle], actor: str) -> dict[str, str]:
    """Write scanned bundles; return sync_id -> DISCOVERED, PASSED_OVER, KNOWN, CHANGED.

    A skipped bundle that is consumable now becomes discovered, and so does a failed preflight with another manifest
    that was never planned. A batch that was planned or imported keeps its status and its facts: another manifest of it
    is changed, or passed over with its problem. A bundle that another scan has recorded meanwhile is known. One that
    upstream replaced after its approval or import is changed until a preflight, and nothing is written of it.
    """
    outcomes = {}
    words: dict[int, tuple[str, ...]] = {}
    for finding in findings:
        outcomes[finding.sync_id], batch_id = _record(tx, finding, actor)
        if batch_id and finding.names:
            words[batch_id] = finding.names.words
    search_words.save_all(tx, words)
    return outcomes


def _record(tx: Transaction, finding: ScannedBundle, actor: str) -> tuple[str, int | None]:
    """Write a bundle; return its outcome, and its batch if the scan wrote its facts."""
    row: BatchRow | None = tx.fetch_one("ledger.lock", sync_id=finding.sync_id)
    if row is None:
        return _discover(tx, finding, actor)
    if row["undo_of"] is not None:
        return KNOWN, None  # no bundle takes the place of an undo
    _note_state(tx, row["id"], finding)
    if not _has_changed(row, finding):
        return (CHANGED if _is_replaced(row, finding) else KNOWN), None
    was_planned = row["status"] == BatchStatus.PREFLIGHT_FAILED and ledger.was_planned(tx, row["id"])
    if was_planned and finding.problem is None:
        return CHANGED, None
    if finding.problem is None or finding.problem != row["last_error"]:
        _write(tx, row, finding, was_planned)
        _append(tx, row["id"], finding, actor)
    if was_planned:
        return PASSED_OVER, None
    _note_names(tx, row["id"], finding)
    return (PASSED_OVER if finding.problem else DISCOVERED), row["id"]


def _write(tx: Transaction, row: BatchRow, finding: ScannedBundle, was_planned: bool) -> None:
    """Write a skipped or changed bundle; the facts of a valid manifest are kept when the new one is refused."""
    is_refused = finding.facts["manifest_summary"] is None
    if was_planned or (is_refused and row["manifest_summary"] is not None):
        tx.execute("ledger.note_problem", batch_id=row["id"], last_error=finding.problem)
    else:
        tx.execute("ledger.facts", batch_id=row["id"], last_error=finding.problem, **finding.facts)
    if not was_planned:
        tx.execute("ledger.discover_again", batch_id=row["id"])


def _has_changed(row: BatchRow, finding: ScannedBundle) -> bool:
    if row["status"] == BatchStatus.PREFLIGHT_FAILED:
        return finding.facts["manifest_sha256"] not in (None, row["manifest_sha256"], row["changed_sha256"])
    return row["status"] == BatchStatus.DISCOVERED and row["last_error"] is not None


def _is_replaced(row: BatchRow, finding: ScannedBundle) -> bool:
    """Whether upstream replaced the bundle, and no preflight, also of a worker, has seen the manifest on the mount."""
    if row["changed_at"] is None:
        return False
    seen = row["changed_sha256"]
    is_preflighted = row["status"] == BatchStatus.PREFLIGHT_FAILED or seen == row["manifest_sha256"]
    return not is_preflighted or finding.facts["manifest_sha256"] not in (None, seen)


def _discover(tx: Transaction, finding: ScannedBundle, actor: str) -> tuple[str, int | None]:
    try:
        with tx.savepoint():
            batch_id = tx.insert(
                "ledger.discover", sync_id=finding.sync_id, last_error=finding.problem, **finding.facts
            )
            _append(tx, batch_id, finding, actor)
            _note_state(tx, batch_id, finding)
            _note_names(tx, batch_id, finding)
    except DuplicateKeyError:
        return KNOWN, None
    return (PASSED_OVER if finding.problem else DISCOVERED), batch_id


def _note_names(tx: Transaction, batch_id: int, finding: ScannedBundle) -> None:
    if finding.names:
        names = finding.names._asdict()
        tx.execute("ledger.note_names", batch_id=batch_id, **{name: names[name] for name in NAME_COLUMNS})


def _note_state(tx: Transaction, batch_id: int, finding: ScannedBundle) -> None:
    if finding.state:
        tx.execute("ledger.note_skipped_state", batch_id=batch_id, state=finding.state)


def _append(tx: Transaction, batch_id: int, finding: ScannedBundle, actor: str) -> None:
    if finding.problem:
        payload = {"phase": "scan", "reason": finding.problem[:ledger.MAX_REASON_LENGTH], "source": "filesystem"}
        ledger.append_event(tx, batch_id, "bundle_passed_over", payload, actor)
    else:
        ledger.append_event(tx, batch_id, "scan", ledger.spaced_json(_scan_payload({**finding.facts})), actor)


def _scan_payload(facts: dict[str, Any]) -> dict[str, str]:
    """Keys, order and string values as in the events of the Perl scan."""
    keys = ("manifest_sha256", "sync_type", "action", "item_count", "total_bytes", "source_host")
    return {"source": "filesystem"} | {key: str(facts[key]) for key in keys}
