"""`python -m retention` is the program `l2-retention`."""

from retention.cli import main

if __name__ == "__main__":
    main()
