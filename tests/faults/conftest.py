"""What the tests of several machines share: one cluster for all of them, since it takes its time to start."""

import pytest
from cluster import Cluster, lacking
from ground import NAME, password
from network import Network

from gpupanel.tools import schema


@pytest.fixture(scope="session")
def cluster():
    """Three nodes with the schema and both accounts."""
    if why := lacking():
        pytest.skip(why)
    with Network(3) as network, Cluster(network) as running:
        for account in schema.ACCOUNTS:
            schema.open_account(running[1].admin(NAME), account, password(account))
        yield running
