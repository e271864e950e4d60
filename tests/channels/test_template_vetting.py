"""Which templates are rendered in our own process."""

import pytest

from channels.template_language import language
from channels.template_vetting import is_bounded
from tests.channels.hostile import HOSTILE


def bounded(source: str) -> bool:
    return is_bounded(language(html=False).parse(source))


@pytest.mark.parametrize(
    "source",
    [
        "Hello {{ user.name | default('you') | title }}",
        "{% for item in entry.items | default([]) %}{{ item.name | default('x') }}{% endfor %}",
        "{% set name = user.name | default('you') %}{{ name ~ '!' }}",
        "{% if entry.total is defined and entry.total * 2 > 10 %}{{ entry.total | decimals }}{% endif %}",
        "{{ user.names | default([]) | join(', ') }}",
    ],
)
def test_what_people_write_is_harmless(source: str) -> None:
    assert bounded(source)


@pytest.mark.parametrize(
    "source",
    [
        "{{ user.name.upper() }}",  # a call
        "{% macro m() %}{% endmacro %}",
        "{{ 2 ** 3 }}",
        "{% for a in user.a %}{% for b in user.b %}{% for c in user.c %}x{% endfor %}{% endfor %}{% endfor %}",
        "{% for a in user.a ~ user.b %}x{% endfor %}",  # a list that the template builds
        "{% set x = user.a ~ user.a %}{{ x }}",  # may be built upon again
        "{% set x %}a{% endset %}",
        "{{ user.a | replace('a', 'aa') }}",
        "{{ user.a | join(user.b) }}",
        "{% for a in user.a recursive %}x{% endfor %}",
        "{% for a in user.a if a.b %}" + "{{ a.c }}" * 200 + "{% endfor %}",  # too much work altogether
        "{% include 'x' %}",
        "{% filter upper %}a{% endfilter %}",
    ],
)
def test_what_can_cost_more_than_it_is_given_goes_to_a_child(source: str) -> None:
    assert not bounded(source)


@pytest.mark.parametrize(
    "name", [name for name in HOSTILE if name.startswith(("doubling", "joined", "replaced", "loops", "letters", "a list", "a tower"))]
)
def test_no_template_that_grows_is_taken_for_harmless(name: str) -> None:
    assert not bounded(HOSTILE[name])
