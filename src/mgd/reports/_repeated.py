"""How a result is computed again, and how it is cited."""

import hashlib
import pprint
from typing import TYPE_CHECKING, Any
from xml.etree.ElementTree import Element

import tomli_w

from ..planning import KeptPlan
from ..results import Described
from ..runs import THETA, RunConfig, read_bytes
from ..sweeps import axis_of
from ._cited import bibtex
from ._html import Content, code, facts, node, section

if TYPE_CHECKING:
    import xarray as xr

_SAVED = "settings.toml"


def repeated_run(one: Described) -> Element:
    """The section on how to repeat a run."""
    known = _versions((one.summary or {}).get("version"))
    if (theta := read_bytes(one.folder, THETA)) is not None:
        known[f"SHA-256 of {THETA}"] = hashlib.sha256(theta).hexdigest()
    title, config = "Repeat it", one.settings
    if not isinstance(config.task, str) and config.task.facts is not None:
        known["SHA-256 of the data"] = config.task.facts.sha256
    if config.python is not None:
        given = ", ".join(config.python.given)
        known |= {"SHA-256 of the samples": config.python.samples, "key": ", ".join(map(str, config.python.key))}
        said = (
            f"A Python program made this run, by mgd.train, with {given or 'its chip and task'}. Its settings do not "
            "contain these, so run that program again."
        )
        return section("repeat", title, node("p", said), facts(known), code(config.toml()))
    content: list[Content] = [
        node("p", "Save these settings as ", node("code", _SAVED), ", and give this command:"),
        code(f"mgd train {_SAVED}"),
    ]
    if one.instruments:
        content.append(node("p", "A real chip is another one every day: the same settings give similar numbers."))
    return section("repeat", title, *content, code(config.toml()), facts(known))


def repeated_sweep(about: dict[str, Any], data: "xr.Dataset") -> Element:
    """The section on how to repeat a sweep."""
    known = _versions(about["version"]) | {"digest of the settings": about["sweep"]}
    settings = {name: value for name, value in about["settings"].items() if name not in about["axes"]}
    settings |= {"imperfect": about["imperfect"]} if about["imperfect"] else {}
    grid = about["design"] == "grid"
    varied = data if grid else data.isel(point=[0])
    settings["vary"] = {name: _values(varied[axis_of(name)].values.tolist()) for name in about["axes"]}
    said = (
        "Save this as "
        if grid
        else (
            f"The points were drawn ({about['design']}) from ranges that the folder does not keep. Each of them can be "
            "computed by itself, with the same result, from its values in the table. For the first, save this as "
        )
    )
    return section(
        "repeat",
        "Repeat it",
        node("p", said, node("code", _SAVED), ", and give this command:"),
        code(f"mgd sweep {_SAVED}"),
        code(tomli_w.dumps(settings)),
        facts(known),
    )


def repeated_plan(plan: KeptPlan, config: RunConfig) -> Element:
    """The section on how to train such chips, and how to make the plan again."""
    asked = plan.asked
    task = asked.given["task"]
    given = {name: value for name, value in asked.given.items() if name != "task"}
    profile = plan.profile.model_dump(mode="json", exclude_none=True)
    by_model = "by the facts of the chip's model alone, " if plan.measured else ""
    words = {"target": plan.target, "chips": plan.chips} | asked.model_dump(exclude={"given", "measure"})
    program = (
        f"import mgd\n\nprofile = mgd.timing.Profile.of({_written(profile)})\n"
        f"settings = {_written(given)}\n"
        f"plan = mgd.plan({task!r}, profile, {', '.join(f'{name}={value!r}' for name, value in words.items())}, "
        "**settings)\n"
    )
    return section(
        "repeat",
        "Repeat it",
        node("p", "To train such chips, save these settings as ", node("code", _SAVED), ", and give this command:"),
        code(f"mgd train {_SAVED}"),
        code(config.toml()),
        node("p", "To make the plan again, ", by_model, "run this program:"),
        code(program),
        facts(_versions(plan.version)),
    )


def cited(version: str | None) -> Element:
    """The section on how to cite it, in the version that computed it."""
    said = "If you use this result, please cite the software and the paper of the algorithm."
    return section("cite", "Cite it", node("p", said), code(bibtex(version) if version else bibtex()))


def _versions(version: str | None) -> dict[str, str]:
    return {"version of mgd": version or "not kept, as it is not finished"}


def _written(of: Any) -> str:
    """A value as Python reads it, over some lines."""
    return pprint.pformat(of, width=100, sort_dicts=False)


def _values(values: list[Any]) -> Any:
    """The values of an axis, as a file has them.

    >>> _values([3, 4]), _values([0.001, 0.5]), _values(["4", "16x8"]), _values(["../a.csv", "../b.csv"])
    ('3,4', '0.001,0.5', '4,16x8', ['../a.csv', '../b.csv'])
    """
    texts = [str(value) for value in values]
    return values if any(".." in text for text in texts) else ",".join(texts)  # two dots are those of a range
