"""Vectors of lanes for Numba: the same number of each of `LANES` chips, as one value of compiled code.

LLVM makes of a vector of 32 what the machine has: two registers of 16 floats, four of 8, or eight of 4. Loops over
lanes are nowhere left to a vectoriser, which would have to prove that arrays do not overlap. In kernels,
`+ - * / & | ^ << >>` and comparisons work lane by lane, a number beside a vector goes to all lanes, and words wrap at
32 bits.

This file alone knows Numba's inside: the low-level interface of its documentation ("Low-level extension API").
"""

import operator
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import (
    intrinsic,
    lower_builtin,
    models,
    register_model,
)

# Imported as a part of `_wide`, these modules are another kernel.
LANES = 64 if __name__.endswith("._wide._lanes") else 32
# Elements of each lane that `gather_block` takes at a time: those of a register.
BLOCK = 16
# What an optimiser may do to sums and products: contract them, and nothing else.
_MAY = ("contract", "nsz")


class Lanes(types.Type):
    """The type of a vector: of floats, of words, or of truths."""

    def __init__(self, name: str, of: Any, scalar: types.Type):
        self.of, self.scalar = of, scalar
        super().__init__(name=f"{name}x{LANES}")

    def can_convert_from(self, typingctx: Any, other: types.Type) -> None:
        return None


class _Floats(Lanes):
    pass


class _Words(Lanes):
    pass


class _Truths(Lanes):
    pass


FLOATS = _Floats("floats", ir.FloatType(), types.float32)
WORDS = _Words("words", ir.IntType(32), types.uint32)
TRUTHS = _Truths("truths", ir.IntType(1), types.boolean)


def _vector(kind: Lanes) -> ir.VectorType:
    return ir.VectorType(kind.of, LANES)


def _register(kind: type[Lanes]) -> None:
    @register_model(kind)
    class Model(models.PrimitiveModel):
        def __init__(self, dmm, fe_type):
            super().__init__(dmm, fe_type, _vector(fe_type))


for _kind in (_Floats, _Words, _Truths):
    _register(_kind)


def _to_all(context: Any, builder: Any, value: Any, given: types.Type, kind: Lanes) -> Any:
    """A vector as it is, or a number in all lanes."""
    if given == kind:
        return value
    number = context.cast(builder, value, given, kind.scalar)
    zero = ir.Constant(ir.IntType(32), 0)
    one = builder.insert_element(ir.Constant(_vector(kind), ir.Undefined), number, zero)
    return builder.shuffle_vector(
        one, ir.Constant(_vector(kind), ir.Undefined), ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
    )


def _operator(symbol: Callable, kind: Lanes, result: Lanes, emit: Callable) -> None:
    """Makes `symbol` work on vectors of a kind, or one vector and a number."""

    infer: Any = infer_global

    @infer(symbol)
    class Template(AbstractTemplate):
        def generic(self, args, kws):
            if len(args) == 2 and kind in args and all(a == kind or isinstance(a, types.Number) for a in args):
                return signature(result, *args)
            return None

    for pair in ((kind, kind), (kind, types.Number), (types.Number, kind)):

        @lower_builtin(symbol, *pair)
        def lower(context, builder, sig, args):
            a, b = (_to_all(context, builder, v, t, kind) for v, t in zip(args, sig.args, strict=True))
            return emit(builder, a, b)


_operator(operator.add, FLOATS, FLOATS, lambda b, x, y: b.fadd(x, y, flags=_MAY))
_operator(operator.sub, FLOATS, FLOATS, lambda b, x, y: b.fsub(x, y, flags=_MAY))
_operator(operator.mul, FLOATS, FLOATS, lambda b, x, y: b.fmul(x, y, flags=_MAY))
_operator(operator.truediv, FLOATS, FLOATS, lambda b, x, y: b.fdiv(x, y))
_operator(operator.lt, FLOATS, TRUTHS, lambda b, x, y: b.fcmp_ordered("<", x, y))
_operator(operator.ge, FLOATS, TRUTHS, lambda b, x, y: b.fcmp_ordered(">=", x, y))
_operator(operator.add, WORDS, WORDS, lambda b, x, y: b.add(x, y))
_operator(operator.sub, WORDS, WORDS, lambda b, x, y: b.sub(x, y))
_operator(operator.mul, WORDS, WORDS, lambda b, x, y: b.mul(x, y))
_operator(operator.and_, WORDS, WORDS, lambda b, x, y: b.and_(x, y))
_operator(operator.or_, WORDS, WORDS, lambda b, x, y: b.or_(x, y))
_operator(operator.xor, WORDS, WORDS, lambda b, x, y: b.xor(x, y))
_operator(operator.lshift, WORDS, WORDS, lambda b, x, y: b.shl(x, y))
_operator(operator.rshift, WORDS, WORDS, lambda b, x, y: b.lshr(x, y))
_operator(operator.ge, WORDS, TRUTHS, lambda b, x, y: b.icmp_unsigned(">=", x, y))
_operator(operator.and_, TRUTHS, TRUTHS, lambda b, x, y: b.and_(x, y))


def _emitted(typed: Callable) -> Callable[..., Any]:
    """A function of compiled code that LLVM's instructions are written for here."""
    return intrinsic(typed)


def _row(context: Any, builder: Any, sig: Any, args: Any, kind: Lanes) -> Any:
    """The place of a row of an array whose last axis is the lanes."""
    array = context.make_array(sig.args[0])(context, builder, args[0])
    start = builder.mul(args[1], ir.Constant(args[1].type, LANES))
    pointer = builder.gep(builder.bitcast(array.data, kind.of.as_pointer()), [start])
    return builder.bitcast(pointer, _vector(kind).as_pointer())


def _kind_of(array: types.Array) -> Lanes:
    return FLOATS if array.dtype == types.float32 else WORDS


@_emitted
def load(typingctx, array, row):
    """Row `row` of an array of shape (rows, LANES), contiguous, of float32 or uint32."""
    kind = _kind_of(array)

    def codegen(context, builder, sig, args):
        return builder.load(_row(context, builder, sig, args, kind), align=4)

    return kind(array, types.intp), codegen


@_emitted
def store(typingctx, array, row, value):
    """Puts a vector into row `row` of such an array."""
    kind = _kind_of(array)

    def codegen(context, builder, sig, args):
        vector = _to_all(context, builder, args[2], sig.args[2], kind)
        builder.store(vector, _row(context, builder, sig, args, kind), align=4)
        return context.get_dummy_value()

    return types.none(array, types.intp, value), codegen


@_emitted
def gather(typingctx, array, index):
    """From a contiguous float32 vector, the element that each lane has the number of."""

    def codegen(context, builder, sig, args):
        data = context.make_array(sig.args[0])(context, builder, args[0]).data
        wide = builder.sext(args[1], ir.VectorType(ir.IntType(64), LANES))
        pointers = builder.gep(data, [wide], source_etype=ir.FloatType())
        pointers.type = ir.VectorType(data.type, LANES)
        everywhere = ir.Constant(_vector(TRUTHS), [1] * LANES)
        kind = _vector(FLOATS)
        of = ir.FunctionType(
            kind, [ir.VectorType(ir.FloatType().as_pointer(), LANES), ir.IntType(32), _vector(TRUTHS), kind]
        )
        name = f"llvm.masked.gather.v{LANES}f32.v{LANES}p0"
        function = cgutils.get_or_insert_function(builder.module, of, name)
        return builder.call(
            function, [pointers, ir.Constant(ir.IntType(32), 4), everywhere, ir.Constant(kind, ir.Undefined)]
        )

    return FLOATS(array, WORDS), codegen


@_emitted
def gather_block(typingctx, array, index, out, row):
    """Row r + k of `out` is what `gather` gives for index + k, for `BLOCK` numbers k: by transposing blocks of rows.

    A gather takes about a cycle an element; this takes a third, where each lane's elements lie one after the other.
    """

    def codegen(context, builder, sig, args):
        data = context.make_array(sig.args[0])(context, builder, args[0]).data
        target = _row(context, builder, types.none(sig.args[2], types.intp), args[2:], FLOATS)
        block = ir.VectorType(ir.FloatType(), BLOCK)
        first = builder.bitcast(target, ir.FloatType().as_pointer())
        for start in range(0, LANES, BLOCK):
            rows = []
            for lane in range(start, start + BLOCK):
                at = builder.extract_element(args[1], ir.Constant(ir.IntType(32), lane))
                place = builder.gep(data, [builder.zext(at, ir.IntType(64))])
                rows.append(builder.load(builder.bitcast(place, block.as_pointer()), align=4))
            for k, column in enumerate(_transposed(builder, rows)):
                place = builder.gep(first, [ir.Constant(ir.IntType(64), k * LANES + start)])
                builder.store(column, builder.bitcast(place, block.as_pointer()), align=4)
        return context.get_dummy_value()

    return types.none(array, WORDS, out, types.intp), codegen


def _transposed(builder: Any, rows: list) -> list:
    """The columns of a square of vectors: its quarters change places, then theirs, and so on."""
    n, size = len(rows), len(rows) // 2
    while size:
        for i in (i for i in range(n) if not i & size):
            upper, lower = rows[i], rows[i + size]
            left = [c if not c & size else n + c - size for c in range(n)]
            right = [c + size if not c & size else n + c for c in range(n)]
            rows[i], rows[i + size] = (
                builder.shuffle_vector(upper, lower, ir.Constant(ir.VectorType(ir.IntType(32), n), mask))
                for mask in (left, right)
            )
        size //= 2
    return rows


def _unary(name: str, kind: Lanes, result: Lanes, emit: Callable, doc: str) -> Callable:
    """A function of one vector, or of a number that goes to all lanes."""

    def of(typingctx, value):
        def codegen(context, builder, sig, args):
            return emit(builder, _to_all(context, builder, args[0], sig.args[0], kind))

        return result(value), codegen

    of.__name__, of.__doc__ = name, doc
    return _emitted(of)


def _intrinsic_of_llvm(name: str, kind: Lanes) -> Callable:
    suffix = f"v{LANES}{'f32' if kind is FLOATS else 'i32'}"

    def emit(builder: Any, *values: Any) -> Any:
        of = ir.FunctionType(_vector(kind), [_vector(kind)] * len(values))
        return builder.call(cgutils.get_or_insert_function(builder.module, of, f"llvm.{name}.{suffix}"), values)

    return emit


floats = _unary("floats", FLOATS, FLOATS, lambda b, x: x, "A number in all lanes.")
words = _unary("words", WORDS, WORDS, lambda b, x: x, "A word in all lanes.")
bits_of = _unary("bits_of", FLOATS, WORDS, lambda b, x: b.bitcast(x, _vector(WORDS)), "The bits of floats.")
float_of = _unary("float_of", WORDS, FLOATS, lambda b, x: b.bitcast(x, _vector(FLOATS)), "Floats of these bits.")
# Signed, which every vector unit has: for words below 2³¹, and whole floats.
to_float = _unary(
    "to_float", WORDS, FLOATS, lambda b, x: b.sitofp(x, _vector(FLOATS)), "The values of words as floats."
)
to_word = _unary("to_word", FLOATS, WORDS, lambda b, x: b.fptosi(x, _vector(WORDS)), "Floats cut to whole numbers.")
root = _unary("root", FLOATS, FLOATS, _intrinsic_of_llvm("sqrt", FLOATS), "Square roots.")
nearest = _unary(
    "nearest", FLOATS, FLOATS, _intrinsic_of_llvm("nearbyint", FLOATS), "To whole numbers, halves to even."
)
below = _unary("below", FLOATS, FLOATS, _intrinsic_of_llvm("floor", FLOATS), "The next whole number below.")
reversed_bits = _unary("reversed_bits", WORDS, WORDS, _intrinsic_of_llvm("bitreverse", WORDS), "The first bit last.")
ones_in = _unary("ones_in", WORDS, WORDS, _intrinsic_of_llvm("ctpop", WORDS), "How many bits of each word are set.")
size_of = _unary("size_of", FLOATS, FLOATS, _intrinsic_of_llvm("fabs", FLOATS), "Without the sign.")


@_emitted
def select(typingctx, truth, if_true, if_false):
    """Lane by lane, of two vectors or numbers the first where a truth is true."""
    kind = if_true if isinstance(if_true, Lanes) else if_false if isinstance(if_false, Lanes) else FLOATS

    def codegen(context, builder, sig, args):
        a, b = (_to_all(context, builder, v, t, kind) for v, t in zip(args[1:], sig.args[1:], strict=True))
        return builder.select(args[0], a, b)

    return kind(truth, if_true, if_false), codegen


@_emitted
def product(typingctx, a, b):
    """The product of two vectors, rounded by itself: it is not contracted with a sum."""

    def codegen(context, builder, sig, args):
        return builder.fmul(*args)

    return FLOATS(FLOATS, FLOATS), codegen


@_emitted
def any_of(typingctx, truth):
    """Whether a truth is true in some lane."""

    def codegen(context, builder, sig, args):
        packed = builder.bitcast(args[0], ir.IntType(LANES))
        return builder.icmp_unsigned("!=", packed, ir.Constant(packed.type, 0))

    return types.boolean(truth), codegen


@_emitted
def quotient(typingctx, word, divisor):
    """Words divided by a whole number; by way of doubles, which hold all words, so it is exact."""

    def codegen(context, builder, sig, args):
        wide = ir.VectorType(ir.DoubleType(), LANES)
        divisor = _to_all(context, builder, args[1], sig.args[1], WORDS)
        ratio = builder.fdiv(builder.uitofp(args[0], wide), builder.uitofp(divisor, wide))
        return builder.fptoui(ratio, _vector(WORDS))

    return WORDS(word, divisor), codegen


def polynomial(*coefficients: float) -> Callable:
    """A function of one vector: c₀ + c₁ x + c₂ x² + …, by Horner's rule."""

    @_emitted
    def of(typingctx, x):
        def codegen(context, builder, sig, args):
            *rest, total = [ir.Constant(_vector(FLOATS), [float(c)] * LANES) for c in coefficients]
            for c in reversed(rest):
                total = builder.fadd(builder.fmul(total, args[0], flags=_MAY), c, flags=_MAY)
            return total

        return FLOATS(FLOATS), codegen

    return of
