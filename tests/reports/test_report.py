"""Reports: they have everything, whoever named it; they load nothing; and what they say repeats a result does so."""

import errno
import hashlib
import json
import math
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest

import mgd
from mgd.planning import Gain, gpu_of, on_gpu, write_plan
from mgd.planning import Plan as ChipPlan
from mgd.reports import _report
from mgd.runs import RunConfig, start
from mgd.sweeps import Plan, plan_of
from mgd.timing import HardwareTime, Profile

ROOT = Path(__file__).parents[2]
_VOID = {"meta", "br", "img", "hr"}
# What a page may come from, as text that is none of its own.
DESCENT = {"optimizer": "sgd", "learning_rate": 0.5}
EVIL = "<script>alert('x')</script>&\"$\\frac 東京\f"


class Page(HTMLParser):
    """What a browser takes from a page."""

    def __init__(self, file: Path):
        super().__init__()
        self.tags: set[str] = set()
        self.ids: list[str] = []
        self.loads: list[str] = []
        self.texts: list[str] = []
        self.codes: list[str] = []
        self.open: list[str] = []
        self.feed(file.read_text(encoding="utf-8"))
        self.close()
        self.text = " ".join(" ".join(self.texts).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag not in _VOID:
            self.open.append(tag)
        if tag == "pre":
            self.codes.append("")
        for name, value in attrs:
            assert not name.startswith("on"), (tag, name)
            if name == "id":
                self.ids.append(value or "")
            if name in ("src", "srcset", "href", "data", "action", "poster"):
                self.loads.append(value or "")
            self.loads += re.findall(r"url\(([^)]*)\)", value or "")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] == ["style"]:
            assert not re.search(r"url\(|@import|@font-face|</", data)
        elif data.strip():
            self.texts.append(data.strip())
        if "pre" in self.open:
            self.codes[-1] += data


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A finished run of three chips on data of one's own, whose names are what nobody expects."""
    folder = tmp_path_factory.mktemp("runs")
    rows = [f"{k / 40},{(k * 7 % 40) / 40},{'<b>yes' if k % 2 else 'no'}" for k in range(40)]
    (folder / "data.csv").write_text("a<i>,b,answer\n" + "\n".join(rows) + "\n")
    given = {"task": {"path": str(folder / "data.csv")}, "hidden": [2], "steps": 40, "replicas": 3, "tau_theta": 5}
    return start(RunConfig.of(given | DESCENT), folder / "run <script>alert(1)")


@pytest.fixture(scope="module")
def sweep(tmp_path_factory) -> Path:
    """A sweep over two numbers."""
    folder = tmp_path_factory.mktemp("sweeps") / "sweep"
    vary = {"cost-noise": [0.01, 0.1], "learning-rate": "0.25,1"}
    mgd.sweep("parity", vary=vary, replicas=3, steps=30, algorithm="backprop", optimizer="sgd", out=folder)
    return folder


PROFILE = {
    "name": "<b>slow</b>",
    "description": "a chip of slow writes",
    "source": EVIL,
    "seconds": {"inference": 1e-6, "perturbation": 0.0, "write": 1e-3, "load": 0.0, "latency": 0.0},
    "endurance": 1000,
}
GIVEN = {"task": "parity", "hidden": [3], "init": "uniform", "imperfect": {"cost-noise": 0.01}}
ASKED = {"simulations": 6, "seconds": 60.0, "seed": 4, "search": 0, "gpu": "v100"}


@pytest.fixture
def plan(tmp_path) -> Path:
    """A plan of four chips, one of which never gets there."""
    chosen = {"perturbation": "walsh", "learning_rate": 0.5, "tau_theta": 8}
    time = HardwareTime(
        seconds=0.25,
        shares={"inference": 0.2, "perturbation": 0.0, "write": 0.8, "load": 0.0, "latency": 0.0},
        joules=None,
        event_seconds={"inference": 0.05, "write": 0.2},
        published_seconds=None,
    )
    made = ChipPlan(
        settings={**GIVEN, **chosen, "steps": 800, "replicas": 4, "seed": 5},
        target=0.8,
        reached=True,
        best=0.9,
        chips=4,
        time=time,
        expected=(0.2, 0.35),
        interval=(0.1, 0.3, math.inf),
        each=(0.3, 0.1, math.inf, 0.2),
        fraction=0.75,
        writes=200,
        endurance=1000,
        error={"samples": 0.6, "cross-talk": 0.4, "noise": 0.0, "curvature": 0.0},
        gains=(Gain("half the time of write", 0.3),),
        backprop_seconds=0.5,
        reasons=dict.fromkeys(chosen, "1 < 2 & <i>so"),
        simulations=6,
        stopped=False,
        engine="fused",
        profile=Profile.of(PROFILE),
        gpu=on_gpu(gpu_of("v100"), updates=5000, operations=15.7e8),
    )
    (tmp_path / "plan").mkdir()
    write_plan(tmp_path / "plan", made, {"given": GIVEN, **ASKED})
    return tmp_path / "plan"


@pytest.fixture(scope="module")
def of_run(run) -> Page:
    """The report of the run."""
    return Page(mgd.report(run))


@pytest.fixture(scope="module")
def of_sweep(sweep) -> Page:
    """The report of the sweep."""
    return Page(mgd.report(sweep))


def is_complete(page: Page) -> bool:
    """Whether a page needs nothing else, and all its names are its own."""
    assert not page.open
    assert page.tags & {"script", "link", "iframe", "object", "b", "i"} <= {"b"}
    for each in page.loads:
        assert each.startswith("data:image/png;base64,") or (each[:1] == "#" and each[1:] in page.ids), each
    assert len(set(page.ids)) == len(page.ids)
    return True


def test_a_report_of_a_run_has_everything_and_loads_nothing(run, of_run):
    assert (run / "report.html").stat().st_size < 200_000
    page, summary = of_run, json.loads((run / "summary.json").read_text())
    assert is_complete(page)
    sections = ["curves", "time", "gradient", "findings", "counts", "chips", "settings", "repeat", "cite"]
    assert sorted(name for name in page.ids if name in sections) == sorted(sections)
    assert "run <script>alert(1) · finished" in page.text
    assert "classes <b>yes, no" in page.text or "classes no, <b>yes" in page.text
    assert f"{summary['accuracy']:.1%} mean of 3 chips" in page.text
    for name, count in summary["counts"].items():
        assert f"{name.replace('_', ' ')} {count:,}" in page.text
    assert hashlib.sha256((run / "theta.safetensors").read_bytes()).hexdigest() in page.text
    assert hashlib.sha256((run.parent / "data.csv").read_bytes()).hexdigest() in page.text
    for said in ("test accuracy (%)", "cost measurements of one chip", "hardware time of one chip", "hw1", "hw3"):
        assert said in page.text
    assert [number for number in range(3) if f"{summary['accuracy_per_replica'][number]:.1%}" not in page.text] == []


def test_the_same_folder_gives_the_same_file(run, of_run, tmp_path):
    (tmp_path / "a.html").write_text("what was there before")
    assert mgd.report(run, tmp_path / "a.html").read_bytes() == (run / "report.html").read_bytes()
    assert [file.name for file in tmp_path.iterdir()] == ["a.html"]


def test_what_a_report_says_repeats_a_run_does(run, of_run, tmp_path):
    codes = of_run.codes
    assert codes[0] == "mgd train settings.toml"
    assert f"version of mgd {mgd.__version__}" in of_run.text
    (tmp_path / "settings.toml").write_text(codes[1])
    assert RunConfig.read(tmp_path / "settings.toml") == RunConfig.read(run / "config.toml")


def test_profiles_are_named_by_their_owners(run, tmp_path):
    text = (ROOT / "src/mgd/timing/profiles/example.toml").read_text()
    (tmp_path / "mine.toml").write_text(text.replace('name = "example"', f"name = {json.dumps(EVIL)}"))
    page = Page(mgd.report(run, tmp_path / "a.html", profiles=[tmp_path / "mine.toml"]))
    assert is_complete(page)
    # In the legend, the table, and beside its source.
    assert page.text.count("<script>alert('x')</script>&\"$\\frac 東京") == 3
    assert "hw1" not in page.text


def test_a_report_of_an_unfinished_run_says_how_far_it_is(run, tmp_path):
    shutil.copytree(run, tmp_path / "run")
    for name in ("summary.json", "theta.safetensors", "SHA256SUMS"):
        (tmp_path / "run" / name).unlink()
    page = Page(mgd.report(tmp_path / "run"))
    assert is_complete(page)
    assert "It is not finished: this is as of step 40." in page.text
    assert "Chips that solved it" not in page.text
    assert "version of mgd not kept, as it is not finished" in page.text


def test_what_a_run_on_a_chip_kept_of_its_gradient_is_shown(run, tmp_path):
    shutil.copytree(run, tmp_path / "run")
    angles = {"observed_angle": 40.0, "observed_angle_error": 2.0, "predicted_angle": 35.0, "snr": 2.5}
    more = {"warnings": ["the cost is <still>: check the detector"], "kinds": ["still"], "skipped": 7}
    lines = [{"step": step, **angles} | (more if step else {}) for step in (0, 20, 40)]
    (tmp_path / "run" / "diagnostics.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    page = Page(mgd.report(tmp_path / "run"))
    assert is_complete(page)
    assert {"gradient-angle-figure_1", "gradient-snr-figure_1"} <= set(page.ids)
    assert "SNR 2.5, observed angle 40°, predicted angle 35°" in page.text
    assert "observed angle between G and the gradient (°) 40 ± 2" in page.text
    assert "measurements without a reading 7" in page.text
    assert "the cost is <still>: try check the detector" in page.text
    assert page.text.index("the cost is <still>") < page.text.index("test accuracy (%)")
    of_fleet = "".join(f"{json.dumps(line | {'chip': chip})}\n" for line in lines for chip in (0, 3))
    (tmp_path / "run" / "diagnostics.jsonl").write_text(of_fleet)
    page = Page(mgd.report(tmp_path / "run"))
    assert is_complete(page)
    assert "chip 0 chip 3 observed angle between G and the gradient (°) 40 ± 2 40 ± 2" in page.text


def test_a_report_of_a_sweep_has_every_point(sweep, of_sweep):
    page, data = of_sweep, mgd.sweeps.load_sweep(sweep)
    assert is_complete(page)
    assert (sweep / "report.html").stat().st_size < 200_000
    lines = mgd.sweeps.table_of(data)
    assert f"Points {len(lines)} 3 chips each Chips 12" in page.text
    for line in lines:
        point = f"{line['cost-noise']:g} {line['learning_rate']:g} {line['score']:.1%}"
        assert f"{point} {line['score_low']:.1%} to {line['score_high']:.1%} {line['yield']:.0%}" in page.text
    assert "The median score on the test set, over cost-noise and learning_rate." in page.text


def repeated(page: Page, folder: Path) -> Plan:
    """The plan of the sweep that a report says repeats it."""
    assert page.codes[0] == "mgd sweep settings.toml"
    (folder / "settings.toml").write_text(page.codes[1])
    return plan_of(folder / "settings.toml", {}, None, {})


def test_what_a_report_says_repeats_a_sweep_does(sweep, of_sweep, tmp_path):
    plan, seeds = repeated(of_sweep, tmp_path), mgd.sweeps.load_sweep(sweep).seed.values
    assert [point.settings.seed for point in plan.points()] == seeds.ravel().tolist()
    assert plan.identity() == json.loads((sweep / "sweep.json").read_text())["sweep"]


@pytest.mark.long
def test_what_a_report_says_repeats_a_point_that_was_drawn_does(tmp_path):
    vary = {"learning-rate": "0.1..1:log", "hidden": "2,2x2"}
    given = {"replicas": 1, "steps": 5, "algorithm": "backprop", "optimizer": "sgd"}
    mgd.sweep("parity", vary=vary, design="random:2", out=tmp_path / "drawn", **given)
    page = Page(mgd.report(tmp_path / "drawn"))
    assert is_complete(page)
    (point,) = repeated(page, tmp_path).points()
    assert point.settings.seed == mgd.sweeps.load_sweep(tmp_path / "drawn").seed.values[0]


def test_a_sweep_has_no_hardware_times(sweep):
    with pytest.raises(ValueError, match="is a sweep, whose report has no hardware times: leave profile out"):
        mgd.report(sweep, profiles=["hw1"])


def test_a_report_of_a_plan_says_what_to_expect_and_why(plan):
    page = Page(mgd.report(plan))
    assert is_complete(page)
    assert (plan / "report.html").stat().st_size < 100_000
    for said in (
        "Mean score of 0.8 after 250 ms of hardware time; 4 other chips (95 %): 200 ms to 350 ms",
        "Half of the chips after 300 ms 10 % after 100 ms, 90 % after never",
        "Chips that get there 3 of 4 95 % interval 30% to 95%",
        "Writes of a parameter 200 0.2 of its endurance",
        "event share write 80% inference 20%",
        "part share samples 60% cross-talk 40%",
        "better saves half the time of write 30%",
        "tau_theta = 8 : 1 < 2 & <i>so.",
        "takes 500 ms, 2 times the chip's time (measured)",
        "Backprop on NVIDIA V100 SXM2 takes at least 500 ms, 2 times the chip's time, at its quoted peak, "
        "and 600 ms, 2.4 times the chip's time if each update is one launch of 20 µs. Source: 15.7 TFLOP/s",
        "time of write 1 ms",
        "<b>slow</b>: a chip of slow writes. 6 simulations by the fused engine",
        "<script>alert('x')</script>",
    ):
        assert said in page.text, said
    assert "passage-figure_1" in page.ids


def test_what_a_report_says_repeats_a_plan_does(plan, tmp_path, monkeypatch):
    page, asked = Page(mgd.report(plan)), []
    (tmp_path / "settings.toml").write_text(page.codes[1])
    assert RunConfig.read(tmp_path / "settings.toml") == RunConfig.read(plan / "plan.toml")
    monkeypatch.setattr(mgd, "plan", lambda *words, **settings: asked.append((words, settings)))
    exec(page.codes[2], {})
    ((task, profile), settings) = asked[0]
    assert {"task": task, **settings} == {**GIVEN, **ASKED, "target": 0.8, "chips": 4}
    assert profile == Profile.of(PROFILE)


def test_a_plan_that_is_not_there_yet_or_damaged_is_one_line(plan):
    with pytest.raises(ValueError, match=r"is a plan, which has a profile of its own: leave profile out$"):
        mgd.report(plan, profiles=["hw1"])
    text = (plan / "plan.json").read_text()
    for damaged in (text[:200], text.replace('"each"', '"of_each"'), text.replace('"parity"', '"paritee"')):
        (plan / "plan.json").write_text(damaged)
        with pytest.raises(mgd.RunError, match=r"^.*(is damaged, or of another version of mgd|does not know).*$"):
            mgd.report(plan)
    (plan / "plan.json").rename(plan / "simulations.jsonl")
    with pytest.raises(mgd.RunError, match=r"has no plan yet: the same mgd plan with --out .* goes on$"):
        mgd.report(plan)


def test_a_full_disk_is_one_line(run, tmp_path, monkeypatch):
    def refuse(path: Path, content: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(_report, "replace_file", refuse)
    with pytest.raises(mgd.RunError, match=r"^cannot write .*a\.html: the disk is full; give another file$"):
        mgd.report(run, tmp_path / "a.html")


def test_the_citation_is_that_of_the_repository(of_run):
    cited = " ".join(of_run.codes[-1].split())
    text = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"version = {{{mgd.__version__}}}" in cited
    for key in ("title", "family-names", "given-names", "journal", "start", "license"):
        values = re.findall(rf'^[\s-]*{key}: "?([^"\n]+)"?$', text, flags=re.MULTILINE)
        assert values
        assert [value for value in values if value not in cited] == []
    (archive,) = re.findall(r"arXiv:(\S+?)\"", text)
    assert f"eprint = {{{archive}}}" in cited
