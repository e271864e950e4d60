"""Whether people are spread over arms as the weights say: where they are not, something is broken, and no result can be trusted.

The usual chi-square test is right for one look. This one holds under every look, and exactly so: M. Lindon, A. Malek, Anytime-valid
inference for multinomial count data, NeurIPS 2022, a Dirichlet mixture around the weights against the weights themselves.
"""

from collections.abc import Sequence
from math import exp, lgamma, log

# A sound experiment is suspected less than once in a thousand, however often it is looked at.
SUSPECT = 0.001
# Off by about 1.5 points of a half: what faults of practice bring, rather than what only millions of people could show.
_CONCENTRATION = 1_000.0


def mismatch_p(counts: Sequence[int], weights: Sequence[float]) -> float:
    """How well these counts go with these weights, from 0 to 1; below SUSPECT they do not. The weights need not sum to anything.

    Of arms without weight it is certain that nobody should be in them.
    """
    whole, people = sum(weights), sum(counts)
    if any(count and not weight for count, weight in zip(counts, weights, strict=True)):
        return 0.0
    if not people or not whole:
        return 1.0
    evidence = lgamma(_CONCENTRATION) - lgamma(_CONCENTRATION + people)
    for count, weight in zip(counts, weights, strict=True):
        if weight:
            share = weight / whole
            evidence += lgamma(_CONCENTRATION * share + count) - lgamma(_CONCENTRATION * share) - count * log(share)
    return min(1.0, exp(-evidence))


def is_mismatched(counts: Sequence[int], weights: Sequence[float]) -> bool:
    """Whether people came into arms as they should not have."""
    return mismatch_p(counts, weights) < SUSPECT
