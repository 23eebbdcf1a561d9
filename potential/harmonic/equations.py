"""The equations of harmonic SpinConv, on one page: every step from edge vectors to energies of atoms, smooth and differentiable.

The paper's energy-centric network (arXiv:2106.09575) with spherical harmonics in the place of its grid. Start at `energies`, at the end of
the page; the functions that it calls are the stages that engines call one by one, because atoms on other processes have a say in between.

Everything is a function of tensors, of `w`, the weights and constants of a model by name (model.py says which), and of `s`, its numbers:
`cutoff` (Å), `n_blocks`, `scale` (eV) and `average_neighbors`. Indices and shapes: e edges, j the atom that sends, i the atom that
receives, C channels, l and m of a harmonic in one index l^2 + l + m.

This page is TorchScript as well: from the line of dashes on, its text is compiled into the C++ reader (export/src/equations.cpp) after
that of layers.py, so that Python and the engines compute by the same words. There, `silu` is torch's, and nothing else of Python exists.
"""

from torch import Tensor
from torch.nn.functional import silu

import torch  # isort: skip
from spinconv.potential.layers import envelope, inverse, linear, network, safe_norm

# ----------------------------------------------------------------------------------------------------------------------------------------


def embedding_block(w: dict[str, Tensor], name: str, x: Tensor, kind: Tensor) -> Tensor:
    """W2 (silu(W1 x + b1) * g[kind]) + b2: one network whose hidden values are scaled by the elements, `kind` [n] a row of g.

    The paper mixes the outputs of several networks by a softmax over the elements; that costs three times as much and gains nothing.
    """
    hidden = silu(linear(w, name + ".first", x)) * w[name + ".factors"].index_select(0, kind)
    return linear(w, name + ".last", hidden)


def sinc(x: Tensor) -> Tensor:
    """sin(x) / x; by its series where x is small, because derivatives of the quotient are lost to rounding there, and NaN at 0."""
    squared = x * x
    is_small = squared < 0.1
    series = 1.0 - squared / 6.0 * (1.0 - squared / 20.0 * (1.0 - squared / 42.0 * (1.0 - squared / 72.0 * (1.0 - squared / 110.0))))
    large = torch.where(is_small, torch.ones_like(x), x)
    return torch.where(is_small, series, torch.sin(large) / large)


def bessel(x: Tensor, n: int, cutoff: float) -> Tensor:
    """2 sqrt(2 / cutoff) sin(k pi x / cutoff) / x for k = 1 ... n, regular at x = 0; `x` [e, 1] (Å), [e, n] (arXiv:2003.03123, eq. 7)."""
    waves = torch.arange(1, n + 1, dtype=x.dtype, device=x.device) * (3.141592653589793 / cutoff)
    return sinc(x * waves) * (waves * (2.0 * (2.0 / cutoff) ** 0.5))


def held(distances: Tensor, inner: Tensor) -> Tensor:
    """The distance that the network is shown, [e, 1]: d, but hardly less than what it has learned from.

    `inner` [e, 1] is the shortest distance of the pair in training. Below it, what a network says is a guess, and grows without bound; so
    the distance slows down there and stands still from 0.7 `inner` on, at 0.85 `inner`: twice continuously differentiable. With
    `inner` = 0 it is d everywhere.
    """
    x = torch.clamp((distances * inverse(inner) - 0.7) * (1.0 / 0.3), min=0.0, max=1.0)
    return torch.relu(distances - inner) + inner * (0.85 + 0.3 * x**3 * (1.0 - 0.5 * x))


def harmonics(w: dict[str, Tensor], directions: Tensor) -> Tensor:
    """Real spherical harmonics up to degree 2 lmax of unit vectors [e, 3], [e, (2 lmax + 1)^2]; those up to lmax come first.

    Monomials x^a y^b z^c times a constant matrix. A monomial is the product of two of about half its degree: each table doubles the degree.
    """
    monomials = torch.cat([torch.ones_like(directions[:, :1]), directions], 1)
    for n in range(num_tables(w)):
        table = w["constants.monomials." + str(n)]
        monomials = monomials.index_select(1, table[0]) * monomials.index_select(1, table[1])
    return torch.matmul(monomials, w["constants.harmonics"])


def wall(row: Tensor, distances: Tensor, inverse_distances: Tensor, fade: Tensor) -> Tensor:
    """Half the screened repulsion of two nuclei (eV), [e, 1], of `distances` [e, 1], faded out below the sum of their covalent radii.

    Ziegler, Biersack and Littmark, The Stopping and Range of Ions in Solids (1985): Z Z' e^2 / (4 pi eps0 d) sum_k c_k exp(-b_k d / a),
    with the amplitudes and the rates of a pair in `row` [e, 8]. What the data do not reach, atoms much closer than in any frame, is a wall.
    """
    screened = (row[:, :4] * torch.exp(row[:, 4:] * distances)).sum(1, keepdim=True)
    return screened * inverse_distances * fade


def num_tables(w: dict[str, Tensor]) -> int:
    """Tables that take monomials to higher degrees."""
    n = 0
    while "constants.monomials." + str(n) in w:
        n += 1
    return n


def round_root(n: int) -> int:
    """The whole number whose square is n."""
    root = 0
    while root * root < n:
        root += 1
    return root


# ---- edges of the same atom side by side, so that a sum over them, or a product with what belongs to the atom, is one matrix product


def tiles_by_atom(atom: Tensor, n_atoms: int) -> tuple[Tensor, Tensor, int]:
    """A place for every edge in a table of n_tiles rows of `size` places; the edges of a row belong to one `atom` [e], in any order.

        edge    0  1  2  3  4  5
        atom    0  0  1  0  2  2         rows of size 3:   0 1 3 | 2 . . | 4 5 .      (. is empty)
        place   0  1  3  2  6  7

    Gives back where an edge sits [e], the atom of a row [n_tiles], and `size`. A row per atom where all that have edges have about as
    many. Otherwise a row holds the mean number of edges, and an atom has as many rows as it needs. Either way there are at most twice
    as many places as edges, and one more per atom.
    """
    n_edges = atom.shape[0]
    if n_edges == 0:
        return atom, atom, 1
    counts = torch.bincount(atom, minlength=n_atoms)
    size = int(counts.max())
    n_occupied = int(torch.count_nonzero(counts))
    if size * n_occupied > 2 * n_edges:
        size = (n_edges + n_occupied - 1) // n_occupied
    rows = torch.div(counts + (size - 1), size, rounding_mode="floor")
    skipped = (rows.cumsum(0) - rows) * size - (counts.cumsum(0) - counts)  # places left empty by the atoms before
    place = torch.arange(n_edges, device=atom.device)  # among edges in the order of atoms
    if not bool((atom[1:] >= atom[:-1]).all()):
        order = torch.argsort(atom, stable=True)
        place = torch.empty_like(order).scatter_(0, order, place)
    return place + skipped.index_select(0, atom), torch.repeat_interleave(rows), size


def into_tiles(values: Tensor, place: Tensor, n_tiles: int, size: int) -> Tensor:
    """`values` [e, n] at their places, zeros at the empty ones, [n_tiles, size, n]."""
    n = values.shape[1]
    empty = torch.zeros(n_tiles * size, n, dtype=values.dtype, device=values.device)
    return empty.index_copy(0, place, values).view(n_tiles, size, n)


# ---- the spin convolution


def ring_responses(w: dict[str, Tensor], weight: Tensor, moments: Tensor) -> tuple[Tensor, Tensor]:
    """B_m,lm' = sum_c w_m,l,c A_lm',c for l >= m: what each order m of the kernels sees of the moments; and the same for the partners.

    `moments` [n, (lmax + 1)^2, C], `weight` [n_groups, kernels (m, l), group, 2 group]; [rows, n C] each, with the rows (m, lm') of order 0
    first. Channels are convolved in groups. An einsum, written as one batched product over rows and groups because einsum copies more.
    """
    n, n_groups, group = moments.shape[0], weight.shape[0], weight.shape[2]
    component, kernel = w["constants.row_component"], w["constants.row_kernel"]
    n_rows = component.shape[0]
    inputs = moments.index_select(1, component).view(n, n_rows * n_groups, group).transpose(0, 1)
    kernels = weight.index_select(1, kernel).transpose(0, 1).reshape(n_rows * n_groups, group, 2 * group)
    own, partner = torch.bmm(inputs, kernels).view(n_rows, n_groups, n, 2, group).unbind(3)
    return own.transpose(1, 2).reshape(n_rows, n * n_groups * group), partner.transpose(1, 2).reshape(n_rows, n * n_groups * group)


def pooled_polynomial(w: dict[str, Tensor], weight: Tensor, moments: Tensor) -> Tensor:
    """P_LM of every atom for L <= 2 lmax, [n, (2 lmax + 1)^2, C]: its pooled response as a polynomial on the sphere.

    Seen along a direction, in a frame whose z axis it is, the neighbourhood has the ring response f(q) = sum_m F_m e^{imq} as the kernel
    rolls about that axis by q, with F_m = sum_lm' D^l_mm' B_|m|,lm'. Its mean over the roll is F_0, and that of its product with the
    partner's response is sum_m F_m F'_m (Parseval): pooled exactly, to degrees one and two. The kernel is real, so that a mirror image
    has the same values. Both are polynomials of the direction, of degree lmax and 2 lmax; so their values at a few fixed directions
    (`constants.responses.m`, rows of D in frames of these) give their coefficients (`constants.interpolation`) exactly.
    """
    n, width = moments.shape[0], moments.shape[2]
    fit = w["constants.interpolation"]
    sizes: list[int] = []
    for m in range(round_root(moments.shape[1])):
        sizes.append(moments.shape[1] - m * m)
    rings, partners = ring_responses(w, weight, moments)
    own, other = rings.split(sizes), partners.split(sizes)
    mean = torch.matmul(w["constants.responses.0"], own[0])
    pooled = torch.addcmul(mean, mean, torch.matmul(w["constants.responses.0"], other[0]))
    for m in range(1, len(sizes)):
        table = w["constants.responses." + str(m)]  # [(cosine, sine) x directions, rows of order m]
        products = torch.matmul(table, own[m]) * torch.matmul(table, other[m])
        pooled = pooled + products.view(2, fit.shape[1], n * width).sum(0)
    return torch.matmul(fit, pooled).view(fit.shape[0], n, width).transpose(0, 1)


# ---- the stages, which all take w and s first


def pairs(w: dict[str, Tensor], s: dict[str, float], numbers_j: Tensor, numbers_i: Tensor) -> Tensor:
    """Row of a pair of elements in tables of pairs, [e]."""
    element = w["constants.element"]
    n_elements = w["constants.reference_energies"].shape[0]
    return element.index_select(0, numbers_j) * n_elements + element.index_select(0, numbers_i)


def tiles(w: dict[str, Tensor], s: dict[str, float], atom: Tensor, n_atoms: int) -> tuple[Tensor, Tensor, int]:
    """See `tiles_by_atom`: the edges by one end of theirs, i for `moments` and j for `spin`."""
    return tiles_by_atom(atom, n_atoms)


def edges(w: dict[str, Tensor], s: dict[str, float], vectors: Tensor, pair: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """What every block needs to know of the edges: u(d) [e, 1], Y(n) [e, (2 lmax + 1)^2], half the wall [e, 1]; the distance features t
    [e, C] that all blocks share; and the initial messages m [e, C]."""
    distances = safe_norm(vectors)
    inverse_distances = inverse(distances)
    amplitudes_and_rates, reach = w["constants.pairs"].index_select(0, pair).split([8, 2], 1)
    fade, u = envelope(distances * reach).split([1, 1], 1)
    x = held(distances, w["distance.inner"].index_select(0, pair))
    x = w["distance.scale"].index_select(0, pair) * x + w["distance.offset"].index_select(0, pair)
    t = linear(w, "distance.linear", bessel(x, w["distance.linear.weight"].shape[1], s["cutoff"]))
    m = embedding_block(w, "initial_message", network(w, "initial_distance", silu(t)), pair)
    repulsion = wall(amplitudes_and_rates, distances, inverse_distances, fade)
    return u, harmonics(w, vectors * inverse_distances), repulsion, t, m


def moments(
    w: dict[str, Tensor], s: dict[str, float], k: int, m: Tensor, u: Tensor, y: Tensor, tiles: tuple[Tensor, Tensor, int], n_atoms: int
) -> Tensor:
    """A_i = sum over the edges into i of u(d) m Y(n), for l <= lmax, [n_atoms, (lmax + 1)^2, C]."""
    place, atom, size = tiles
    n_tiles = atom.shape[0]
    lmax = (round_root(y.shape[1]) - 1) // 2
    seen = into_tiles(y[:, : (lmax + 1) * (lmax + 1)], place, n_tiles, size).transpose(1, 2)
    parts = torch.bmm(seen, into_tiles(m * u, place, n_tiles, size))
    sums = torch.zeros(n_atoms, parts.shape[1], parts.shape[2], dtype=m.dtype, device=m.device)
    return sums.index_add(0, atom, parts) * s["average_neighbors"] ** -0.5


def spin(w: dict[str, Tensor], s: dict[str, float], k: int, moments: Tensor, y: Tensor, tiles: tuple[Tensor, Tensor, int]) -> Tensor:
    """The spin convolution over the neighbourhood of the atom that sends, seen along the edge: silu(bias + sum_LM Y_LM(n) P_LM(j)), [e, C].

    Only products of what belongs to an edge with what belongs to its atom: the cost of an edge does not depend on its neighbours.
    """
    name = "blocks." + str(k) + ".convolution"
    place, atom, size = tiles
    polynomials = pooled_polynomial(w, w[name + ".weight"], moments).index_select(0, atom)
    seen = torch.bmm(into_tiles(y, place, atom.shape[0], size), polynomials)
    return silu(seen.view(-1, seen.shape[2]).index_select(0, place) + w[name + ".bias"])


def mix(w: dict[str, Tensor], s: dict[str, float], k: int, h: Tensor, m: Tensor, t: Tensor, pair: Tensor) -> Tensor:
    """The messages after block k: m + what the block adds; the first block has no residual, [e, C]."""
    name = "blocks." + str(k)
    h = embedding_block(w, name + ".of_neighborhood", h, pair) + network(w, name + ".of_distance", t)
    added = embedding_block(w, name + ".to_message", silu(h), pair)
    return added if k == 0 else m + added


def sums(w: dict[str, Tensor], s: dict[str, float], m: Tensor, u: Tensor, wall: Tensor, i: Tensor, n_atoms: int) -> Tensor:
    """Sums over the edges into i: u(d) m / average_neighbors, and the wall, [n_atoms, C + 1]."""
    terms = torch.cat([m * u * (1.0 / s["average_neighbors"]), wall], 1)
    return torch.zeros(n_atoms, terms.shape[1], dtype=m.dtype, device=m.device).index_add(0, i, terms)


def readout(w: dict[str, Tensor], s: dict[str, float], sums: Tensor, numbers: Tensor) -> Tensor:
    """E_i = E0 + scale (head(sum of u m into i) - head(0)) + wall: an atom without neighbours has its reference energy; float64 [n_atoms].

    Added in float64: E0 may be thousands of eV.
    """
    reference = w["constants.reference_energies"]  # float64 whatever the model computes in
    element = w["constants.element"][numbers]
    each = torch.arange(reference.shape[0], device=numbers.device)
    width = sums.shape[1] - 1
    alone = embedding_block(w, "energy", torch.zeros(reference.shape[0], width, dtype=sums.dtype, device=sums.device), each)
    learned = (embedding_block(w, "energy", sums[:, :width], element) - alone[element]).squeeze(1)
    return reference[element] + s["scale"] * learned.double() + sums[:, width].double()


def energies(w: dict[str, Tensor], s: dict[str, float], numbers: Tensor, edge_index: Tensor, vectors: Tensor) -> Tensor:
    """Energy of every atom (eV, float64 [n_atoms]), differentiable with respect to `vectors`.

    `numbers` int64 [n_atoms]; `edge_index` int64 [2, e], row 0 the sending atoms j, row 1 the receiving atoms i, both directions of every
    pair; `vectors` [e, 3] r_j - r_i in Å. Edges longer than the cutoff count nothing.
    """
    j, i = edge_index[0], edge_index[1]
    n_atoms = numbers.shape[0]
    pair = pairs(w, s, numbers.index_select(0, j), numbers.index_select(0, i))
    of_receivers, of_senders = tiles(w, s, i, n_atoms), tiles(w, s, j, n_atoms)
    u, y, repulsion, t, m = edges(w, s, vectors, pair)
    for k in range(int(s["n_blocks"])):
        a = moments(w, s, k, m, u, y, of_receivers, n_atoms)
        m = mix(w, s, k, spin(w, s, k, a, y, of_senders), m, t, pair)
    return readout(w, s, sums(w, s, m, u, repulsion, i, n_atoms), numbers)
