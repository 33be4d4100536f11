"""Workers of Dask, on this machine or a cluster. Nothing here imports JAX."""

from ._cluster import Cluster as Cluster
from ._dask import MOST_KILLS as MOST_KILLS
from ._dask import dashboard_of as dashboard_of
from ._dask import distributed as distributed
from ._dask import has_dask as has_dask
from ._dask import keep_to as keep_to
from ._dask import not_wanted as not_wanted
from ._dask import there as there
