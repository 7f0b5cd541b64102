"""The task of Django's contender, in a module that its workers can import."""

from django_tasks import task


@task()
def nothing() -> None:
    pass
