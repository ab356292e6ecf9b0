"""A table of text, before it is known where it will be shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table


@dataclass(frozen=True)
class Sheet:
    """A table of text that any medium can show.

    Attributes:
        title: above it.
        heads: of the columns.
        rows: as many cells each as heads.
        notes: below it.
        left: how many columns are text, from the left; the others are figures.
    """

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()
    left: int = 1

    def markdown(self) -> str:
        """A section of Markdown."""
        lines = [f"### {self.title}", ""]
        align = ["---" if number < self.left else "---:" for number in range(len(self.heads))]
        for row in (self.heads, align, *self.rows):
            cells = (cell.replace("|", "\\|").replace("\n", " ") for cell in row)
            lines.append("| " + " | ".join(cells) + " |")
        lines += [part for note in self.notes for part in ("", note)]
        return "\n".join(lines) + "\n"

    def rich(self) -> Table:
        """A table to print with rich."""
        from rich import box
        from rich.markup import escape
        from rich.table import Table

        made = Table(
            title=escape(self.title), title_justify="left", title_style="bold", box=box.SIMPLE_HEAD,
            caption=escape("\n".join(self.notes)) or None, caption_justify="left",
        )  # fmt: skip
        for number, head in enumerate(self.heads):
            made.add_column(escape(head), justify="left" if number < self.left else "right")
        for row in self.rows:
            made.add_row(*(escape(cell) for cell in row))
        return made
