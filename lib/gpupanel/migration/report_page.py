"""The report as one HTML page that needs nothing else: the first screen for a manager, the rest for an engineer."""

from .difference_kinds import CONTENT, FORM, KINDS, RECORD, STRUCTURE
from .elements import Markup, element, grid, joined
from .findings import DifferenceGroup, Findings, TableCounts
from .report import Report, number
from .style import STYLE
from .table_specs import BY_NAME

WORDS = {
    CONTENT: ("Library content", "What visitors of the sites may see is not the same."),
    RECORD: ("Records", "What operators are told about bundles, jobs and events is not the same."),
    STRUCTURE: ("Structure", "A table or column is there on one side only, so it could not be compared."),
    FORM: ("Form", "The same facts, written differently: spacing, types, time zones."),
}
TOP = 8
OPEN = 3


def page(report: Report) -> str:
    """The whole page; all that comes from the databases is escaped."""
    findings = report.findings
    body = joined(
        _head(report), _weights(findings), _top(report), _areas(findings), _accepted(findings), _lines(report),
        _details(report), _bundles(findings), _how(report),
    )
    policy = element("meta", http_equiv="Content-Security-Policy", content="default-src 'none'; style-src 'unsafe-inline'")
    start = Markup('<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
                   '<meta name="color-scheme" content="light dark">')
    head = element("head", start, _void(policy), element("title", report.title), element("style", Markup(STYLE)))
    return "<!doctype html>\n" + element("html", head, element("body", element("main", body)), lang="en") + "\n"


def _void(markup: Markup) -> Markup:
    return Markup(markup.removesuffix("</meta>"))


def _head(report: Report) -> Markup:
    equal = report.findings.equal
    named = (("Left", report.left), ("Right", report.right), ("Compared", f"{report.made:%Y-%m-%d %H:%M} UTC"))
    pairs = (element("div", element("dt", label), element("dd", value)) for label, value in named)
    sides = element("dl", *pairs, class_="sides")
    mark = element("span", "✓" if equal else "≠", class_="mark", aria_hidden="true")
    return joined(
        element("p", report.title, class_="over"), element("h1", mark, report.verdict, class_="good" if equal else "bad"),
        element("p", _share(report), class_="lead"), sides,
    )


def _share(report: Report) -> str:
    """How much agrees and what is left to do, in two or three sentences."""
    findings = report.findings
    rows, equal = sum(tally.rows for tally in findings.tallies), sum(tally.equal for tally in findings.tallies)
    share = "more than 99.9%" if rows - rows / 1000 < equal < rows else f"{equal / rows:.1%}" if rows else ""
    told = [f"Of {rows:,} rows or cells, {share} agree."] if rows else []
    if findings.groups:
        told.append(f"{number(len(findings.groups), 'kind')} of difference to decide on: mend, or accept with a reason.")
    if report.accepted:
        told.append(f"{number(report.accepted, 'difference')} had been accepted before.")
    return " ".join(told)


def _weights(findings: Findings) -> Markup:
    """Four tiles: how many differences of which weight."""
    counts = {weight: 0 for weight in WORDS}
    for group in findings.groups:
        counts[group.weight] += group.count
    return element("ul", *(_tile(weight, count) for weight, count in counts.items()), class_="tiles")


def _tile(weight: str, count: int) -> Markup:
    name, meaning = WORDS[weight]
    told = element("span", meaning if count else "No difference.")
    return element("li", element("b", f"{count:,}"), element("strong", name), told, class_=weight if count else "none")


def _areas(findings: Findings) -> Markup:
    """What was compared, a row for each table."""
    if not findings.tallies:
        return joined()
    head = ["", "rows", "equal", "different", "left only", "right only", "accepted", "implied"]
    rows = ((_named(tally), *(_count(getattr(tally, name.replace(" ", "_"))) for name in head[1:])) for tally in findings.tallies)
    note = "Implied are rows that are missing only because what they belong to is missing."
    return _section("What was compared", grid(head, rows, numbers=True), element("p", note, class_="quiet"))


def _named(tally: TableCounts) -> Markup:
    return joined(element("b", tally.noun), " ", element("code", tally.table))


def _count(count: int) -> Markup | str:
    return f"{count:,}" if count else element("span", "0", class_="zero")


def _top(report: Report) -> Markup:
    """The heaviest kinds of difference, each a line that leads to its details."""
    groups = report.findings.groups
    if not groups:
        return joined()
    rows = (
        (f"{group.count:,}", element("a", _told(group, report), href=f"#g{n}"), _sentence(group.cause), _badge(group))
        for n, group in enumerate(groups[:TOP])
    )
    more = element("p", f"{number(len(groups) - TOP, 'more kind')} further down.", class_="quiet") if len(groups) > TOP else ""
    table = grid(["times", "what differs", "likely cause", "weight"], rows, class_="top")
    return _section("What to decide on first", table, more)


def _told(group: DifferenceGroup, report: Report) -> str:
    """What differs, in the words of people who know the media and not the tables."""
    table = BY_NAME.get(group.table)
    place = ", ".join(filter(None, (table.noun if table else group.table, group.column.replace("_", " "), group.path)))
    title = KINDS[group.kind].title
    for side, label in (("left", report.left), ("right", report.right)):
        title = title.replace(f"on the {side}", f"in: {label}")
    return f"{place[:1].upper()}{place[1:]}: {title}"


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _badge(group: DifferenceGroup) -> Markup:
    return element("span", WORDS[group.weight][0], class_=f"badge {group.weight}")


def _accepted(findings: Findings) -> Markup:
    if not findings.accepted:
        return joined()
    rows = ((each.name, each.reason, f"{findings.met[each.name]:,}") for each in findings.accepted)
    return _section("Accepted differences", grid(["decision", "reason", "times"], rows))


def _lines(report: Report) -> Markup:
    if not report.lines:
        return joined()
    return _section("Side by side", grid(list(report.lines[0]), report.lines[1:], class_="timeline"))


def _details(report: Report) -> Markup:
    groups = report.findings.groups
    return _section("Every difference", *(_group(n, group, report) for n, group in enumerate(groups))) if groups else joined()


def _group(n: int, group: DifferenceGroup, report: Report) -> Markup:
    rows = (
        [element("code", value or "-", class_="value") for value in (sample.row, sample.bundle, sample.left, sample.right)]
        for sample in group.samples
    )
    left = group.count - len(group.samples)
    more = f"{number(left, 'more difference')} of this kind; --each FILE writes all of them." if left else ""
    summary = element("summary", element("b", f"{group.count:,} × "), _told(group, report), " ", _badge(group))
    place, accept = element("code", group.place), element("code", _acceptance(group))
    told = element("p", _sentence(group.cause), " Place: ", place, ". To accept: ", accept, class_="quiet")
    table = grid(["row", "bundle", report.left, report.right], rows, class_="samples")
    return element("details", summary, told, table, element("p", more, class_="quiet"), id=f"g{n}", open="open" if n < OPEN else "")


def _acceptance(group: DifferenceGroup) -> str:
    """The lines that would accept this group, in the file of accepted differences."""
    named = (("kind", group.kind), ("table", group.table), ("column", group.column), ("path", group.path))
    return "; ".join(f"{key} = {value}" for key, value in named if value)


def _bundles(findings: Findings) -> Markup:
    if not findings.bundles:
        return joined()
    rows = ((element("code", bundle), f"{count:,}") for bundle, count in findings.bundles.most_common(100))
    return _section("Bundles with differences", grid(["bundle", "differences"], rows, numbers=True))


def _how(report: Report) -> Markup:
    return _section("How it was compared", grid(["", ""], report.about, class_="about"))


def _section(title: str, *content) -> Markup:
    return element("section", element("h2", title), *content)
