"""The site that `make docs` builds: it is complete, nothing comes from the network, and a browser can search it."""

import ast
import html
import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from urllib.parse import unquote, urlsplit

import click
import pytest

import mgd
from mgd.cli._main import commands
from mgd.rows import IMPERFECTIONS
from mgd.runs import RunConfig, start

ROOT = Path(__file__).parents[1]
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
# Measures every page in a frame as narrow as a telephone; the browser is told to wait for the end.
NARROW = """<iframe id="page" style="width: 390px; height: 800px"></iframe><pre id="wide"></pre><script>
const page = document.getElementById("page"), wide = document.getElementById("wide"), pages = PAGES
page.onload = () => {
  const root = page.contentDocument.documentElement
  if (root.scrollWidth > 390) wide.append(`${pages[0]}: ${root.scrollWidth}\\n`)
  pages.shift()
  if (pages.length) page.src = pages[0]
  else wide.append("all measured")
}
page.src = pages[0]
</script>"""


class Page(HTMLParser):
    """What a page links to, what it loads, and the names of its anchors."""

    def __init__(self, file: Path):
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.anchors: set[str] = set()
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if tag in ("img", "script", "iframe", "source") and "src" in given:
            self.loads.append(given["src"])
        if tag == "link" and given.get("rel") != "canonical" and "href" in given:
            self.loads.append(given["href"])


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The folder of the site, just built."""
    if find_spec("mkdocs") is None:
        pytest.skip("mkdocs is not installed: make docs")
    folder = tmp_path_factory.mktemp("built") / "site"
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    env = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site) -> dict[Path, Page]:
    return {file: Page(file) for file in site.rglob("*.html") if file.name != "404.html"}


def _public() -> dict[str, list[str]]:
    """The public names of each package, as tests/test_public_names.py has them."""
    spec = spec_from_file_location("public_names", ROOT / "tests" / "test_public_names.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.NAMES


def _leaves(path: str, command: click.Command) -> list[tuple[str, click.Command]]:
    if not isinstance(command, click.Group):
        return [(path, command)]
    return [each for name, below in command.commands.items() for each in _leaves(f"{path} {name}", below)]


@pytest.mark.long
def test_every_public_name_is_on_its_page(site, pages):
    for package, names in _public().items():
        file = site / "reference" / f"{package}.html"
        text = file.read_text(encoding="utf-8")
        for name in names:
            # Described here, or in a table that leads to where it is.
            led = re.search(rf"<td><code>{name}</code></td>\s*<td><a [^>]*href=", text)
            assert f"{package}.{name}" in pages[file].anchors or led, f"{package}.{name}"


@pytest.mark.long
def test_every_setting_command_and_option_is_on_a_page(site):
    settings = (site / "reference" / "settings.html").read_text(encoding="utf-8")
    names = (*RunConfig.model_fields, *IMPERFECTIONS)
    assert [name for name in names if f"<td><code>{name}</code></td>" not in settings] == []
    described = html.unescape((site / "reference" / "cli.html").read_text(encoding="utf-8"))
    for path, command in _leaves("mgd", commands):
        *_, section = re.split(rf"<h2 [^>]*>{path}<", described)
        section = section.partition("<h2 ")[0]
        options = [each for each in command.params if isinstance(each, click.Option)]
        assert [flag for each in options for flag in each.opts if flag not in section] == [], path


@pytest.mark.long
def test_links_lead_somewhere_and_nothing_comes_from_the_network(pages):
    for file, page in pages.items():
        for link in (*page.links, *page.loads):
            parts = urlsplit(link)
            if parts.scheme:
                assert link not in page.loads or parts.scheme == "data", f"{file}: {link}"
                continue
            target = (file.parent / unquote(parts.path)).resolve() if parts.path else file
            assert target.is_file(), f"{file}: {link}"
            if parts.fragment and target in pages:
                assert unquote(parts.fragment) in pages[target].anchors, f"{file}: {link}"


def _shown(url: str, *flags: str) -> str:
    """What a browser makes of an address, when it has nothing more to do. Its clock runs only while it waits."""
    if BROWSER is None:
        pytest.skip("chromium is not there")
    sandbox = ["--no-sandbox"] if os.getuid() == 0 else []
    flags = (*sandbox, "--disable-dev-shm-usage", "--virtual-time-budget=100000", *flags)
    command = [BROWSER, "--headless", *flags, "--dump-dom", url]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=300).stdout


@pytest.mark.long
def test_a_browser_finds_a_word_on_a_site_from_disk(site):
    shown = _shown(f"{(site / 'index.html').as_uri()}?q=settling")
    assert re.search(r"\d+ matching documents", shown)
    assert re.search(r'<a href="[^"]*calibration\.html\?h=settling', shown)


@pytest.mark.long
def test_no_page_is_wider_than_a_telephone(site, pages):
    assert _too_wide(sorted(pages), site) == "all measured"


@pytest.mark.long
def test_no_report_is_wider_than_a_telephone(tmp_path):
    given = {"replicas": 2, "steps": 30, "algorithm": "backprop", "optimizer": "sgd"}
    run = start(RunConfig.of({"task": "parity", **given}), tmp_path / ("a-name-as-long-as-names-should-not-be" * 4))
    vary = {"cost-noise": [0.01, 0.1], "learning-rate": "0.25,1"}
    mgd.sweep("parity", vary=vary, out=tmp_path / "sweep", **given)
    reports = [mgd.report(folder, tmp_path / f"{k}.html") for k, folder in enumerate((run, tmp_path / "sweep"))]
    assert _too_wide(reports, tmp_path) == "all measured"


def _too_wide(files: list[Path], folder: Path) -> str:
    """The pages that are wider than a telephone, then that all were measured."""
    page = folder / "narrow.html"
    page.write_text(NARROW.replace("PAGES", str([file.as_uri() for file in files])), encoding="utf-8")
    found = re.search(r'<pre id="wide">(.*?)</pre>', _shown(page.as_uri(), "--allow-file-access-from-files"), re.DOTALL)
    assert found
    return found[1]


def test_a_symbol_of_several_pages_is_in_the_glossary():
    symbol = re.compile(r"(?<![\w/])(?:Δ?[α-ω](?:_\w+|\u0303)?|[A-Z](?:\u0303|₀))(?!\w)")
    glossary = set(symbol.findall((ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")))
    pages: dict[str, set[Path]] = {}
    for page in ROOT.glob("docs/**/*.md"):
        text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
        for each in symbol.findall(text):
            pages.setdefault(each, set()).add(page)
    several = {each for each, where in pages.items() if len(where - {ROOT / "docs" / "glossary.md"}) > 2}
    assert {"θ̃", "Δθ", "τ_θ", "η"} <= several
    assert several - glossary == set()


def _said_by_the_code() -> str:
    """Every text in the source, with … for what is put into it."""
    said = []
    for file in (ROOT / "src" / "mgd").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                said.append("".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                said.append(node.value)
    return "\n".join(" ".join(each.split()) for each in said)


def test_messages_that_troubleshooting_explains_are_those_of_the_code():
    page = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    seen = [line.split("|")[1] for line in page.splitlines() if line.startswith("| ")]
    quoted = [text for cell in seen for text in re.findall(r"\*([^*]+)\*", cell)]
    said = _said_by_the_code()
    assert len(quoted) > 10
    assert [text for text in quoted if not re.search(re.escape(text).replace("…", ".*"), said)] == []
