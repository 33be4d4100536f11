"""What a run came to: loaded, described, compared, drawn, and taken away. Names load on first use."""

from typing import TYPE_CHECKING

from .._lazy import lazily

if TYPE_CHECKING:
    from ._applied import Applied as Applied
    from ._applied import apply as apply
    from ._assessed import Assessment as Assessment
    from ._compared import differing as differing
    from ._compared import flat_settings as flat_settings
    from ._compared import written_fact as written_fact
    from ._compared import written_setting as written_setting
    from ._described import Described as Described
    from ._described import describe as describe
    from ._doctor import diagnose as diagnose
    from ._exported import Exported as Exported
    from ._exported import export as export
    from ._formats import check_export as check_export
    from ._formats import check_picture as check_picture
    from ._formats import check_predictions as check_predictions
    from ._formats import check_report as check_report
    from ._kept import kept_findings as kept_findings
    from ._loaded import LoadedRun as LoadedRun
    from ._loaded import load_run as load_run
    from ._plotted import plot as plot
    from ._predicted import Predictions as Predictions
    from ._predicted import predict as predict

_PUBLIC = {
    "Applied": "_applied",
    "Assessment": "_assessed",
    "Described": "_described",
    "Exported": "_exported",
    "LoadedRun": "_loaded",
    "Predictions": "_predicted",
    "apply": "_applied",
    "describe": "_described",
    "diagnose": "_doctor",
    "export": "_exported",
    "load_run": "_loaded",
    "plot": "_plotted",
    "predict": "_predicted",
}
# For other parts of this library.
_INSIDE = {
    "check_export": "_formats",
    "check_picture": "_formats",
    "check_predictions": "_formats",
    "check_report": "_formats",
    "differing": "_compared",
    "flat_settings": "_compared",
    "kept_findings": "_kept",
    "written_fact": "_compared",
    "written_setting": "_compared",
}
__all__, __getattr__, __dir__ = lazily(__name__, _PUBLIC, _INSIDE)  # pyright: ignore[reportUnsupportedDunderAll]
