"""python instructions.py LIBRARY.a...: is what is compiled for an instruction set shut up in its own units?

A processor without AVX must be able to load the library and to ask which level it has. So outside the units of a level no instruction
touches a wide register; a unit of a level runs nothing when the library is loaded, and offers nothing but its one function: neither a
weak symbol, of which the linker would keep one copy for all units, nor another name.
"""

import re
import subprocess
import sys
from collections import defaultdict

LEVEL = re.compile(r"level_(x86_64_v\d)\.cpp\.o$")
WIDE = re.compile(r"%[yz]mm\d")
AT_LOAD = re.compile(r"\.(init|fini)_array|\.[cd]tors|\.init\b")
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


def offered(line: str, level: str) -> str:
    """What a line of `nm` offers to other units, other than the function of the level; "" if nothing."""
    kind, name = line[16:].split(None, 1)
    is_its_function = kind == "T" and f"::level_{level}()" in name
    is_kept_to_itself = kind in "Utrdbn"
    return "" if is_its_function or is_kept_to_itself else f"{kind} {name}"


def faults(library: str) -> list[str]:
    """What is wrong, a sentence each."""
    found = []
    code = by_member(["objdump", "-d", "--no-show-raw-insn", library])
    sections, symbols = by_member(["objdump", "-h", "-w", library]), by_member(["nm", "-C", library])
    for member, lines in code.items():
        level = LEVEL.search(member)
        is_wide = any(WIDE.search(line) for line in lines)
        if is_wide != bool(level):
            found.append(f"{member} {'uses' if is_wide else 'does not use'} wide registers")
        if level:
            found += [f"{member} runs at load: {line.split()[1]}" for line in sections[member] if AT_LOAD.search(line)]
            found += [f"{member} offers {what}" for line in symbols[member] if (what := offered(line, level[1]))]
    return found


if __name__ == "__main__":
    wrong = [sentence for library in sys.argv[1:] for sentence in faults(library)]
    print("\n".join(wrong) or f"{len(sys.argv) - 1} libraries: each instruction set is in its own unit")
    sys.exit(1 if wrong else 0)
