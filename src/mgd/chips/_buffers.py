"""Which arrays of a network are buffers: those that reach its outputs only through `jax.lax.stop_gradient`.

A program of JAX is followed from its inputs to its outputs. A straight-through estimator, w + stop_gradient(q(w) − w),
stops one way of w to the outputs and leaves another open: w is no buffer. Nor is what goes through a comparison or a
rounding, which have no derivative either: a chip that is measured sees it.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal
from jaxtyping import PRNGKeyArray

from ._leaves import is_parameter, name_of

# Sides of images, and lengths of sequences, with which a network is tried.
_SIDES = (28, 32, 8, 16, 64, 7)
_MOST_TRIALS = 48


class Flow(NamedTuple):
    """From which leaves there is a way to a value, and from which one that no `stop_gradient` is on."""

    any: frozenset[int] = frozenset()
    open: frozenset[int] = frozenset()

    def joined(self, other: "Flow") -> "Flow":
        return Flow(self.any | other.any, self.open | other.open)


@lru_cache(maxsize=256)
def buffers(make: Callable[[PRNGKeyArray], Any], input_shape: tuple[int, ...]) -> frozenset[str] | None:
    """Names of the buffers of a network, for inputs of this shape (without the batch); None if it takes none such.

    Args:
        make: from a key, the network, which maps a batch to a batch.
        input_shape: of one input.
    """
    tree = eqx.filter_eval_shape(make, jax.random.key(0))
    dynamic, static = eqx.partition(tree, lambda leaf: isinstance(leaf, jax.ShapeDtypeStruct))
    leaves, structure = jax.tree.flatten(dynamic)
    names = [name_of(path) for path, _ in jax.tree_util.tree_leaves_with_path(dynamic)]

    def respond(leaves: Sequence[Any], x: Any) -> list[Any]:
        network: Any = eqx.combine(jax.tree.unflatten(structure, leaves), static)
        return [leaf for leaf in jax.tree.leaves(network(x)) if eqx.is_array(leaf)]

    try:
        program = jax.make_jaxpr(respond)(leaves, jax.ShapeDtypeStruct((2, *input_shape), jnp.float32))
    except Exception:  # a network of others, tried with an input that need not fit it, may raise anything
        return None
    ins = [Flow(frozenset([k]), frozenset([k])) for k in range(len(leaves))]
    reached = _all_of(_flows(program.jaxpr, [*ins, Flow()]))
    return frozenset(names[k] for k in reached.any - reached.open if is_parameter(leaves[k]))


def likely_inputs(tree: Any) -> list[tuple[int, ...]]:
    """Shapes that one input of a network may have, by the shapes of its arrays."""
    shapes = [leaf.shape for leaf in jax.tree.leaves(tree) if isinstance(leaf, jax.ShapeDtypeStruct)]
    sizes = [size for shape in shapes for size in reversed(shape)]
    sizes = list(dict.fromkeys([*sizes, *(size - 1 for size in sizes if size > 1)]))
    return list(dict.fromkeys(_tries(shapes, sizes)))[:_MOST_TRIALS]


def _tries(shapes: list[tuple[int, ...]], sizes: list[int]) -> Iterator[tuple[int, ...]]:
    yield from ((size,) for size in sizes[:16])
    yield ()
    for shape in shapes:  # (outputs, inputs, kernel …), as of convolutions
        if len(shape) >= 3:
            for side in _SIDES:
                yield (shape[1], *[side] * (len(shape) - 2))
                yield (*[side] * (len(shape) - 2), shape[1])
    yield from ((_SIDES[2], size) for size in sizes[:8])
    yield from (shape for shape in shapes if len(shape) > 1)


def _flows(jaxpr: Jaxpr, ins: Sequence[Flow]) -> list[Flow]:
    """What flows to each output, given what flows to each input."""
    at: dict[Any, Flow] = dict(zip(jaxpr.invars, ins, strict=True))
    read = lambda var: Flow() if isinstance(var, Literal) else at.get(var, Flow())  # noqa: E731
    for eqn in jaxpr.eqns:
        outs = _through(eqn, [read(var) for var in eqn.invars])
        at.update(zip(eqn.outvars, outs, strict=True))
    return [read(var) for var in jaxpr.outvars]


def _through(eqn: Any, ins: list[Flow]) -> list[Flow]:
    name, params = eqn.primitive.name, eqn.params
    if name == "stop_gradient":
        return [Flow(flow.any) for flow in ins]
    if name == "scan":
        return _scanned(params, ins)
    if name == "while":
        return _looped(params, ins)
    if name == "cond":
        branches = [_flows(branch.jaxpr, ins[1:]) for branch in params["branches"]]
        return [_all_of([ins[0], *each]) for each in zip(*branches, strict=True)]
    for value in params.values():  # a call of a program with the same inputs
        inner = value.jaxpr if isinstance(value, ClosedJaxpr) else value
        if isinstance(inner, Jaxpr) and (len(inner.invars), len(inner.outvars)) == (len(ins), len(eqn.outvars)):
            return _flows(inner, ins)
    return [_all_of(ins)] * len(eqn.outvars)


def _scanned(params: Any, ins: list[Flow]) -> list[Flow]:
    first, last = params["num_consts"], params["num_consts"] + params["num_carry"]
    return _settled(lambda carry: _flows(params["jaxpr"].jaxpr, [*ins[:first], *carry, *ins[last:]]), ins[first:last])


def _looped(params: Any, ins: list[Flow]) -> list[Flow]:
    n_cond, n_body = params["cond_nconsts"], params["body_nconsts"]
    of_cond, of_body, start = ins[:n_cond], ins[n_cond : n_cond + n_body], ins[n_cond + n_body :]

    def turn(carry: list[Flow]) -> list[Flow]:
        ends = _all_of(_flows(params["cond_jaxpr"].jaxpr, [*of_cond, *carry]))
        return [flow.joined(ends) for flow in _flows(params["body_jaxpr"].jaxpr, [*of_body, *carry])]

    return _settled(turn, start)


def _settled(turn: Callable[[list[Flow]], list[Flow]], carry: list[Flow]) -> list[Flow]:
    """The outputs of a loop: what flows around it goes on until nothing more is added."""
    while True:
        outs = turn(carry)
        after = [old.joined(new) for old, new in zip(carry, outs, strict=False)]
        if after == carry:
            return [*after, *outs[len(carry) :]]
        carry = after


def _all_of(flows: Sequence[Flow]) -> Flow:
    return Flow(frozenset().union(*(flow.any for flow in flows)), frozenset().union(*(flow.open for flow in flows)))
