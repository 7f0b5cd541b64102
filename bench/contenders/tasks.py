"""The task of Django's contender, in a module that its workers can import."""

import os

from bench.contenders.bundle_task import insert_bundle
from django_tasks import task


@task()
def job(number: int) -> None:
    if "BENCH_ROWS" in os.environ:
        insert_bundle(number)
