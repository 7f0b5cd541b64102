"""Times of jobs that the Perl side writes in a local time zone, while both sides share a database.

`[database] perl_time_zone` names the zone. It applies to the jobs that another program claimed: a claim token of this
system ends in a digest of its worker's name, which a claim of another program does not keep. It also applies to
`queued_at` of the jobs that no event of this system names (docs/decisions/0180-times-of-the-perl-side.md).
"""

from collections.abc import Iterable, Set
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from .rows import LockedJob

DIGEST_LENGTH = 8  # characters of the digest in a token; the SQL of `stale_jobs` compares as many
TOKEN_LENGTH = 32
CLAIM_COLUMNS = ("claimed_at", "heartbeat_at", "finished_at")
Job = TypeVar("Job", bound="LockedJob")


def new_token(worker: str) -> str:
    """Return a new claim token of a worker, 32 characters."""
    from secrets import token_hex  # here, since pages read times and make no token

    return token_hex((TOKEN_LENGTH - DIGEST_LENGTH) // 2) + _digest(worker)


def is_foreign(job: "LockedJob") -> bool:
    """Whether another program claimed the job last."""
    token, worker = job["claim_token"], job["worker"]
    return token is None or worker is None or not token.endswith(_digest(worker))


def _digest(worker: str) -> str:
    return sha256(worker.encode()).hexdigest()[:DIGEST_LENGTH]


def offset_seconds(zone: "ZoneInfo | None", age: float, now: datetime | None = None) -> int:
    """Return what to add to a UTC time `age` seconds ago, to compare it with a local time.

    Where the clocks were set back meanwhile, it is the smaller offset, so that no worker that lives is presumed dead.
    """
    if zone is None:
        return 0
    now = now or datetime.now(UTC)
    offsets = (at.astimezone(zone).utcoffset() or timedelta() for at in (now - timedelta(seconds=age), now))
    return int(min(offsets).total_seconds())


def fixed_offset(zone: "ZoneInfo", times: list[datetime]) -> str | None:
    """Return the offset of a zone, such as +02:00, if it is the same from the earliest of these UTC times until now."""
    now = datetime.now(UTC)
    day = min((time.replace(tzinfo=UTC) for time in times), default=now) - timedelta(days=1)
    offsets: set[timedelta] = set()
    while day < now + timedelta(days=1) and len(offsets) < 2:
        offsets.add(day.astimezone(zone).utcoffset() or timedelta())
        day += timedelta(days=1)
    if len(offsets) != 1:
        return None
    minutes = int(offsets.pop().total_seconds()) // 60
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"


def convert_to_utc(zone: "ZoneInfo | None", jobs: Iterable[Job], queued: Set[int] = frozenset()) -> None:
    """Convert the times of the jobs that another program claimed, and when it queued those with the ids `queued`.

    Of an ambiguous time the later one is meant.
    """
    for job in jobs if zone else ():
        if job["id"] in queued:
            job["queued_at"] = _to_utc(zone, job["queued_at"]) or job["queued_at"]
        if job["claimed_at"] and is_foreign(job):
            for column in CLAIM_COLUMNS:
                job[column] = _to_utc(zone, job[column])  # type: ignore[literal-required]


def _to_utc(zone: "ZoneInfo | None", local: datetime | None) -> datetime | None:
    return local and local.replace(tzinfo=zone, fold=1).astimezone(UTC).replace(tzinfo=None)
