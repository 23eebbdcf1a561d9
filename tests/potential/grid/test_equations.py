"""The convolutions against their plain definitions, the constants, and the pages as TorchScript."""

import itertools

import ase
import pytest
import torch
from grid_models import grid_model
from pages import compiled_pages
from structures import collinear, dimer, ethanol, fcc, on_axes, triclinic

from spinconv.potential import build_graph, layers
from spinconv.potential.grid import chunks, constants, equations, network, projection
from spinconv.potential.spherical_harmonics import evaluate_monomials, harmonics_matrix, n_harmonics


@pytest.mark.parametrize("n_longitude", [2, 5, 6, 9, 12])
def test_rolling_by_few_products_is_the_circular_convolution(n_longitude: int) -> None:
    """torch's own, as the original has it: padded by half the circle, of which as many columns as there are go to the mean."""
    generator = torch.Generator().manual_seed(0)
    channels, hidden, n_latitude, n, name = 16, 12, 3, 7, "blocks.0.convolution"
    convolution = torch.nn.Conv1d(
        channels * n_latitude, hidden, n_longitude, groups=2, padding=n_longitude // 2, padding_mode="circular", dtype=torch.float64
    )
    sphere = torch.randn(n, channels * n_latitude, n_longitude, dtype=torch.float64, generator=generator)
    expected = torch.nn.functional.silu(convolution(sphere))[:, :, :n_longitude].mean(dim=2)
    w = {
        f"{name}.weight": convolution.weight,
        f"{name}.bias": convolution.bias,
        **dict(zip(("constants.of_image", "constants.of_kernel", "constants.back"), constants.cyclic_products(n_longitude), strict=True)),
    }
    columns_first = sphere.view(n, channels, n_latitude, n_longitude).permute(3, 0, 2, 1)
    kernels, biases = network.kernels(w, {"n_latitude": float(n_latitude)}, name, 2), convolution.bias.view(2, -1)
    found = [network.roll_on_grid(w, kernels[g], biases[g], columns_first[..., 8 * g : 8 * g + 8]) for g in range(2)]
    torch.testing.assert_close(torch.cat(found, dim=1), expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("n_longitude", [5, 6, 12])
@pytest.mark.parametrize("lmax", [1, 3])
def test_rolling_harmonics_is_rolling_what_is_on_the_grid(lmax: int, n_longitude: int) -> None:
    generator = torch.Generator().manual_seed(0)
    channels, hidden, n_latitude, n, name = 8, 5, 8, 3, "blocks.0.convolution"
    to_harmonics = constants.harmonics_on_grid(n_latitude, n_longitude, lmax)
    weight = torch.randn(hidden, channels * n_harmonics(lmax), dtype=torch.float64, generator=generator)
    w = {
        f"{name}.weight": weight,
        f"{name}.bias": torch.randn(hidden, dtype=torch.float64, generator=generator),
        "constants.harmonics": to_harmonics,
        "constants.rolls": constants.rolls(n_longitude, lmax),
    }
    image = torch.randn(n_longitude, n, n_latitude, channels, dtype=torch.float64, generator=generator)
    expected = torch.zeros(n, hidden, dtype=torch.float64)
    for roll in range(n_longitude):
        rolled = image.roll(roll, dims=0).permute(1, 3, 2, 0).reshape(n * channels, -1)
        a = (rolled @ to_harmonics).view(n, -1)
        expected += torch.nn.functional.silu(a @ weight.T + w[f"{name}.bias"])
    found = network.roll_harmonics(w, network.kernels(w, {}, name, 1), w[f"{name}.bias"], image)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("lmax", [1, 2, 3])
def test_harmonics_on_the_grid_are_found_again(lmax: int) -> None:
    """Values of Y_lm on enough rows and columns have that coefficient alone, times sqrt((2 l + 1) (lmax + 1))."""
    n_latitude, n_longitude = 2 * (lmax + 1), 2 * lmax + 1
    theta = (torch.arange(n_latitude, dtype=torch.float64) + 0.5) * (torch.pi / n_latitude)
    phi = torch.arange(n_longitude, dtype=torch.float64) * (2 * torch.pi / n_longitude)
    theta, phi = theta.repeat_interleave(n_longitude), phi.repeat(n_latitude)
    directions = torch.stack([torch.sin(theta) * torch.cos(phi), torch.sin(theta) * torch.sin(phi), torch.cos(theta)], dim=1)
    found = (evaluate_monomials(directions, lmax) @ harmonics_matrix(lmax)).T @ constants.harmonics_on_grid(n_latitude, n_longitude, lmax)
    norms = torch.tensor([((2 * l + 1) * (lmax + 1)) ** 0.5 for l in range(lmax + 1) for _ in range(2 * l + 1)], dtype=torch.float64)  # noqa: E741
    torch.testing.assert_close(found, torch.diag(norms), rtol=0, atol=1e-12)


@pytest.mark.parametrize("n", [2, 8, 16])
def test_weights_of_latitudes_integrate_polynomials(n: int) -> None:
    x = torch.cos((torch.arange(n, dtype=torch.float64) + 0.5) * (torch.pi / n))
    for power in range(n):
        exact = 1 / (power + 1) if power % 2 == 0 else 0.0  # the mean of cos(theta)^power over the sphere
        assert float((constants.latitude_weights(n) * x**power).sum()) == pytest.approx(exact, abs=1e-14)


@pytest.mark.parametrize("n", [4, 8, 24])
def test_fixed_rotations_are_rotations_far_from_each_other_that_add_up_to_zero(n: int) -> None:
    rotations = constants.fixed_rotations(n)
    torch.testing.assert_close(rotations @ rotations.transpose(1, 2), torch.eye(3, dtype=torch.float64).expand(n, 3, 3), rtol=0, atol=1e-14)
    torch.testing.assert_close(torch.linalg.det(rotations), torch.ones(n, dtype=torch.float64), rtol=0, atol=1e-14)
    torch.testing.assert_close(rotations.sum(dim=0), torch.zeros(3, 3, dtype=torch.float64), rtol=0, atol=1e-14)
    traces = torch.einsum("nab,mab->nm", rotations, rotations)
    apart = torch.arccos(torch.clamp((traces - 1) / 2, -1, 1)) + 10 * torch.eye(n)
    assert apart.min() > 1.0 / n ** (1 / 3)  # rad; the best spread of 24 are 1.05 apart


def test_hashed_numbers_are_uniform_and_another_seed_gives_others() -> None:
    x, other = (equations.hashed({"seed": seed}, 30000, torch.empty(0)) for seed in (0.0, 1.0))
    for values in (x, other):
        counts = torch.histc(values, 10, 0, 1)
        assert ((counts - 3000).abs() < 5 * 3000**0.5).all()
        assert abs(float(torch.corrcoef(torch.stack([values[1:], values[:-1]]))[0, 1])) < 0.03  # five times 1 / sqrt(30000)
    assert abs(float(torch.corrcoef(torch.stack([x, other]))[0, 1])) < 0.03


@pytest.mark.parametrize("seed", [0, -1])
def test_random_rotations_are_rotations(seed: int) -> None:
    like = torch.zeros(0, dtype=torch.float64)
    rotations = equations.random_rotations({"seed": float(seed), "n_rotations": 5.0}, 6, like)
    assert rotations.shape == (5, 6, 3, 3)
    identity = torch.eye(3, dtype=torch.float64).expand_as(rotations)
    torch.testing.assert_close(rotations @ rotations.transpose(2, 3), identity, rtol=0, atol=1e-14)
    torch.testing.assert_close(torch.linalg.det(rotations), torch.ones(5, 6, dtype=torch.float64), rtol=0, atol=1e-14)


MODELS = {
    "intact": {},
    "published, capped": {"gradient": "published", "envelope": False, "max_neighbors": 8},
    "harmonics": {"convolution": "harmonics", "force_convolution": "harmonics", "lmax": 3, "forces": "fixed"},
    "random forces": {"forces": "random", "scale_distances": False},
}


@pytest.fixture(scope="module")
def compiled() -> torch.jit.CompilationUnit:
    return compiled_pages(layers, projection, network, chunks, equations)


@pytest.mark.parametrize("name", MODELS)
def test_the_pages_are_torchscript_and_give_the_same_numbers(compiled: torch.jit.CompilationUnit, name: str) -> None:
    model = grid_model(**MODELS[name])
    w = {key: value.detach() for key, value in model.weights().items()}
    for atoms in (ethanol(), triclinic(), on_axes(), fcc(), collinear(), dimer(1.3), ase.Atoms("C"), ase.Atoms()):
        if "published" in name:
            atoms.rattle(0.1, seed=1)  # equal distances would be capped by rounding
        arguments = build_graph(atoms, model.cutoff, torch.float64)[:3]
        torch.testing.assert_close(
            compiled.energies(w, model.settings(), *arguments), model.energies(*arguments).detach(), rtol=1e-12, atol=0
        )
        if model.config.direct_forces:
            forces = model.forces(*arguments).detach()
            torch.testing.assert_close(compiled.forces(w, model.settings(), *arguments), forces, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", MODELS)
def test_scripted_is_eager_in_single_precision_too(name: str) -> None:
    scripted = torch.jit.script(equations.energies_and_forces if "forces" in MODELS[name] else equations.energies)
    for dtype, rounding in ((torch.float64, 1e-11), (torch.float32, 1e-4)):
        model = grid_model(weights_times=2.0, **MODELS[name]).to(dtype)
        graph = build_graph(ethanol(), model.cutoff, dtype)
        found = scripted(model.weights(), model.settings(), *graph[:3])
        expected = model.energies_and_forces(*graph[:3]) if "forces" in MODELS[name] else model.energies(*graph[:3])
        torch.testing.assert_close(found, expected, rtol=1e-12 if dtype == torch.float64 else 1e-6, atol=rounding)


@pytest.mark.parametrize("size", [1, 30, 512])
@pytest.mark.parametrize("name", [name for name in MODELS if "forces" not in MODELS[name]] + ["rolled harmonics"])
def test_gradients_in_chunks_are_those_of_autograd(name: str, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """However the edges are ordered, and where some of them are beyond the cutoff. As published a reverse edge lies in the column of its
    rounding errors: there edges are in the order that chunks have them in, so that these are the same."""
    monkeypatch.setattr(chunks, "chunk_size", lambda like: size)
    model = grid_model(**{**MODELS, "rolled harmonics": {"convolution": "harmonics", "lmax": 2}}[name])
    for atoms in (ethanol(), triclinic(), on_axes(), collinear(), ase.Atoms("C"), ase.Atoms()):
        atoms.rattle(0.05, seed=1)
        numbers, edge_index, vectors = build_graph(atoms, model.cutoff + 0.3, torch.float64)[:3]
        order = torch.randperm(len(vectors), generator=torch.Generator().manual_seed(0))
        if "published" in name:
            order = torch.argsort(edge_index[0], stable=True)
        edge_index, vectors = edge_index[:, order], vectors[order].requires_grad_(True)
        expected = model.energies(numbers, edge_index, vectors)
        energies, gradients = model.energies_and_gradients(numbers, edge_index, vectors)
        torch.testing.assert_close(energies, expected.detach(), rtol=1e-12, atol=0)
        assert not gradients.requires_grad
        if expected.requires_grad:
            of_autograd = torch.autograd.grad(expected.sum(), vectors)[0]
            torch.testing.assert_close(gradients, of_autograd, rtol=0, atol=1e-11 * max([1.0, *of_autograd.abs().flatten().tolist()]))


def test_chunks_are_of_whole_atoms_and_none_is_empty() -> None:
    sent = torch.tensor([3, 0, 0, 9, 1, 1, 0, 2, 0])
    assert chunks.chunk_bounds(sent, 4) == [0, 4, 9]
    for size in range(1, 20):
        bounds = chunks.chunk_bounds(sent, size)
        assert (bounds[0], bounds[-1]) == (0, len(sent))
        assert all(int(sent[begin:end].sum()) > 0 for begin, end in itertools.pairwise(bounds))


@pytest.mark.parametrize("name", [name for name in MODELS if "forces" in MODELS[name]])
def test_direct_forces_in_chunks_are_those_of_all_edges_at_once(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "chunk_size", lambda like: 20)
    model, arguments = grid_model(**MODELS[name]), build_graph(triclinic(), 4.0, torch.float64)[:3]
    expected = model.energies_and_forces(*arguments)
    with torch.no_grad():
        found = model.energies_and_forces(*arguments)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
