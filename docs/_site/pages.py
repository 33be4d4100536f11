"""What mkdocs is told beside mkdocs.yml: pages made from the code, links out of docs/, formulas and diagrams.

Pages are written for a code host, where links lead to any file of the repository. On the site, README, CHANGELOG and
CONTRIBUTING are pages, and so is every other file or folder that a page links to, as text.
"""

import posixpath
import re
import sys
from pathlib import Path

import mermaidx
from latex2mathml.converter import convert
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

sys.path.insert(0, str(Path(__file__).parent))
import command_line
import packages
import settings

ROOT = Path(__file__).parents[2]
# Files outside docs/ that are pages of the site.
OUTSIDE = {"index.md": "README.md", "changelog.md": "CHANGELOG.md", "contributing.md": "CONTRIBUTING.md"}
_LINK = re.compile(r"(\]\()([^)#\s]+)((?:#[^)\s]*)?\))")
_DIAGRAM = re.compile(r"^```mermaid\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FORMULA = re.compile(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', re.DOTALL)
# What is left as it is; or a letter with a tilde.
_TILDE = re.compile(r"(<(pre|code|math)\b.*?</\2>|<[^>]*>)|(\w)\u0303", re.DOTALL)
_TILDE_ABOVE = "<math><mover><mi>X</mi><mo>~</mo></mover></math>"
_ENTITIES = {"&amp;": "&", "&lt;": "<", "&gt;": ">"}
_NOT_SEARCHED = "---\nsearch:\n  exclude: true\n---\n"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages that are no files of docs/, and puts pages in the place of each `*` in the navigation."""
    made = {uri: (ROOT / path).read_text(encoding="utf-8") for uri, path in OUTSIDE.items()}
    made |= {"reference/settings.md": settings.page(), "reference/cli.md": command_line.page(), **packages.pages()}
    texts = made | {file.src_uri: file.content_string for file in files.documentation_pages()}
    for uri, text in texts.items():
        for _, target, _ in _LINK.findall(text):
            path = _in_repository(uri, target)
            if path is not None and _uri(path).startswith("repository/"):
                made[_uri(path)] = _as_text(path)
    for uri, text in made.items():
        files.append(File.generated(config, uri, content=text))
    config.nav = _expanded(config.nav, sorted((file.src_uri for file in files.documentation_pages()), key=_order))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Leads links to where things are on the site, and draws diagrams."""
    uri = page.file.src_uri

    def led(link: re.Match) -> str:
        path = _in_repository(uri, link[2])
        if path is None:
            return link[0]
        return f"{link[1]}{posixpath.relpath(_uri(path), posixpath.dirname(uri) or '.')}{link[3]}"

    return _DIAGRAM.sub(_drawn, _LINK.sub(led, markdown))


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Makes MathML of formulas, which browsers draw by themselves, and of letters whose tilde fonts would misplace."""
    return _TILDE.sub(lambda match: match[1] or _TILDE_ABOVE.replace("X", match[3]), _FORMULA.sub(_mathml, html))


def _in_repository(uri: str, target: str) -> str | None:
    """The path in the repository of what a page links to; None for an address, or if nothing is there."""
    if ":" in target or target.startswith("/"):
        return None
    source = OUTSIDE.get(uri, f"docs/{uri}")
    path = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
    return path if (ROOT / path).exists() and not path.startswith("..") else None


def _uri(path: str) -> str:
    """Where the site has a file or folder of the repository."""
    for uri, outside in OUTSIDE.items():
        if path == outside:
            return uri
    if path.startswith("docs/"):
        return path.removeprefix("docs/") + ("/README.md" if (ROOT / path).is_dir() else "")
    return f"repository/{path}.md"


def _as_text(path: str) -> str:
    """A page with a file of the repository, or with all files of a folder."""
    parts = [_NOT_SEARCHED, f"# {path}\n"]
    for file in sorted((ROOT / path).rglob("*")) if (ROOT / path).is_dir() else [ROOT / path]:
        if file.is_file() and "__pycache__" not in file.parts:
            text = file.read_text(encoding="utf-8")
            fence = "`" * max(3, *(len(run) + 1 for run in re.findall("`+", text) or [""]))
            language = {".py": "python", ".toml": "toml"}.get(file.suffix, "text")
            name = "" if file == ROOT / path else f"## {file.relative_to(ROOT / path)}\n\n"
            parts.append(f"{name}{fence}{language}\n{text.rstrip()}\n{fence}\n")
    return "\n".join(parts)


def _expanded(nav: object, uris: list[str]) -> object:
    """The navigation with the pages of each pattern in its place."""
    if isinstance(nav, dict):
        return {title: _expanded(each, uris) for title, each in nav.items()}
    if not isinstance(nav, list):
        return nav
    found = []
    for each in nav:
        is_pattern = isinstance(each, str) and "*" in each
        found += [uri for uri in uris if Path(uri).match(each)] if is_pattern else [_expanded(each, uris)]
    return found


def _order(uri: str) -> str:
    return uri.removesuffix(".md")


def _drawn(diagram: re.Match) -> str:
    svg = mermaidx.render(diagram[1]).svg()
    return f'<div class="diagram" markdown="0">\n{svg}\n</div>'


def _mathml(formula: re.Match) -> str:
    tex = formula[2]
    for entity, letter in _ENTITIES.items():
        tex = tex.replace(entity, letter)
    return convert(tex, display="inline" if formula[1] == "span" else "block")
