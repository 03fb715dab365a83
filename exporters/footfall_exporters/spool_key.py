"""The key of a spool, which hides digests: what waits on disk must not confirm a guess at a request (ADR 21).

The ledger's key is not known while Postgres is away. So the spool has one of its own, in a file beside it,
with which digests can be had back: a permutation of 128 bits, four rounds of a Feistel network over
HMAC-SHA256 (Luby, Rackoff: How to construct pseudorandom permutations, 1988).
"""

import hmac
from collections.abc import Iterable
from pathlib import Path

from footfall_exporters import secret_file

FILE = "key"
_HALF, _ROUNDS = 8, 4


class SpoolKey:
    """Hides digests of 16 bytes; others, which only damage makes, are left as they are.

    Args:
        secret: 32 random bytes.
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def hide(self, digest: bytes) -> bytes:
        """What stands for a digest in the file."""
        return self._rounds(digest, range(_ROUNDS))

    def show(self, hidden: bytes) -> bytes:
        """The digest that was hidden."""
        return self._rounds(hidden[_HALF:] + hidden[:_HALF], reversed(range(_ROUNDS)), swapped=True)

    def _rounds(self, block: bytes, numbers: Iterable[int], *, swapped: bool = False) -> bytes:
        if len(block) != 2 * _HALF:
            return block
        left, right = block[:_HALF], block[_HALF:]
        for number in numbers:
            mask = hmac.digest(self._secret, bytes((number,)) + right, "sha256")[:_HALF]
            left, right = right, bytes(a ^ b for a, b in zip(left, mask, strict=True))
        return right + left if swapped else left + right


def load(directory: Path) -> SpoolKey:
    """The key of the spool in a directory, made when it is missing; worker processes share it.

    Raises:
        OSError: it can be neither read nor made.
    """
    return SpoolKey(secret_file.read(directory / FILE))
