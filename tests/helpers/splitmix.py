"""The kernels' random numbers, for references that make their draws again."""

MASK, GOLDEN = 2**64 - 1, 0x9E3779B97F4A7C15


def mix(z):
    """The finaliser."""
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & MASK
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB & MASK
    return z ^ (z >> 31)


def bits(seed, stream, position):
    """64 bits of a key of three words."""
    a = mix((seed + GOLDEN) & MASK)
    b = mix(a ^ (stream + 2 * GOLDEN & MASK))
    return mix(b ^ (position + 3 * GOLDEN & MASK))


class Rng:
    """SplitMix64, keyed by three words."""

    def __init__(self, *key):
        self.state = bits(*key)

    def next(self):
        self.state = (self.state + GOLDEN) & MASK
        return mix(self.state)

    def unit(self):
        return (self.next() >> 11) / 2**53

    def below(self, bound):
        wide = self.next() * bound
        if wide & MASK < bound:
            while wide & MASK < (2**64 - bound) % bound:
                wide = self.next() * bound
        return wide >> 64

    def shuffled(self, values):
        values = list(values)
        for last in range(len(values) - 1, 0, -1):
            other = self.below(last + 1)
            values[last], values[other] = values[other], values[last]
        return values
