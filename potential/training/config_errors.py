"""What is wrong with a config, in words: pydantic finds it, the sentences are ours."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel

from spinconv.potential.training.config_rows import field_at
from spinconv.potential.words import shown

WANTED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "string_type": "text",
    "dict_type": "a section of keys and values",
    "model_type": "a section of keys and values",
    "model_attributes_type": "a section of keys and values",
    "list_type": "a list",
}


MOST_KEY = 200
"""Characters of a key in a sentence."""


def sentence(error: Any, section: type[BaseModel], above: list[str], known: Sequence[str]) -> str:
    """One of pydantic's complaints about a section, which is at the keys `above`, in our words; `known` are all keys that there are."""
    where = [str(part) for part in error["loc"] if not (isinstance(part, str) and part.endswith("]"))]
    key = ".".join(above + where)[:MOST_KEY]
    kind, got, context = error["type"], error["input"], error.get("ctx", {})
    if kind == "missing":
        its_section, name = field_at(section, where)
        return f"`{key}` is missing: {its_section.model_fields[name].description}"
    removed: dict[str, str] = getattr(section, "removed", {})
    if kind == "extra_forbidden" and len(where) == 1 and where[0] in removed:
        return f"`{key}` {removed[where[0]]}"
    if kind == "extra_forbidden":
        return f"`{key}` is not a known key; {suggestion(key, list(field_at(section, where)[0].model_fields), known)}"
    if kind in WANTED:
        wanted = f"must be {WANTED[kind]}"
    elif kind == "literal_error":
        wanted = f"must be one of {context['expected'].replace(chr(39), '')}"
    elif kind in ("greater_than", "greater_than_equal", "less_than", "less_than_equal"):
        words = {"gt": "above", "ge": "at least", "lt": "below", "le": "at most"}
        bound = next(name for name in words if name in context)
        wanted = f"must be {words[bound]} {context[bound]}"
    elif kind in ("too_short", "too_long"):
        least = kind == "too_short"
        wanted = f"must have a length of at {'least' if least else 'most'} {context['min_length' if least else 'max_length']}"
    else:
        wanted = str(context.get("error", error["msg"]))
        if kind == "value_error" and (isinstance(got, (dict, BaseModel)) or not key):
            return f"`{key}` {wanted}" if key else wanted
    return f"`{key}` {wanted}, got {shown(got)}"


def suggestion(key: str, known_here: list[str], known: Sequence[str]) -> str:
    """What a user may have meant by a key: one of this name in another section, one that is spelled alike, or any that is known here."""
    section, _, name = key.rpartition(".")
    here = [f"{section}.{other}" if section else other for other in known_here]
    everywhere = list(dict.fromkeys([*here, *known]))
    for keys, cutoff in ((everywhere, 1.0), (here, 0.6), (everywhere, 0.6)):
        names = [other.rpartition(".")[2] for other in keys]
        if close := difflib.get_close_matches(name, names, n=1, cutoff=cutoff):
            *first, last = [f"`{other}`" for other, its_name in zip(keys, names, strict=True) if its_name == close[0]]
            return f"did you mean {', '.join(first)} or {last}?" if first else f"did you mean {last}?"
    return f"known here: {', '.join(known_here)}"
