"""Queues of jobs: queueing.py fill|work PEER SOCKET USER DATABASE [JOBS].

`fill` makes the peer's tables and queues the jobs; `work` is one worker, until it is ended or nothing is left. Each job
inserts a small bundle (`bundle_task`).
"""

import logging
import sys

from bench.contenders.bundle_task import insert_bundle

DO, PEER, SOCKET, USER, DATABASE = sys.argv[1:6]
JOBS = int(sys.argv[6]) if len(sys.argv) > 6 else 0
READ_COMMITTED = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED"
logging.disable(logging.INFO)


def huey() -> None:
    from huey.contrib.sql_huey import SqlHuey
    from peewee import MySQLDatabase

    database = MySQLDatabase(DATABASE, unix_socket=SOCKET, user=USER, ssl_disabled=True, init_command=READ_COMMITTED)
    queue = SqlHuey("bench", database=database, results=False, utc=True)

    job = queue.task(name="job")(insert_bundle)

    if DO == "fill":
        with database.atomic():
            for number in range(JOBS):
                job(number)
    else:
        queue.create_consumer(
            workers=1, periodic=False, initial_delay=0.01, max_delay=0.01, check_worker_health=False
        ).run()


def celery() -> None:
    from celery import Celery
    from kombu.transport.sqlalchemy import Transport

    Transport.polling_interval = 0.001
    app = Celery("bench", broker=f"sqlalchemy+mysql+pymysql://{USER}@localhost/{DATABASE}?unix_socket={SOCKET}")
    app.conf.update(
        task_ignore_result=True, worker_prefetch_multiplier=1, broker_connection_retry_on_startup=True,
        worker_hijack_root_logger=False,
        broker_transport_options={"isolation_level": "READ COMMITTED", "connect_args": {"ssl_disabled": True}},
    )

    job = app.task(insert_bundle, name="job")

    if DO == "fill":
        with app.producer_pool.acquire() as producer:
            for number in range(JOBS):
                job.apply_async((number,), producer=producer)
    else:
        quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel=ERROR"]
        app.worker_main(["worker", "--pool=solo", *quiet])


def django() -> None:
    from bench.contenders.models import configure

    configure(
        SOCKET, USER, "", DATABASE, INSTALLED_APPS=["django_tasks", "django_tasks_db"], LOGGING_CONFIG=None,
        TASKS={"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}},
    )
    from django.core.management import call_command
    from django.db import transaction
    from bench.contenders.tasks import job

    if DO == "fill":
        call_command("migrate", verbosity=0)
        with transaction.atomic():
            for number in range(JOBS):
                job.enqueue(number)
    else:
        call_command("db_worker", batch=True, interval=0, startup_delay=False, verbosity=0)


if __name__ == "__main__":
    {"huey": huey, "celery": celery, "django": django}[PEER]()
