"""gpupanel plan: what the import of several batches would make of the library."""

from collections.abc import Callable, Iterator
from typing import Any

from ..folds.forecast import KINDS, Limits, as_json, forecast_batches
from ..folds.wording import describe_changes, describe_effects, describe_entry, describe_value
from ..text import pluralize, short_hash
from .context import CommandContext
from .output import format_entries, report_width, wrap_text

BATCH_COLUMNS = ("#", "sync_id", "action", "items", "assets")
NOTHING_CHANGED = "Nothing was changed. Documents were not read: an update with a new document writes it."


def run(context: CommandContext) -> int:
    """Forecast the import of batches, in the order of the queue; nothing is written.

    JSON: {complete, files_checked, batches, refused, not_read, entries, folded, library: {kind: {effect: n}},
    totals, changes, overwrites, order_effects, missing_members}. Return 0 if all batches would be imported, 1 if not.
    """
    limits = Limits(listed=context.args.limit)
    forecast = forecast_batches(context.db, context.mount, context.sync_ids(), limits, context.progress("plan"))
    found = as_json(forecast)
    context.emit(found, format_forecast(found, report_width()))
    return 1 if forecast.refused else 0


def format_forecast(found: dict[str, Any], width: int) -> Iterator[str]:
    """Return the forecast for a terminal: what deserves attention comes before the list of all changes."""
    places = {batch["sync_id"]: place for place, batch in enumerate(found["batches"], 1)}
    yield f"{pluralize(len(places), 'batch', 'batches')}, in the order of their import:"
    yield from format_entries(
        [(place, batch["sync_id"], batch["action"], _items(batch), describe_effects(batch["effects"]))
         for place, batch in enumerate(found["batches"], 1)], width, BATCH_COLUMNS,
    )
    for batch in found["refused"]:
        yield from wrap_text(f"Not imported: {batch['sync_id']}: {batch['problem']}", width)
    yield "The library afterwards, if nothing else changes it:"
    yield from format_entries(
        [(kind, describe_effects(found["library"][kind])) for kind in KINDS if kind in found["library"]], width
    )
    for name, title, line in SECTIONS:
        yield from _section(found, name, title, [line(each, places) for each in found[name]], width)
    yield from wrap_text(NOTHING_CHANGED, width)


def _items(batch: dict[str, Any]) -> str:
    failing = f", {batch['failing_items']:,} fail" if batch["failing_items"] else ""
    return f"{batch['items']:,}{failing}"


def _section(
    found: dict[str, Any], name: str, title: str, rows: list[tuple[str, ...]], width: int
) -> Iterator[str]:
    if not found["totals"][name]:
        return
    yield title
    yield from format_entries(rows, width)
    if left := found["totals"][name] - len(rows):
        yield f"  and {left:,} more; --limit shows them"


def _named(each: dict[str, Any]) -> tuple[str, str]:
    return each["kind"], short_hash(each["hash"])


def _change(each: dict[str, Any], places: dict[str, int]) -> tuple[str, ...]:
    effect, described = each["effect"].replace("_", " "), describe_entry(each["effect"], each["changes"])
    return *_named(each), effect, _by(each, places), described


def _by(each: dict[str, Any], places: dict[str, int]) -> str:
    return "by " + ", ".join(f"#{places[sync_id]}" for sync_id in each["sync_ids"])


def _overwrite(each: dict[str, Any], places: dict[str, int]) -> tuple[str, ...]:
    first = f"#{places[each['set_by']]} sets {describe_value(each['value'])}"
    then = f"#{places[each['changed_by']]} sets {describe_value(each['changed_to'])}"
    return *_named(each), each["name"], f"{first}; {then}"


def _order_effect(each: dict[str, Any], places: dict[str, int]) -> tuple[str, ...]:
    return *_named(each), _by(each, places), describe_changes(each["changes"])


def _missing(each: dict[str, Any], places: dict[str, int]) -> tuple[str, ...]:
    sample = ", ".join(map(short_hash, each["sample"][:3]))
    return *_named(each), f"in #{places[each['sync_id']]}", f"{pluralize(each['missing'], 'member')} missing: {sample}"


# List of the forecast -> its title, and the function that returns the cells of an entry; the last one may be long.
SECTIONS: tuple[tuple[str, str, Callable[[Any, dict[str, int]], tuple[str, ...]]], ...] = (
    ("missing_members", "Containers that would lack members, and fail:", _missing),
    ("overwrites", "Set by one batch, then changed by a later one:", _overwrite),
    ("order_effects", "Different if the batches were imported in the reverse order:", _order_effect),
    ("changes", "Changes:", _change),
)
