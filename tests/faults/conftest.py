"""Fixtures: workers that end with their test, and one cluster for all tests that need several machines."""

import pytest
import worker_helpers
from cluster import Cluster, lacking
from constants import NAME
from gpupanel import config
from gpupanel.db import Database
from network import Network


@pytest.fixture
def start(admin_db):
    """Starts workers; none outlives its test."""
    programs = worker_helpers.Programs()
    yield programs
    programs.end()


@pytest.fixture(scope="session")
def cluster():
    """Three nodes with the schema and both accounts."""
    if why := lacking():
        pytest.skip(why)
    with Network(3) as network, Cluster(network) as running:
        yield running


@pytest.fixture
def on(cluster, worker_conf):
    """`on(2)` is a worker's configuration for node 2."""

    def conf(number: int, **options):
        return worker_helpers.with_options(worker_conf, f"on{number}.conf", socket=cluster[number].socket, **options)

    return conf


@pytest.fixture
def worker_on(cluster, worker_conf, admin_db):
    """`worker_on(2)` is the worker's account at node 2, over empty tables."""
    yield from _accounts_on(cluster, worker_conf)


@pytest.fixture
def panel_on(cluster, panel_conf, admin_db):
    """`panel_on(2)` is the panel's account there."""
    yield from _accounts_on(cluster, panel_conf)


def _accounts_on(cluster, conf):
    there = {
        number: worker_helpers.with_options(conf, f"{conf.stem}{number}.conf", socket=cluster[number].socket)
        for number in cluster
    }
    opened = {number: Database(config.load(conf).database) for number, conf in there.items()}
    yield opened.__getitem__
    for db in opened.values():
        db.close()


@pytest.fixture
def agreed(cluster, admin_db):
    """Whether all nodes hold the same; returns what."""

    def ask() -> dict:
        first, *others = [everything(cluster, number) for number in cluster]
        assert all(other == first for other in others)
        return first

    return ask


def everything(cluster, number: int) -> dict:
    db = Database(cluster[number].admin(NAME))
    tables = ("ingest_batch", "ingest_batch_item", "ingest_event", "import_job")
    try:
        return worker_helpers.rows(db) | {table: db.execute(f"SELECT * FROM {table} ORDER BY id") for table in tables}
    finally:
        db.close()
