"""An update rule whose numbers are data.

An optax transformation is a pair of functions with its rates inside, and a new pair for each rate. What it does is seen
by tracing it: its program has the rates as literals, worked out by Python in double precision. Here the literals that
something is multiplied by are taken out of the program and become its arguments. Rules whose programs are then equal
are one rule with other numbers, whoever made them, and share all that is compiled.

Other literals stay where they are, in exponents and sums, and a rule with other ones is another rule.
"""

from collections.abc import Callable, Hashable
from functools import lru_cache
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.core import ShapedArray
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal, Var, jaxpr_as_fun
from jaxtyping import Array, Float

# Factors of schedules that nobody tunes. XLA joins them with the constants next to them, which changes bits.
_OF_FORMULAS = tuple(float(np.float32(number)) for number in (np.pi / 2, np.pi, 2 * np.pi))


class Program:
    """A program without its numbers. Two are equal if they do the same with the same numbers.

    Args:
        function: of trees of arrays.
        arguments: shapes of what it takes.

    Attributes:
        numbers: those of the function it was made of.
    """

    def __init__(self, function: Callable, *arguments: Any):
        closed, shapes = jax.make_jaxpr(function, return_shape=True)(*arguments)
        self._structure = jax.tree.structure(shapes)
        jaxpr, numbers = _without_numbers(closed.jaxpr)
        self.numbers = *map(np.asarray, closed.consts), *numbers
        self._run = jaxpr_as_fun(ClosedJaxpr(jaxpr, []))
        self._key = self._structure, _key_of(jaxpr)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Program) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)

    def __call__(self, numbers: tuple, *arguments: Any) -> Any:
        """What the function gives, with these numbers for its own."""
        return jax.tree.unflatten(self._structure, self._run(*numbers, *jax.tree.leaves(arguments)))


class Rule(eqx.Module):
    """An optax transformation in the place of another: the same rule, whose numbers are arrays."""

    start: Program = eqx.field(static=True)
    turn: Program = eqx.field(static=True)
    of_start: tuple
    of_turn: tuple

    def init(self, theta: Float[Array, " p"]) -> Any:
        """The state before the first update."""
        return self.start(self.of_start, theta)

    def update(self, gradient: Float[Array, " p"], state: Any, theta: Float[Array, " p"]) -> tuple[Array, Any]:
        """The change of θ that is asked for, and the state after it."""
        return self.turn(self.of_turn, gradient, state, theta)


@lru_cache(maxsize=256)
def rule_of(optimizer: optax.GradientTransformation, n_params: int) -> Rule:
    """The rule of an optimizer, for vectors of that length.

    >>> rule = rule_of(optax.sgd(0.25), 3)
    >>> rule.of_turn
    (array(-0.25, dtype=float32),)
    >>> rule.turn == rule_of(optax.sgd(0.5), 3).turn
    True
    """
    theta = jax.ShapeDtypeStruct((n_params,), jnp.float32)
    start = Program(optimizer.init, theta)

    def turn(gradient: Array, state: Any, theta: Array) -> tuple[Array, Any]:
        delta, state = optimizer.update(gradient, state, theta)
        return jnp.asarray(delta), state

    update = Program(turn, theta, jax.eval_shape(optimizer.init, theta), theta)
    return Rule(start, update, start.numbers, update.numbers)


def _without_numbers(jaxpr: Jaxpr) -> tuple[Jaxpr, list[np.ndarray]]:
    """A program that takes its constants and its numbers as its first arguments, and the numbers."""
    inputs, numbers, eqns = [], [], []
    for eqn in jaxpr.eqns:
        operands: list[Any] = list(eqn.invars)
        for place, atom in enumerate(operands):
            if eqn.primitive.name == "mul" and _is_number(atom):
                numbers.append(np.asarray(atom.val, np.float32))
                inputs.append(Var(ShapedArray((), np.dtype(np.float32))))
                operands[place] = inputs[-1]
        eqns.append(eqn.replace(invars=operands))
    invars = [*jaxpr.constvars, *inputs, *jaxpr.invars]
    return jaxpr.replace(constvars=[], invars=invars, eqns=eqns), numbers


def _is_number(atom: Any) -> bool:
    """Whether an operand of a product is a number that may be tuned."""
    if not isinstance(atom, Literal) or np.shape(atom.val) != ():
        return False
    is_float = str(atom.aval).removeprefix("~") == "float32[]"  # those of Python are weakly typed
    return is_float and float(np.float32(atom.val)) not in _OF_FORMULAS


def _key_of(jaxpr: Jaxpr) -> Hashable:
    """What a program does: equal for two that do the same."""
    names: dict[Any, int] = {}

    def name(atom: Any) -> Hashable:
        if isinstance(atom, Literal):
            return str(atom.aval), np.asarray(atom.val).tobytes()
        return names.setdefault(atom, len(names))

    inputs = tuple((name(var), str(var.aval)) for var in (*jaxpr.constvars, *jaxpr.invars))
    eqns = []
    for eqn in jaxpr.eqns:
        params = tuple((key, _key_of_param(value)) for key, value in sorted(eqn.params.items()))
        outputs = tuple((name(var), str(var.aval)) for var in eqn.outvars)
        eqns.append((eqn.primitive.name, tuple(map(name, eqn.invars)), params, outputs))
    return inputs, tuple(eqns), tuple(name(atom) for atom in jaxpr.outvars)


def _key_of_param(value: Any) -> Hashable:
    if isinstance(value, ClosedJaxpr):
        return _key_of(value.jaxpr), tuple(_Same(const) for const in value.consts)
    if isinstance(value, Jaxpr):
        return _key_of(value)
    if isinstance(value, tuple | list):
        return tuple(map(_key_of_param, value))
    try:
        hash(value)
    except TypeError:
        return _Same(value)
    return value


class _Same:
    """Equal to what is the same object, which it keeps."""

    def __init__(self, value: Any):
        self._value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self._value is other._value

    def __hash__(self) -> int:
        return id(self._value)
