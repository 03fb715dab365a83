"""What an operator can put right: the root of all errors that they read.

    OperatorError
    ├── DocumentError            a catalog, a configuration or a keys file has mistakes
    ├── SaltError                TELEMETRY_HASH_SALT is too short
    │   └── WeakSalt             or easy to guess
    ├── EmbeddedPostgresError    the Postgres of our own cannot be used
    ├── Unsuitable               a server, pooler or role with which no promise can be kept
    ├── ReadOnly                 the server may not be written now
    ├── NewerSchema              a newer Footfall has migrated the database
    ├── SchemaBusy               somebody holds what has to be changed
    ├── SchemaConflict           the catalog does not fit the tables that are there
    ├── SpoolError               the spool cannot be opened
    ├── StartError               the collector cannot start, or cannot go on
    ├── Unasked                  a collector that runs cannot be asked by what it works
    ├── NotThere                 there is nothing to ask
    ├── OtherViews               the views of the database are those of another version
    ├── WrongQuestion            a report cannot be asked so
    ├── WrongAnnotation          what happened cannot be written so
    ├── NotAllowed               a session cannot have the role that it is for
    ├── BackupError              a backup cannot be made, or cannot be restored
    ├── NotOurs                  a folder to be published in is not written
    ├── NotFound                 an application cannot be looked at
    ├── NotAdded                 events cannot be added to a catalog as it is written
    ├── ReceiptError             nobody can be told what is stored under a receipt, or nothing is erased
    └── OutOfPatience            a subscriber's backend is not available

`DocumentError` and `SaltError` are a ValueError as well, `Unsuitable` and `ReadOnly` a psycopg.Error.
"""

from typing import ClassVar


class OperatorError(Exception):
    """Something that whoever runs Footfall can put right; its message is one line.

    Args:
        found: What is wrong; no value that was sent, and no secret.
        advice: What to do; empty where `found` says it, or only a log does.

    Attributes:
        found: As given.
        advice: As given.
    """

    BETWEEN: ClassVar[str] = "; "
    """What stands between the two in the message."""

    def __init__(self, found: str, advice: str = "") -> None:
        super().__init__(f"{found}{self.BETWEEN}{advice}" if advice else found)
        self.found, self.advice = found, advice
