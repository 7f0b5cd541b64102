"""Django models for the tables, made from the columns of the rows."""

import django
import pymysql
from django.conf import settings

pymysql.version_info = (2, 2, 8, "final", 0)  # Django asks for mysqlclient's version
pymysql.install_as_MySQLdb()


def configure(socket: str, user: str, password: str, name: str = "admin_panel", **more) -> None:
    settings.configure(DATABASES={"default": {
        "ENGINE": "django.db.backends.mysql", "NAME": name, "USER": user, "PASSWORD": password, "HOST": socket,
        "CONN_MAX_AGE": None,
        "OPTIONS": {"charset": "utf8mb4", "isolation_level": "read committed", "ssl_disabled": True},
    }}, USE_TZ=True, DEFAULT_AUTO_FIELD="django.db.models.BigAutoField", **more)
    django.setup()


class Models:
    """Return the model of a table, made at its first rows."""

    def __init__(self, socket: str, user: str, password: str):
        configure(socket, user, password)
        from django.db import models, transaction

        self._models, self.atomic, self._known = models, transaction.atomic, {}

    def create(self, table: str, rows: list[dict]) -> None:
        model = self._model(table, rows[0])
        model.objects.bulk_create([model(**row) for row in rows])

    def ids(self, hashes: list[str]) -> dict[str, int]:
        found = self._known["asset"].objects.filter(asset_type="photo", asset_hash__in=hashes)
        return dict(found.values_list("asset_hash", "id"))

    def _model(self, table: str, row: dict):
        if table not in self._known:
            fields = {name: self._models.TextField(null=True) for name in row}
            meta = type("Meta", (), {"db_table": table, "managed": False, "app_label": "bench"})
            self._known[table] = type(table, (self._models.Model,), fields | {"__module__": __name__, "Meta": meta})
        return self._known[table]
