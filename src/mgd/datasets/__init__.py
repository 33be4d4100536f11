"""Tasks to train on. Names are imported when first used, so that `mgd --help` need not wait for JAX."""

from typing import TYPE_CHECKING

from .._lazy import lazily

if TYPE_CHECKING:
    from ._array_files import mapped as mapped
    from ._array_files import read_arrays as read_arrays
    from ._catalogue import DESCRIPTIONS as DESCRIPTIONS
    from ._catalogue import Available as Available
    from ._catalogue import check_name as check_name
    from ._catalogue import names as names
    from ._cifar10 import cifar10 as cifar10
    from ._digits import digits as digits
    from ._fashion_mnist import fashion_mnist as fashion_mnist
    from ._fetch import available as available
    from ._fetch import fetch as fetch
    from ._from_arrays import from_arrays as from_arrays
    from ._from_file import from_file as from_file
    from ._kind import metric_of as metric_of
    from ._known import KNOWN as KNOWN
    from ._load import load as load
    from ._memory import available_to_process as available_to_process
    from ._memory import gigabytes as gigabytes
    from ._nist7x7 import nist7x7 as nist7x7
    from ._parity import parity as parity
    from ._scaling import Scaling as Scaling
    from ._task import Samples as Samples
    from ._task import Task as Task
    from ._task import check_batch as check_batch
    from ._text_table import Cells as Cells
    from ._text_table import read_cells as read_cells
    from ._yin_yang import yin_yang as yin_yang

_PUBLIC = {
    "Available": "_catalogue",
    "DESCRIPTIONS": "_catalogue",
    "Samples": "_task",
    "Scaling": "_scaling",
    "Task": "_task",
    "available": "_fetch",
    "cifar10": "_cifar10",
    "digits": "_digits",
    "fashion_mnist": "_fashion_mnist",
    "fetch": "_fetch",
    "from_arrays": "_from_arrays",
    "from_file": "_from_file",
    "load": "_load",
    "names": "_catalogue",
    "nist7x7": "_nist7x7",
    "parity": "_parity",
    "yin_yang": "_yin_yang",
}
# For other parts of this library.
_INSIDE = {
    "Cells": "_text_table",
    "KNOWN": "_known",
    "available_to_process": "_memory",
    "check_batch": "_task",
    "check_name": "_catalogue",
    "gigabytes": "_memory",
    "mapped": "_array_files",
    "metric_of": "_kind",
    "read_arrays": "_array_files",
    "read_cells": "_text_table",
}
__all__, __getattr__, __dir__ = lazily(__name__, _PUBLIC, _INSIDE)  # pyright: ignore[reportUnsupportedDunderAll]
