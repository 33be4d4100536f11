"""What a group's chips do with the samples in front of them."""

from ._lanes import floats, load, select, store
from ._math import exp, inlined, log, logistic, relu, tanh
from ._perturb import signed
from ._settings import AMPLITUDE, LOGISTIC, RELU, TANH


@inlined
def _activate(network, group, layer, neuron, number, a):
    """A neuron's output; `number` counts neurons over all layers."""
    if network.varied:
        a = load(group.neurons, 4 * number + 1) * (a - load(group.neurons, 4 * number + 2))
    code = network.activations[layer]
    if code == LOGISTIC:
        a = logistic(a)
    elif code == TANH:
        a = tanh(a)
    elif code == RELU:
        a = relu(a)
    if network.varied:
        a = load(group.neurons, 4 * number) * a + load(group.neurons, 4 * number + 3)
    return a


@inlined
def _cost(network, group, row, target):
    """Of one sample, from the outputs in rows `row` … and the targets in rows `target` … ."""
    n = network.sizes[-1]
    if not network.cross_entropy:
        total = floats(0.0)
        for k in range(n):
            error = load(group.outputs, row + k) - load(group.target, target + k)
            total = total + error * error
        return total * (1.0 / n)
    largest = load(group.outputs, row)
    for k in range(1, n):
        y = load(group.outputs, row + k)
        largest = select(largest < y, y, largest)
    total = floats(0.0)
    for k in range(n):
        total = total + exp(load(group.outputs, row + k) - largest)
    scale, cost = log(total), floats(0.0)
    for k in range(n):
        wanted = (1.0 - network.smoothing) * load(group.target, target + k) + network.smoothing / n
        cost = cost + wanted * (scale - (load(group.outputs, row + k) - largest))
    return cost


@inlined
def _sums_of_first(group, p, x_row, n):
    """Σ θ x and Σ ± x over n parameters from p on."""
    total, wiggled, k = floats(0.0), floats(0.0), 0
    while k < n:
        packed = load(group.signs, (p + k) >> 5) << ((p + k) & 31)
        end = min(n, k + 32 - ((p + k) & 31))
        while k < end:
            x = load(group.x, x_row + k)
            total = total + load(group.theta, p + k) * x
            wiggled = wiggled + signed(x, packed)
            packed = packed << 1
            k += 1
    return total, wiggled


@inlined
def _sums(group, p, first, second, n, by_first, by_second):
    """Σ (θ ± by) z over n parameters from p on, twice: each with its own z and its own size of θ̃."""
    total, other, k = floats(0.0), floats(0.0), 0
    while k < n:
        packed = load(group.signs, (p + k) >> 5) << ((p + k) & 31)
        end = min(n, k + 32 - ((p + k) & 31))
        while k < end:
            theta = load(group.theta, p + k)
            total = total + (theta + signed(by_first, packed)) * load(group.outputs, first + k)
            other = other + (theta + signed(by_second, packed)) * load(group.outputs, second + k)
            packed = packed << 1
            k += 1
    return total, other


@inlined
def _sum(group, p, from_x, row, n, by):
    """Σ (θ ± by) z over n parameters from p on."""
    total, k = floats(0.0), 0
    while k < n:
        packed = load(group.signs, (p + k) >> 5) << ((p + k) & 31)
        end = min(n, k + 32 - ((p + k) & 31))
        while k < end:
            z = load(group.x, row + k) if from_x else load(group.outputs, row + k)
            total = total + (load(group.theta, p + k) + signed(by, packed)) * z
            packed = packed << 1
            k += 1
    return total


@inlined
def _bias(group, p):
    """θ of a bias, and its sign at the highest bit."""
    return load(group.theta, p), load(group.signs, p >> 5) << (p & 31)


@inlined
def pair(network, group, sample, by_first, by_second):
    """The costs of a sample with two multiples of ±1 added to the parameters."""
    widest = group.outputs.shape[0] // 4
    here, there, number = 0, 2 * widest, 0
    for layer in range(network.starts.size):
        n, p = network.sizes[layer], network.starts[layer]
        biases = p + n * network.sizes[layer + 1]
        for neuron in range(network.sizes[layer + 1]):
            theta, packed = _bias(group, biases + neuron)
            if layer == 0:
                total, wiggled = _sums_of_first(group, p, sample * n, n)
                total, wiggled = total - theta, wiggled - signed(floats(1.0), packed)
                first, second = total + by_first * wiggled, total + by_second * wiggled
            else:
                first, second = _sums(group, p, here, here + widest, n, by_first, by_second)
                first = first - (theta + signed(by_first, packed))
                second = second - (theta + signed(by_second, packed))
            store(group.outputs, there + neuron, _activate(network, group, layer, neuron, number, first))
            store(group.outputs, there + widest + neuron, _activate(network, group, layer, neuron, number, second))
            p += n
            number += 1
        here, there = there, here
    target = sample * network.sizes[-1]
    return _cost(network, group, here, target), _cost(network, group, here + widest, target)


@inlined
def _sum_of_values(group, base, wiggle, p, from_x, row, n, multiple):
    """Σ (base + multiple · wiggle) z over n parameters from p on."""
    total = floats(0.0)
    for k in range(n):
        z = load(group.x, row + k) if from_x else load(group.outputs, row + k)
        total = total + (load(base, p + k) + multiple * load(wiggle, p + k)) * z
    return total


@inlined
def alone(network, signals, group, base, wiggle, sample, multiple):
    """The cost of a sample with a multiple of θ̃: of packed signs added to θ, or of `wiggle` added to `base`."""
    widest, by = group.outputs.shape[0] // 4, multiple * load(group.numbers, AMPLITUDE)
    here, there, number = 0, 2 * widest, 0
    for layer in range(network.starts.size):
        n, p = network.sizes[layer], network.starts[layer]
        biases, row = p + n * network.sizes[layer + 1], sample * n if layer == 0 else here
        for neuron in range(network.sizes[layer + 1]):
            if signals.packed:
                theta, packed = _bias(group, biases + neuron)
                total = _sum(group, p, layer == 0, row, n, by) - (theta + signed(by, packed))
            else:
                bias = load(base, biases + neuron) + multiple * load(wiggle, biases + neuron)
                total = _sum_of_values(group, base, wiggle, p, layer == 0, row, n, multiple) - bias
            store(group.outputs, there + neuron, _activate(network, group, layer, neuron, number, total))
            p += n
            number += 1
        here, there = there, here
    return _cost(network, group, here, sample * network.sizes[-1])
