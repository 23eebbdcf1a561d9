"""python gpu_kernels.py GPU_COMPILE MODEL...: kernels compile for NVIDIA GPUs without a warning; the hot ones keep numbers in registers.

Those that the plugin of OpenMM has beside a model's are compiled, too.
Needs NVRTC and ptxas, by SPINCONV_NVRTC and SPINCONV_PTXAS (scripts/nvrtc.sh), and no GPU. Exits with 77 where they are not there.
"""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

SKIPPED = 77
sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "benchmarks"))
from gpu_resources import HOT, LIMITS, assembled, text_of_kernels  # noqa: E402

# What ptxas may spill, a few registers, to have a third block at once; sixteen numbers that were an array in memory would be 64 bytes.
MOST_SPILT = {90: 16, 100: 24}  # bytes a thread, 0 elsewhere


def problems(program: Path, nvrtc: str, ptxas: str, model: Path) -> list[str]:
    """Sentences about hot kernels of a model whose numbers are not in registers, in float32."""
    found = []
    with tempfile.TemporaryDirectory() as name:
        for architecture in LIMITS:
            text_of_kernels(program, nvrtc, model, architecture, Path(name))
            taken = assembled(ptxas, Path(name) / f"compute_{architecture}.ptx", architecture)
            found += [
                f"{model.parent.name}, sm_{architecture}, {kernel}: {taken[kernel]}"
                for kernel in HOT
                if taken[kernel].stack > MOST_SPILT.get(architecture, 0)
            ]
        text_of_kernels(program, nvrtc, model, 80, Path(name), "float64")
    return found


PAGES = Path(__file__).resolve().parents[3] / "openmm_plugin" / "src" / "context_kernels.h"
OF_OPENMM = "typedef unsigned long long mm_ulong;\n#define FORCE_UNIT 964.85\n"  # words that stand before the pages in a Context
PRECISIONS = ["", "#define WIDE_IS_DOUBLE\n", "#define WIDE_IS_DOUBLE\n#define POSITIONS_ARE_DOUBLE\n"]


def problems_of_pages(program: Path, nvrtc: str) -> list[str]:
    """What the compiler says of the kernels of the OpenMM plugin, if anything."""
    found = []
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "page"
        for page in re.findall(r'R"KERNELS\((.*?)\)KERNELS"', PAGES.read_text(), re.DOTALL):
            for precision in PRECISIONS:
                file.write_text(precision + OF_OPENMM + page)
                command = [str(program), "--nvrtc", nvrtc, str(file), name, *(f"compute_{architecture}" for architecture in LIMITS)]
                done = subprocess.run(command, capture_output=True, text=True, check=False)
                found += [done.stdout + done.stderr] if done.returncode else []
    return found


def main() -> int:
    nvrtc, ptxas = os.environ.get("SPINCONV_NVRTC"), os.environ.get("SPINCONV_PTXAS")
    if not nvrtc or not ptxas:
        print("skipped: SPINCONV_NVRTC and SPINCONV_PTXAS must name NVIDIA's compilers; scripts/nvrtc.sh gets them")
        return SKIPPED
    found = problems_of_pages(Path(sys.argv[1]), nvrtc)
    found += [line for model in sys.argv[2:] for line in problems(Path(sys.argv[1]), nvrtc, ptxas, Path(model))]
    print("\n".join(found) or "ok")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
