"""What a comparison masks: names of workers and ids of assets in texts of some columns, and nothing else.

The report lists what was masked by name, with its count. Whole columns of which only the presence is compared are in
`table_specs.ONLY_PRESENCE`, and differences that a person accepts in `accepted.py`.
"""

import re
from collections.abc import Callable
from typing import NamedTuple

# The names of what is masked, in the report.
WORKER_NAMES, REASON_NAMES = "names of workers", "names of workers and ids of assets in reasons and errors"
ASSET_ID = re.compile(r"\basset \d+")
PROCESS = re.compile(r"(?<![\w.-])[A-Za-z][\w.-]*:\d{1,7}(?![\w:])")


class Mask(NamedTuple):
    """What is ignored in a text; `name` is that in the report."""

    name: str
    apply: Callable[[str], str]


# The name of a worker fills its column; reasons and errors contain some within a sentence.
WORKER = Mask(WORKER_NAMES, lambda text: "a worker" if PROCESS.fullmatch(text) else text)
REASON = Mask(REASON_NAMES, lambda text: PROCESS.sub("a worker", ASSET_ID.sub("asset *", text)))
# (table, column) -> mask of its text
COLUMN_MASKS = {
    ("ingest_event", "actor"): WORKER, ("ingest_batch", "last_error"): REASON,
    **{("import_job", name): REASON for name in ("last_error", "hold_reason")},
    **{("ingest_batch_item", name): REASON for name in ("reason", "last_error", "earlier_reason")},
}
# member of the payload of an event -> mask of its text
PAYLOAD_MASKS = {"worker": WORKER, "reason": REASON, "error": REASON, "last_error": REASON}
MASKED_MEMBER = re.compile(rf'("(?:{"|".join(PAYLOAD_MASKS)})":\s*)"((?:[^"\\]|\\.)*)"')


def mask_payload(text: str) -> str:
    """Mask the members of a payload, and keep the spacing of its JSON."""
    return MASKED_MEMBER.sub(
        lambda match: f'{match[1]}"{PAYLOAD_MASKS[match[1].split(chr(34))[1]].apply(match[2])}"', text
    )
