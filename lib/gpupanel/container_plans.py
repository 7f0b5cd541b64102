"""Plan the containers of a bundle, after its items (docs/decisions/0113-containers-in-the-ledger.md)."""

from collections.abc import Iterator, Set as AbstractSet

from . import container_reader, digests
from .container_reader import ExistingContainer, MemberReader, MemberSummary
from .db import ReadTransaction, chunked
from .decision import decide_container
from .library_reader import ContainerKey
from .manifest import Container, Manifest
from .models import ContainerPlan
from .order import BundleOrder


def iterate_container_plans(
    tx: ReadTransaction, manifest: Manifest, bundle: BundleOrder, brought: AbstractSet[str],
    settled: AbstractSet[ContainerKey],
) -> Iterator[list[ContainerPlan]]:
    """Decide each container in the manifest's order; yield the plans in chunks.

    `brought` are hashes of the items that the bundle will create or restore; `settled` containers are left out.
    """
    members = MemberReader(tx, manifest.action, bundle, brought)
    entries = (
        (position, container) for position, container in enumerate(manifest.containers)
        if (container.type, container.container_hash) not in settled
    )
    for chunk in chunked(entries):
        containers = [container for _, container in chunk]
        existing = container_reader.existing_containers(tx, containers)
        summaries = members.summarize(containers, existing)
        keys = [(container.type, container.container_hash) for container in containers]
        yield [
            _plan(manifest.action, entry, existing.get(key), bundle, summaries[key])
            for entry, key in zip(chunk, keys, strict=True)
        ]


def _plan(
    action: str, entry: tuple[int, Container], existing: ExistingContainer | None, bundle: BundleOrder,
    members: MemberSummary,
) -> ContainerPlan:
    position, container = entry
    decision, reason, changes = decide_container(action, container, existing, bundle, members)
    is_bringing = action != "remove"
    return ContainerPlan(
        position, container.type, container.container_hash, digests.container_digest(container),
        existing.target_digest if existing else digests.ABSENT, container.title, container.cover_hash, decision,
        reason, changes, members.total, tuple(members.missing) if is_bringing else (),
        members.missing_count if is_bringing else 0, existing.id if existing else None,
    )
