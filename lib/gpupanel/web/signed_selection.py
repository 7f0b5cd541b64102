"""A selection of batches, as a signed field of a form (docs/decisions/0027)."""

from itertools import accumulate, pairwise
from typing import NamedTuple

from ..errors import InvalidInputError
from .signing_key import SigningKey

MAX_PROBLEMS = 100  # problems that the form carries; each batch also records its own


class Selection(NamedTuple):
    """Ids of the batches left to do, in order, and the results so far.

    `done` and `refused` count batches of all `total`; `problems` has [sync_id, problem]. `whole` is false if more
    batches matched than a selection holds.
    """

    ids: list[int]
    total: int
    whole: bool = True
    done: int = 0
    refused: int = 0
    problems: list[list[str]] = []  # noqa: RUF012 (never changed in place)

    def after(self, done: int, problems: list[list[str]], left: list[int]) -> "Selection":
        """Return the selection after one request's results."""
        kept = (self.problems + problems)[:MAX_PROBLEMS]
        return self._replace(ids=left, done=self.done + done, refused=self.refused + len(problems), problems=kept)


def sign_selection(secret: SigningKey, user: str, selection: Selection) -> str:
    """Return the selection as a form field; id differences compress well."""
    steps = [later - earlier for earlier, later in pairwise([0, *selection.ids])]
    return secret.seal("selection", user, selection._replace(ids=steps))


def verify_selection(secret: SigningKey, user: str, field: str) -> Selection:
    """Return the selection of a field signed for this user, or InvalidInputError."""
    values = secret.unseal("selection", user, field)
    if values is None:
        raise InvalidInputError("This panel did not sign the selection for you.", "Select the batches again.")
    steps, *results = values
    return Selection(list(accumulate(steps)), *results)
