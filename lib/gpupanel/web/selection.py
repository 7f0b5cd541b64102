"""A selection of batches, frozen as a list that a form carries from page to page, signed (docs/decisions/0027)."""

import json
import zlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from itertools import accumulate, pairwise
from typing import NamedTuple

from ..errors import InvalidInput
from .forms import Secret

MOST_TOLD = 100  # problems that are carried on; the batches themselves keep theirs


class Selection(NamedTuple):
    """The ids that are left to do, in order, and what became of the `total` so far: how many were `done`, how many were
    `refused`, and of those [sync_id, problem]. `whole` says whether all that matched are in it."""

    ids: list[int]
    total: int
    whole: bool = True
    done: int = 0
    refused: int = 0
    told: list[list[str]] = []

    def after(self, done: int, problems: list[list[str]], left: list[int]) -> "Selection":
        """The selection once a part of it is settled."""
        told = (self.told + problems)[:MOST_TOLD]
        return self._replace(ids=left, done=self.done + done, refused=self.refused + len(problems), told=told)


def pack(secret: Secret, user: str, selection: Selection) -> str:
    """The selection as a form's field; ids that are close to each other take little room."""
    steps = [later - earlier for earlier, later in pairwise([0, *selection.ids])]
    raw = json.dumps(selection._replace(ids=steps), separators=(",", ":")).encode()
    text = urlsafe_b64encode(zlib.compress(raw, 9)).decode()
    return f"{text}.{secret.sign('selection', user, text)}"


def unpack(secret: Secret, user: str, field: str) -> Selection:
    """What `pack` was given. Raises InvalidInput for what this panel did not sign for this user."""
    text, _, signature = field.partition(".")
    if not signature or not secret.signed(signature, "selection", user, text):
        raise InvalidInput("The selection was not made by this panel, for you.", "Choose the batches again.")
    steps, *others = json.loads(zlib.decompress(urlsafe_b64decode(text)))
    return Selection(list(accumulate(steps)), *others)
