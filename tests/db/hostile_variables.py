"""The most hostile values of all session variables of a server, and how to set them globally."""

from gpupanel.db import Database
from gpupanel.errors import PanelError

ALL = """SELECT LOWER(VARIABLE_NAME) AS name, VARIABLE_TYPE AS type, GLOBAL_VALUE AS value, DEFAULT_VALUE AS usual,
  NUMERIC_MIN_VALUE AS low, NUMERIC_MAX_VALUE AS high, ENUM_VALUE_LIST AS choices, READ_ONLY AS fixed
FROM information_schema.SYSTEM_VARIABLES WHERE VARIABLE_SCOPE LIKE 'SESSION%' ORDER BY 1"""

# Values that neither an extreme nor a flipped switch gives.
CHOSEN = {
    "sql_mode": "ORACLE,ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT,IGNORE_SPACE,NO_AUTO_VALUE_ON_ZERO,"
                "HIGH_NOT_PRECEDENCE,NO_UNSIGNED_SUBTRACTION,PAD_CHAR_TO_FULL_LENGTH,ONLY_FULL_GROUP_BY,"
                "TIME_ROUND_FRACTIONAL,EMPTY_STRING_IS_NULL",
    "old_mode": "ZERO_DATE_TIME_CAST,NO_PROGRESS_INFO",
    "time_zone": "+09:30",
    "lc_time_names": "de_DE",
    "lc_messages": "de_DE",
    "character_set_client": "gbk",
    "character_set_connection": "gbk",
    "character_set_results": "gbk",
    "character_set_database": "latin1",
    "character_set_server": "latin1",
    "character_set_filesystem": "latin1",
    "collation_connection": "gbk_bin",
    "collation_database": "latin1_bin",
    "collation_server": "latin1_bin",
    "default_storage_engine": "MyISAM",
    "default_regex_flags": "EXTENDED,DOTALL",
    "sql_select_limit": 20,
    "tx_isolation": "SERIALIZABLE",
    "completion_type": "RELEASE",
    "alter_algorithm": "INSTANT",
    "system_versioning_asof": "2001-01-01 00:00:00",
    "session_track_system_variables": "*",
    "optimizer_switch": "index_merge=off,derived_merge=off,firstmatch=off,loosescan=off,materialization=off,"
                        "semijoin=off,"
                        "index_condition_pushdown=off,subquery_cache=off,exists_to_in=off,"
                        "rowid_filter=off,split_materialized=off",
    "optimizer_trace": "enabled=on",
    "binlog_format": "STATEMENT",
    "max_session_mem_used": 2**20,  # with its lowest value, MariaDB 10.11 ends
}
# Settings under which no program can work; doctor reports each.
REPORTED = {"max_allowed_packet", "enforce_storage_engine"}


def hostile_values(row, extreme: str):
    """Return a variable's most hostile value, or None if only the usual one can be set."""
    name = row["name"]
    if name in REPORTED or row["fixed"] == "YES":
        return None
    if name in CHOSEN:
        return CHOSEN[name]
    if row["type"] == "BOOLEAN":
        return "OFF" if row["value"] == "ON" else "ON"
    if row["type"] in ("ENUM", "SET", "FLAGSET") and row["choices"]:
        choices = [choice for choice in row["choices"].split(",") if choice != row["value"]]
        return choices[0 if extreme == "low" else -1]
    return None if row[extreme] is None else float(row[extreme]) if row["type"] == "DOUBLE" else int(row[extreme])


def make_hostile(db: Database, extreme: str) -> dict[str, object]:
    """Set every variable globally; return those that the server accepted."""
    accepted = {}
    for row in db.execute(ALL):
        value = hostile_values(row, extreme)
        if value is None or row["value"] is None:
            continue
        try:
            db.execute(f"SET GLOBAL {row['name']} = %(value)s", value=value)
        except PanelError:
            continue
        accepted[row["name"]] = value
    return accepted
