"""The marker of a gateway; a store has its own in its database (`footfall_exporters.postgres.origin`)."""

import secrets


def random_marker() -> str:
    """What a gateway marks all that it passes on with, until it is started again.

    Made from its configuration it would be that of others, too, where the same file is used in several
    places: what one of them passes on to the next would be taken for a loop, and refused.
    """
    return secrets.token_hex(8)
