"""What a circuit may be, and what is said of one that cannot be built."""

import pytest

from mgd.onchip import Spec


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"layers": (2,), "parameters": 0},
            r"layers must be two or more numbers of neurons, each 1 or more, got \[2\]",
        ),
        ({"layers": (2, 0)}, r"each 1 or more, got \[2, 0\]"),
        ({"layers": (2, 2, 1), "parameters": 8}, "have 9 parameters, got parameters = 8"),
        ({"parameters": 65537}, "from 1 to 65536, which is what addresses count to, got 65537"),
        ({"parameters": 0}, "from 1 to 65536"),
        ({"lanes": 10}, "lanes must be from 1 to the 9 parameters, got 10"),
        ({"lanes": 6}, "a power of two, or all 9: use 4, got 6"),
        ({"code": "walsch"}, "unknown code 'walsch': did you mean 'walsh'"),
        ({"register_bits": 20}, "one of 16, 24, 32, got 20"),
        ({"parameters": 300, "register_bits": 16}, "run out at 256 parameters: use register_bits = 24 for 300"),
        ({"tau_theta": 30000, "register_bits": 16, "may_overflow": True}, "three windows: use register_bits = 32"),
        ({"amplitude": 0}, "amplitude must be at least 1 step of θ, got 0"),
        ({"amplitude": 6}, "a power of two steps of θ: use 4 or 8, got 6"),
        ({"amplitude": 128}, "beyond θ of 8 bits: use 64 or less"),
        ({"tau_theta": 0}, "tau_theta must be at least 1, got 0"),
        ({"merged": True, "tau_p": 2, "tau_theta": 3}, "merged needs tau_theta = tau_p = 2, got tau_theta = 3"),
        ({"merged": True, "accumulator_bits": 9}, "merged keeps 3 bits beside θ: leave accumulator_bits out, got 9"),
        ({"code": "walsh", "tau_x": 40, "tau_p": 2}, "with tau_x = 64 in place of 40, or use code = 'lfsr'"),
        ({"tau_theta": 10, "accumulator_bits": 11}, "10 · 127, and the remainder need accumulator_bits = 12, got 11"),
        ({"shift": 14, "accumulator_bits": 14, "may_overflow": True}, "use accumulator_bits = 16, or a shift below 14"),
        ({"shift": 40}, r"theta_bits \+ shift must be at most 30, got 48"),
        ({"cost_bits": 25}, "cost_bits must be at most 24, got 25"),
        ({"layers": (2, 2, 1), "parameters": 0, "cost_fraction": 13}, "cost_fraction must be at most 12"),
    ],
)
def test_a_circuit_that_cannot_be_is_refused_with_what_works(settings, message):
    with pytest.raises(ValueError, match=message) as refused:
        Spec(**{"parameters": 9} | settings)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("shift", [1, 3, 6])
@pytest.mark.parametrize("tau_theta", [1, 2, 9, 300])
def test_an_accumulator_holds_the_largest_sum_and_no_bit_is_spare(shift, tau_theta):
    spec = Spec(parameters=4, shift=shift, tau_theta=tau_theta)
    largest = 2**shift - 1 + tau_theta * spec.largest_modulation
    assert 2 ** (spec.accumulator_bits - 2) <= largest < 2 ** (spec.accumulator_bits - 1)


def test_a_file_has_the_same_settings(tmp_path):
    path = tmp_path / "circuit.toml"
    path.write_text('layers = [2, 2, 1]\ncode = "walsh"\ntau_x = 32\n')
    assert Spec.read(path) == Spec(layers=(2, 2, 1), code="walsh", tau_x=32)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("layer = [2, 1]", "unknown setting 'layer': did you mean 'layers'"),
        ("parameters = 9\nlanes = 6", "lanes must be a power of two"),
        ("parameters =", "is not TOML"),
        ("parameters = 9\namplitude = 0.5", r"amplitude must be a whole number, got 0\.5"),
        ("parameters = 9\nmerged = 1", "merged must be true or false, got 1"),
        ("parameters = 9\ntau_theta = true", "tau_theta must be a whole number, got True"),
        ("layers = [2, 2.5]", r"layers must be a list of whole numbers, got \(2, 2\.5\)"),
        ('layers = "2-2-1"', "layers must be a list of whole numbers, got '2-2-1'"),
    ],
)
def test_a_wrong_file_is_named(tmp_path, text, message):
    path = tmp_path / "circuit.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match=rf"circuit\.toml.*{message}"):
        Spec.read(path)
