"""gpupanel archive: move the rows of old batches into compressed files."""

from dataclasses import asdict
from pathlib import Path

from ..archive import ArchiveReport, Archiver
from ..errors import InvalidInputError
from ..text import pluralize
from .context import CommandContext
from .output import format_cell, format_section


def run(context: CommandContext) -> int:
    """Archive batches whose import ended before a time.

    JSON: {files, batches, continued, refused: {SYNC_ID: reason}, refused_count}. Batches that still have to stay are
    no failure.
    """
    folder = context.args.to
    _check_folder(folder, context.settings.mount.assets_dir)
    report = Archiver(context.db, folder, context.actor).run(context.args.before)
    context.emit(asdict(report), _format(report))
    return 0


def _check_folder(folder: Path, assets_dir: Path) -> None:
    """Raise InvalidInputError unless the folder is one, and not on the mount."""
    if not folder.is_dir():
        raise InvalidInputError(f"{format_cell(folder)} is no folder.", "Name the folder that keeps the archives.")
    if folder.resolve().is_relative_to(assets_dir.resolve()):
        message = f"{format_cell(folder)} is on the mount, which is never written."
        raise InvalidInputError(message, "Name another folder.")


def _format(report: ArchiveReport) -> list[str]:
    left = report.refused_count - len(report.refused)
    return [
        f"{pluralize(report.batches, 'batch', 'batches')} archived.",
        *([f"Finished what a stopped run left: {report.continued:,}."] if report.continued else []),
        *format_section("Files:", ((name,) for name in report.files)),
        *format_section("Left in the database:", report.refused.items()),
        *([f"  and {left:,} more"] if left else []),
    ]
