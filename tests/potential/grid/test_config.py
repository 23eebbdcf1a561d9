import pytest

from spinconv.potential.grid import GridConfig


def test_config_survives_being_written_down() -> None:
    config = GridConfig(elements=(1, 8), convolution="harmonics", lmax=2, forces="random", seed=-1, envelope=False, energy_offset=-0.7)
    assert GridConfig.from_dict(config.to_dict()) == config


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"elements": (8, 1)}, "`elements` must be ascending"),
        ({"cutoff": 0.0}, "`cutoff` must be positive"),
        ({"radial_width": -1.0}, "`radial_width` must be positive"),
        ({"frame_offset": float("inf")}, "`frame_offset` must be positive"),
        ({"distance_scale_max": 0.5}, "`distance_scale_max` must be from 1 to 1000"),
        ({"energy_offset": float("nan")}, "`energy_offset` must be a number"),
        ({"n_latitude": 1}, "`n_latitude` must be a whole number from 2 to 128, got 1"),
        ({"n_rotations": True}, "`n_rotations` must be a whole number"),
        ({"channels": 28}, "`channels` must be made of 3 equal groups"),
        ({"channels": 24, "hidden_channels": 32}, "`hidden_channels` must be a multiple of the 3 groups, got 32"),
        ({"gradient": "cut"}, "`gradient` must be one of intact, published, got 'cut'"),
        ({"forces": "fixed", "n_rotations": 5}, "`n_rotations` must be a multiple of 4 where they are fixed, got 5"),
        ({"forces": "direct"}, "`forces` must be one of gradient, random, fixed, got 'direct'"),
        ({"envelope": 1}, "`envelope` must be true or false, got 1"),
        ({"convolution": "harmonics"}, "`lmax` must be 1 at least"),
        ({"convolution": "harmonics", "lmax": 2, "n_latitude": 15}, "`n_latitude` must be even for harmonics"),
    ],
)
def test_fields_out_of_range_are_refused_in_words(fields: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        GridConfig(**{"elements": (1, 8), **fields})  # type: ignore[arg-type]


def test_a_field_that_there_is_not_is_named() -> None:
    with pytest.raises(ValueError, match="`group` is no field of the model"):
        GridConfig.from_dict({"elements": [1], "group": 8})


def test_harmonics_of_a_head_that_is_not_there_are_not_made() -> None:
    assert not GridConfig(elements=(1,), force_convolution="harmonics").has_harmonics
    assert GridConfig(elements=(1,), force_convolution="harmonics", lmax=1, forces="fixed").has_harmonics
