"""Record crypto exchange order books so that every line can be trusted years later."""

__version__ = "0.1.0"
