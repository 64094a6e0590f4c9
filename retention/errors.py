"""What can go wrong, by whose fault it is: each kind has its exit code in `cli`."""


class RetentionError(Exception):
    """Any failure that is told to the user in a sentence."""


class ConfigError(RetentionError):
    """A flag, a variable or l2.toml says something that cannot be done."""


class BusyError(RetentionError):
    """Another retention job works on the vault."""


class VaultError(RetentionError):
    """The vault cannot be written."""


class ProofError(RetentionError):
    """A file is not what it must be before another may go; both stay."""


class StoppedError(RetentionError):
    """The user or the system asked the job to stop; what was begun is taken back."""
