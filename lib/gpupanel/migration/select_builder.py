"""Build the statement that reads a table with natural keys for its ids."""

from typing import Protocol

from .mapping import NameMapping
from .table_specs import REFERENCES, TableSpec, end_of, is_hash

# The number of a job in the history of its batch.
JOB_NUMBER = "(SELECT COUNT(*) FROM `{jobs}` o WHERE o.`{batch}` = {alias}.`{batch}` AND o.`{id}` <= {alias}.`{id}`)"

# When a row of a numbered table was written.
ROW_TIMES = ("created_at", "queued_at")


class SideSchema(Protocol):
    """The names, tables and columns of one side."""

    mapping: NameMapping

    def has(self, table: str, column: str | None = None) -> bool: ...

    def is_binary(self, table: str, column: str) -> bool: ...


class SelectBuilder:
    """Collects the joins of the paths.

    The first part of the key drives the statement. So the database sorts only that part, and never
    documents.
    """

    def __init__(self, side: SideSchema, table: TableSpec):
        self._side, self._table = side, table
        self._joins: dict[str, str] = {}
        self._driver = table.key[0].rpartition(".")[0]

    def statement(self, paths: list[str], where: dict[str, list] | None = None) -> str:
        """Select these paths, without those that the side lacks.

        `where` maps paths to values: parameters w0, w1...
        """
        selected = {path: expression for path in paths if path != "#" and (expression := self._expression(path))}
        order = [self._sort_key(part, selected[part]) for part in self._table.leading]
        order += [self._column("t", self._table.name, column) for column in self._order_of_rows()]
        tests = [f"{self._stored(path)} IN %(w{n})s" for n, path in enumerate(where or {})]
        listed = ", ".join(f"{expression} AS `{path}`" for path, expression in selected.items())
        return (
            f"SELECT {listed} FROM {self._from()} {' '.join(self._joins.values())}"
            f"{' WHERE ' + ' AND '.join(tests) if tests else ''} ORDER BY {', '.join(order)}"
        )

    def _order_of_rows(self) -> list[str]:
        """Return the columns that order the rows of a numbered table; a side whose rows have no id has their times."""
        columns = ("id", *ROW_TIMES) if self._table.numbered else ()
        return [column for column in columns if self._side.has(self._table.name, column)][:1]

    def _sort_key(self, path: str, expression: str) -> str:
        """Return what orders as `key_of` does: by bytes, and digests in any case."""
        table, column = end_of(self._table.name, path)
        has_case = is_hash(path) and not self._side.is_binary(table, column)
        return f"CAST({f'LOWER({expression})' if has_case else expression} AS BINARY)"

    def _from(self) -> str:
        own = f"`{self._side.mapping.table(self._table.name)}` AS t"
        if not self._driver:
            return own
        target = REFERENCES[self._driver]
        on = f"{self._column('t', self._table.name, self._driver)} = {self._column(_alias(self._driver), target, 'id')}"
        return f"`{self._side.mapping.table(target)}` AS {_alias(self._driver)} STRAIGHT_JOIN {own} ON {on}"

    def _expression(self, path: str) -> str | None:
        """Return the SQL of a path, with their words replaced by ours.

        None if the side lacks a table or column on it.
        """
        stored = self._stored(path)
        words = {} if path == "#" else self._side.mapping.words.get(end_of(self._table.name, path), {})
        if stored is None or not words:
            return stored
        cases = " ".join(f"WHEN {_literal(theirs)} THEN {_literal(ours)}" for theirs, ours in words.items())
        # As text, so that a number or a word of an ENUM can be replaced by a word of ours.
        text = f"CONVERT({stored} USING utf8mb4) COLLATE utf8mb4_bin"
        return f"CASE {text} {cases} ELSE {text} END"

    def _stored(self, path: str) -> str | None:
        way, _, column = path.rpartition(".")
        alias, table = self._reach(way) if way else ("t", self._table.name)
        if alias is None:
            return None
        if column == "#":
            return self._job_number(alias, table)
        return self._column(alias, table, column) if self._side.has(table, column) else None

    def _reach(self, way: str) -> tuple[str | None, str]:
        """Return alias and name of the table that the ids of `way` refer to."""
        before, _, step = way.rpartition(".")
        target = REFERENCES[step]
        from_alias: str | None = "t"
        from_table = self._table.name
        if before:
            from_alias, from_table = self._reach(before)
        if from_alias is None or not self._side.has(from_table, step) or not self._side.has(target, "id"):
            return None, target
        alias = _alias(way)
        if way != self._driver:
            on = f"{self._column(alias, target, 'id')} = {self._column(from_alias, from_table, step)}"
            self._joins.setdefault(way, f"LEFT JOIN `{self._side.mapping.table(target)}` AS {alias} ON {on}")
        return alias, target

    def _job_number(self, alias: str, table: str) -> str:
        mapping = self._side.mapping
        return JOB_NUMBER.format(
            jobs=mapping.table(table), batch=mapping.column(table, "batch_id"), id=mapping.column(table, "id"),
            alias=alias,
        )

    def _column(self, alias: str, table: str, column: str) -> str:
        return f"{alias}.`{self._side.mapping.column(table, column)}`"


def _literal(word: str) -> str:
    """Return a word as a literal without any character that has a meaning in SQL."""
    return f"_utf8mb4 X'{word.encode().hex()}'"


def _alias(way: str) -> str:
    return f"r_{way.replace('.', '_')}"
