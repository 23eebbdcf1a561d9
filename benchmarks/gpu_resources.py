"""What do the kernels of a model take on a GPU, and what bounds them? By NVIDIA's compilers and the kernels' text: no GPU runs.

    python benchmarks/gpu_resources.py build/ci models/water/model.pt    a build folder of CMake, -DSPINCONV_TESTS=ON
    python benchmarks/gpu_resources.py build/ci models/water/model.pt --markdown

Needs NVRTC and ptxas (scripts/nvrtc.sh makes an environment and prints SPINCONV_NVRTC and SPINCONV_PTXAS; or --nvrtc, --ptxas). Operations
are multiply-adds, counted from the kernels' loops and, where these are written out for the model, from their lines. The bounds are those of
a GPU that does nothing else, by its data sheet; a real one is slower.
"""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated, NamedTuple

import typer
from rich.console import Console
from rich.table import Table

from spinconv.export import read_model

HOT = ("receive_first", "receive", "send_first", "send")
PER_ATOM = ("ring_responses", "couple", "ring_responses_back", "couple_back", "head")
NUMBER = 4  # bytes, float32
GRANULE = 256  # registers, of what a warp gets
RESERVED = 1024  # bytes of shared memory a block, from sm_80 on
console = Console(soft_wrap=True, width=None if sys.stdout.isatty() else 140)


class Limits(NamedTuple):
    """Of a multiprocessor (CUDA C++ Programming Guide, technical specifications per compute capability); all have 65,536 registers."""

    shared_kib: int
    threads: int
    blocks: int


class Gpu(NamedTuple):
    """As in its data sheet: float32 without tensor cores."""

    tera_operations: float  # two a multiply-add
    terabytes: float


class Taken(NamedTuple):
    """By a kernel: by a thread registers and bytes of stack and of spills, by a block bytes of shared memory."""

    registers: int
    stack: int
    stores: int
    loads: int
    shared: int


class Work(NamedTuple):
    """Of an edge, or of an atom: multiply-adds, and bytes that a kernel reads and writes outside of shared memory."""

    operations: float
    bytes: float


LIMITS = {
    70: Limits(96, 2048, 32),
    75: Limits(64, 1024, 16),
    80: Limits(164, 2048, 32),
    90: Limits(228, 2048, 32),
    100: Limits(228, 2048, 32),
    120: Limits(100, 1536, 24),
}
GPUS = {"A100": Gpu(19.5, 2.0), "H100 SXM": Gpu(67.0, 3.35)}


def text_of_kernels(program: Path, nvrtc: str, model: Path, architecture: int, folder: Path, dtype: str = "float32") -> str:
    """The text; the kernels, compiled to PTX without a warning, are in the folder."""
    options = ["--nvrtc", nvrtc, "--model", str(model), "--dtype", dtype, "--text-to", str(folder / "text")]
    command = [str(program), *options, str(folder), f"compute_{architecture}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"sm_{architecture}: {done.stdout}{done.stderr}")
    return (folder / "text").read_text()


def assembled(ptxas: str, ptx: Path, architecture: int) -> dict[str, Taken]:
    """What each kernel takes, as ptxas says."""
    command = [ptxas, "-v", f"-arch=sm_{architecture}", "-warn-spills", "-warn-lmem-usage", str(ptx), "-o", os.devnull]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    taken = {}
    for part in said.split("Compiling entry function '")[1:]:
        stack, stores, loads = (int(re.search(rf"(\d+) bytes {what}", part)[1]) for what in ("stack frame", "spill stores", "spill loads"))
        shared = re.search(r"(\d+) bytes smem", part)
        registers = int(re.search(r"Used (\d+) registers", part)[1])
        taken[part.split("'")[0]] = Taken(registers, stack, stores, loads, int(shared[1]) if shared else 0)
    return taken


def occupancy(taken: Taken, threads: int, architecture: int) -> int:
    """Threads at once on a multiprocessor."""
    limits = LIMITS[architecture]
    of_warp = -(-taken.registers * 32 // GRANULE) * GRANULE
    blocks = min(limits.blocks, limits.threads // threads, 65536 // of_warp // -(-threads // 32))
    shared = taken.shared + (RESERVED if architecture >= 80 else 0)
    return threads * (min(blocks, limits.shared_kib * 1024 // shared) if shared else blocks)


def sizes_of(text: str) -> dict[str, int]:
    """The sizes that the text defines for the model."""
    return {name: int(value) for name, value in re.findall(r"^#define (\w+) (\d+)$", text, re.MULTILINE)}


def products_in(text: str, function: str) -> int:
    """Multiplications in a function that is written out for the model: its multiply-adds, within the few products that are not added."""
    body = text[text.index(f"FUNCTION void {function}(") :]
    body = re.sub(r"\* (CHANNELS|STRIDE)\b", "", body[body.index("{") : body.index("\n}\n")])
    return len(re.findall(r" \* ", body))


def work_of_edges(s: dict[str, int], text: str) -> dict[str, Work]:
    """Of an edge, by kernel. Weights are read once for a tile; what a spline or silu takes is 6 to 8 operations for each of its numbers."""
    c, low, high = s["CHANNELS"], s["N_LOW"], s["N_HIGH"]
    spline, silu, place = 6 * c, 8 * c, c // 4 * 25
    knots, edge = 6 * c * NUMBER, 3 * NUMBER + 16 + 2 * NUMBER  # of an edge: its vector, its place in lists, its pair
    weights = (4 * c * c + 5 * c) * NUMBER / s["EDGES"]
    block = high * c + 4 * c * c + 4 * silu + 4 * c + spline + place  # spin convolution, four layers, and what is between
    forward = {way: products_in(text, f"{way}_harmonics") for way in ("low", "high")}
    back = {way: products_in(text, f"{way}_harmonics_back") for way in ("low", "high")}
    of_moments = 2 * low * c + 2 * c  # g of the messages, and dE/dY through the moments
    through_networks = 4 * c * c + 4 * c + 2 * high * c  # and dE/dY and dE/dP through the spin convolution
    gathered = 2 * low * c * NUMBER  # D of the receiver, twice
    polynomials = high * c * NUMBER
    send = forward["high"] + back["high"] + block + of_moments + through_networks + spline + place + c
    return {
        "receive_first": Work(forward["low"] + spline + place + c + low * c, edge + knots),
        "receive": Work(forward["high"] + block + c + low * c, edge + knots + polynomials + weights),
        "send_first": Work(forward["low"] + back["low"] + 2 * (spline + place + c) + of_moments, edge + 2 * knots + gathered + 24),
        "send": Work(send, edge + 2 * (knots + weights) + gathered + polynomials / 2 + 24),  # four edges share a polynomial, read twice
    }


def work_of_atoms(s: dict[str, int], text: str) -> dict[str, Work]:
    """Of an atom, by kernel; what edges of an atom share is in `send`'s and `receive`'s edges."""
    c, rows = s["CHANNELS"], s["N_ROWS"]
    mixing = 2 * rows * s["GROUP_CHANNELS"] * s["USED"]
    moments, responses, polynomial = s["N_LOW"] * c * NUMBER, 2 * rows * c * NUMBER, s["N_HIGH"] * c * NUMBER
    return {
        "ring_responses": Work(mixing, moments + responses),
        "couple": Work(products_in(text, "polynomial_of") * c, responses + polynomial),
        "ring_responses_back": Work(mixing, responses + 2 * moments),
        "couple_back": Work(products_in(text, "polynomial_back") * c, 2 * responses + polynomial),
        "head": Work(2 * c * c, 2 * c * NUMBER + (2 * c * c + 2 * c) * NUMBER / s["EDGES"]),
    }


def launches(n_blocks: int) -> dict[str, int]:
    """Of an evaluation of energy and forces, by kernel (evaluator.cpp)."""
    forward, again = n_blocks, n_blocks - 1
    once = {"receive_first": 1, "receive": n_blocks, "send_first": 1, "send": n_blocks, "head": 1}
    return {
        **once,
        "ring_responses": forward + again + n_blocks,
        "couple": forward + again,
        "ring_responses_back": n_blocks,
        "couple_back": n_blocks,
    }


def show(title: str, columns: list[str], rows: list[list[str]], markdown: bool) -> None:
    if markdown:
        bars = ["| " + " | ".join(row) + " |" for row in [columns, ["---"] * len(columns), *rows]]
        print(f"{title}\n\n" + "\n".join(bars) + "\n")
        return
    table = Table(*columns, title=title)
    for row in rows:
        table.add_row(*row)
    console.print(table)


def show_resources(model: Path, taken: dict[int, dict[str, Taken]], sizes: dict[str, int], markdown: bool) -> None:
    rows = []
    threads = dict.fromkeys((*HOT, "head"), sizes["EDGES"] * sizes["CHANNELS"] // 16)
    for architecture, kernels in taken.items():
        for name in (*HOT, *PER_ATOM):
            one, n = kernels[name], threads.get(name, 128)
            at_once = occupancy(one, n, architecture)
            spilt = f"{one.stores} / {one.loads}" if one.stores or one.loads else "none"
            rows.append([f"sm_{architecture}", name, str(n), str(one.registers), spilt, f"{one.shared / 1024:.1f}",
                         f"{at_once} ({at_once / LIMITS[architecture].threads:.0%})"])  # fmt: skip
    columns = ["GPU", "kernel", "threads a block", "registers", "bytes spilt: stores / loads", "shared KiB", "threads at once on an SM"]
    show(
        f"{model.parent.name}: {sizes['CHANNELS']} channels, lmax {sizes['LMAX']}, tiles of {sizes['EDGES']} edges, float32",
        columns,
        rows,
        markdown,
    )


def show_bounds(sizes: dict[str, int], text: str, n_blocks: int, edges: float, markdown: bool) -> None:
    of_edges, of_atoms, times = work_of_edges(sizes, text), work_of_atoms(sizes, text), launches(n_blocks)
    rows, totals = [], dict.fromkeys(GPUS, (0.0, 0.0))
    for name, work in {**of_edges, **of_atoms}.items():
        of_atom = Work(*(number * (edges if name in of_edges else 1.0) * times[name] for number in work))
        cells = []
        for gpu, has in GPUS.items():
            arithmetic, traffic = 2 * of_atom.operations / has.tera_operations * 1e-6, of_atom.bytes / has.terabytes * 1e-6
            totals[gpu] = (totals[gpu][0] + arithmetic, totals[gpu][1] + traffic)
            cells.append(f"{arithmetic:.3f} / {traffic:.3f}")
        rows.append(
            [name, "edge" if name in of_edges else "atom", str(times[name]), f"{work.operations:,.0f}", f"{work.bytes:,.0f}", *cells]
        )
    rows.append(["all", "", "", "", "", *(f"{arithmetic:.2f} / {traffic:.2f}" for arithmetic, traffic in totals.values())])
    columns = ["kernel", "of an", "launches", "multiply-adds", "bytes", *(f"{name}, µs an atom" for name in GPUS)]
    show(f"{n_blocks} blocks, {edges:g} edges an atom; µs by arithmetic / by bytes, if all came from memory", columns, rows, markdown)


def main(
    build: Annotated[Path, typer.Argument(help="The build folder.")],
    model: Annotated[Path, typer.Argument(help="A model.pt.")],
    nvrtc: Annotated[str, typer.Option(envvar="SPINCONV_NVRTC", help="libnvrtc.so.")] = "",
    ptxas: Annotated[str, typer.Option(envvar="SPINCONV_PTXAS", help="The assembler.")] = "ptxas",
    architectures: Annotated[str, typer.Option(help="Numbers of sm_<number>.")] = ",".join(map(str, LIMITS)),
    edges: Annotated[float, typer.Option(help="Edges an atom.")] = 41.0,
    markdown: Annotated[bool, typer.Option(help="Tables for the documentation.")] = False,
) -> None:
    """Print registers, spills, shared memory and occupancy by kernel, then operations, bytes and the bounds that follow."""
    programs = [path for path in build.rglob("gpu_compile") if path.is_file()]
    if not programs:
        raise typer.BadParameter(f"`build` must have gpu_compile in it, {build} has not: cmake -DSPINCONV_TESTS=ON, cmake --build {build}")
    if not nvrtc:
        raise typer.BadParameter("`nvrtc` must name NVIDIA's compiler, libnvrtc.so, got nothing: scripts/nvrtc.sh gets it")
    with tempfile.TemporaryDirectory() as name:
        taken = {}
        for architecture in map(int, architectures.split(",")):
            text = text_of_kernels(programs[0], nvrtc, model, architecture, Path(name))
            taken[architecture] = assembled(ptxas, Path(name) / f"compute_{architecture}.ptx", architecture)
    show_resources(model, taken, sizes_of(text), markdown)
    show_bounds(sizes_of(text), text, read_model(model).metadata["n_blocks"], edges, markdown)


if __name__ == "__main__":
    typer.run(main)
