"""LMDB files, read page by page with every offset checked: what is cut short or damaged is a sentence, where the memory map of LMDB's
own library would end the process. Nothing is locked, and nothing is written beside the file."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from spinconv.potential.training.frames import DataError

MAGIC, VERSION = 0xBEEFC0DE, 1
HEADER = 16  # bytes of a page before its contents
META = struct.Struct("<IIQQ")  # magic, version, address and size of the map
TREE = struct.Struct("<IHHQQQQQ")  # page size or pad, flags, depth, pages: branch, leaf, overflow; entries, root
PAGE = struct.Struct("<QHHHH")  # number, pad, flags, end of the offsets of nodes, begin of the nodes
NODE = struct.Struct("<HHHH")  # size of the data or page of the child, low and high; flags; size of the key
BRANCH, LEAF, OVERFLOW = 1, 2, 4  # kinds of pages
ON_PAGES_OF_ITS_OWN, NO_PLAIN_VALUE = 1, 6  # of a node: the data; the data is a tree, or several values
EMPTY = 2**64 - 1
DEEPEST = 32  # levels of a tree


class Tree(NamedTuple):
    """The main database of a file: its pages' size, its root, and how many entries it has."""

    page_size: int
    root: int
    entries: int


def is_lmdb(path: Path) -> bool:
    """Whether a file is LMDB's, whatever its name."""
    with path.open("rb") as file:
        return file.read(HEADER + 4)[HEADER:] == MAGIC.to_bytes(4, "little")


def entries(path: Path) -> dict[bytes, memoryview]:
    """All keys of a file and their values; DataError where the file is damaged."""
    try:
        return dict(items(memoryview(path.read_bytes())))
    except (struct.error, IndexError, ValueError) as error:
        raise DataError(f"{path}: is damaged or cut short: {error}; copy or download it again") from error


def items(data: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    """Keys and values in the order of the tree."""
    tree = newest_tree(data)
    budget = len(data) // tree.page_size  # pages there are: a tree that visits more goes in a circle
    waiting, n = ([] if tree.root == EMPTY else [(tree.root, 0)]), 0
    while waiting:
        number, depth = waiting.pop()
        budget -= 1
        if budget < 0 or depth > DEEPEST:
            raise ValueError("its pages go in a circle")
        page, flags = page_of(data, tree.page_size, number)
        nodes = list(nodes_of(page))
        if flags & LEAF:
            for flag, size, key, rest in nodes:
                yield key, value_of(data, tree.page_size, flag, size, rest)
                n += 1
        elif flags & BRANCH:
            children = [(size | flag << 32, depth + 1) for flag, size, _, _ in nodes]
            waiting += reversed(children)
        else:
            raise ValueError(f"page {number} is none of its tree")
    if n != tree.entries:
        raise ValueError(f"it says that it has {tree.entries} entries, and has {n}")


def newest_tree(data: memoryview) -> Tree:
    """The main database of the transaction that ended last: two pages at the beginning of a file take turns."""
    size = TREE.unpack_from(data, HEADER + META.size)[0]
    if size not in {2**k for k in range(9, 17)}:
        raise ValueError(f"its pages cannot have {size} bytes")
    found = []
    for start in (HEADER, size + HEADER):
        magic, version, _, _ = META.unpack_from(data, start)
        if magic != MAGIC:
            raise ValueError("a page at its beginning is not LMDB's")
        if version != VERSION:
            raise ValueError(f"it is of LMDB's format {version}, known is {VERSION} (LMDB 0.9); dump and load it with that")
        main = TREE.unpack_from(data, start + META.size + TREE.size)
        (transaction,) = struct.unpack_from("<Q", data, start + META.size + 2 * TREE.size + 8)
        found.append((transaction, Tree(size, main[7], main[6])))
    return max(found)[1]


def page_of(data: memoryview, size: int, number: int) -> tuple[memoryview, int]:
    """A page with its header, and its flags."""
    page = data[number * size : (number + 1) * size]
    if len(page) < size:
        raise ValueError(f"page {number} lies beyond its end")
    says, _, flags, _, _ = PAGE.unpack_from(page)
    if says != number:
        raise ValueError(f"page {number} says that it is page {says}")
    return page, flags


def nodes_of(page: memoryview) -> Iterator[tuple[int, int, bytes, memoryview]]:
    """Flags, size of the data, key and what comes after the key of every node of a page."""
    _, _, _, lower, _ = PAGE.unpack_from(page)
    for k in range((lower - HEADER) // 2):
        (at,) = struct.unpack_from("<H", page, HEADER + 2 * k)
        low, high, flags, key_size = NODE.unpack_from(page, at)
        key_end = at + NODE.size + key_size
        if key_end > len(page):
            raise ValueError("a key lies beyond its page")
        yield flags, low | high << 16, bytes(page[at + NODE.size : key_end]), page[key_end:]


def value_of(data: memoryview, page_size: int, flags: int, size: int, rest: memoryview) -> memoryview:
    """The value of a node: behind its key, or on pages of its own."""
    if flags & NO_PLAIN_VALUE:
        raise ValueError("it holds databases within the database")
    if not flags & ON_PAGES_OF_ITS_OWN:
        if size > len(rest):
            raise ValueError("a value lies beyond its page")
        return rest[:size]
    (number,) = struct.unpack_from("<Q", rest)
    _, kind = page_of(data, page_size, number)
    start = number * page_size + HEADER
    if not kind & OVERFLOW or start + size > len(data):
        raise ValueError("a value lies beyond its end")
    return data[start : start + size]
