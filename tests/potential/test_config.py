import pytest

from spinconv.potential import HarmonicSpinConv, ModelConfig


def test_a_config_survives_its_dictionary() -> None:
    config = ModelConfig(elements=(1, 118), lmax=2, channels=16)
    assert ModelConfig.from_dict(config.to_dict()) == config


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"elements": [1, 119]}, "`elements` must be atomic numbers from 1 to 118"),
        ({"elements": []}, "`elements` must be atomic numbers"),
        ({"elements": [8, 1]}, "`elements` must be ascending without repetition"),
        ({"elements": [1], "cutoff": -6.0}, r"`cutoff` must be positive \(Å\), got -6.0"),
        ({"elements": [1], "cutoff": "5"}, "`cutoff` must be positive"),
        ({"elements": [1], "lmax": "three"}, "`lmax` must be a whole number from 1 to 6, got 'three'"),
        ({"elements": [1], "n_blocks": 0}, "`n_blocks` must be a whole number from 1 to 16, got 0"),
        ({"elements": [1], "channels": 20}, r"`group` must divide `channels` \(20\), got 8"),
        (
            {"elements": [1], "depth": 3},
            "`depth` is no field of the model; known are channels, cutoff, elements, group, lmax, n_blocks, n_rad",
        ),
        ({"elements": [1], "n_bases": 4}, "`n_bases` means nothing since version 0.2: .* leave it out"),
        ({"lmax": 3}, "`elements` is missing"),
    ],
)
def test_a_bad_field_is_named(values: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        ModelConfig.from_dict(values)


def test_reference_energies_must_match_the_elements() -> None:
    with pytest.raises(ValueError, match=r"`reference_energies` must have one value \(eV\) per element, 2 for \(1, 8\), got 1"):
        HarmonicSpinConv(ModelConfig(elements=(1, 8)), [0.0])
