"""Puts the tables and figures of computed studies into docs/reproduction.md: python benchmarks/reproduction.py [FOLDER]

FOLDER (default `reproductions`) has a folder for each study, as `mgd reproduce` leaves it. Studies that are not there
are left as the page has them.
"""

import json
import re
import sys
from pathlib import Path

from PIL import Image

from mgd.reproduction import STUDIES

DOCS = Path(__file__).parents[1] / "docs"
_HEAD = "| what | published | ours | how |\n|---|---|---|---|\n"


def table(rows: list[dict[str, str]]) -> str:
    """Rows as Markdown; what is said again of the row before is left out."""
    lines, before = [_HEAD], ""
    for row in rows:
        how = "as above" if row["how"] == before else row["how"]
        cells = (row["what"], row["published"], row["ours"], how)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n")
        before = row["how"]
    return "".join(lines)


def main(folder: Path) -> None:
    page = (DOCS / "reproduction.md").read_text(encoding="utf-8")
    for name in STUDIES:
        path = folder / name / "rows.json"
        if not path.exists():
            print(f"{name}: not in {folder}, left as it is")
            continue
        made = table(json.loads(path.read_text(encoding="utf-8")))
        pattern = rf"(<!-- {name} -->\n)(?:(?!<!--).)*(<!-- end -->)"
        page, n = re.subn(pattern, lambda match, made=made: match[1] + made + match[2], page, flags=re.DOTALL)
        if n != 1:
            raise SystemExit(f"docs/reproduction.md has no place for {name}: <!-- {name} --> … <!-- end -->")
        figure = DOCS / "figures" / f"{name}.png"
        figure.parent.mkdir(exist_ok=True)
        # Few colours: a sixth of the size.
        Image.open(folder / name / "figure.png").convert("RGB").quantize(64).save(figure, optimize=True)
        print(f"{name}: {made.count(chr(10)) - 2} rows, {figure.stat().st_size // 1000} kB")
    (DOCS / "reproduction.md").write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "reproductions"))
