"""Draw architecture.svg: the layers of the package, and the rooms that three journeys pass.

    python docs/architecture.py

The layers come from ``tests/test_imports.py``, which checks every import against them. The journeys are recorded by
``benchmarks/journeys.py`` and need Prefect.
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from html import escape
from pathlib import Path
from typing import Dict, List

ROOT = Path(__file__).parent.parent
PICTURE = Path(__file__).with_suffix(".svg")
PURPOSES = {
    "plugin": "pytest hooks and fixtures; command line",
    "commands": "bodies of explain, check, migrate, serve and demo",
    "migration": "from a legacy configuration to Prefect 3",
    "routes": "production routes; Hypothesis strategies",
    "backend": "the fake API, and real flow runs against it",
    "workers": "environments of flow runs, by real workers",
    "agents": "environments of flow runs, by real agents",
    "isolation": "makes the real Prefect see the secrets",
    "clock": "frozen, movable time",
    "leaks": "finds and masks known values",
    "report": "the HTML report, and the events of the fake APIs",
    "findings": "rules, and reports about them",
    "resolution": "model: what a secret becomes",
    "names": "constants, settings, versions",
    "errors": "errors and warnings",
}
TITLES = {"marker": "a marker", "request": "a request", "print": "a printed line"}
COLORS = {"marker": "#2563eb", "request": "#b45309", "print": "#15803d"}
WIDTH, ROW, LEFT, LANES, LANE = 920, 44, 16, 620, 100  # pixels
STYLE = """\
text { font: 13px system-ui, sans-serif; fill: #1f2937 }
.room { font-weight: 600 }
.count { font-size: 11px; fill: #fff; text-anchor: middle }
.head { font-weight: 600; text-anchor: middle }
rect { fill: #f3f4f6; stroke: #9ca3af }
path { stroke: #6b7280; fill: none; marker-end: url(#arrow) }
@media (prefers-color-scheme: dark) {
  text { fill: #e5e7eb } rect { fill: #1f2937; stroke: #6b7280 }
}"""

ARROW = (
    '<marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
    '<path d="M0 0 8 4 0 8" style="marker-end: none; fill: #6b7280"/></marker>'
)


def layers() -> List[List[str]]:
    """Read the rooms of each layer, from the top down."""
    tree = ast.parse((ROOT / "tests" / "test_imports.py").read_text("utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "LAYERS":
            return [sorted(rooms) for rooms in ast.literal_eval(node.value)]
    raise LookupError("tests/test_imports.py has no LAYERS")


def journeys() -> Dict[str, Dict[str, int]]:
    """Record the number of functions that each journey calls in each room, in the order of the first call."""
    command = [sys.executable, str(ROOT / "benchmarks" / "journeys.py"), "--json"]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own script
    rooms: Dict[str, Dict[str, int]] = {}
    for name, calls in json.loads(done.stdout):
        counts = rooms.setdefault(name, {})
        for file, _, _ in calls:
            room = file.split("/")[0].replace(".py", "")
            counts[room] = counts.get(room, 0) + 1
    return rooms


def draw(rows: List[List[str]], lanes: Dict[str, Dict[str, int]]) -> str:
    """Draw a row for each layer, and a lane with a dot in each row that a journey passes."""
    height = 60 + ROW * len(rows)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" aria-labelledby="title">',
        '<title id="title">The layers of the package, and the functions that three journeys call in each</title>',
        f"<style>{STYLE}</style>",
        ARROW,
    ]
    for number, rooms in enumerate(rows):
        top = 44 + ROW * number
        parts.append(f'<rect x="{LEFT}" y="{top}" width="{LANES - 2 * LEFT}" height="{ROW - 12}" rx="6"/>')
        parts.append(f'<text class="room" x="{LEFT + 14}" y="{top + 21}">{escape(", ".join(rooms))}</text>')
        purpose = next((PURPOSES[room] for room in rooms if room in PURPOSES), "")
        parts.append(f'<text x="{LEFT + 290}" y="{top + 21}">{purpose}</text>')
        if number:
            parts.append(f'<path d="M{LEFT + 40} {top - 12} V{top - 1}"/>')
    for lane, (name, counts) in enumerate(lanes.items()):
        x = LANES + 40 + LANE * lane
        parts.append(f'<text class="head" x="{x}" y="24">{TITLES[name]}</text>')
        passed = [
            (number, sum(counts.get(room, 0) for room in rooms))
            for number, rooms in enumerate(rows)
            if any(room in counts for room in rooms)
        ]
        ends = [44 + ROW * number + (ROW - 12) // 2 for number, _ in (passed[0], passed[-1])]
        parts.append(
            f'<line x1="{x}" x2="{x}" y1="{ends[0]}" y2="{ends[1]}" stroke="{COLORS[name]}" stroke-width="2"/>'
        )
        for number, count in passed:
            y = 44 + ROW * number + (ROW - 12) // 2
            parts.append(f'<circle cx="{x}" cy="{y}" r="13" fill="{COLORS[name]}"/>')
            parts.append(f'<text class="count" x="{x}" y="{y + 4}">{count}</text>')
    return "\n".join([*parts, "</svg>", ""])


if __name__ == "__main__":
    PICTURE.write_text(draw(layers(), journeys()), "utf-8")
