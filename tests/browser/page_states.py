"""Every page in each of its states, by name: functions that open it."""

from browser_session import BATCHES, TASKS


def _at(address: str, *unfold: str):
    """Return a function that opens a URL and clicks these selectors."""
    def go(page, dataset):
        page.goto(address.format(**dataset._asdict()) if dataset else address)
        for selector in unfold:
            page.click(selector)

    return go


def _batch(name: str, *unfold: str, **more: str):
    query = "".join(f"&{key}={value}" for key, value in more.items())
    return _at(f"{BATCHES}?action=detail&sync_id={{{name}}}{query}", *unfold)


def _paused(name: str):
    """Return a function that pauses the queue, if it is not paused, and opens a page of WAITING."""
    def go(page, dataset):
        page.goto(TASKS)
        if not page.locator("#resume").count():
            page.fill("#pause-reason", "The library moves to its new disks.")
            _press(page, "#pause", "#resume")
        WAITING[name](page, dataset)

    return go


def _press(page, button: str, heading: str):
    """Press a button that opens another page, and wait until that page is there."""
    page.click(button)
    page.wait_for_selector(heading)
    page.wait_for_load_state()


def _preview(page, dataset):
    """Open the preview of queueing the first batches of the list."""
    page.goto(BATCHES)
    for box in page.locator("td.tick input").all()[:7]:
        box.check()
    _press(page, "button:text-is('Preview')", "#preview")


def _forecast(page, dataset):
    """Open the preview of queueing batches that have not been imported, with all of its forecast."""
    page.goto(f"{BATCHES}?status=discovered")
    for box in page.locator("td.tick input").all():
        box.check()
    _press(page, "button:text-is('Preview')", "#preview")
    for summary in page.locator(".each summary").all():
        summary.click()


def _asset(page, dataset):
    """Open the first asset of a completed batch, with the changes of its history."""
    page.goto(f"{BATCHES}?action=detail&sync_id={dataset.updated}")
    _press(page, "#items ~ .scroll a[href*='action=asset']", "#fields")
    page.click("[id^=result-] summary")


def _gallery(page, dataset):
    """Open the gallery of a completed batch."""
    page.goto(f"{BATCHES}?action=detail&sync_id={dataset.gallery}")
    _press(page, "[aria-label=Containers] [data-label=container_hash] a", "#members")


def _preview_of_all(page, dataset):
    page.goto(f"{BATCHES}?status=discovered")
    page.check("input[name=all]")
    _press(page, "button:text-is('Preflight')", "#preview")
    page.click(".each summary")


def _outcome(page, dataset):
    """Preflight more batches than a flash message lists (changes data)."""
    page.goto(BATCHES)
    page.check("input[name=all]")
    _press(page, "button:text-is('Preflight')", "#preview")
    _press(page, "main button.primary", "#outcome")


EMPTY = {
    "batches-none-yet": _at(BATCHES),
    "tasks-none-yet": _at(TASKS),
}
# A queue without a worker; those at the end pause it.
WAITING = {
    "batches-waiting": _at(BATCHES),
    "attention-held": _at(f"{BATCHES}?attention=new"),
    "tasks-waiting": _at(TASKS),
    "batch-no-worker": _batch("queued"),
    "batch-held-prior": _batch("prior"),
    "batch-held-bundle": _batch("bundle"),
    "batch-held-backoff": _batch("backoff"),
    "batch-held-operator": _batch("operator"),
    "batch-undone": _batch("undone"),
    "batches-paused": _paused("batches-waiting"),
    "tasks-paused": _paused("tasks-waiting"),
    "batch-paused": _paused("batch-no-worker"),
}
FULL = {
    "batches": _at(BATCHES),
    "batches-help": _at(BATCHES, "#help > summary", "#deeper > summary"),
    "batches-filtered": _at(f"{BATCHES}?status=discovered&host=cloud-sync.example"),
    "batches-by-size": _at(f"{BATCHES}?sort=bytes", "#filters > summary"),
    "attention": _at(f"{BATCHES}?attention=new"),
    "attention-seen": _at(f"{BATCHES}?attention=seen"),
    "batches-none-found": _at(f"{BATCHES}?q=ffffffff"),
    "batch-completed": _batch("completed"),
    "batch-gallery": _batch("gallery"),
    "batch-films": _batch("films"),
    "batch-updated": _batch("updated", "[id^=changes-] summary"),
    "batch-partial": _batch("partial"),
    "batch-retry": _batch("retry"),
    "batch-failed": _batch("failed"),
    "batch-refused": _batch("refused"),
    "batch-passed-over": _batch("passed_over"),
    "batch-discovered": _batch("discovered"),
    "batch-planned": _batch("planned"),
    "batch-emptying": _batch("emptying", "[id^=changes-] summary"),
    "batch-changed": _batch("changed"),
    "batch-queued": _batch("queued"),
    "batch-running": _batch("running"),
    "batch-undo": _batch("undo", "[id^=changes-] summary >> nth=0"),
    "batch-one-decision": _batch("retry", decision="failed"),
    "batch-no-such-item": _batch("planned", q="ffff"),
    "gallery": _gallery,
    "events": _at(f"{BATCHES}?action=events"),
    "asset": _asset,
    "tasks": _at(TASKS),
    "tasks-help": _at(TASKS, "#help > summary"),
    "tasks-in-the-section": _at(f"{BATCHES}?tab=queue"),
    "tasks-failed": _at(f"{TASKS}?state=failed", "#hours > summary"),
    "doctor": _at(f"{BATCHES}?action=doctor", "#ok > summary"),
    "error-no-such-batch": _at(f"{BATCHES}?action=detail&sync_id=00000000-0000-4000-8000-000000000000"),
    "error-bad-request": _at(f"{BATCHES}?status=nonsense"),
    "error-no-such-page": _at("nowhere"),
    "selection-preview": _preview,
    "selection-forecast": _forecast,
    "selection-all": _preview_of_all,
    "selection-outcome": _outcome,
}
# Pages of FULL that a viewer sees without their buttons.
VIEWED = (
    "batches", "attention", "batch-partial", "batch-planned", "batch-queued", "batch-running", "batch-gallery",
    "gallery", "asset", "events", "tasks",
)
