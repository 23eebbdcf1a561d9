"""Figures: the map keeps areas and finds points again, every element has a place of its own, colours mean what they say."""

import math

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from spinconv.export.pictures.embeddings import component, correlations, draw_embeddings
from spinconv.export.pictures.mollweide import HEIGHT, PIXELS, WIDTH, map_point, middles, pixels, places
from spinconv.export.pictures.neighborhood import free_place
from spinconv.export.pictures.periodic_table import draw_periodic_table, place
from spinconv.potential.pictures import Embedding, longitude_latitude

FACTORS = Embedding("energy", torch.tensor([[1.0, 2.0, 4.0], [2.0, 3.0, 5.0], [4.0, 2.0, 1.0]], dtype=torch.float64))
PAIRS = Embedding("pairs", torch.arange(27, dtype=torch.float64).view(3, 3, 3))


def test_every_element_has_a_place_of_its_own() -> None:
    places = {number: place(number) for number in range(1, 119)}
    assert len(set(places.values())) == 118
    groups = {1: (1, 3, 11, 19, 37, 55, 87), 11: (29, 47, 79), 14: (6, 14, 32, 50, 82), 18: (2, 10, 18, 36, 54, 86, 118)}
    for group, numbers in groups.items():
        assert {places[number][0] for number in numbers} == {group}
    assert [places[number] for number in (4, 5, 21, 30, 31)] == [(2, 2), (13, 2), (3, 4), (12, 4), (13, 4)]


def test_a_point_is_drawn_where_its_direction_is_coloured() -> None:
    x, y = np.meshgrid(middles(WIDTH, PIXELS[1]), middles(HEIGHT, PIXELS[0]))
    there = [pixels(lambda v, k=k: torch.as_tensor(places(v)[k])) for k in (0, 1)]
    inside = ~np.isnan(there[0])
    np.testing.assert_allclose(there[0][inside], x[inside], atol=1e-6)
    np.testing.assert_allclose(there[1][inside], y[inside], atol=1e-6)


def test_the_map_keeps_areas() -> None:
    """The mean over the pixels of a square of a coordinate is that over the sphere, 1/3; to the pixels at the edge."""
    for k in range(3):
        assert np.nanmean(pixels(lambda v, k=k: v[:, k] ** 2)) == pytest.approx(1 / 3, abs=2e-3)


def test_the_poles_and_the_middle_of_the_map() -> None:
    assert map_point(0, 90) == pytest.approx((0, HEIGHT))
    assert map_point(0, -90) == pytest.approx((0, -HEIGHT))
    assert map_point(180, 0) == pytest.approx((WIDTH, 0))
    north, middle = longitude_latitude(torch.tensor([[1.0, 0, 0], [0, 0, 1.0]]))[1].tolist()
    assert (north, middle) == pytest.approx((math.pi / 2, 0))


def test_labels_do_not_cover_each_other() -> None:
    taken: list[tuple[float, float]] = []
    for _ in range(4):
        taken.append(free_place(0.0, 0.0, taken))
    assert all(abs(a[0] - b[0]) >= 0.55 or abs(a[1] - b[1]) >= 0.1 for n, a in enumerate(taken) for b in taken[:n])


def test_the_first_component_is_the_direction_of_the_largest_variance() -> None:
    along = np.outer([-2.0, 0.5, 1.5], [0.6, 0.8, 0.0])
    found = component(along + np.array([5.0, 1.0, 2.0]))
    np.testing.assert_allclose(found.values, [-2.0, 0.5, 1.5], atol=1e-12)
    assert found.label == "first principal component, 100% of the variance"
    assert (found.norm.vmin, found.norm.vmax) == pytest.approx((-2.0, 2.0))


def test_correlations_do_not_know_levels_and_sizes() -> None:
    rows = np.array([[1.0, 2.0, 3.0], [10.0, 30.0, 50.0], [-1.0, -2.0, -3.0], [4.0, 4.0, 4.0]])
    np.testing.assert_allclose(correlations(rows)[0], [1, 1, -1, 0], atol=1e-12)


def drawn(figure: Figure) -> list[np.ndarray]:
    """What its images show."""
    return [image.get_array() for axes in figure.axes for image in axes.get_images()]


def test_the_matrix_shows_elements_or_pairs() -> None:
    of_elements = draw_embeddings([FACTORS, PAIRS], "energy", (1, 6, 8), None, "m")
    np.testing.assert_allclose(drawn(of_elements)[0], correlations(FACTORS.values.numpy()), atol=1e-12)
    of_pairs = draw_embeddings([FACTORS, PAIRS], "pairs", (1, 6, 8), None, "m")
    np.testing.assert_allclose(np.diff(drawn(of_pairs)[0].ravel()), 3 * math.sqrt(3), atol=1e-9)  # from one pair to the next
    assert "all embeddings of 3 elements, 21 numbers each" in draw_embeddings([FACTORS, PAIRS], "all", (1, 6, 8), "C", "m").get_suptitle()


def test_elements_of_the_model_alone_have_colours() -> None:
    axes = Figure().subplots()
    draw_periodic_table(axes, {8: (1.0, 0.0, 0.0, 1.0)})
    assert [n for n, patch in enumerate(axes.patches, 1) if patch.get_facecolor() == (1.0, 0.0, 0.0, 1.0)] == [8]


@pytest.mark.parametrize(
    ("name", "element", "elements", "words"),
    [
        ("energies", None, (1, 6, 8), r"`embedding` must be one of all, energy, pairs, got 'energies'"),
        ("energy", "N", (1, 6, 8), r"`element` must be one of the model's, H, C, O, got 'N'"),
        ("energy", "Xx", (1, 6, 8), r"`element` must be one of the model's, H, C, O, got 'Xx'"),
        ("energy", None, (14,), r"a model of one element \(Si\) has no others to compare it with"),
    ],
)
def test_what_cannot_be_drawn_is_refused(name: str, element: str | None, elements: tuple[int, ...], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        draw_embeddings([FACTORS, PAIRS], name, elements, element, "m")
