"""The team's journeys, segments, sources, campaigns, templates and functions as they stand in files, and what is wrong, with its place."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import orjson

from api.completeness import doubtful_entries, missing_around, missing_content, missing_functions, missing_journeys
from api.source_publishing import lacking, rows_of_csv
from channels import templates
from channels.template_layouts import LAYOUTS, PARTIALS, is_shared
from channels.templates import with_shared
from cli.findings import Finding, Severity
from cli.function_names import read_functions
from cli.journey_files import CATALOGUE, SOURCE, Read, read_journeys
from cli.source_lines import of_template, row_line
from journeys.language.campaigns import Campaign
from journeys.language.check import warnings
from journeys.language.check_segments import costly, segment_problems
from journeys.language.codec import campaign_to_json, condition_to_json, source_to_json, to_json
from journeys.language.errors import Invalid, NotFound, Problem
from journeys.language.journey import Journey
from journeys.language.segments import Segment
from journeys.language.sources import Source

ROOM = "journeys"


@dataclass(frozen=True)
class House:
    """What was found: journeys, segments, sources and campaigns by file name without .py, templates and functions by name, what is wrong.

    `functions` is None where they could not be read. `tables` are the CSVs of sources, by the source's name.
    """

    folder: Path
    journeys: Mapping[str, Journey]
    segments: Mapping[str, Segment]
    campaigns: Mapping[str, Campaign]
    templates: Mapping[str, Mapping[str, str]]
    functions: Collection[str] | None
    findings: list[Finding] = field(default_factory=list)
    sources: Mapping[str, Source] = field(default_factory=dict)
    tables: Mapping[str, str] = field(default_factory=dict)

    @property
    def problems(self) -> list[Problem]:
        """What must be mended before anything is published."""
        return [finding.problem for finding in self.findings if finding.severity == "error"]

    @property
    def warnings(self) -> list[Problem]:
        return [finding.problem for finding in self.findings if finding.severity == "warning"]

    @property
    def unread(self) -> Sequence[str]:
        """The files in journeys/ of which no journey came."""
        files = {each.file for each in self.findings if each.file.parent == self.folder / ROOM and each.file.stem not in self.journeys}
        return sorted(file.name for file in files if file.name != CATALOGUE)

    def journey(self, name: str) -> Journey:
        """A journey by its name or its file's. Raises NotFound; Invalid when it is there and broken."""
        for file, journey in self.journeys.items():
            if name in (file, journey.name):
                return journey
        if broken := [each for each in self.findings if name in (each.journey, each.file.stem) and each.severity == "error"]:
            raise Invalid([each.placed for each in broken])
        raise NotFound(f"there is no journey {name}; there are {', '.join(sorted(j.name for j in self.journeys.values())) or 'none'}")

    def file_of(self, journey: Journey) -> Path:
        """The file in which a journey of this house is written."""
        return self.folder / ROOM / f"{next(stem for stem, each in self.journeys.items() if each is journey)}.py"

    def publication(self) -> dict[str, object]:
        """The body of plan and apply. Raises Invalid with everything that is wrong."""
        if broken := [each.placed for each in self.findings if each.severity == "error"]:
            raise Invalid(broken)
        definitions = [orjson.loads(to_json(journey)) for journey in self.journeys.values()]
        texts = {name: dict(files) for name, files in self.templates.items()}
        conditions = {each.name: orjson.loads(condition_to_json(each.condition)) for each in self.segments.values()}
        sources = {each.name: self._source(each) for each in self.sources.values()}
        campaigns = [orjson.loads(campaign_to_json(campaign)) for campaign in self.campaigns.values()]
        return {"journeys": definitions, "segments": conditions, "sources": sources, "campaigns": campaigns, "templates": texts}

    def _source(self, source: Source) -> dict[str, object]:
        definition = {"definition": orjson.loads(source_to_json(source))}
        return definition | ({"csv": self.tables[source.name]} if source.name in self.tables else {})


def load(folder: Path) -> House:
    """Read what `<folder>/journeys/catalogue.py` names, the templates and tables beside it, and the names of functions."""
    home = folder.resolve()
    room = home / ROOM
    if not room.is_dir():
        raise NotFound(
            f"there is no folder {room}: run this where your journeys are, or name it in SOJOURN_HOUSE; `sojourn init DIR` makes one"
        )
    read = read_journeys(room)
    texts = _templates(room / "templates")
    functions, broken = read_functions(home)
    tables, amiss = _tables(room, read)
    names = {each.name for each in read.sources.values()}
    asked = [*_of_templates(room, texts, names), *_of_segments(room, read), *_of_campaigns(room, read, texts, functions)]
    around = [*asked, *amiss]
    findings = [*read.findings, *broken, *around, *_of_journeys(room, read, texts, functions)]
    return House(home, read.journeys, read.segments, read.campaigns, texts, functions, findings, read.sources, tables)


def _tables(room: Path, read: Read) -> tuple[dict[str, str], list[Finding]]:
    """The CSVs beside the files of sources, by the source's name, and what is wrong with them."""
    tables, findings = {}, []
    for file in sorted((room / SOURCE.folder).glob("*.csv")):
        pointer = f"{SOURCE.folder}{file.name}"
        source = read.sources.get(file.stem)
        if source is None:
            words = f"there is no source {SOURCE.folder}{file.stem}.py whose rows these are: write it, or move the file away"
            findings.append(Finding(Problem(pointer, "no_source", words), file))
            continue
        try:
            tables[source.name] = file.read_text()
            rows_of_csv(source, tables[source.name], pointer)
        except UnicodeDecodeError:
            findings.append(Finding(Problem(pointer, "no_csv", "the file is not in UTF-8: save it so"), file))
        except Invalid as invalid:
            findings += [Finding(problem, file, row_line(problem.message)) for problem in invalid.problems]
    return tables, findings


def _of_segments(room: Path, read: Read) -> Iterator[Finding]:
    """What is wrong between segments. One that is not written here may be a list, or another team's: the app knows, and plan asks it."""
    stems = {segment.name: stem for stem, segment in read.segments.items()}
    for problem in segment_problems({segment.name: segment.condition for segment in read.segments.values()}):
        pointer = f"segments/{stems[problem.pointer]}"
        severity: Severity = "warning" if problem.code == "no_such_segment" else "error"
        yield Finding(replace(problem, pointer=f"{pointer}.py"), room / f"{pointer}.py", read.lines[pointer].of(problem), severity)
    for segment in read.segments.values():
        pointer = f"segments/{stems[segment.name]}.py"
        for words in costly(segment.condition):
            slow = Problem(segment.name, "slow_to_count", words)
            line = read.lines[pointer.removesuffix(".py")].of(slow)
            yield Finding(replace(slow, pointer=pointer), room / pointer, line, "warning")


def _of_campaigns(room: Path, read: Read, texts: Mapping[str, Mapping[str, str]], functions: Collection[str] | None) -> Iterator[Finding]:
    """What campaigns lack around them. A segment that is not written here may be another team's: the app knows, and plan asks it."""
    sound, known = list(read.campaigns.values()), {segment.name for segment in read.segments.values()}
    found: list[tuple[Problem, Severity]] = [(problem, "error") for problem in missing_around(sound, texts)]
    if functions is not None:
        found += [(problem, "error") for problem in missing_functions([], functions, texts, sound)]
    for campaign in sound:
        for segment in campaign.segments:
            if segment not in known:
                words = f"no file here writes a segment {segment}: write journeys/segments/, unless the app has it from elsewhere"
                found.append((Problem(campaign.name, "segment_not_known", words), "warning"))
    stems = {campaign.name: stem for stem, campaign in read.campaigns.items()}
    for problem, severity in found:
        pointer = f"campaigns/{stems[problem.pointer.partition('/')[0]]}"
        yield Finding(replace(problem, pointer=f"{pointer}.py"), room / f"{pointer}.py", read.lines[pointer].of(problem), severity)


def _of_templates(room: Path, texts: Mapping[str, Mapping[str, str]], sources: Collection[str]) -> Iterator[Finding]:
    for name, files in texts.items():
        problems = templates.problems(name, files)
        for problem in problems:
            yield Finding(problem, room / _file_of(problem.pointer), of_template(problem.message))
        for note in () if problems else templates.notes(name, files):
            yield Finding(note, room / note.pointer, severity="warning")
        asked = [] if problems else templates.sources_of(files)
        for problem in lacking({name: asked}, sources):
            # It may be published by API: the app knows, and plan asks it.
            yield Finding(problem, room / problem.pointer, severity="warning")


def _file_of(pointer: str) -> str:
    """Layouts and partials stand beside the templates that they are published with."""
    room, _, file = pointer.split("/", 2) if pointer.count("/") > 1 else (pointer, "", "")
    return f"{room}/{file}" if is_shared(file) else pointer


def _of_journeys(room: Path, read: Read, texts: Mapping[str, Mapping[str, str]], functions: Collection[str] | None) -> Iterator[Finding]:
    sound = list(read.journeys.values())
    yield from _placed(room, read, missing_content(sound, texts), "error")
    yield from _placed(room, read, missing_journeys(sound), "error")
    if functions is not None:
        yield from _placed(room, read, missing_functions(sound, functions, texts), "error")
    segments = {segment.name for segment in read.segments.values()}
    for journey in sound:
        yield from _placed(room, read, warnings(journey, segments), "warning")
    yield from _placed(room, read, doubtful_entries(sound), "warning")


def _placed(room: Path, read: Read, problems: Iterable[Problem], severity: Severity) -> Iterator[Finding]:
    stems = {journey.name: stem for stem, journey in read.journeys.items()}
    for problem in problems:
        stem = stems[problem.pointer.partition("/")[0]]
        yield Finding(problem, room / f"{stem}.py", read.lines[stem].of(problem), severity)


def _templates(folder: Path) -> dict[str, dict[str, str]]:
    shared = {f"{room}{name}": text for room in (LAYOUTS, PARTIALS) for name, text in _texts(folder / room).items()}
    rooms = [each for each in sorted(folder.iterdir() if folder.is_dir() else ()) if each.is_dir() and not each.name.startswith((".", "_"))]
    return {each.name: with_shared(_texts(each), shared) for each in rooms}


def _texts(folder: Path) -> dict[str, str]:
    found = sorted(folder.iterdir()) if folder.is_dir() else []
    return {file.name: file.read_text() for file in found if file.is_file() and not file.name.startswith(".")}
