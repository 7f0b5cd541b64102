"""Undo commits of an import, as a server does that comes back without them."""

LOST = "UPDATE import_job SET items_done = GREATEST(0, CAST(items_done AS SIGNED) - %(items)s) WHERE id = %(job)s"


def forget_items(db, job_id: int, hashes: list[str]) -> None:
    """Undo the commits that settled these items."""
    db.execute("SET foreign_key_checks = 0")
    for table in ("asset_source", "asset_ai_run", "asset_cover", "asset_derivative"):
        db.execute(f"DELETE t FROM {table} t JOIN asset a ON a.id = t.asset_id WHERE a.asset_hash IN %(hashes)s", hashes=hashes)
    db.execute("DELETE FROM asset WHERE asset_hash IN %(hashes)s", hashes=hashes)
    db.execute("DELETE FROM ingest_result WHERE hash IN %(hashes)s", hashes=hashes)
    db.execute(
        "UPDATE ingest_batch_item SET decision = planned, job_id = NULL, asset_id = NULL, differs = NULL"
        " WHERE asset_hash IN %(hashes)s", hashes=hashes,
    )
    db.execute(LOST, items=len(hashes), job=job_id)
    db.execute("SET foreign_key_checks = 1")


def settled_hashes(db, job_id: int) -> list[str]:
    """Return the hashes of the items that a job settled, in the manifest's order."""
    return [row["asset_hash"] for row in db.execute(
        "SELECT asset_hash FROM ingest_batch_item WHERE job_id = %(job)s ORDER BY position", job=job_id
    )]
