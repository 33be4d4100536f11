"""Run directories: settings, checkpoints, metrics, and resuming. Names load on first use."""

from typing import TYPE_CHECKING

from .._lazy import lazily

if TYPE_CHECKING:
    from ._at_hand import AtHand as AtHand
    from ._at_hand import at_hand as at_hand
    from ._build import Shapes as Shapes
    from ._build import build_algorithm as build_algorithm
    from ._build import build_chip as build_chip
    from ._build import build_cost as build_cost
    from ._build import build_task as build_task
    from ._calibrate import calibrate as calibrate
    from ._calibrated import use_calibration as use_calibration
    from ._calibrated import with_calibration as with_calibration
    from ._chip_facts import warn_if_changed as warn_if_changed
    from ._chip_file import ChipFile as ChipFile
    from ._chip_file import chip_settings as chip_settings
    from ._chip_file import read_chip_file as read_chip_file
    from ._chip_file import simulated_as as simulated_as
    from ._chip_file import with_after as with_after
    from ._code import said_to_run as said_to_run
    from ._config import CHOICES as CHOICES
    from ._config import RunConfig as RunConfig
    from ._config import Settings as Settings
    from ._config import merged as merged
    from ._config import settings_in as settings_in
    from ._contents import CONFIG as CONFIG
    from ._contents import CURVE as CURVE
    from ._contents import DEVICE as DEVICE
    from ._contents import DROPPED as DROPPED
    from ._contents import INSTRUMENT as INSTRUMENT
    from ._contents import TASK as TASK
    from ._contents import THETA as THETA
    from ._contents import damaged as damaged
    from ._contents import read_bytes as read_bytes
    from ._contents import read_json as read_json
    from ._curve import AXES as AXES
    from ._curve import Curve as Curve
    from ._curve import draw_curves as draw_curves
    from ._curve import draw_panel as draw_panel
    from ._diagnostics import DIAGNOSTICS as DIAGNOSTICS
    from ._diagnostics import read_diagnostics as read_diagnostics
    from ._directory import is_finished as is_finished
    from ._directory import only_writer as only_writer
    from ._directory import read_config as read_config
    from ._directory import read_summary as read_summary
    from ._directory import read_theta as read_theta
    from ._execute import is_whole as is_whole
    from ._execute import make_session as make_session
    from ._execute import resume as resume
    from ._execute import start as start
    from ._generations import FILE as FILE
    from ._generations import read_arrays as read_arrays
    from ._generations import read_header as read_header
    from ._header import theta_of as theta_of
    from ._imperfect import Imperfections as Imperfections
    from ._metrics import METRICS as METRICS
    from ._metrics import read_metrics as read_metrics
    from ._names import ALGORITHMS as ALGORITHMS
    from ._names import BASELINES as BASELINES
    from ._names import SCHEDULES as SCHEDULES
    from ._option import Option as Option
    from ._presets import resolve as resolve
    from ._presets import with_facts as with_facts
    from ._progress import duration as duration
    from ._progress import figures_of as figures_of
    from ._progress import measuring as measuring
    from ._progress import progress as progress
    from ._progress import seconds_apart as seconds_apart
    from ._replace import replace_file as replace_file
    from ._replayed import replay as replay
    from ._served import serve_chip as serve_chip
    from ._session_of import session_of as session_of
    from ._table import Table as Table
    from ._task_facts import TaskFacts as TaskFacts
    from ._task_facts import read_task_facts as read_task_facts
    from ._task_table import TASK_OPTIONS as TASK_OPTIONS
    from ._task_table import TaskTable as TaskTable
    from ._task_table import task_given as task_given

_PUBLIC = {
    "RunConfig": "_config",
    "TaskFacts": "_task_facts",
    "calibrate": "_calibrate",
    "read_config": "_directory",
    "read_metrics": "_metrics",
    "read_summary": "_directory",
    "replay": "_replayed",
    "resolve": "_presets",
    "resume": "_execute",
    "start": "_execute",
}
# For other parts of this library.
_INSIDE = {
    "ALGORITHMS": "_names",
    "at_hand": "_at_hand",
    "AtHand": "_at_hand",
    "AXES": "_curve",
    "BASELINES": "_names",
    "build_algorithm": "_build",
    "build_chip": "_build",
    "build_cost": "_build",
    "build_task": "_build",
    "chip_settings": "_chip_file",
    "simulated_as": "_chip_file",
    "ChipFile": "_chip_file",
    "CHOICES": "_config",
    "CONFIG": "_contents",
    "CURVE": "_contents",
    "Curve": "_curve",
    "damaged": "_contents",
    "DEVICE": "_contents",
    "draw_curves": "_curve",
    "draw_panel": "_curve",
    "DROPPED": "_contents",
    "duration": "_progress",
    "figures_of": "_progress",
    "FILE": "_generations",
    "Imperfections": "_imperfect",
    "INSTRUMENT": "_contents",
    "is_finished": "_directory",
    "is_whole": "_execute",
    "make_session": "_execute",
    "measuring": "_progress",
    "merged": "_config",
    "METRICS": "_metrics",
    "only_writer": "_directory",
    "Option": "_option",
    "progress": "_progress",
    "read_arrays": "_generations",
    "read_bytes": "_contents",
    "read_chip_file": "_chip_file",
    "DIAGNOSTICS": "_diagnostics",
    "read_diagnostics": "_diagnostics",
    "read_header": "_generations",
    "read_json": "_contents",
    "read_task_facts": "_task_facts",
    "read_theta": "_directory",
    "replace_file": "_replace",
    "said_to_run": "_code",
    "SCHEDULES": "_names",
    "seconds_apart": "_progress",
    "serve_chip": "_served",
    "session_of": "_session_of",
    "Settings": "_config",
    "settings_in": "_config",
    "Shapes": "_build",
    "Table": "_table",
    "TASK": "_contents",
    "THETA": "_contents",
    "task_given": "_task_table",
    "TASK_OPTIONS": "_task_table",
    "TaskTable": "_task_table",
    "theta_of": "_header",
    "use_calibration": "_calibrated",
    "warn_if_changed": "_chip_facts",
    "with_after": "_chip_file",
    "with_calibration": "_calibrated",
    "with_facts": "_presets",
}
__all__, __getattr__, __dir__ = lazily(__name__, _PUBLIC, _INSIDE)  # pyright: ignore[reportUnsupportedDunderAll]
