"""gpupanel check: check manifests as a preflight does."""

import json
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from ..bundle_check import BundleCheck, Verdict, check_file, check_folder
from ..errors import InvalidInputError, PanelError
from ..manifest.json_schema import format_schema
from ..text import pluralize
from .context import CommandContext
from .output import format_cell


def run(context: CommandContext) -> int:
    """Check one manifest, or each bundle of a folder.

    JSON: [{file, sync_id, verdict, item_count, failing_items, problems: [text], item_problems: [text]}]. Return 0 if
    all are sound, 1 if not. With --schema print the JSON Schema of a manifest.
    """
    args = context.args
    if args.schema:
        print(format_schema(), end="", flush=True)
        return 0
    for path, kind in ((args.file, "a manifest or a folder of bundles"), (args.assets, "the folder of the items")):
        if path is not None and not path.exists():
            raise InvalidInputError(f"{format_cell(path)} does not exist.", f"Name {kind}.")
    if args.assets is not None and not args.assets.is_dir():
        raise InvalidInputError(f"{format_cell(args.assets)} is no folder.", "Name the folder of the items.")
    if not args.file.is_dir():
        return _print_all([check_file(args.file, args.assets)], context)
    return _print_all(check_folder(args.file, args.assets), context)


def _print_all(answers: Iterable[BundleCheck], context: CommandContext) -> int:
    """Print each answer when it is known, so that a folder of any size needs little memory."""
    bundles = unsound = 0
    for answer in answers:
        bundles += 1
        unsound += answer.verdict is not Verdict.SOUND
        if context.args.json:
            print("[" if bundles == 1 else ",", json.dumps(_as_json(answer), indent=1), sep="\n", flush=True)
        else:
            print(*_format(answer), sep="\n", flush=True)
    if not bundles:
        raise PanelError(
            f"{format_cell(context.args.file)} holds no bundle.",
            "A bundle is a manifest and a sentinel, named as its sync_id: SYNC_ID.json and SYNC_ID.ready.",
        )
    if context.args.json:
        print("]", flush=True)
    elif bundles > 1:
        print(f"{pluralize(bundles, 'bundle')}, {unsound:,} with problems.", flush=True)
    return 1 if unsound else 0


def _as_json(answer: BundleCheck) -> dict[str, Any]:
    return {"file": answer.file, "sync_id": answer.sync_id, "verdict": answer.verdict} | asdict(answer)


def _format(answer: BundleCheck) -> list[str]:
    counted = pluralize(answer.item_count, "item")
    failing = f", {answer.failing_items:,} would fail" if answer.failing_items else ""
    left = answer.failing_items - len(answer.item_problems)
    return [
        f"{answer.file}  {answer.verdict}: {counted}{failing}" if answer.item_count or not answer.problems
        else f"{answer.file}  {answer.verdict}",
        *(f"  {format_cell(problem)}" for problem in answer.problems + answer.item_problems),
        *([f"  and {left:,} more items"] if left else []),
    ]
