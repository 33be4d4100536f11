"""A setting of JAX for programs that wait for each result."""

import os


def answer_at_once() -> None:
    """Has JAX compute in the calling thread, which is faster where each small result is waited for, as of a chip.

    It counts if it comes before JAX is imported; a setting of the user's own stays.
    """
    os.environ.setdefault("JAX_CPU_ENABLE_ASYNC_DISPATCH", "false")
