"""A lock on a file that is open, which ends with the process."""


def lock_file(descriptor: int) -> bool:
    """Takes the lock of an open file or folder; whether no other had it.

    Raises:
        OSError: if the file system has no locks, as a network's may.
    """
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def wait_for_lock(descriptor: int) -> None:
    """Takes the lock of an open file as soon as no other has it.

    Raises:
        OSError: if the file system has no locks.
    """
    import fcntl

    fcntl.flock(descriptor, fcntl.LOCK_EX)
