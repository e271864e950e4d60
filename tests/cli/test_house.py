"""What `check` says of the team's files. Each broken file is named, and the sound ones are still read."""

import sys
from pathlib import Path
from typing import Any

import pytest

import journeys
from cli import house
from journeys.language.errors import Invalid, NotFound

SOUND = """
from journeys.language import Journey, Send, email, event
journey = Journey("{name}", starts_on=event("signed_up"), steps=[Send("hello", email("hello"))])
"""


@pytest.fixture
def room(tmp_path: Path) -> Path:
    room = tmp_path / "journeys"
    (room / "templates" / "hello").mkdir(parents=True)
    (room / "templates" / "hello" / "template.toml").write_text('from = "a@example.com"\n')
    (room / "templates" / "hello" / "subject.txt").write_text("Hello")
    (room / "templates" / "hello" / "body.txt").write_text("Hello. {{ links.unsubscribe }}")
    (room / "welcome.py").write_text(SOUND.format(name="welcome"))
    return room


def problems(room: Path) -> list[tuple[str, str]]:
    return [(problem.pointer, problem.code) for problem in house.load(room.parent).problems]


def test_a_sound_house_has_no_problems(room: Path) -> None:
    found = house.load(room.parent)
    assert (list(found.journeys), list(found.templates), found.problems) == (["welcome"], ["hello"], [])


@pytest.mark.parametrize(
    ("source", "pointer", "code"),
    [
        ("def (", "broken.py", "import_failed"),  # no Python
        ("import nothing_of_that_name", "broken.py", "import_failed"),
        ("1 / 0", "broken.py", "import_failed"),
        ("x = 1", "broken.py", "no_journey"),
        (SOUND.format(name="welcome"), "welcome.py", "name_twice"),
        (SOUND.format(name="Not kebab"), "Not kebab", "name_not_kebab"),
        (SOUND.format(name="other").replace('"hello"))', '"nothing"))'), "other/hello", "no_template"),
        (SOUND.format(name="other").replace("email", "push"), "other/hello", "no_content"),
    ],
)
def test_a_broken_file_is_named_and_hides_no_other(room: Path, source: str, pointer: str, code: str) -> None:
    (room / "broken.py").write_text(source)
    found = house.load(room.parent)
    assert "welcome" in [journey.name for journey in found.journeys.values()]
    assert problems(room) == [(pointer, code)]


def test_a_template_is_read_with_the_layouts_and_partials_that_it_uses(room: Path) -> None:
    for file, said in (("_layouts/text.txt", "{% block b %}{% endblock %}"), ("_partials/a.txt", "{{ x"), ("_partials/unused.txt", "{{ x")):
        (room / "templates" / file).parent.mkdir(exist_ok=True)
        (room / "templates" / file).write_text(said)
    body = room / "templates" / "hello" / "body.txt"
    body.write_text('{% extends "_layouts/text.txt" %}{% block b %}{{ links.unsubscribe }}{% endblock %}')
    found = house.load(room.parent)
    assert (list(found.templates), found.problems) == (["hello"], [])
    assert sorted(found.templates["hello"]) == ["_layouts/text.txt", "body.txt", "subject.txt", "template.toml"]
    body.write_text('{% include "_partials/a.txt" %} {{ links.unsubscribe }}')
    broken = house.load(room.parent).findings[0]
    assert (broken.file, broken.line, broken.problem.code) == (room / "templates" / "_partials" / "a.txt", 1, "syntax")


def test_an_error_names_its_line(room: Path) -> None:
    (room / "broken.py").write_text("\n\n1 / 0\n")
    assert house.load(room.parent).findings[0].line == 3


def test_a_journey_that_the_catalogue_does_not_name_is_said(room: Path) -> None:
    (room / "catalogue.py").write_text("from journeys import other\nJOURNEYS = (other.journey,)\n")
    assert problems(room) == [("welcome.py", "not_listed"), ("catalogue.py", "no_such_file")]


def test_marketing_mail_must_show_the_way_out(room: Path) -> None:
    (room / "templates" / "hello" / "body.txt").write_text("Hello.")
    assert ("welcome/hello", "no_unsubscribe") in problems(room)


def test_a_broken_template_is_named_with_its_file(room: Path) -> None:
    (room / "templates" / "hello" / "subject.txt").write_text("{{ user.name ")
    assert any(pointer == "templates/hello/subject.txt" for pointer, _ in problems(room))


def test_nothing_is_published_while_something_is_wrong(room: Path) -> None:
    (room / "broken.py").write_text("1 / 0")
    with pytest.raises(Invalid):
        house.load(room.parent).publication()


def test_a_folder_without_journeys_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="SOJOURN_HOUSE"):
        house.load(tmp_path)


def test_a_journey_is_found_by_its_name_and_its_file(room: Path) -> None:
    (room / "second.py").write_text(SOUND.format(name="second-one"))
    found = house.load(room.parent)
    assert found.journey("second") is found.journey("second-one")
    with pytest.raises(NotFound, match="welcome"):
        found.journey("nothing")


def test_two_houses_do_not_share_modules(room: Path, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere" / "journeys"
    other.mkdir(parents=True)
    (other / "welcome.py").write_text(SOUND.format(name="elsewhere"))
    assert house.load(room.parent).journeys["welcome"].name == "welcome"
    assert house.load(other.parent).journeys["welcome"].name == "elsewhere"


def test_what_journeys_share_stands_in_a_file_that_begins_with_an_underscore(room: Path) -> None:
    (room / "_parts.py").write_text('NAME = "shared"\n')
    (room / "shared.py").write_text("from journeys._parts import NAME\n" + SOUND.replace('"{name}"', "NAME"))
    found = house.load(room.parent)
    assert ([journey.name for journey in found.journeys.values()], found.problems) == (["shared", "welcome"], [])
    (room / "_parts.py").write_text('NAME = "edited"\n')
    assert house.load(room.parent).journeys["shared"].name == "edited"


def test_reading_a_house_leaves_sojourns_own_journeys_as_they_were(room: Path) -> None:
    from journeys import onboarding as before  # noqa: PLC0415 - it is the import that is looked at

    (room / "onboarding.py").write_text(SOUND.format(name="their-own"))
    assert house.load(room.parent).journeys["onboarding"].name == "their-own"
    from journeys import onboarding as after  # noqa: PLC0415

    assert after is before
    assert after.journey.name == "onboarding"
    assert sys.modules["journeys.onboarding"] is before
    assert not any(str(room) in place for place in journeys.__path__)


def test_a_broken_part_is_told_where_it_is_imported(room: Path) -> None:
    (room / "_parts.py").write_text("def (")
    (room / "shared.py").write_text("\nfrom journeys._parts import NAME\n")
    (found,) = house.load(room.parent).findings
    assert (found.file.name, found.line) == ("shared.py", 2)
    assert found.problem.message == f"Python cannot read {room}/_parts.py: invalid syntax"


def test_a_journey_that_is_broken_is_told_when_it_is_asked_for(room: Path) -> None:
    (room / "other.py").write_text("1 / 0")
    with pytest.raises(Invalid, match="py:1: importing it fails with ZeroDivisionError"):
        house.load(room.parent).journey("other")


LAPSED = """
from journeys.language import Segment, days, did_not, in_segment
segment = Segment("{name}", {condition})
"""


def with_segments(room: Path, **conditions: str) -> Path:
    (room / "segments").mkdir()
    for name, condition in conditions.items():
        (room / "segments" / f"{name}.py").write_text(LAPSED.format(name=name.replace("_", "-"), condition=condition))
    return room


def test_segments_are_read_beside_journeys_and_published_with_them(room: Path) -> None:
    with_segments(room, lapsed='did_not("order_placed", last=days(90))', both='in_segment("lapsed")')
    found = house.load(room.parent)
    assert found.findings == []
    published = found.publication()["segments"]
    assert isinstance(published, dict)
    assert published["both"] == {"kind": "in_segment", "segment": "lapsed"}
    assert set(published) == {"lapsed", "both"}


def test_a_segment_that_is_slow_to_count_is_warned_of_in_its_own_file(room: Path) -> None:
    with_segments(room, ever='did_not("order_placed")', both='in_segment("ever") & did_not("x", last=days(1))')
    found = house.load(room.parent)
    told = [(each.severity, each.problem.pointer, each.problem.code, each.line, each.file.name) for each in found.findings]
    assert told == [("warning", "segments/ever.py", "slow_to_count", 3, "ever.py")]
    assert found.publication()["segments"]


@pytest.mark.parametrize(
    ("source", "code", "line"),
    [
        ("segment = 1", "no_segment", 1),
        ("1 / 0", "import_failed", 1),
        (LAPSED.format(name="No Kebab", condition='in_segment("x")'), "name_not_kebab", 3),
        (LAPSED.format(name="lapsed", condition='in_segment("lapsed")'), "name_twice", 3),
        (LAPSED.format(name="odd", condition='in_segment("odd")'), "segment_circle", 3),
        (LAPSED.format(name="odd", condition='did_not("x", since="entry")'), "of_an_enrollment", 3),
        (LAPSED.format(name="odd", condition="nothing"), "import_failed", 3),
    ],
)
def test_a_broken_segment_is_named_with_its_line_and_hides_no_other(room: Path, source: str, code: str, line: int) -> None:
    with_segments(room, lapsed='did_not("order_placed", last=days(90))')
    (room / "segments" / "other.py").write_text(source)
    found = house.load(room.parent)
    assert [segment.name for segment in found.segments.values() if segment.name == "lapsed"] == ["lapsed"]
    assert [(each.problem.pointer, each.problem.code, each.line, each.file.name) for each in found.findings] == [
        ("segments/other.py", code, line, "other.py")
    ]


def test_a_segment_that_the_catalogue_does_not_name_is_said(room: Path) -> None:
    with_segments(room, lapsed='did_not("x")', listed='did_not("x")')
    (room / "catalogue.py").write_text(
        "from journeys import welcome\nfrom journeys.segments import gone, listed\n"
        "JOURNEYS = (welcome.journey,)\nSEGMENTS = (listed.segment, gone.segment)\n"
    )
    assert problems(room) == [("segments/lapsed.py", "not_listed"), ("catalogue.py", "no_such_file")]


def test_a_segment_that_no_file_writes_is_only_warned_of_because_the_app_may_have_it(room: Path) -> None:
    with_segments(room, outer='in_segment("imported")', known='did_not("x", last=days(1))')
    asking = SOUND.format(name="asks").replace("steps=[", 'exits_on=in_segment("known") | in_segment("other"), steps=[')
    (room / "asks.py").write_text(asking.replace("import Journey", "import in_segment, Journey"))
    found = house.load(room.parent)
    assert found.problems == []
    assert [(each.problem.pointer, each.problem.code) for each in found.findings] == [
        ("segments/outer.py", "no_such_segment"),
        ("asks/exits_on", "segment_not_known"),
    ]


PRODUCT = '"""Our products."""\n\nfrom journeys.language import Http, Rows, Source\n\nsource = Source({name!r}, {origin})\n'
KEPT, ASKED = 'Rows(key="sku")', 'Http("https://api.example.com/{key}")'


def with_sources(room: Path, **origins: str) -> None:
    (room / "sources").mkdir()
    for name, origin in origins.items():
        (room / "sources" / f"{name}.py").write_text(PRODUCT.format(name=name, origin=origin))


def test_sources_are_read_and_published_with_their_rows(room: Path) -> None:
    with_sources(room, product=KEPT, price=ASKED)
    (room / "sources" / "product.csv").write_text("sku,name\nA-1,Chair\n")
    found = house.load(room.parent)
    assert found.findings == []
    published: Any = found.publication()["sources"]
    assert published["product"]["csv"] == "sku,name\nA-1,Chair\n"
    assert published["price"]["definition"]["origin"]["url"] == "https://api.example.com/{key}"
    assert "csv" not in published["price"]


@pytest.mark.parametrize(
    ("source", "code", "line"),
    [
        ("source = 1", "no_source", 1),
        ("1 / 0", "import_failed", 1),
        (PRODUCT.format(name="No-Name", origin=KEPT), "bad_source_name", 5),
        (PRODUCT.format(name="product", origin=KEPT), "name_twice", 5),
        (PRODUCT.format(name="other", origin='Http("https://api.example.com/p")'), "no_key_in_url", 5),
    ],
)
def test_a_broken_source_is_named_with_its_line_and_hides_no_other(room: Path, source: str, code: str, line: int) -> None:
    with_sources(room, a_product=KEPT.replace("sku", "id"))
    (room / "sources" / "a_product.py").write_text(PRODUCT.format(name="product", origin=KEPT))
    (room / "sources" / "other.py").write_text(source)
    found = house.load(room.parent)
    assert [each.name for each in found.sources.values() if each.name == "product"] == ["product"]
    assert [(each.problem.pointer, each.problem.code, each.line) for each in found.findings] == [("sources/other.py", code, line)]


@pytest.mark.parametrize(
    ("file", "text", "code", "line"),
    [
        ("product.csv", "id\n1\n", "no_key_column", 1),
        ("product.csv", "sku,name\n1,a\n1,b\n", "bad_row", 3),
        ("other.csv", "sku\n1\n", "no_source", 1),
        ("asked.csv", "sku\n1\n", "keeps_no_rows", 1),
    ],
)
def test_a_wrong_csv_is_named_with_its_line(room: Path, file: str, text: str, code: str, line: int) -> None:
    with_sources(room, product=KEPT, asked=ASKED)
    (room / "sources" / file).write_text(text)
    found = house.load(room.parent)
    assert [(each.problem.pointer, each.problem.code, each.line, each.file.name) for each in found.findings] == [
        (f"sources/{file}", code, line, file)
    ]


def test_a_template_that_asks_a_source_which_is_not_here_is_warned_of_because_the_app_may_have_it(room: Path) -> None:
    with_sources(room, product=KEPT)
    text = "{{ source.product['a'].name | default('-') }} {{ source.prodct['a'].name | default('-') }}"
    (room / "templates" / "offer").mkdir(parents=True)
    (room / "templates" / "offer" / "sms.txt").write_text(text)
    found = house.load(room.parent)
    assert found.problems == []
    assert [(each.problem.pointer, each.problem.code) for each in found.findings] == [("templates/offer", "no_such_source")]
    assert "prodct" in found.findings[0].problem.message
