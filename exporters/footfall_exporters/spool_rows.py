"""A row of the spool, with a checksum; and the rows of a file that SQLite cannot read as a whole.

Rows are looked for page by page (https://www.sqlite.org/fileformat2.html, "B-tree Pages", "Record Format"),
so that whatever else of the file is damaged, what is left of a page is found.
"""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

PAGE = 4096
_SEALED, _HIDDEN = 0xC1, 0xC2
"""First byte of a row with a checksum, and of one whose digest is hidden too. No batch in MessagePack begins
with these, so that former rows have neither."""
_SUM = 8
_LEAF = 0x0D
_FREE = 2
_HEADER = 100
_MAPPED = PAGE // 5
"""Pages that one page of the pointer map (there with auto_vacuum) tells of."""
_DIGEST = 16


class Row(NamedTuple):
    """One row as it lies in a file.

    Attributes:
        id: Its place in the order.
        digest: Of the batch, as it stands there.
        sealed: The batch, with its checksum.
    """

    id: int
    digest: bytes
    sealed: bytes


def seal(body: bytes) -> bytes:
    """A body with its checksum: for what disks and memory do, not against anybody's intent."""
    return bytes((_HIDDEN,)) + _checksum(body) + body


def is_hidden(sealed: bytes) -> bool:
    """Whether a row's digest is hidden (spool_key.py); a former version's is not."""
    return sealed[:1] == bytes((_HIDDEN,))


def unseal(sealed: bytes) -> bytes | None:
    """The body; None when it is not what was sealed. What a former version wrote has no checksum."""
    if not sealed or sealed[0] not in (_SEALED, _HIDDEN):
        return sealed
    body = sealed[1 + _SUM :]
    return body if sealed[1 : 1 + _SUM] == _checksum(body) else None


def _checksum(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=_SUM).digest()


def rows(path: Path) -> Iterator[Row]:
    """Every row that a file still has, in the order of its pages; some of them may be damaged.

    Raises:
        OSError: the file cannot be read.
    """
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        pages = -(-os.fstat(file).st_size // PAGE)
        for number in range(1, pages + 1):
            if not _is_free(file, number):
                yield from _rows_of(file, number, pages)
    finally:
        os.close(file)


def _page(file: int, number: int) -> bytes:
    return os.pread(file, PAGE, (number - 1) * PAGE).ljust(PAGE, b"\0")


def _is_free(file: int, number: int) -> bool:
    """Whether the pointer map says so: what a free page holds has been taken out."""
    if number < 3:
        return False
    map_page = 2 + (number - 2) // (_MAPPED + 1) * (_MAPPED + 1)
    entry = os.pread(file, 1, (map_page - 1) * PAGE + 5 * (number - map_page - 1))
    return number != map_page and entry == bytes((_FREE,))


def _rows_of(file: int, number: int, pages: int) -> Iterator[Row]:
    page = _page(file, number)
    start = _HEADER if number == 1 else 0
    if page[start] != _LEAF:
        return
    cells = int.from_bytes(page[start + 3 : start + 5], "big")
    first = start + 8
    for pointer in range(first, min(first + 2 * cells, PAGE - 1), 2):
        try:
            row = _cell(file, page, int.from_bytes(page[pointer : pointer + 2], "big"), pages)
        except (IndexError, ValueError):
            continue
        if row is not None:
            yield row


def _cell(file: int, page: bytes, at: int, pages: int) -> Row | None:
    """A row of three columns: the id, which is NULL in the record, and two blobs."""
    size, at = _varint(page, at)
    position, at = _varint(page, at)
    if size > pages * PAGE:
        return None
    payload = _payload(file, page, at, size, pages)
    header, place = _varint(payload, 0)
    types = []
    while place < header:
        kind, place = _varint(payload, place)
        types.append(kind)
    if len(types) != 3 or types[0] != 0 or types[1] != 12 + 2 * _DIGEST:
        return None
    if types[2] < 12 or types[2] % 2:
        return None
    middle, end = header + _DIGEST, header + _DIGEST + (types[2] - 12) // 2
    return Row(_signed(position), payload[header:middle], payload[middle:end])


def _payload(file: int, page: bytes, at: int, size: int, pages: int) -> bytes:
    """The record, with what lies on overflow pages; cut off where their chain is broken."""
    most = PAGE - 35
    if size <= most:
        return page[at : at + size]
    least = (PAGE - 12) * 32 // 255 - 23
    local = least + (size - least) % (PAGE - 4)
    if local > most:
        local = least
    found = [page[at : at + local]]
    following, left = int.from_bytes(page[at + local : at + local + 4], "big"), size - local
    while left > 0 and 1 < following <= pages:
        overflow = _page(file, following)
        found.append(overflow[4 : 4 + left])
        following, left = int.from_bytes(overflow[:4], "big"), left - (PAGE - 4)
    return b"".join(found)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A number, and where the next begins."""
    value = 0
    for place in range(8):
        byte = data[at + place]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at + place + 1
    return value << 8 | data[at + 8], at + 9


def _signed(value: int) -> int:
    return value - 2**64 if value >= 2**63 else value
