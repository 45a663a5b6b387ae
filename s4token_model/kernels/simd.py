"""Vector instructions for numba kernels: 16 float32 lanes at a time, on any processor LLVM knows.

Numba's arrays may overlap for all the compiler knows, so short loops over them stay scalar; these say what is meant.
A mask is an int64 whose bit j speaks of lane j. Sums are not contracted: every lane rounds as the same scalar code.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

LANES = 16
_VECTOR, _BITS, _WORD = ir.VectorType(ir.FloatType(), LANES), ir.IntType(LANES), ir.IntType(64)


def _pointer(context, builder, kind, array, row, start):
    """Address of 16 floats of array[row, start:], or of a one-dimensional array[start:]."""
    made = context.make_array(kind)(context, builder, array)
    address = builder.ptrtoint(made.data, _WORD)
    if kind.ndim == 2:
        stride = builder.extract_value(made.strides, 0)
        address = builder.add(address, builder.mul(stride, ir.Constant(_WORD, row)))
    address = builder.add(address, builder.mul(start, ir.Constant(_WORD, 4)))
    return builder.inttoptr(address, _VECTOR.as_pointer())


def _load(context, builder, kind, array, start, row=0):
    return builder.load(_pointer(context, builder, kind, array, row, start), align=4)


def _store(context, builder, kind, array, start, value):
    builder.store(value, _pointer(context, builder, kind, array, 0, start), align=4)


def _all(builder, value):
    """A scalar in every lane."""
    one = builder.insert_element(ir.Constant(_VECTOR, ir.Undefined), value, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(
        one, ir.Constant(_VECTOR, ir.Undefined), ir.Constant(ir.VectorType(ir.IntType(32), LANES), None)
    )


def _larger(builder, a, b):
    return builder.select(builder.fcmp_ordered(">", a, b), a, b)


def _mask(builder, condition):
    return builder.zext(builder.bitcast(condition, _BITS), _WORD)


def _squared(builder, parts):
    x, y, z = (builder.fmul(part, part) for part in parts)
    return builder.fadd(builder.fadd(x, y), z)


def _away(context, builder, kind, xyz, start, center):
    """Squared distances of the points xyz (3, ...) [:, start:start+16] to a center (x, y, z)."""
    axes = [builder.fsub(_load(context, builder, kind, xyz, start, a), _all(builder, c)) for a, c in enumerate(center)]
    return _squared(builder, axes)


def _call(builder, name, *vectors):
    """One of LLVM's functions of whole vectors."""
    kind = ir.FunctionType(_VECTOR, [_VECTOR] * len(vectors))
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, f"llvm.{name}.v{LANES}f32"), vectors)


def _floats(*arrays):
    """Whether all are arrays of float32 whose rows are contiguous."""
    return all(isinstance(a, types.Array) and a.dtype == types.float32 and a.layout == "C" for a in arrays)


@intrinsic
def distances(typingctx, xyz, start, x, y, z, out, at):
    """out[at:at+16] = squared distances of the points xyz (3, ...) [:, start:start+16] to (x, y, z)."""
    if not _floats(xyz, out):
        return None

    def code(context, builder, signature, arguments):
        xyz_, start_, *center, out_, at_ = arguments
        _store(context, builder, out, out_, at_, _away(context, builder, xyz, xyz_, start_, center))
        return context.get_dummy_value()

    f = types.float32
    return types.void(xyz, types.int64, f, f, f, out, types.int64), code


@intrinsic
def within(typingctx, xyz, start, x, y, z, limit):
    """Mask of the points xyz (3, ...) [:, start:start+16] whose squared distance to (x, y, z) is at most `limit`."""
    if not _floats(xyz):
        return None

    def code(context, builder, signature, arguments):
        xyz_, start_, *center, limit_ = arguments
        away = _away(context, builder, xyz, xyz_, start_, center)
        return _mask(builder, builder.fcmp_ordered("<=", away, _all(builder, limit_)))

    f = types.float32
    return types.int64(xyz, types.int64, f, f, f, f), code


@intrinsic
def reached(typingctx, xyz, start, low, high, node, limits):
    """Mask of the points xyz[:, start:start+16] whose squared distance to the box low[:, node]..high[:, node] is at
    most limits[0:16]. Rounding is monotonic, so that distance never exceeds the one to a point of the box."""
    if not _floats(xyz, low, high, limits):
        return None

    def code(context, builder, signature, arguments):
        xyz_, start_, low_, high_, node_, limits_ = arguments
        points = [(_load(context, builder, xyz, xyz_, start_, a),) * 2 for a in range(3)]
        boxes = _box(context, builder, (low, high), (low_, high_), node_, _one)
        limit = _load(context, builder, limits, limits_, ir.Constant(_WORD, 0))
        return _mask(builder, builder.fcmp_ordered("<=", _apart(builder, points, boxes), limit))

    return types.int64(xyz, types.int64, low, high, types.int64, limits), code


@intrinsic
def near_boxes(typingctx, low, high, own, start, limit):
    """Mask of the boxes low[:, start:start+16]..high[...] whose squared distance to the box `own` is at most limit."""
    if not _floats(low, high):
        return None

    def code(context, builder, signature, arguments):
        low_, high_, own_, start_, limit_ = arguments
        mine = _box(context, builder, (low, high), (low_, high_), own_, _one)
        theirs = _box(context, builder, (low, high), (low_, high_), start_, _load)
        return _mask(builder, builder.fcmp_ordered("<=", _apart(builder, mine, theirs), _all(builder, limit_)))

    return types.int64(low, high, types.int64, types.int64, types.float32), code


def _box(context, builder, kinds, arrays, place, read):
    """(low, high) per axis of the box or boxes at a place of two arrays (3, ...)."""
    ends = list(zip(kinds, arrays, strict=True))
    return [[read(context, builder, kind, array, place, axis) for kind, array in ends] for axis in range(3)]


def _one(context, builder, kind, array, place, row):
    """array[row, place] in every lane."""
    address = builder.bitcast(_pointer(context, builder, kind, array, row, place), ir.FloatType().as_pointer())
    return _all(builder, builder.load(address, align=4))


def _apart(builder, first, second):
    """Squared distance of boxes given as (low, high) per axis, 0 where they meet."""
    parts = []
    for (low, high), (other_low, other_high) in zip(first, second, strict=True):
        outside = _larger(builder, builder.fsub(low, other_high), builder.fsub(other_low, high))
        parts.append(_larger(builder, outside, ir.Constant(_VECTOR, None)))
    return _squared(builder, parts)


@intrinsic
def count_up(typingctx, out, start, first):
    """out[start:start+16] = first, first + 1, ...; int32."""
    if not (isinstance(out, types.Array) and out.dtype == types.int32 and out.layout == "C"):
        return None

    def code(context, builder, signature, arguments):
        word = ir.IntType(32)
        kind = ir.VectorType(word, LANES)
        base = _all_words(builder, builder.trunc(arguments[2], word))
        address = _pointer(context, builder, out, arguments[0], 0, arguments[1])
        values = builder.add(base, ir.Constant(kind, list(range(LANES))))
        builder.store(values, builder.bitcast(address, kind.as_pointer()), align=4)
        return context.get_dummy_value()

    return types.void(out, types.int64, types.int64), code


@intrinsic
def at_most(typingctx, values, start, limit):
    """Mask of the lanes values[start:start+16] <= limit."""
    return _compared(values, "<=")


@intrinsic
def below(typingctx, values, start, limit):
    """Mask of the lanes values[start:start+16] < limit."""
    return _compared(values, "<")


def _compared(values, how):
    if not _floats(values):
        return None

    def code(context, builder, signature, arguments):
        lanes = _load(context, builder, values, arguments[0], arguments[1])
        return _mask(builder, builder.fcmp_ordered(how, lanes, _all(builder, arguments[2])))

    return types.int64(values, types.int64, types.float32), code


@intrinsic
def lowest(typingctx, mask):
    """Number of the lowest bit that is set in a mask other than 0."""

    def code(context, builder, signature, arguments):
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.int64), code


@intrinsic
def bits(typingctx, mask):
    """How many bits of a mask are set."""

    def code(context, builder, signature, arguments):
        return builder.ctpop(arguments[0])

    return types.int64(types.int64), code


@intrinsic
def inverse_distances(typingctx, xyz, start, x, y, z, scale, offset, out, at):
    """out[at:at+16] = 1 / (scale * distance + offset) of the points xyz (3, ...) [:, start:start+16] to (x, y, z)."""
    if not _floats(xyz, out):
        return None

    def code(context, builder, signature, arguments):
        xyz_, start_, *center, scale_, offset_, out_, at_ = arguments
        away = _call(builder, "sqrt", _away(context, builder, xyz, xyz_, start_, center))
        away = builder.fadd(builder.fmul(away, _all(builder, scale_)), _all(builder, offset_))
        _store(context, builder, out, out_, at_, builder.fdiv(ir.Constant(_VECTOR, [1.0] * LANES), away))
        return context.get_dummy_value()

    f = types.float32
    return types.void(xyz, types.int64, f, f, f, f, f, out, types.int64), code


@intrinsic
def nearest_three(typingctx, points, centers, candidate, count, squared, nearest):
    """For 16 points (3, 16) the three nearest centers (3, ...) among candidate[:count] int32: their squared distances,
    in squared[16 k:16 k + 16] for the k-th nearest, and their numbers in `nearest`; of equally near ones the first.

    Where there are fewer than three, the last distances are 3e38 and their numbers 0.
    """
    if not _floats(points, centers, squared):
        return None
    word = ir.IntType(32)
    numbers = ir.VectorType(word, LANES)

    def code(context, builder, signature, arguments):
        points_, centers_, candidate_, count_, squared_, nearest_ = arguments
        zero, far = ir.Constant(_WORD, 0), ir.Constant(_VECTOR, [3e38] * LANES)
        mine = [_load(context, builder, points, points_, zero, axis) for axis in range(3)]
        listed = context.make_array(candidate)(context, builder, candidate_).data
        best = [cgutils.alloca_once_value(builder, far) for _ in range(3)]
        which = [cgutils.alloca_once_value(builder, ir.Constant(numbers, None)) for _ in range(3)]
        with cgutils.for_range(builder, count_, intp=_WORD) as loop:
            number = builder.load(builder.gep(listed, [loop.index]))
            place = builder.sext(number, _WORD)
            parts = [
                builder.fsub(mine[axis], _one(context, builder, centers, centers_, place, axis)) for axis in range(3)
            ]
            new, own = _squared(builder, parts), _all_words(builder, number)
            for value, index in zip(best, which, strict=True):  # into its place, what stood there one further
                old, held = builder.load(value), builder.load(index)
                nearer = builder.fcmp_ordered("<", new, old)
                builder.store(builder.select(nearer, new, old), value)
                builder.store(builder.select(nearer, own, held), index)
                new, own = builder.select(nearer, old, new), builder.select(nearer, held, own)
        for k, (value, index) in enumerate(zip(best, which, strict=True)):
            at = ir.Constant(_WORD, k * LANES)
            _store(context, builder, squared, squared_, at, builder.load(value))
            address = builder.bitcast(_pointer(context, builder, nearest, nearest_, 0, at), numbers.as_pointer())
            builder.store(builder.load(index), address, align=4)
        return context.get_dummy_value()

    return types.void(points, centers, candidate, types.int64, squared, nearest), code


def _all_words(builder, value):
    """An int32 in every lane."""
    kind = ir.VectorType(ir.IntType(32), LANES)
    one = builder.insert_element(ir.Constant(kind, ir.Undefined), value, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(one, ir.Constant(kind, ir.Undefined), ir.Constant(kind, None))


@intrinsic
def lower_distances(typingctx, xyz, start, x, y, z, squared):
    """squared[start:start+16], lowered to the squared distances of xyz[:, start:start+16] to (x, y, z); the largest."""
    if not _floats(xyz, squared):
        return None

    def code(context, builder, signature, arguments):
        xyz_, start_, *center, squared_ = arguments
        new = _away(context, builder, xyz, xyz_, start_, center)
        old = _load(context, builder, squared, squared_, start_)
        least = builder.select(builder.fcmp_ordered("<", new, old), new, old)
        _store(context, builder, squared, squared_, start_, least)
        return _largest(builder, least)

    f = types.float32
    return f(xyz, types.int64, f, f, f, squared), code


@intrinsic
def largest_product(typingctx, left, right, start):
    """The largest of left[start:start+16] * right[start:start+16], and the mask of the lanes that reach it."""
    if not _floats(left, right):
        return None
    both = types.Tuple((types.float32, types.int64))

    def code(context, builder, signature, arguments):
        left_, right_, start_ = arguments
        product = builder.fmul(
            _load(context, builder, left, left_, start_), _load(context, builder, right, right_, start_)
        )
        top = _largest(builder, product)
        mask = _mask(builder, builder.fcmp_ordered("==", product, _all(builder, top)))
        return context.make_tuple(builder, both, [top, mask])

    return both(left, right, types.int64), code


def _largest(builder, lanes):
    """Of the lanes, by halves."""
    width = LANES
    while width > 1:
        width //= 2
        pick = ir.Constant(ir.VectorType(ir.IntType(32), width), list(range(width)))
        rest = ir.Constant(ir.VectorType(ir.IntType(32), width), list(range(width, 2 * width)))
        nothing = ir.Constant(lanes.type, ir.Undefined)
        a, b = builder.shuffle_vector(lanes, nothing, pick), builder.shuffle_vector(lanes, nothing, rest)
        lanes = _larger(builder, a, b)
    return builder.extract_element(lanes, ir.Constant(ir.IntType(32), 0))


@intrinsic
def weighted_sum(typingctx, rows, count, factors, row, start, out, at):
    """out[at:at+16] = the sum over k < count of factors[row, start + k] * rows[16 k:16 k + 16], rows flat."""
    if not _floats(rows, factors, out):
        return None

    def code(context, builder, signature, arguments):
        rows_, count_, factors_, row_, start_, out_, at_ = arguments
        address = _row_pointer(context, builder, factors, factors_, row_, start_)

        def term(k):
            factor = builder.load(builder.gep(address, [k]), align=4)
            return _all(builder, factor), _load(
                context, builder, rows, rows_, builder.mul(k, ir.Constant(_WORD, LANES))
            )

        _store(context, builder, out, out_, at_, _summed(context, builder, count_, term))
        return context.get_dummy_value()

    i = types.int64
    return types.void(rows, i, factors, i, i, out, i), code


@intrinsic
def row_products(typingctx, left, right, count, out, at):
    """out[at:at+16] = the sum over k < count of left[16 k:16 k + 16] * right[16 k:16 k + 16], both flat."""
    if not _floats(left, right, out):
        return None

    def code(context, builder, signature, arguments):
        left_, right_, count_, out_, at_ = arguments

        def term(k):
            place = builder.mul(k, ir.Constant(_WORD, LANES))
            return _load(context, builder, left, left_, place), _load(context, builder, right, right_, place)

        _store(context, builder, out, out_, at_, _summed(context, builder, count_, term))
        return context.get_dummy_value()

    i = types.int64
    return types.void(left, right, i, out, i), code


@intrinsic
def blend(typingctx, rows, i, j, k, a, b, c, start, out, row):
    """out[row, start:start+16] = a rows[i, start:] + b rows[j, start:] + c rows[k, start:]."""
    if not _floats(rows, out):
        return None

    def code(context, builder, signature, arguments):
        rows_, i_, j_, k_, a_, b_, c_, start_, out_, row_ = arguments
        total = None
        for source, factor in ((i_, a_), (j_, b_), (k_, c_)):
            address = _row_pointer(context, builder, rows, rows_, source, start_)
            address = builder.bitcast(address, _VECTOR.as_pointer())
            term = _all(builder, factor), builder.load(address, align=4)
            total = builder.fmul(*term) if total is None else _call(builder, "fmuladd", *term, total)
        address = builder.bitcast(_row_pointer(context, builder, out, out_, row_, start_), _VECTOR.as_pointer())
        builder.store(total, address, align=4)
        return context.get_dummy_value()

    w, f = types.int64, types.float32
    return types.void(rows, w, w, w, f, f, f, w, out, w), code


def _row_pointer(context, builder, kind, array, row, start):
    """Address of array[row, start], row an int64 of the program."""
    made = context.make_array(kind)(context, builder, array)
    address = builder.add(builder.ptrtoint(made.data, _WORD), builder.mul(builder.extract_value(made.strides, 0), row))
    address = builder.add(address, builder.mul(start, ir.Constant(_WORD, 4)))
    return builder.inttoptr(address, ir.FloatType().as_pointer())


def _summed(context, builder, count, term):
    """The sum over k < count of the product of the two vectors term(k)."""
    total = cgutils.alloca_once_value(builder, ir.Constant(_VECTOR, None))
    with cgutils.for_range(builder, count, intp=_WORD) as loop:
        a, b = term(loop.index)
        builder.store(_call(builder, "fmuladd", a, b, builder.load(total)), total)
    return builder.load(total)
