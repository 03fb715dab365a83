"""How a fault of our own is survived: it is said where it happened, and the work goes on."""

import logging
import traceback


def log_fault(log: logging.Logger, what: str, error: BaseException) -> None:
    """Logs what failed, with the kind of its error and the places in the code that it came through.

    Not what the error says: that may quote what was sent, or a value that is stored.

    Args:
        log: Of the caller, who is named as the place of the record.
        what: What failed, as a sentence without its end; ours alone.
        error: What nobody foresaw.
    """
    where = "".join(traceback.format_tb(error.__traceback__))
    log.error("%s: %s\n%s", what, type(error).__name__, where, stacklevel=2)
