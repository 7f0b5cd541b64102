"""Secrets of the tests, failures to be notified of, and the notices that were written."""

from gpupanel import job_queue, ledger

PASSWORD, KEY = "mail pa€ss", "hook-key-1234"
TOKEN = "/hooks/T0KEN-in-the-path"


def fail_jobs(tx, jobs, reason):
    for job_id in jobs:
        batch_id = job_queue.job(tx, job_id)["batch_id"]
        payload = {"job_id": job_id, "phase": "job_fail", "reason": reason}
        ledger.append_event(tx, batch_id, "job_failed", payload, "h:1")
        tx.execute("job_queue.cancel", job_id=job_id, reason=reason)


def rows(db):
    return db.execute("SELECT kind, event_id, sent_at, mailed_at, posted_at, attempts, last_error FROM ingest_notice")


def unsent(db):
    return [row["kind"] for row in rows(db) if row["sent_at"] is None]
