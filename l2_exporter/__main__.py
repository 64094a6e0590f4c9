"""`python -m l2_exporter` is the program `l2-exporter`."""

from l2_exporter.cli.main import main

if __name__ == "__main__":
    main()
