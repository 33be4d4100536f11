"""What can be chosen by name, ours and of other packages: one row each, in tables that import no JAX."""

from ._families import FAMILIES as FAMILIES
from ._imperfections import IMPERFECTIONS as IMPERFECTIONS
from ._optimizers import OPTIMIZERS as OPTIMIZERS
from ._row import ImperfectionRow as ImperfectionRow
from ._row import Real as Real
from ._row import Row as Row
from ._row import Setting as Setting
from ._row import TaskRow as TaskRow
from ._row import Truth as Truth
from ._row import Whole as Whole
from ._table import Table as Table
from ._tasks import TASKS as TASKS
