"""The task of Django's contender, in a module that its workers can import."""

from bench.contenders.bundle_task import insert_bundle
from django_tasks import task


@task()
def job(number: int) -> None:
    insert_bundle(number)
