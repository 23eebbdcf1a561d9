"""What comes from a user's file, in sentences: never longer than can be read."""

from typing import Any

MOST = 300
"""Characters."""


def element_name(number: int) -> str:
    """The symbol of an atomic number; a number that no element has, as it is.

    >>> element_name(8), element_name(0), element_name(1000)
    ('O', 'atomic number 0', 'atomic number 1000')
    """
    from ase.data import chemical_symbols  # here, because the command's help must not wait for it

    return chemical_symbols[number] if 0 < number < len(chemical_symbols) else f"atomic number {number}"


def shown(value: Any, most: int = 100) -> str:
    """A value as Python writes it, or its beginning.

    >>> shown("one"), shown("x" * 1000, 6)
    ("'one'", "'xxxxx...")
    """
    return cut(repr(value), most)


def in_one_line(error: BaseException) -> str:
    """What another library says, without its line breaks; its kind where it says nothing.

    >>> in_one_line(ValueError("one\\n two")), in_one_line(KeyError())
    ('one two', 'KeyError')
    """
    return cut(" ".join(str(error).split()) or type(error).__name__, MOST)


def cut(text: str, most: int) -> str:
    """The text, or its beginning."""
    return text if len(text) <= most else f"{text[:most]}..."
