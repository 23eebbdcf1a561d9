"""What a newcomer installs: commands that answer at once, wheels that say what is in them, plugins that say why they do not run."""

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
from grid_models import grid_model

from models import SHIPPED_MODEL
from spinconv.export import build as build_module
from spinconv.export import export_model
from spinconv.export.build import PLUGINS, TORCH_EVALUATOR, minor, read_build
from spinconv.export.engines import EngineUnavailable, check_kind
from spinconv.export.example import example_model, write_example
from spinconv.lammps_plugin import plugin_dir

ROOT = Path(__file__).parent.parent
ENGINES = pytest.mark.skipif(any(read_build(plugin).not_built for plugin in PLUGINS), reason="a plugin was not built")


def run(*command: object, **options: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=600, check=False, **options)  # type: ignore[call-overload]


def spinconv(*arguments: object, **options: object) -> "subprocess.CompletedProcess[str]":
    return run(sys.executable, "-c", "from spinconv.export.cli import app; app()", *arguments, **options)


# ---- the command


def test_the_command_imports_nothing_heavy_to_print_its_help() -> None:
    heavy = {"torch", "numpy", "ase", "matplotlib", "lightning", "openmm", "lammps"}
    done = run(sys.executable, "-c", f"import sys, spinconv.export.cli; print({heavy} & set(sys.modules))")
    assert done.stdout.strip() == "set()", done.stdout + done.stderr


def test_the_entry_point_of_lammps_needs_the_standard_library_only() -> None:
    program = (
        "import sys; before = set(sys.modules); import spinconv.lammps_plugin; print({n.split('.')[0] for n in set(sys.modules) - before})"
    )
    done = run(sys.executable, "-c", program)
    assert eval(done.stdout) - {"spinconv"} <= sys.stdlib_module_names, done.stdout


def test_the_version_says_what_was_built() -> None:
    said = spinconv("--version").stdout
    assert said.startswith("spinconv ")
    assert "\ntorch " in said
    for plugin in (*PLUGINS, TORCH_EVALUATOR):
        assert read_build(plugin).in_words() in said


def test_a_typo_is_answered_by_the_command_that_was_meant() -> None:
    done = spinconv("trian")
    assert done.returncode == 2
    assert "Did you mean 'train'?" in done.stderr


# ---- the package


def test_the_package_names_what_it_has() -> None:
    import spinconv

    assert spinconv.SpinConvCalculator is not None
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        spinconv.nothing  # noqa: B018


def test_the_example_model_is_the_shipped_one() -> None:
    assert example_model("ethanol").read_bytes() == (ROOT / "models" / "ethanol" / "model.pt").read_bytes()
    with pytest.raises(ValueError, match=r"`name` must be one of ethanol, got 'methanol'"):
        example_model("methanol")


@ENGINES
def test_the_example_runs_where_it_was_written(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    written = write_example(folder)
    assert {path.name for path in written} == {"model.pt", "in.ethanol", "data.ethanol", "ethanol.pdb", "ethanol_nve.py"}
    lmp = Path(sys.executable).with_name("lmp")
    done = run(lmp, "-in", "in.ethanol", "-var", "steps", 10, cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    done = run(sys.executable, "ethanol_nve.py", "model.pt", 0.01, cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr


def test_an_example_never_overwrites(tmp_path: Path) -> None:
    write_example(tmp_path)
    (tmp_path / "model.pt").write_bytes(b"mine")
    (tmp_path / "in.ethanol").unlink()
    done = spinconv("example", tmp_path)
    assert done.returncode == 1
    assert "exists already; choose another folder" in done.stdout
    assert (tmp_path / "model.pt").read_bytes() == b"mine"
    assert not (tmp_path / "in.ethanol").exists()


# ---- another torch than the one it was built with


@ENGINES
@pytest.mark.parametrize("variable", ["SPINCONV_TORCHFORCE_PYTHON", "SPINCONV_OTHER_TORCH_PYTHON"])
def test_lammps_refuses_another_torch_in_words(variable: str, tmp_path: Path) -> None:
    if variable not in os.environ:
        pytest.skip(f"{variable} is not set (scripts/other_torch.sh)")
    python = os.environ[variable]
    found = run(python, "-c", "import torch; print(torch.__path__[0], torch.__version__)").stdout.split()
    # the plugin looks for torch where pip puts it: in a folder beside spinconv
    (tmp_path / "torch").symlink_to(found[0])
    plugins = tmp_path / "spinconv" / "lammps_plugin"
    shutil.copytree(plugin_dir(), plugins)
    shutil.copytree(Path(plugin_dir()).with_name(TORCH_EVALUATOR), plugins.with_name(TORCH_EVALUATOR))
    write_example(tmp_path / "example")
    lammps = Path(sysconfig.get_paths()["purelib"]) / "lammps" / "lmp"
    environment = {**os.environ, "LAMMPS_PLUGIN_PATH": str(plugins), "LD_LIBRARY_PATH": str(Path(sys.prefix) / "lib")}
    line = (tmp_path / "example" / "in.ethanol").read_text()
    (tmp_path / "example" / "in.torch").write_text(re.sub(r"^(pair_style +spinconv .*)$", r"\1 evaluator torch", line, flags=re.MULTILINE))
    done = run(lammps, "-in", "in.torch", "-log", "none", cwd=tmp_path / "example", env=environment)
    assert done.returncode == 1, done.stdout + done.stderr
    words = f"it was built for torch {minor(read_build(TORCH_EVALUATOR).torch)}, found torch {minor(found[1])}"
    assert f"pair_style spinconv: `evaluator torch` needs torch, which does not fit: {words}" in done.stdout
    done = run(lammps, "-in", "in.ethanol", "-var", "steps", 10, "-log", "none", cwd=tmp_path / "example", env=environment)
    assert done.returncode == 0, done.stdout + done.stderr  # the native evaluator asks for none


def test_python_refuses_another_torch_before_an_engine_is_loaded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """For models that torch evaluates."""
    export_model(grid_model(), tmp_path / "grid.pt")
    monkeypatch.setattr(build_module, "version", lambda name: "2.99.0")
    words = r"evaluator torch: it was built for torch \d\.\d+, found torch 2\.99; `pip install torch~="
    for plugin in PLUGINS:
        with pytest.raises(EngineUnavailable, match=words):
            check_kind(str(tmp_path / "grid.pt"), plugin)
        check_kind(str(SHIPPED_MODEL), plugin)


# ---- wheels


def wheel_of(python: object, tmp_path: Path, *words: str, **environment: str) -> zipfile.ZipFile:
    """The wheel that this Python's pip makes of the sources."""
    command = [python, "-m", "pip", "--disable-pip-version-check", "wheel", "--no-deps", *words, "-C", f"build-dir={tmp_path / 'build'}"]
    done = run(*command, "-w", tmp_path / "wheel", ROOT, env={**os.environ, **environment})
    assert done.returncode == 0, done.stdout + done.stderr
    return zipfile.ZipFile(next((tmp_path / "wheel").glob("*.whl")))


def requirements(wheel: zipfile.ZipFile) -> list[str]:
    metadata = wheel.read(next(name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))).decode()
    return [line.removeprefix("Requires-Dist: ") for line in metadata.splitlines() if line.startswith("Requires-Dist: ")]


@ENGINES
@pytest.mark.slow
def test_an_isolated_build_has_plugins_for_the_environment_it_is_installed_to(tmp_path: Path) -> None:
    wheel = wheel_of(sys.executable, tmp_path)
    names = wheel.namelist()
    libraries = [
        "export/libspinconv.so",
        "export/libspinconv_torch.so",
        "openmm_plugin/libOpenMMSpinConv.so",
        "potential/harmonic/libspinconv_training.so",
    ]
    for library in (*libraries, "lammps_plugin/spinconvplugin.so", "lammps_plugin/pair_spinconv.so"):
        assert f"spinconv/{library}" in names
    for plugin in (*PLUGINS, TORCH_EVALUATOR):
        assert json.loads(wheel.read(f"spinconv/{plugin}/build.json")) == read_build(plugin)._asdict()
    torch = [line for line in requirements(wheel) if line.startswith("torch")]
    assert torch
    assert all("extra == " in line for line in torch)
    assert not [name for name in names if name.endswith((".cpp", ".h", "CMakeLists.txt"))]
    licences = {name.partition("/licenses/")[2] for name in names if "/licenses/" in name}
    assert licences == {"LICENSE", "NOTICE", "lammps_plugin/LICENSE"}


@pytest.mark.slow
def test_a_build_without_torch_has_the_native_evaluator_and_says_what_it_has_not(tmp_path: Path) -> None:
    assert run(sys.executable, "-m", "venv", tmp_path / "empty").returncode == 0
    wheel = wheel_of(tmp_path / "empty" / "bin" / "python", tmp_path)
    libraries = {name.removeprefix("spinconv/") for name in wheel.namelist() if name.endswith(".so")}
    assert libraries == {"export/libspinconv.so", "potential/harmonic/libspinconv_training.so"}  # which need none
    notes = {folder: json.loads(wheel.read(f"spinconv/{folder}/build.json")) for folder in (*PLUGINS, TORCH_EVALUATOR)}
    assert notes[TORCH_EVALUATOR]["not_built"].startswith("PyTorch was not found (pip install torch)")
    assert notes["openmm_plugin"]["not_built"].startswith("OpenMM was not found")
    assert not [line for line in requirements(wheel) if line.startswith("torch") and "extra ==" not in line]


def test_a_machine_without_a_compiler_gets_no_plugins_and_the_reason(tmp_path: Path) -> None:
    cmake = shutil.which("cmake", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if cmake is None:
        pytest.skip("cmake is not installed")
    done = run(cmake, "-S", ROOT, "-B", tmp_path, "-DSKBUILD=1", env={**os.environ, "CXX": str(tmp_path / "none")})
    assert done.returncode == 0, done.stderr
    assert "pair_style spinconv is not built: a C++17 compiler was not found (Debian: apt-get install g++)" in " ".join(done.stderr.split())


@pytest.mark.slow
def test_the_torch_that_the_package_index_gives_runs_both_engines(tmp_path: Path) -> None:
    """The CUDA build, on a machine without CUDA: its CMake package would want the whole toolkit."""
    if "SPINCONV_CUDA_TORCH_PYTHON" not in os.environ:
        pytest.skip("SPINCONV_CUDA_TORCH_PYTHON is not set (scripts/other_torch.sh)")
    python = Path(os.environ["SPINCONV_CUDA_TORCH_PYTHON"])
    assert "+cu" in run(python, "-c", "import torch; print(torch.__version__)").stdout
    wheel = wheel_of(python, tmp_path, "--no-build-isolation", PATH=f"{python.parent}{os.pathsep}{os.environ['PATH']}")
    wheel.extractall(tmp_path / "site")
    program = "from spinconv.export.cli import app; app()"
    environment = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "PYTHONPATH")}
    done = run(
        python, "-c", program, "check", ROOT / "models" / "ethanol" / "model.pt", "--all",
        env={**environment, "PYTHONPATH": str(tmp_path / "site"), "PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    for engine in ("lammps", "openmm"):
        assert engine in done.stdout
