"""python instructions.py LIBRARY.a...: is what is compiled for an instruction set shut up in its own units?

A processor without AVX must be able to load the library and to ask which level it has. So outside the units of a level no instruction touches
a wide register; a unit of a level runs nothing when the library is loaded, and offers nothing but its one function: neither a weak symbol, of
which the linker would keep one copy for all units, nor another name.
"""

import re
import subprocess
import sys
from collections import defaultdict

LEVEL = re.compile(r"level_(x86_64_v\d)\.cpp\.o$")
WIDE = re.compile(r"%[yz]mm\d")
MEMBER = re.compile(r"^(\S+\.o):\s+file format")


def by_member(command: list[str]) -> dict[str, list[str]]:
    """Lines that binutils print, by the object file of a library."""
    lines: dict[str, list[str]] = defaultdict(list)
    member = ""
    for line in subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines():
        header = MEMBER.match(line) or re.match(r"^(\S+\.o):$", line)
        if header:
            member = header[1]
        elif line:
            lines[member].append(line)
    return lines


def faults(library: str) -> list[str]:
    """What is wrong, a sentence each."""
    found = []
    code, sections, symbols = (by_member([*command.split(), library]) for command in ("objdump -d --no-show-raw-insn", "objdump -h -w", "nm -C"))
    for member, lines in code.items():
        is_wide = any(WIDE.search(line) for line in lines)
        if is_wide != bool(LEVEL.search(member)):
            found.append(f"{member} {'uses' if is_wide else 'does not use'} wide registers")
    for member in sections:
        level = LEVEL.search(member)
        if not level:
            continue
        found += [f"{member} runs at load: {line.split()[1]}" for line in sections[member] if re.search(r"\.(init|fini)_array|\.[cd]tors|\.init\b", line)]
        for line in symbols[member]:
            kind, name = line[17:].split(" ", 1) if not line.startswith(" " * 16 + " ") else line.split(None, 1)
            is_its_function = kind == "T" and f"::level_{level[1]}()" in name
            if kind.isupper() and kind != "U" and not is_its_function or kind in "wvu" and kind != "t":
                found.append(f"{member} offers {kind} {name}")
    return found


if __name__ == "__main__":
    wrong = [sentence for library in sys.argv[1:] for sentence in faults(library)]
    print("\n".join(wrong) or f"{len(sys.argv) - 1} libraries: each instruction set is in its own unit")
    sys.exit(1 if wrong else 0)
