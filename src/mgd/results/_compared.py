"""Settings of several runs side by side. Nothing here imports JAX."""

from collections.abc import Mapping, Sequence
from typing import Any

from ..runs import RunConfig

# Settings that a chip of one's own has no use for.
_OF_NETWORKS = {"hidden", "channels", "activation", "output", "init"}
# Digests that identify data, parameters and chips; they mean nothing to people.
_DIGESTS = ("task.facts", "python.samples", "python.answers", "python.pickled", "start_digest")


def flat_settings(config: RunConfig) -> dict[str, Any]:
    """Settings by name, without those that are None or idle; imperfections by their own names, tables with dots.

    >>> flat_settings(RunConfig.of({"task": "parity", "imperfect": {"dac-bits": 6, "dac-range": 2.0}}))
    {'task': 'parity', 'dac-bits': 6, 'dac-range': 2.0}
    """
    found, idle = {}, _OF_NETWORKS if config.chip is not None else None
    for name, value in config.model_dump(exclude_none=True, exclude=idle, mode="json", by_alias=True).items():
        found |= _flat("" if name == "imperfect" else name, value)
    return found


def _flat(name: str, value: Any) -> dict[str, Any]:
    if isinstance(value, list) and any(isinstance(one, Mapping) for one in value):
        value = {str(place): one for place, one in enumerate(value)}
    if not isinstance(value, Mapping):
        return {name: value}
    found: dict[str, Any] = {}
    for key, one in value.items():
        found |= _flat(f"{name}.{key}" if name else key, one)
    return found


def differing(settings: Sequence[Mapping[str, Any]]) -> list[str]:
    """The names of the settings that are not the same in all, in their order, without digests.

    >>> differing([{"task": "parity", "seed": 0}, {"task": "parity", "seed": 1, "batch": 8}])
    ['seed', 'batch']
    """
    names = dict.fromkeys(name for one in settings for name in one if not name.startswith(_DIGESTS))
    return [name for name in names if any(one.get(name) != settings[0].get(name) for one in settings)]


def written_setting(value: Any) -> str:
    """A setting's value, for people.

    >>> written_setting([4, 3]), written_setting(0.1), written_setting(300000), written_setting(None)
    ('4,3', '0.1', '300,000', '–')
    """
    if value is None:
        return "–"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:g}"
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def written_fact(value: Any) -> str:
    """A value of JSON, in words.

    >>> written_fact({"counts": [0.1, None], "real": True})
    'counts 0.1, –, real True'
    """
    if isinstance(value, dict):
        return ", ".join(f"{name} {written_fact(one)}" for name, one in value.items())
    if isinstance(value, list):
        shown = ", ".join(written_fact(one) for one in value[:8])
        return f"{shown}, … ({len(value)} in all)" if len(value) > 8 else shown
    if isinstance(value, float):
        return f"{value:.6g}"
    if value is None:
        return "–"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
