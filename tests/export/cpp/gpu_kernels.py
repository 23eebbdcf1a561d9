"""python gpu_kernels.py GPU_COMPILE MODEL...: kernels compile for NVIDIA GPUs without a warning; the hot ones keep numbers in registers.

Needs NVRTC and ptxas, by SPINCONV_NVRTC and SPINCONV_PTXAS (scripts/nvrtc.sh), and no GPU. Exits with 77 where they are not there.
"""

import os
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


def main() -> int:
    nvrtc, ptxas = os.environ.get("SPINCONV_NVRTC"), os.environ.get("SPINCONV_PTXAS")
    if not nvrtc or not ptxas:
        print("skipped: SPINCONV_NVRTC and SPINCONV_PTXAS must name NVIDIA's compilers; scripts/nvrtc.sh gets them")
        return SKIPPED
    found = [line for model in sys.argv[2:] for line in problems(Path(sys.argv[1]), nvrtc, ptxas, Path(model))]
    print("\n".join(found) or "ok")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
