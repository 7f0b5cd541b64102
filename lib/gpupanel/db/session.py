"""The session variables that statements rely on, whatever the server's defaults are.

docs/decisions/0120-session-variables.md has one line for each session variable of the server: set here, harmless, or
reported by doctor. DEFAULT would be the server's own value, so each value is written out.
"""

# A statement of its own: the names of these variables differ between versions. It also sets tx_read_only.
TRANSACTIONS = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED, READ WRITE"

SQL_MODE = "STRICT_ALL_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION"
MAX = 2**64 - 1

VARIABLES: dict[str, int | str] = {
    "autocommit": 0,
    "completion_type": "NO_CHAIN",
    "sql_mode": SQL_MODE,
    "old_mode": "UTF8_IS_UTF8MB3",
    "time_zone": "+00:00",
    "lc_time_names": "en_US",
    "lc_messages": "en_US",
    # Rows that a statement reads, changes or refuses.
    "sql_select_limit": MAX,
    "max_join_size": MAX,
    "sql_big_selects": 1,
    "sql_safe_updates": 0,
    "sql_auto_is_null": 0,
    "foreign_key_checks": 1,
    "unique_checks": 1,
    "check_constraint_checks": 1,
    # Values that a statement computes or sorts.
    "group_concat_max_len": 2**20,
    "max_sort_length": 1024,
    "div_precision_increment": 4,
    "default_week_format": 0,
    "default_regex_flags": "",
    "max_recursive_iterations": 1000,
    # SHOW CREATE TABLE, DDL and accounts, for init-db and doctor.
    "sql_quote_show_create": 1,
    "sql_if_exists": 0,
    "old_passwords": 0,
    "alter_algorithm": "DEFAULT",
    # A plan that chunks of 500 keys rely on.
    "in_predicate_conversion_threshold": 1000,
    # Limits in seconds and bytes. The client's own read timeout ends a statement.
    "max_statement_time": 0,
    "lock_wait_timeout": 86400,
    "wait_timeout": 28800,
    "net_read_timeout": 30,
    "net_write_timeout": 60,
    "idle_readonly_transaction_timeout": 0,
    "idle_write_transaction_timeout": 0,
    "max_session_mem_used": 2**63 - 1,
    "tmp_disk_table_size": MAX,
}


def session_statement(*, idle_seconds: int, lock_seconds: int) -> str:
    """Return the statement that sets all variables of a session."""
    own = {"idle_transaction_timeout": idle_seconds, "innodb_lock_wait_timeout": lock_seconds}
    values = ", ".join(f"{name} = {value!r}" for name, value in (VARIABLES | own).items())
    return f"SET NAMES utf8mb4 COLLATE utf8mb4_general_ci, {values}"
