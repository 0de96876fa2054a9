"""Draw the pictures of the landing page: a terminal with a real run, in two widths, and what the plugin does.

    python docs/pictures.py

The terminal needs Prefect 1.4.1. ``tests/test_documents.py`` checks that the other pictures are up to date.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from html import escape
from pathlib import Path
from typing import Dict, Iterator, List, Tuple

FOLDER = Path(__file__).parent / "_static"
SANS, MONO = "'DejaVu Sans', system-ui, sans-serif", "'DejaVu Sans Mono', monospace"

# -- the terminal ------------------------------------------------------------------------------------------------------

FLOW = """\
from prefect import Flow, task
from prefect.client import Secret


@task
def report():
    token = Secret("GITHUB_ACCESS_TOKEN").get()
    print(f"GET /issues?access_token={token}")


with Flow("report") as flow:
    report()
"""
TESTS = """\
@pytest.mark.secrets(GITHUB_ACCESS_TOKEN="ghp_16C7e42F292c69C2E7")
def test_report():
    assert flow.run().is_successful()

@pytest.mark.secrets(PIN="0000")
def test_pin():
    pin = Secret("PIN").get()
    assert pin == "0000"
"""
HEAD = "import pytest\nfrom prefect.client import Secret\nfrom report import flow\n\n\n"
COMMAND = "pytest --flowsecrets-leaks=fail"
QUIET = [
    "-q",
    "-rN",
    "--tb=short",
    "--show-capture=no",
    "-p",
    "no:logging",
    "-p",
    "no:randomly",
    "-p",
    "no:cacheprovider",
]
QUIET += ["--color=yes", "--no-header", "-Wignore::DeprecationWarning", "--flowsecrets-leaks=fail"]
COLORS = {"31": "#ff7b72", "32": "#7ee787", "33": "#e3b341", "36": "#79c0ff", "34": "#79c0ff", "94": "#79c0ff"}
ANSI = re.compile(r"\x1b\[([\d;]*)m")
LINE, CHARACTER = 19, 7.83  # pixels, at 13 pixels a letter
HIDDEN = re.compile(r"^(-- Docs:|flowsecrets: \d+ secret|  */.*site-packages)")


def run(columns: int) -> List[str]:
    """Run the two tests in a terminal of a width, and return the lines that pytest prints, with colors."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "report.py").write_text(FLOW, "utf-8")
        Path(folder, "test_report.py").write_text(HEAD + TESTS, "utf-8")
        environ = {**os.environ, "COLUMNS": str(columns), "PREFECT__LOGGING__LEVEL": "CRITICAL"}
        done = subprocess.run(  # noqa: S603 - our own pytest
            [sys.executable, "-m", "pytest", *QUIET],
            cwd=folder,
            env=environ,
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        lines = done.stdout.replace(f"{folder}{os.sep}", "").splitlines()
    shown = [re.sub(r" in \d+\.\d+s", "", line) for line in lines if not HIDDEN.match(ANSI.sub("", line))]
    return [line for line in shown if ANSI.sub("", line).strip()]


def terminal(columns: int) -> str:
    """Return a picture of a terminal with the tests and their run."""
    code = [f"\x1b[36m{line}\x1b[0m" if line.startswith("@") else line for line in TESTS.splitlines()]
    lines = ["\x1b[32m$\x1b[0m cat test_report.py", *code, "", f"\x1b[32m$\x1b[0m {COMMAND}", *run(columns)]
    wrapped = [part for line in lines for part in _wrap(line, columns)]
    width, height = int(columns * CHARACTER) + 32, len(wrapped) * LINE + 60
    body = "".join(
        f'<text x="16" y="{52 + number * LINE}" xml:space="preserve">{"".join(_spans(line))}</text>\n'
        for number, line in enumerate(wrapped)
    )
    dots = "".join(
        f'<circle cx="{20 + 18 * n}" cy="18" r="6" fill="{c}"/>' for n, c in enumerate(list(COLORS.values())[:3])
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">\n'
        f"<style>text {{ font: 13px {MONO}; fill: #e6edf3 }}</style>\n"
        f'<rect width="{width}" height="{height}" rx="10" fill="#0d1117" stroke="#3d444d"/>\n{dots}\n{body}</svg>\n'
    )


def _wrap(line: str, columns: int) -> Iterator[str]:
    """Yield the parts of a line that fit into the terminal. Colors that begin in a part continue in the next one."""
    part, size, color = "", 0, ""
    for piece in re.split(r"(\x1b\[[\d;]*m)", line):
        if ANSI.fullmatch(piece):
            part, color = part + piece, piece
            continue
        for character in piece:
            if size == columns:
                yield part
                part, size = color, 0
            part, size = part + character, size + 1
    yield part


def _spans(line: str) -> Iterator[str]:
    style = ""
    for number, piece in enumerate(ANSI.split(line)):
        if number % 2:
            codes = piece.split(";")
            fills = [f'fill="{COLORS[code]}"' for code in codes if code in COLORS]
            style = " ".join(fills + ['font-weight="700"'] * ("1" in codes)) if codes != ["0"] else ""
        elif piece:
            yield f"<tspan {style}>{escape(piece)}</tspan>" if style else escape(piece)


# -- what the plugin does ----------------------------------------------------------------------------------------------

STYLE = f"""\
.card {{ fill: #f6f8fa; stroke: #d0d7de }}
.box {{ fill: #ffffff; stroke: #8c959f }}
.good {{ fill: #dafbe1; stroke: #1a7f37 }}
.bad {{ fill: #ffebe9; stroke: #cf222e }}
.mark {{ fill: #eee5ff; stroke: #8250df }}
text {{ font: 13px {SANS}; fill: #1b1f24 }}
.code {{ font-family: {MONO}; font-size: 12px }}
.soft {{ fill: #57606a }}
path {{ stroke: #57606a; stroke-width: 1.5; fill: none }}
.arrow {{ marker-end: url(#end) }}
.cross {{ stroke: #cf222e; stroke-width: 2.5 }}"""
END = (
    '<marker id="end" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
    '<path d="M0 0 8 4 0 8"/></marker>'
)
WIDTH, HEIGHT = 360, 200


def _box(x: int, y: int, text: str, kind: str = "box", width: int = 0) -> str:
    width = width or 14 + round(len(text) * 7.4)
    return (
        f'<rect class="{kind}" x="{x}" y="{y}" width="{width}" height="28" rx="6"/>'
        f'<text class="code" x="{x + width / 2:g}" y="{y + 18}" text-anchor="middle">{escape(text)}</text>'
    )


def _text(x: int, y: int, text: str, kind: str = "soft") -> str:
    return f'<text class="{kind}" x="{x}" y="{y}">{escape(text)}</text>'


def _arrow(*path: int) -> str:
    return f'<path class="arrow" d="M{" ".join(map(str, path))}"/>'


def _crossed(x: int, y: int, text: str) -> str:
    width = 14 + round(len(text) * 7.4)
    return _box(x, y, text, "bad") + f'<path class="cross" d="M{x} {y + 28} {x + width} {y}"/>'


def pictures() -> Dict[str, str]:
    """Return the pictures by the names of their files."""
    routes = ("context", "config file", "variable", "agent", "run config", "Kubernetes", "Cloud")
    places = [(16 + 112 * (n % 3), 64 + 40 * (n // 3)) for n in range(len(routes))]
    drawn: Dict[str, Tuple[str, ...]] = {
        "deliver": (
            _box(16, 14, '@pytest.mark.secrets(TOKEN="x")', "mark", 328),
            _arrow(110, 42, 110, 60),
            _arrow(250, 42, 250, 60),
            _box(40, 62, "a variable", width=130),
            _box(190, 62, "config.toml", width=130),
            _arrow(110, 90, 150, 108),
            _arrow(250, 90, 210, 108),
            _box(90, 110, "the real Prefect", width=180),
            _arrow(180, 138, 180, 156),
            _box(95, 158, 'Secret("TOKEN").get()', "good", 170),
        ),
        "isolate": (
            _crossed(16, 24, "~/.prefect/config.toml"),
            _crossed(16, 64, "PREFECT__… of your shell"),
            _crossed(16, 104, "PREFECT_API_KEY"),
            _crossed(16, 144, "the secrets of other tests"),
            _arrow(228, 98, 262, 98),
            _box(266, 84, "the test", "good"),
        ),
        "explain": (
            _text(16, 34, "won"),
            _box(96, 16, "PREFECT__…__PIN=0000", "good", 248),
            _text(16, 74, "overrides"),
            _box(96, 56, "~/.prefect/config.toml:2", width=248),
            _text(16, 114, "step"),
            _text(96, 114, "text of length 4 becomes a number", ""),
            _arrow(220, 122, 220, 140),
            _text(16, 164, "result"),
            _box(96, 146, "int", "mark", 60),
            _text(168, 164, "FS021: its length is lost", ""),
        ),
        "routes": (
            _box(16, 16, "def test_report(secret_route):", "mark", 328),
            *(_box(x, y, text, "good", 104) for (x, y), text in zip(places, routes)),
            _text(134, 162, "one test, every production route"),
        ),
        "mask": (
            _box(16, 20, 'print(f"token {token}")', width=328),
            _arrow(180, 48, 180, 72),
            _text(16, 96, "captured stdout"),
            _box(16, 106, "token [secret GITHUB_ACCESS_TOKEN]", "mark", 328),
            _text(16, 164, "also escaped, base64, gzip, truncated or wrapped"),
        ),
    }
    return {f"{name}.svg": _picture(parts) for name, parts in drawn.items()}


def _picture(parts: Tuple[str, ...]) -> str:
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}">\n'
        f"<style>{STYLE}</style>\n<defs>{END}</defs>\n"
        f'<rect class="card" x=".5" y=".5" width="{WIDTH - 1}" height="{HEIGHT - 1}" rx="10"/>\n{body}\n</svg>\n'
    )


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for file, picture in pictures().items():
        (FOLDER / file).write_text(picture, "utf-8")
    for file, columns in {"terminal.svg": 88, "terminal-narrow.svg": 47}.items():
        (FOLDER / file).write_text(terminal(columns), "utf-8")
