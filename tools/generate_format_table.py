"""Write the table of docs/formats.md that lists what each reader keeps and leaves out.

python tools/generate_format_table.py
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from evio_ros.sources.registry import format_classes

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "formats.md"
BEGIN, END = "<!-- generated: tools/generate_format_table.py -->\n", "<!-- end of generated -->\n"


def table() -> str:
    """The table, from the declarations of the readers' classes."""
    lines = [
        "| format | keeps | leaves out | options behind the path |",
        "|---|---|---|---|",
    ]
    for kind in format_classes():
        options = ", ".join(f"`?{name}=`" for name in kind.options)
        lines.append(f"| {kind.format_name} | {kind.keeps} | {kind.loses} | {options} |")
    return "\n".join(lines) + "\n"


def with_table(text: str) -> str:
    """The document with the current table."""
    pattern = re.escape(BEGIN) + ".*?" + re.escape(END)
    return re.sub(pattern, lambda _: BEGIN + table() + END, text, flags=re.DOTALL)


def main() -> int:
    """Update the document."""
    DOCUMENT.write_text(with_table(DOCUMENT.read_text()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
