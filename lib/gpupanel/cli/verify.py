"""gpupanel verify: recompute receipts, from a file or from the database."""

import re
import sys
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path

from ..errors import InvalidInputError
from ..receipts import DatabaseCheck, DatabaseVerifier, FileCheck, verify_file
from ..text import pluralize
from .context import CommandContext
from .output import format_cell

HEAD = re.compile(r"Receipt (\d{1,19}), head ([0-9a-f]{64})\b")
CONSISTENT = "A root or head that was kept outside proves it: --root HEX."


def run(context: CommandContext) -> int:
    """Verify a file of receipts without a database, or with --all the database.

    JSON of a file: {lines, receipts, roots, archives, sync_ids, problems: [text], problem_count, proven}; of the
    database: {receipts, lines, head, problems: [text], problem_count, unsealed, archived, proven}. Return 0 if all
    fits, 1 if not.
    """
    args = context.args
    if args.every == bool(args.file):
        raise InvalidInputError("Name a file of receipts, or verify the database with --all.")
    if args.heads and not args.every:
        raise InvalidInputError("Heads are those of the chain of all receipts: use --heads with --all.")
    if args.every:
        known = [*_read_heads(args.heads), *([(0, args.root)] if args.root else [])]
        found = DatabaseVerifier(context.db, known, args.archives).run()
        context.emit(asdict(found), _format_database(found, bool(known)))
        return 1 if found.problem_count else 0
    check = verify_file(args.file, args.root)
    context.emit(asdict(check), _format_file(check, args.root))
    return 0 if check.is_consistent else 1


def _read_heads(path: Path | None) -> list[tuple[int, str]]:
    """Read the heads that `seal` printed, out of a text such as that of a journal; `-` is standard input."""
    if path is None:
        return []
    with nullcontext(sys.stdin) if str(path) == "-" else path.open(encoding="utf-8", errors="replace") as lines:
        heads = [(int(receipt_id), head) for line in lines for receipt_id, head in HEAD.findall(line)]
    if not heads:
        raise InvalidInputError("Found no head: expected lines of `gpupanel seal`, as a journal keeps them.")
    return heads


def _format_file(check: FileCheck, root: str | None) -> list[str]:
    if check.problem_count:
        return _problems(check.problems, check.problem_count)
    what = f"{pluralize(check.receipts, 'receipt')}, {pluralize(check.lines, 'line')}; last root {check.roots[-1]}"
    if root is None:
        return [f"consistent: {what}", CONSISTENT]
    later = check.receipts - check.proven
    return [f"proven: {what}", *([f"{pluralize(later, 'receipt')} after that root: only consistent"] if later else [])]


def _format_database(check: DatabaseCheck, has_head: bool) -> list[str]:
    waiting = [f"{pluralize(check.unsealed, 'ended job')} without a receipt"] if check.unsealed else []
    if check.archived:
        waiting.append(f"{pluralize(check.archived, 'receipt')} not checked: --archives FOLDER names their files")
    if check.problem_count:
        return [*_problems(check.problems, check.problem_count), *waiting]
    what = f"{pluralize(check.receipts, 'receipt')}, {pluralize(check.lines, 'line')}; head {check.head}"
    if not has_head:
        return [f"consistent: {what}", CONSISTENT, *waiting]
    later = check.receipts - check.proven
    after = [f"{pluralize(later, 'receipt')} after that head: only consistent"] if later else []
    return [f"proven: {what}", *after, *waiting]


def _problems(problems: list[str], count: int) -> list[str]:
    more = [f"  and {count - len(problems):,} more"] if count > len(problems) else []
    return [f"{pluralize(count, 'problem')}:", *(f"  {format_cell(problem)}" for problem in problems), *more]
