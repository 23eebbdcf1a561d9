"""Names of elements in sentences."""

from ase.data import chemical_symbols


def element_name(number: int) -> str:
    """The symbol of an atomic number; a number that no element has, as it is.

    >>> element_name(8), element_name(0), element_name(1000)
    ('O', 'atomic number 0', 'atomic number 1000')
    """
    return chemical_symbols[number] if 0 < number < len(chemical_symbols) else f"atomic number {number}"
