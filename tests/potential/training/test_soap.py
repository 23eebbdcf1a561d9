import copy

import pytest
import torch
from torch import nn

from spinconv.potential import HarmonicSpinConv, ModelConfig
from spinconv.potential.training.optimizer import parameter_groups
from spinconv.potential.training.soap import SOAP, as_matrices, is_matrix


@pytest.fixture(autouse=True)
def doubles():
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def random_orthogonal(n: int) -> torch.Tensor:
    return torch.linalg.qr(torch.randn(n, n)).Q


def move(optimizer: torch.optim.Optimizer, parameter: nn.Parameter, gradient: torch.Tensor) -> torch.Tensor:
    """The change of a parameter in a step."""
    before = parameter.detach().clone()
    parameter.grad = gradient.clone()
    optimizer.step()
    return parameter.detach() - before


def signed_permutation(n: int) -> torch.Tensor:
    return torch.eye(n)[torch.randperm(n)] * torch.randn(n).sign()


def test_in_a_converged_basis_it_is_adam_in_the_eigenbasis_of_a_kronecker_hessian():
    """Of tr(W^T A W B) / 2: its gradient is A W B, and the factors have the eigenvectors of A and B where W has all directions alike."""
    n = 6
    u, v = random_orthogonal(n), random_orthogonal(n)
    a, b = 2.0 ** -torch.arange(n), 3.0 ** -torch.arange(n)  # eigenvalues; their squares lie far enough apart to keep their order
    ours, turned = nn.Parameter(torch.zeros(n, n)), nn.Parameter(torch.zeros(n, n))
    soap = SOAP([ours], lr=0.1, refresh_steps=1)
    adam = torch.optim.Adam([turned], lr=0.1, betas=(0.9, 0.95))
    worst = []
    for _ in range(600):
        gradient = a[:, None] * signed_permutation(n) * b  # in the eigenbasis
        expected = u @ move(adam, turned, gradient) @ v.T
        found = move(soap, ours, u @ gradient @ v.T)
        worst.append(float((found - expected).abs().max()))
    assert worst[0] > 1e-2  # the axes are another basis
    assert max(worst[-10:]) < 1e-7  # 0.95^300 = 2e-7 of the second moment is from before the basis had converged


@pytest.mark.parametrize("shape", [(7,), (1, 9), (9, 1), (3, 20), (201, 4)], ids=str)
def test_what_has_no_basis_is_moved_by_adam(shape):
    """Vectors, narrow and too wide matrices: torch's Adam with the same betas, step for step."""
    ours, theirs = nn.Parameter(torch.zeros(shape)), nn.Parameter(torch.zeros(shape))
    soap, adam = SOAP([ours], lr=0.1), torch.optim.Adam([theirs], lr=0.1, betas=(0.9, 0.95))
    for _ in range(30):
        gradient = torch.randn(shape)
        torch.testing.assert_close(move(soap, ours, gradient), move(adam, theirs, gradient), rtol=1e-10, atol=1e-14)


def test_a_group_without_matrices_is_moved_by_adam():
    ours, theirs = nn.Parameter(torch.zeros(8, 8)), nn.Parameter(torch.zeros(8, 8))
    soap = SOAP([{"params": [ours], "matrices": False}], lr=0.1)
    adam = torch.optim.Adam([theirs], lr=0.1, betas=(0.9, 0.95))
    for _ in range(30):
        gradient = torch.randn(8, 8)
        torch.testing.assert_close(move(soap, ours, gradient), move(adam, theirs, gradient), rtol=1e-10, atol=1e-14)


def test_matrices_of_one_shape_are_moved_together_as_each_would_be_alone():
    shapes = [(8, 6), (8, 6), (5,), (6, 8), (8, 6), (2, 3, 4, 6), (2, 3, 4, 6), (7,)]
    together, alone = ([nn.Parameter(torch.zeros(shape)) for shape in shapes] for _ in range(2))
    one, each = SOAP(together), [SOAP([p]) for p in alone]
    assert len(one.param_groups) == 4  # three shapes of matrices, and the vectors
    for _ in range(25):
        for p, q in zip(together, alone, strict=True):
            p.grad = torch.randn(p.shape)
            q.grad = p.grad.clone()
        for optimizer in (one, *each):
            optimizer.step()
        for p, q in zip(together, alone, strict=True):
            torch.testing.assert_close(p, q, rtol=1e-9, atol=1e-12)


def test_a_convolution_is_a_matrix_for_each_of_its_groups():
    """From all kernels' inputs to their outputs: n matrices that are moved as n parameters of two dimensions are."""
    weight = nn.Parameter(torch.zeros(2, 3, 4, 6))
    maps = [nn.Parameter(torch.zeros(12, 6)) for _ in range(2)]
    assert as_matrices(weight[None]).shape == (2, 12, 6)
    whole, apart = SOAP([weight]), SOAP(maps)
    for _ in range(25):
        weight.grad = torch.randn(weight.shape)
        for k, p in enumerate(maps):
            p.grad = weight.grad[k].reshape(12, 6)
        whole.step()
        apart.step()
    torch.testing.assert_close(weight.detach().reshape(2, 12, 6), torch.stack([p.detach() for p in maps]), rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradients_of_zero_and_missing_ones_move_nothing(dtype):
    parameters = [nn.Parameter(torch.ones(shape, dtype=dtype)) for shape in [(8, 6), (5,), (2, 3, 4, 6)]]
    optimizer = SOAP(parameters)
    for step in range(25):
        for p in parameters:
            p.grad = None if step % 2 else torch.zeros_like(p)
        optimizer.step()
    for p in parameters:
        assert torch.equal(p, torch.ones_like(p))


def test_a_gradient_of_one_direction_alone_stays_finite():
    """Factors of rank one, in single precision, the smallest gradients included."""
    for size in (1e-15, 1.0, 1e15):
        p = nn.Parameter(torch.zeros(16, 12, dtype=torch.float32))
        optimizer = SOAP([p])
        gradient = size * torch.outer(torch.randn(16), torch.randn(12)).float()
        for _ in range(40):
            move(optimizer, p, gradient)
        assert torch.isfinite(p).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_saved_and_loaded_optimizer_goes_on_to_the_last_bit(dtype, tmp_path):
    def steps(parameters, optimizer, seeds):
        for seed in seeds:
            generator = torch.Generator().manual_seed(seed)
            for p in parameters:
                p.grad = torch.randn(p.shape, generator=generator, dtype=dtype)
            optimizer.step()

    whole = [nn.Parameter(torch.ones(shape, dtype=dtype)) for shape in [(8, 6), (8, 6), (5,), (2, 3, 4, 6)]]
    uninterrupted = SOAP(whole)
    steps(whole, uninterrupted, range(10))
    torch.save({"weights": [p.data for p in whole], "optimizer": uninterrupted.state_dict()}, tmp_path / "half")
    steps(whole, uninterrupted, range(10, 20))

    content = torch.load(tmp_path / "half", weights_only=True)
    parts = [nn.Parameter(weights) for weights in content["weights"]]
    resumed = SOAP(parts)
    resumed.load_state_dict(content["optimizer"])
    steps(parts, resumed, range(10, 20))
    for p, q in zip(whole, parts, strict=True):
        assert torch.equal(p, q)


def test_the_basis_follows_in_its_first_steps_and_then_every_ten():
    p = nn.Parameter(torch.zeros(6, 6))
    optimizer = SOAP([p])
    changes, before = [], torch.eye(6)
    for step in range(1, 41):
        move(optimizer, p, torch.randn(6, 6))
        basis = optimizer.state[p]["u"][0]
        torch.testing.assert_close(basis.T @ basis, torch.eye(6), rtol=0, atol=1e-13)
        if not torch.equal(basis, before):
            changes.append(step)
        before = basis.clone()
    assert changes == [1, 2, 3, 10, 20, 30, 40]


def test_it_minimizes_what_adam_finds_hard():
    """A quadratic whose valleys lie across the axes."""
    u, v = random_orthogonal(8), random_orthogonal(8)
    a, b = (q @ torch.diag(10.0 ** -torch.linspace(0, 2, 8)) @ q.T for q in (u, v))
    start = torch.randn(8, 8)

    def left(kind: type[torch.optim.Optimizer]) -> float:
        w = nn.Parameter(start.clone())
        optimizer = kind([w], lr=0.03, betas=(0.9, 0.95))
        for _ in range(200):
            optimizer.zero_grad()
            loss = optimizer.step(lambda: backward((w * (a @ w @ b)).sum() / 2, w))
        return float(loss)

    assert left(SOAP) < 0.1 * left(torch.optim.Adam)


def backward(loss: torch.Tensor, parameter: nn.Parameter) -> torch.Tensor:
    (parameter.grad,) = torch.autograd.grad(loss, parameter)
    return loss.detach()


def test_the_maps_of_a_model_have_a_basis_and_its_vectors_have_none():
    """Whatever is looked up by element or pair is a vector per element or pair: no basis is common to its rows."""
    config = ModelConfig(elements=(1, 6, 8))
    model = HarmonicSpinConv(config, [0.0] * 3)
    names = {p: name for name, p in model.named_parameters()}
    maps, others = parameter_groups(model)
    assert len(maps["params"]) + len(others["params"]) == len(names)
    linear = {f"{name}.weight" for name, module in model.named_modules() if isinstance(module, nn.Linear)}
    convolutions = {name for p, name in names.items() if p.dim() == 4}
    assert len(convolutions) == config.n_blocks
    assert {names[p] for p in maps["params"]} == linear | convolutions
    assert all(is_matrix(p, 200) for p in maps["params"] if 1 not in p.shape)


def test_a_copied_optimizer_moves_its_copy():
    model = nn.Linear(6, 8)
    optimizer = SOAP(parameter_groups(model))
    for p in model.parameters():
        p.grad = torch.randn(p.shape)
    optimizer.step()
    twin, other = copy.deepcopy((model, optimizer))
    for p, q in zip(model.parameters(), twin.parameters(), strict=True):
        q.grad = p.grad.clone()
    optimizer.step()
    other.step()
    for p, q in zip(model.parameters(), twin.parameters(), strict=True):
        assert torch.equal(p, q)
