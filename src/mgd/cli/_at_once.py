"""Settings of JAX that count if they come before it is imported."""

import os


def answer_at_once() -> None:
    """Has JAX compute in the calling thread, which is faster where each small result is waited for, as of a chip.

    It counts if it comes before JAX is imported; a setting of the user's own stays.
    """
    os.environ.setdefault("JAX_CPU_ENABLE_ASYNC_DISPATCH", "false")


def have_devices(n: int) -> None:
    """Has JAX, where it computes on a CPU, take n of its cores for a device each, if there are as many.

    It counts if it comes before JAX is imported; a setting of the user's own stays.
    """
    asked = "xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", "")
    if 1 < n <= (os.cpu_count() or 1) and not asked:
        os.environ.setdefault("JAX_NUM_CPU_DEVICES", str(n))
