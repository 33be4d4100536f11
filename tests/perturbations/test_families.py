"""What every perturbation family must do: a table of families × the promises of the abstract class."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mgd._counter import Counter
from mgd.perturbations import LFSR, Block, Gaussian, Rademacher, Sequential, Sinusoid, Walsh

SEED = jnp.array([1, 2], jnp.uint32)
P = 7
FAMILIES = {
    "rademacher": Rademacher,
    "gaussian": Gaussian,
    "walsh": Walsh,
    "shared-bit-walsh": lambda amplitude: Walsh(amplitude, shared_bit=True),
    "sequential": Sequential,
    "sinusoid": Sinusoid,
    "lfsr": LFSR,
    "lfsr-9": lambda amplitude: LFSR(amplitude, width=9),
    "block-rademacher": lambda amplitude: Block(Rademacher(amplitude), n_blocks=2),
    "block-walsh": lambda amplitude: Block(Walsh(amplitude), sizes=(1, 4, 2)),
    "block-sequential": lambda amplitude: Block(Sequential(amplitude), sizes=(5, 2)),
    "block-gaussian": lambda amplitude: Block(Gaussian(amplitude), n_blocks=7),
}
# Zero mean over perturbations does not hold for one-parameter-at-a-time codes, which only move up.
UP_ONLY = {"sequential", "block-sequential"}
family = pytest.mark.parametrize("name", FAMILIES)


def code(perturbation, n: int, *, start: int = 0, seed=SEED, n_params: int = P) -> np.ndarray:
    """θ̃ at n successive perturbation numbers [n, p]."""
    return np.asarray(_code(perturbation, Counter.of(start), seed, n, n_params), np.float64)


@eqx.filter_jit
def _code(perturbation, start, seed, n, n_params):
    one = lambda i: perturbation(start.plus(i), seed=seed, n_params=n_params)
    return jax.vmap(one)(jnp.arange(n, dtype=jnp.uint32))


def sample(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Mean of θ̃ and mean of θ̃ θ̃ᵀ in each of 400 runs of 4 periods (or 512) under seeds of their own."""
    perturbation = FAMILIES[name](0.5)
    period = perturbation.period(P)
    n = 512 if period is None or period > 512 else 4 * period

    @eqx.filter_jit
    def one(seed):
        s = jax.vmap(lambda i: perturbation(Counter(jnp.uint32(0), i), seed=seed, n_params=P))(
            jnp.arange(n, dtype=jnp.uint32)
        )
        return s.mean(0), s.T @ s / n

    seeds = jax.random.bits(jax.random.key(3), (400, 2), jnp.uint32)
    mean, second = eqx.filter_jit(eqx.filter_vmap(one))(seeds)
    return np.asarray(mean, np.float64), np.asarray(second, np.float64)


@family
def test_moments_are_those_promised(name):
    mean, second = sample(name)
    perturbation = FAMILIES[name](0.5)
    # Over exact periods the spread over seeds is nought; what is left is float32's mean of 512 numbers below 1.
    rounding = 1e-5

    def agrees(values: np.ndarray, expected: np.ndarray | float) -> bool:
        error = values.std(0, ddof=1) / np.sqrt(len(values))
        return bool((np.abs(values.mean(0) - expected) <= 5 * error + rounding).all())

    up_only = name in UP_ONLY
    sizes = perturbation.block_sizes(P) if isinstance(perturbation, Block) else (P,)
    assert agrees(mean, perturbation.amplitude / max(sizes) / len(sizes) if up_only else 0.0)
    expected = perturbation.mean_square(P) * np.eye(P)
    if name == "lfsr-9":
        # Any two codes of a maximal-length sequence of period N agree once less than they differ in a period.
        expected = expected - (1 - np.eye(P)) * perturbation.amplitude**2 / 511
        mean_of_signs = -perturbation.amplitude / 511
        assert agrees(mean, mean_of_signs)
    assert agrees(second, expected)


@family
@pytest.mark.quick("rademacher", "walsh", "lfsr-9", "gaussian", "sequential", "sinusoid", "block-walsh")
def test_any_perturbation_can_be_had_again(name):
    perturbation = FAMILIES[name](0.5)
    together = code(perturbation, 8, start=10**10)
    again = code(perturbation, 8, start=10**10)
    assert np.array_equal(together, again)
    eager = perturbation(Counter.of(10**10 + 5), seed=SEED, n_params=P)
    # Transcendental functions may be off by a rounding when compiled.
    tolerance = 1e-6 if name in {"sinusoid", "gaussian", "block-gaussian"} else 0
    assert np.allclose(eager, together[5], rtol=0, atol=tolerance)


@family
@pytest.mark.quick("gaussian", "sinusoid")
def test_vmap_over_seeds_is_each_seed_alone(name):
    perturbation = FAMILIES[name](0.5)
    seeds = jnp.array([[1, 2], [3, 4], [1, 3]], jnp.uint32)
    together = eqx.filter_jit(jax.vmap(lambda seed: perturbation(Counter.of(10**10 + 3), seed=seed, n_params=P)))(seeds)
    for seed, mine in zip(seeds, together, strict=True):
        alone = code(perturbation, 8, start=10**10, seed=seed)[3]
        assert np.allclose(mine, alone, rtol=0, atol=1e-6)


@family
def test_it_is_traced_once_and_stays_float32(name):
    perturbation, traces = FAMILIES[name](0.5), []

    @eqx.filter_jit
    def call(index, seed):
        traces.append(None)
        return perturbation(index, seed=seed, n_params=P)

    for index, seed in ((0, SEED), (1, SEED + 1), (10**10, SEED)):
        out = call(Counter.of(index), seed)
        assert out.dtype == jnp.float32
        assert out.shape == (P,)
    assert len(traces) == 1


@family
def test_seeds_and_parameters_have_streams_of_their_own(name):
    perturbation = FAMILIES[name](0.5)
    one = code(perturbation, 256)
    other = code(perturbation, 256, seed=jnp.array([1, 3], jnp.uint32))
    assert not np.array_equal(one, other)
    assert len({column.tobytes() for column in one.T}) == P


@family
def test_numbers_past_2_to_the_32_are_not_those_before(name):
    perturbation = FAMILIES[name](0.5)
    near, far = code(perturbation, 256, start=0), code(perturbation, 256, start=2**32)
    if name == "sinusoid":  # frequencies are whole multiples of 2⁻³²: its period
        assert np.array_equal(near, far)
    elif perturbation.period(P) is None or name.endswith("walsh"):
        assert not np.array_equal(near, far)
    else:
        period = perturbation.period(P)
        assert np.array_equal(far, code(perturbation, 256, start=2**32 % period))


@family
def test_across_2_to_the_32_it_goes_on(name):
    perturbation = FAMILIES[name](0.5)
    across = code(perturbation, 8, start=2**32 - 4)
    apart = [code(perturbation, 1, start=2**32 - 4 + k)[0] for k in range(8)]
    assert np.array_equal(across, np.stack(apart))


@family
@pytest.mark.quick("sinusoid", "rademacher")
def test_amplitude_is_a_factor(name):
    small, large = code(FAMILIES[name](0.25), 64), code(FAMILIES[name](1.0), 64)
    assert np.array_equal(4 * small, large)
    mean_squares = [FAMILIES[name](a).mean_square(P) for a in (0.25, 1.0)]
    assert mean_squares[1] == 16 * mean_squares[0]


@pytest.mark.parametrize("family", [Rademacher, Gaussian, Walsh, Sequential, Sinusoid, LFSR])
@pytest.mark.parametrize("amplitude", [0.0, -1.0, float("nan"), float("inf")])
def test_amplitudes_that_are_not_are_refused(family, amplitude):
    with pytest.raises(ValueError, match=rf"^amplitude must be a finite number above 0, got {amplitude!r}$"):
        family(amplitude=amplitude)


def test_sequential_moves_each_parameter_once_a_period_and_always_in_the_same_order():
    s = code(Sequential(0.5), 3 * P)
    assert np.array_equal((s != 0).sum(1), np.ones(3 * P))
    assert np.array_equal(s[:P].sum(0), np.full(P, 0.5))
    assert np.array_equal(s[:P], s[P : 2 * P])
    assert np.array_equal(s[:P], s[2 * P :])


@pytest.mark.parametrize("shared_bit", [False, True])
@pytest.mark.parametrize("n_params", [1, 2, 3, 4, 7, 8, 9, 31])
@pytest.mark.quick("1-True", "4-True")
def test_walsh_codes_are_exactly_orthogonal_in_every_period(n_params, shared_bit):
    walsh = Walsh(1.0, shared_bit=shared_bit)
    period = walsh.period(n_params)
    assert period // 2 < (2 * n_params if shared_bit else n_params + 1) <= period
    assert period & (period - 1) == 0
    s = code(walsh, 6 * period, n_params=n_params).reshape(6, period, n_params)
    for block in s:
        assert np.array_equal(block.T @ block, period * np.eye(n_params))
        assert np.array_equal(block.sum(0), np.zeros(n_params))
    assert len({block.tobytes() for block in s}) > 1


def test_no_three_walsh_codes_that_share_a_bit_make_a_constant():
    for n_params in (3, 4, 9, 20):
        plain, shared = (
            code(walsh, walsh.period(n_params), n_params=n_params)
            for walsh in (Walsh(1.0), Walsh(1.0, shared_bit=True))
        )
        triples = [np.abs(np.einsum("mi,mj,mk->ijk", s, s, s)) for s in (plain, shared)]
        assert not triples[1].any()
        assert triples[0].any()
        # Each perturbation is there with both signs.
        assert {row.tobytes() for row in shared} == {row.tobytes() for row in -shared}


def test_walsh_signs_are_flipped_anew_each_period():
    # κ(0) = 0, so the first perturbation of a period is the flips themselves.
    flips = code(Walsh(1.0), 512 * 16, n_params=9)[::16]
    assert (np.abs(flips.sum(0)) < 5 * np.sqrt(512)).all()
    lagged = flips[1:].T @ flips[:-1]
    assert (np.abs(lagged) < 5 * np.sqrt(512)).all()


@pytest.mark.parametrize("n_params", [9, 40, 200])
def test_successive_walsh_values_are_as_uncorrelated_as_a_random_order_makes_them(n_params):
    walsh = Walsh(1.0)
    order = walsh.period(n_params)
    s = code(walsh, 200 * order, n_params=n_params)
    products = s[1:] * s[:-1]
    # In a random order of a row that sums to nought, neighbours have −1/(N−1), and 0 across two periods.
    expected = -1 / order
    error = 1 / np.sqrt(len(products))
    # Up to 200 rows are looked at: the largest of 200 unit normals stays below 5.5.
    assert np.abs(products.mean(0) - expected).max() < 5.5 * error


def test_gaussian_values_are_normal_and_finite_to_the_ends():
    z = code(Gaussian(1.0), 2000, n_params=100)
    n = z.size
    # Variances of the moments of n normal values: 1/n, 2/n, 15/n and 96/n.
    assert abs(z.mean()) < 5 * np.sqrt(1 / n)
    assert abs((z**2).mean() - 1) < 5 * np.sqrt(2 / n)
    assert abs((z**3).mean()) < 5 * np.sqrt(15 / n)
    assert abs((z**4).mean() - 3) < 5 * np.sqrt(96 / n)
    assert np.abs(z).max() < 5.5


def test_gaussian_of_the_largest_word_is_finite():
    # Word 15 of this row has its 24 highest bits set (found by search).
    values = Gaussian(1.0)(Counter.of(155_860), seed=SEED, n_params=16)
    assert 5.0 < float(values[15]) < 5.5


def test_sinusoid_frequencies_are_distinct_and_in_the_band():
    sinusoid, n_params, n = Sinusoid(1.0, 0.1, 0.3), 10, 4000
    s = code(sinusoid, n, n_params=n_params)
    peaks = np.abs(np.fft.rfft(s, axis=0)).argmax(0) / n
    expected = 0.1 + (np.arange(n_params) + (3 - 5**0.5) / 2) * 0.02
    assert np.allclose(peaks, expected, rtol=0, atol=0.5 / n)


def test_sinusoid_phase_is_exact_for_ever():
    sinusoid = Sinusoid(1.0)
    spacing = sinusoid.spacing(P)
    words = [round((0.05 + spacing * (3 - 5**0.5) / 2) * 2**32) + i * round(spacing * 2**32) for i in range(P)]
    start = code(sinusoid, 1)[0]
    quarter = code(sinusoid, 2)[1]
    for index in (10**10, 2**63 + 5):
        now = code(sinusoid, 1, start=index)[0]
        for i, word in enumerate(words):
            # sin(φ + ω) and sin φ give φ up to float32; then the phase at any index is an exact product of integers.
            w = 2 * np.pi * word / 2**32
            cosine = (quarter[i] - start[i] * np.cos(w)) / np.sin(w)
            turn = 2 * np.pi * (word * index % 2**32) / 2**32
            assert abs(now[i] - (start[i] * np.cos(turn) + cosine * np.sin(turn))) < 1e-5


@pytest.mark.parametrize(
    ("low", "high"), [(0.0, 0.4), (-0.1, 0.4), (0.3, 0.3), (0.4, 0.3), (0.1, 0.51), (float("nan"), 0.4)]
)
def test_bands_that_are_not_are_refused(low, high):
    with pytest.raises(ValueError, match=f"lowest_frequency < highest_frequency <= 0.5.*got {low} and {high}$"):
        Sinusoid(1.0, low, high)


def test_blocks_take_turns():
    block = Block(Rademacher(1.0), sizes=(1, 4, 2))
    s = code(block, 30)
    edges = {0: slice(0, 1), 1: slice(1, 5), 2: slice(5, 7)}
    for m, row in enumerate(s):
        inside = np.zeros(P)
        inside[edges[m % 3]] = 1
        assert np.array_equal(np.abs(row), inside)


def test_the_same_place_in_two_blocks_has_two_streams():
    s = code(Block(Rademacher(1.0), n_blocks=2), 2000, n_params=8)
    first, second = s[0::2, :4], s[1::2, 4:]
    assert (np.abs((first * second).sum(0)) < 5 * np.sqrt(1000)).all()


@pytest.mark.parametrize("inner", [Walsh, Sequential])
def test_over_a_period_blocks_are_exactly_orthogonal(inner):
    block = Block(inner(1.0), sizes=(1, 4, 2))
    period = block.period(P)
    assert period == 3 * inner(1.0).period(4)
    s = code(block, period)  # pyright: ignore[reportArgumentType]
    assert np.array_equal(s.T @ s, period * block.mean_square(P) * np.eye(P))


@pytest.mark.parametrize(
    ("n_params", "n_blocks"),
    [
        (8, 2),
        (7, 2),
        (5, 5),
        (6, 5),
        (4, 3),
    ],
)
def test_there_are_as_many_blocks_as_asked_for(n_params, n_blocks):
    sizes = Block(Rademacher(1.0), n_blocks=n_blocks).block_sizes(n_params)
    assert sum(sizes) == n_params
    assert len(sizes) == n_blocks


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "Block takes n_blocks or sizes, got n_blocks=None and sizes=None"),
        ({"n_blocks": 2, "sizes": (1, 2)}, r"Block takes n_blocks or sizes, got n_blocks=2 and sizes=\(1, 2\)"),
        ({"n_blocks": 0}, "blocks must not be empty, got n_blocks=0"),
        ({"sizes": ()}, r"blocks must not be empty, got n_blocks=None, sizes=\(\)"),
        ({"sizes": (3, 0)}, r"blocks must not be empty, got n_blocks=None, sizes=\(3, 0\)"),
    ],
)
def test_blocks_that_are_not_are_refused(settings, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        Block(Rademacher(), **settings)


def test_blocks_that_do_not_make_up_the_chip_are_refused():
    with pytest.raises(ValueError, match=r"^blocks of 6 parameters in all do not match a chip with 7$"):
        Block(Rademacher(), sizes=(2, 4)).check(7, 1, 1)
    Block(Rademacher(), sizes=(3, 4)).check(7, 1, 1)
