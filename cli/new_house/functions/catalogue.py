"""The functions that a Call may name: a file each, and a line here. Workers read this when they start."""

from collections.abc import Mapping

from activities.functions.call import Function
from functions.find_contact import find_contact

FUNCTIONS: Mapping[str, Function] = {
    "find_contact": find_contact,
}
