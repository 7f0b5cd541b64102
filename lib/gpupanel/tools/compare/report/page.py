"""The report as one HTML page that needs nothing else: the first screen for a manager, the rest for an engineer."""

from ..causes import CONTENT, FORM, RECORD, STRUCTURE
from ..findings import Findings, Group
from . import Report, number
from .elements import Markup, element, grid, joined
from .style import STYLE

WORDS = {
    CONTENT: ("Library content", "What visitors of the sites may see is not the same."),
    RECORD: ("Records", "What operators are told about bundles, jobs and events is not the same."),
    STRUCTURE: ("Structure", "A table or column is there on one side only, so it could not be compared."),
    FORM: ("Form", "The same facts, written differently: spacing, types, time zones."),
}
TOP = 8


def page(report: Report) -> str:
    """The whole page; all that comes from the databases is escaped."""
    body = joined(_head(report), _weights(report.findings), _areas(report.findings), _top(report.findings), _accepted(report.findings),
                  _lines(report), _details(report.findings), _bundles(report.findings), _how(report))
    policy = element("meta", http_equiv="Content-Security-Policy", content="default-src 'none'; style-src 'unsafe-inline'")
    start = Markup('<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
                   '<meta name="color-scheme" content="light dark">')
    head = element("head", start, _void(policy), element("title", report.title), element("style", Markup(STYLE)))
    return "<!doctype html>\n" + element("html", head, element("body", element("main", body)), lang="en") + "\n"


def _void(markup: Markup) -> Markup:
    return Markup(markup.removesuffix("</meta>"))


def _head(report: Report) -> Markup:
    equal = report.findings.equal
    sides = element("dl", *(element("div", element("dt", label), element("dd", value))
                            for label, value in (("Left", report.left), ("Right", report.right), ("Compared", f"{report.made:%Y-%m-%d %H:%M} UTC"))), class_="sides")
    mark = element("span", "✓" if equal else "≠", class_="mark", aria_hidden="true")
    return joined(
        element("p", report.title, class_="over"), element("h1", mark, report.verdict, class_="good" if equal else "bad"),
        element("p", _share(report.findings), class_="lead"), sides,
    )


def _share(findings: Findings) -> str:
    """How much agrees, in one sentence."""
    rows, equal = sum(tally.rows for tally in findings.tallies), sum(tally.equal for tally in findings.tallies)
    if not rows:
        return "Nothing was there to compare." if findings.equal else "What differs is listed below, the heaviest first."
    share = f"{equal / rows:.1%}"
    if share == "100.0%" and equal < rows:
        share = "More than 99.9%"
    return f"{share} of the rows agree: {equal:,} of {rows:,}."


def _weights(findings: Findings) -> Markup:
    """Four tiles: how many differences of which weight."""
    counts = {weight: 0 for weight in WORDS}
    for group in findings.groups:
        counts[group.weight] += group.count
    tiles = (
        element("li", element("b", f"{count:,}"), element("strong", WORDS[weight][0]), element("span", WORDS[weight][1] if count else "No difference."),
                class_=weight if count else "none")
        for weight, count in counts.items()
    )
    return element("ul", *tiles, class_="tiles")


def _areas(findings: Findings) -> Markup:
    """What was compared, a row for each table."""
    if not findings.tallies:
        return joined()
    rows = (
        (joined(element("b", tally.noun), " ", element("code", tally.table)), *(_count(each) for each in (
            tally.rows, tally.equal, tally.different, tally.left_only, tally.right_only, tally.accepted, tally.implied)))
        for tally in findings.tallies
    )
    head = ["", "rows", "equal", "different", "left only", "right only", "accepted", "follow from those"]
    note = "A row follows from another one when it is missing only because what it belongs to is missing."
    return _section("What was compared", grid(head, rows, numbers=True), element("p", note, class_="quiet"))


def _count(count: int) -> Markup | str:
    return f"{count:,}" if count else element("span", "0", class_="zero")


def _top(findings: Findings) -> Markup:
    """The heaviest kinds of difference, each a line that leads to its details."""
    groups = findings.groups
    if not groups:
        return joined()
    rows = ((f"{group.count:,}", element("a", group.title, href=f"#g{n}"), f"{group.cause[:1].upper()}{group.cause[1:]}.", _badge(group)) for n, group in enumerate(groups[:TOP]))
    more = element("p", f"{number(len(groups) - TOP, 'more kind')} further down.", class_="quiet") if len(groups) > TOP else ""
    return _section("What to decide on first", grid(["times", "what differs", "likely cause", "weight"], rows, class_="top"), more)


def _badge(group: Group) -> Markup:
    return element("span", WORDS[group.weight][0], class_=f"badge {group.weight}")


def _accepted(findings: Findings) -> Markup:
    if not findings.accepted:
        return joined()
    rows = ((each.name, each.reason, f"{findings.met[each.name]:,}" if findings.met[each.name] else "not met any more") for each in findings.accepted)
    return _section("Accepted differences", grid(["decision", "reason", "times"], rows))


def _lines(report: Report) -> Markup:
    if not report.lines:
        return joined()
    return _section("Side by side", grid(list(report.lines[0]), report.lines[1:], class_="timeline"))


def _details(findings: Findings) -> Markup:
    return _section("Every difference", *(_group(n, group) for n, group in enumerate(findings.groups))) if findings.groups else joined()


def _group(n: int, group: Group) -> Markup:
    rows = ((element("code", sample.row or "-"), element("code", sample.bundle or "-"), element("code", sample.left or "-", class_="value"),
             element("code", sample.right or "-", class_="value")) for sample in group.samples)
    left = group.count - len(group.samples)
    more = element("p", f"{number(left, 'more difference')} of this kind; --each FILE writes all of them.", class_="quiet") if left else ""
    summary = element("summary", element("b", f"{group.count:,} × "), group.title, " ", _badge(group))
    cause = element("p", "Likely cause: ", group.cause, ".", class_="quiet")
    accept = element("p", "To accept: ", element("code", _acceptance(group)), class_="quiet")
    return element("details", summary, cause, accept, grid(["row", "bundle", "left", "right"], rows, class_="samples"), more, id=f"g{n}", open="open" if n < TOP else "")


def _acceptance(group: Group) -> str:
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
