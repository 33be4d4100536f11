"""A mesh of Mach–Zehnder interferometers as a chip, and the modes that it has to sort.

    mgd train mesh:task --chip mesh.toml --out runs/mesh
    mgd predict runs/mesh

Six modes of light pass 15 interferometers in six columns (Clements et al., Optica 3, 1460 (2016)). Each has two phases,
which heaters set: 30 parameters. Photodiodes see powers, not fields. The mesh learns to send each of six superpositions
of the inputs, the columns of a discrete Fourier transform, out of a port of its own.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

import mgd

_MODES = 6


class Mesh(eqx.Module):
    """A rectangular mesh of interferometers, from fields to powers.

    Attributes:
        outer: phase before each interferometer, column by column.
        inner: phase between its two couplers; its power is split by this.
        columns: of each column, the upper modes of its interferometers.
    """

    outer: Float[Array, " mzi"]
    inner: Float[Array, " mzi"]
    columns: tuple[range, ...] = eqx.field(static=True)

    def __init__(self, n_modes: int, key: Array):
        self.columns = tuple(range(column % 2, n_modes - 1, 2) for column in range(n_modes))
        outer_key, inner_key = jax.random.split(key)
        n = sum(map(len, self.columns))
        self.outer = jax.random.uniform(outer_key, (n,), maxval=2 * jnp.pi)
        self.inner = jax.random.uniform(inner_key, (n,), maxval=jnp.pi)

    def __call__(self, x: Float[Array, " reals"]) -> Float[Array, " modes"]:
        """The powers at the outputs, for fields given as all real parts and then all imaginary parts."""
        fields, done = jax.lax.complex(*jnp.split(x, 2)), 0
        for tops in self.columns:
            here, upper = slice(done, done + len(tops)), jnp.array(tops)
            pair = _interfere(self.outer[here], self.inner[here], fields[upper], fields[upper + 1])
            fields, done = fields.at[jnp.stack([upper, upper + 1])].set(pair), done + len(tops)
        return jnp.abs(fields) ** 2


def _interfere(
    outer: Float[Array, " n"], inner: Float[Array, " n"], upper: Complex[Array, " n"], lower: Complex[Array, " n"]
) -> Complex[Array, "2 n"]:
    """What leaves interferometers: two 50:50 couplers with a phase between them, after a phase in the upper arm."""
    half = inner / 2
    sine, cosine = (_polar(size, half + jnp.pi / 2) for size in (jnp.sin(half), jnp.cos(half)))
    upper = _polar(jnp.ones_like(outer), outer) * upper
    return jnp.stack([sine * upper + cosine * lower, cosine * upper - sine * lower])


def _polar(size: Float[Array, " n"], phase: Float[Array, " n"]) -> Complex[Array, " n"]:
    return jax.lax.complex(size * jnp.cos(phase), size * jnp.sin(phase))


def chip(inputs: tuple[int, ...], outputs: int, key: Array) -> Mesh:
    """The mesh, with phases drawn from a key."""
    assert inputs == (2 * outputs,), "one real and one imaginary part for each mode"
    return Mesh(outputs, key)


def task(n_samples: int = 240) -> mgd.datasets.Task:
    """Six superpositions of six modes, each with a random global phase and a little light in the wrong modes."""
    rng = np.random.default_rng(0)
    wave = np.exp(2j * np.pi * np.outer(np.arange(_MODES), np.arange(_MODES)) / _MODES) / np.sqrt(_MODES)
    labels = np.arange(n_samples) % _MODES
    noise = rng.normal(size=(2, n_samples, _MODES)) * 0.05
    fields = wave[labels] * np.exp(2j * np.pi * rng.random((n_samples, 1))) + noise[0] + 1j * noise[1]
    x = np.concatenate([fields.real, fields.imag], axis=1).astype(np.float32)
    y = np.eye(_MODES, dtype=np.float32)[labels]
    test = n_samples // 4
    return mgd.datasets.from_arrays(x[test:], y[test:], test=(x[:test], y[:test]))
