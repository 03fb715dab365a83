"""The server's settings: sensible for a small machine, and a log that quotes nobody."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from footfall_exporters.embedded.errors import EmbeddedPostgresError
from footfall_exporters.embedded.listening import NO_TCP

_DEFAULTS = {
    "shared_buffers": "64MB",
    "max_connections": "40",
    "work_mem": "8MB",
    "maintenance_work_mem": "32MB",
    "effective_cache_size": "512MB",
    "max_wal_size": "512MB",
    "jit": "off",
    "fsync": "on",
    "scram_iterations": "4096",  # Postgres's default, for passwords that people choose (see cluster.py)
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
}

_SINCE = {"scram_iterations": 16}
"""In which major version a setting came, where that is one of those supported."""

# The log never quotes a statement, a parameter or a row. An ERROR quotes values in its own text
# ("invalid input syntax for type integer: ..."), so only LOG, FATAL and PANIC are written; the client still
# gets it. Terse leaves out DETAIL, HINT, QUERY and CONTEXT: they quote rows, or what a crashed session ran.
_PRIVACY = {
    "log_min_messages": "log",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_statement": "none",
    "log_duration": "off",
    "log_min_duration_statement": "-1",
    "log_min_duration_sample": "-1",
    "log_transaction_sample_rate": "0",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
    "log_replication_commands": "off",
    "log_parser_stats": "off",
    "log_planner_stats": "off",
    "log_executor_stats": "off",
    "log_statement_stats": "off",
    "debug_print_parse": "off",
    "debug_print_rewritten": "off",
    "debug_print_plan": "off",
    "log_line_prefix": "%m [%p] ",
    "log_destination": "stderr",
    "logging_collector": "off",
}


def server_arguments(
    settings: Mapping[str, str], sockets: Path, tcp: Mapping[str, str] = NO_TCP
) -> list[str]:
    """Return the `-c` arguments of the server: defaults, then `settings`, then what is fixed.

    They go on the command line because it wins over every configuration file in the data directory.

    Raises:
        EmbeddedPostgresError: `settings` names one that is fixed.
    """
    given = {name.lower().replace("-", "_"): value for name, value in settings.items()}
    fixed = _PRIVACY | _placement(sockets) | dict(tcp)
    if clash := sorted(given.keys() & fixed.keys()):
        raise EmbeddedPostgresError(
            f"the Postgres setting {clash[0]} is fixed by Footfall", "remove it from the settings"
        )
    return [f"-c{name}={value}" for name, value in (_DEFAULTS | given | fixed).items()]


def known_to(major: int, arguments: Sequence[str]) -> list[str]:
    """Those of the arguments that a major version of Postgres knows."""
    return [each for each in arguments if major >= _SINCE.get(each[2:].partition("=")[0], 0)]


def _placement(sockets: Path) -> dict[str, str]:
    quoted = str(sockets).replace('"', '""')
    return {
        "unix_socket_directories": f'"{quoted}"',
        "unix_socket_permissions": "0700",
    }
