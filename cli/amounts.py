"""Numbers and moments as people read them."""


def of_people(count: int) -> str:
    return "1 person" if count == 1 else f"{count:,} people"


def minute(at: str) -> str:
    """An ISO time of the API to its minute, in its zone, which is UTC."""
    return at[:16].replace("T", " ")


def second(at: str) -> str:
    """The same to its second."""
    return at[:19].replace("T", " ")
