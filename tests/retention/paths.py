"""Paths that need quoting in one language or another, and the start of an archive's programs with them."""

import string

from hypothesis import strategies as st

from retention.schedule import Role, Setup

NASTY = " '\"%$\\&<>;|()*?[]!#~`{}^=,+@.-_äß€漢😀\u2028\xa0" + string.ascii_letters + string.digits
PLAIN = "".join(set(NASTY) - set("\"'\\$%"))

names = st.text(NASTY, min_size=1, max_size=12)
paths = st.lists(names, min_size=1, max_size=3).map(lambda parts: "/" + "/".join(parts))

ROLES = (Role.RECORDER, Role.RETENTION)


def setup(
    python: str = "/opt/l2/bin/python",
    folder: str = "/srv/l2",
    vault: str = "/srv/l2/vault",
    user: str = "l2",
    options: tuple[str, ...] = (),
) -> Setup:
    """Make one, by default without anything to quote."""
    return Setup(python, folder, vault, user, options)


def setups(python: st.SearchStrategy[str] = paths) -> st.SearchStrategy[Setup]:
    """Make them with both options and nasty paths everywhere."""
    return st.builds(
        lambda python, folder, vault, config: setup(
            python, folder, vault, options=("--config", config, "--vault", vault)
        ),
        python,
        paths,
        paths,
        paths,
    )


def started(setup: Setup, module: str, *arguments: str) -> list[str]:
    """Tell what must reach the system for one of the programs."""
    return [setup.python, "-X", "utf8", "-P", "-m", module, *arguments]
