"""HTML, escaped where it is made: text becomes an element's content only through here."""

from html import escape


class Markup(str):
    """Text that is HTML already."""


def element(name: str, *content, **attributes: str) -> Markup:
    """`<name attributes>content</name>`; content that is no Markup is escaped. `class_` stands for class."""
    named = {key.rstrip("_").replace("_", "-"): value for key, value in attributes.items() if value}
    given = "".join(f' {key}="{escape(str(value))}"' for key, value in named.items())
    return Markup(f"<{name}{given}>{joined(*content)}</{name}>")


def joined(*content) -> Markup:
    return Markup("".join(each if isinstance(each, Markup) else escape(str(each)) for each in content))


def grid(head: list[str], rows, numbers: bool = False, **attributes: str) -> Markup:
    """A table; with `numbers` all columns but the first are numbers."""
    cell = {"class_": "n"} if numbers else {}
    heads = joined(*(element("th", each, scope="col", **(cell if n else {})) for n, each in enumerate(head)))
    body = joined(*(_row(row, cell) for row in rows))
    table = element("table", element("thead", element("tr", heads)), element("tbody", body), **attributes)
    return element("div", table, class_="scroll")


def _row(row, cell: dict) -> Markup:
    return element("tr", *(element("td", each, **(cell if n else {})) for n, each in enumerate(row)))
