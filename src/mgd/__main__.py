"""`python -m mgd` is `mgd`."""

from .cli import main

if __name__ == "__main__":
    main()
