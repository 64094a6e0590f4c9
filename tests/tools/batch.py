"""A small stand-in for cmd.exe, for batch files that no test can run.

It knows just the commands that our file uses, expands variables as cmd does, and refuses a line whose expansion has a
character outside of quotes that cmd would act on. What it does is what is known of cmd; it is no proof.
"""

import re
from collections.abc import Sequence


class Cmd:
    """One run of a batch file.

    Args:
        outcomes: the exit codes of the programs it starts, by what their command begins with, one after the other.
        cmdcmdline: how cmd itself was started.
        folder: where the file lies; files: what there is in it.

    Attributes:
        ran: every program that was started, as cmd would have started it; said: what echo printed.
    """

    def __init__(
        self,
        lines: Sequence[str],
        arguments: str,
        outcomes: dict[str, list[int]],
        *,
        cmdcmdline: str,
        folder: str,
        files: Sequence[str] = (),
    ) -> None:
        self.lines = lines
        self.arguments = arguments
        self.outcomes = outcomes
        self.folder = folder
        self.files = files
        self.variables = {"ERRORLEVEL": "1", "SystemRoot": "C:\\Windows", "cmdcmdline": cmdcmdline}
        self.ran: list[str] = []
        self.said: list[str] = []
        self.exit_code: int | None = None

    def run(self) -> "Cmd":
        """Take steps until `exit /b`."""
        at, steps = 0, 0
        while self.exit_code is None:
            steps += 1
            assert steps < 1_000, "it never ends"
            target = self.step(self.lines[at])
            at = self.lines.index(f":{target}") + 1 if target else at + 1
        return self

    def step(self, line: str) -> str | None:
        """Take one line; return the label it jumps to."""
        if not line or line.startswith((":", "@echo off", "setlocal ")) or line.split()[0] == "rem":
            return None
        if match := re.fullmatch(r"for %%c in \((.*)\) do (.*)", line):
            for word in match[1].split():
                assert self.command(self.expand(match[2].replace("%%c", word))) is None
            return None
        return self.command(self.expand(line))

    def expand(self, line: str) -> str:
        """Replace variables from left to right; what they hold is not looked at again."""

        def value(match: re.Match[str]) -> str:
            text = match[0]
            if text in ("%*", "%~1", "%~dp0"):
                first = next(iter(re.findall(r'"[^"]*"|[^\s=,;]+', self.arguments)), "")
                return {"%*": self.arguments, "%~1": first.strip('"'), "%~dp0": self.folder}[text]
            name, _, change = text.strip("%").partition(":")
            held = self.variables.get(name)
            if held is None:
                return change and f"{change}%"
            return self.changed(held, change) if change else held

        return re.sub(r"%(?:\*|~1|~dp0|\w+(?::[^%]*)?%)", value, line)

    def changed(self, held: str, change: str) -> str:
        """Apply `~0,1`, `*upto=new` or `old=new` to what a variable holds."""
        if change == "~0,1":
            return held[:1]
        old, _, new = change.partition("=")
        if not old.startswith("*"):
            return re.sub(re.escape(old), lambda _: new, held, flags=re.IGNORECASE)
        at = held.lower().find(old[1:].lower())
        return held if at < 0 else new + held[at + len(old) - 1 :]

    def command(self, line: str) -> str | None:
        """Take a line whose variables have been replaced; return the label it jumps to."""
        outside = re.sub(r'"[^"]*"', "", re.sub(r" (2?>nul)\b", "", line.replace(" || ", " ")))
        assert not set(outside) & set("&|<>^"), f"cmd would act on a character of: {line}"
        if match := re.fullmatch(r'if (not )?(?:defined (\w+)|exist "(.*?)"|"(.*?)"=="(.*?)") ((?:goto|set) .*)', line):
            negated, defined, path, left, right, then = match.groups()
            holds = defined in self.variables if defined else path in self.files if path else left == right
            return self.command(then) if holds is not bool(negated) else None
        if line.startswith("goto "):
            return line.removeprefix("goto ")
        word, _, rest = line.partition(" ")
        return getattr(self, f"do_{word.removesuffix('.')}", self.program)(line, rest)

    def do_set(self, _line: str, rest: str) -> None:
        if rest.startswith("/a "):
            name, _, number = rest.removeprefix("/a ").strip('"').partition("=")
            first, second = number.split(" + ")
            rest = f"{name}={int(self.variables[first]) + int(second)}"
        elif rest.startswith('"'):
            rest = rest[1 : rest.rindex('"')]
        name, _, held = rest.partition("=")
        self.variables.pop(name, None)
        if held:
            self.variables[name] = held

    def do_echo(self, line: str, rest: str) -> None:
        self.said.append("" if line == "echo." else rest)

    def do_pushd(self, _line: str, rest: str) -> str | None:
        assert rest == f'"{self.folder}" || goto no_folder'
        return "no_folder" if self.outcomes.get("pushd") else None

    def do_popd(self, _line: str, _rest: str) -> None:
        pass

    def do_exit(self, _line: str, rest: str) -> None:
        self.exit_code = int(rest.removeprefix("/b "))

    def program(self, line: str, _rest: str) -> None:
        self.ran.append(line.replace(" >nul", "").replace(" 2>nul", "").removeprefix("call "))
        codes = next((codes for start, codes in self.outcomes.items() if self.ran[-1].startswith(start)), [0])
        self.variables["ERRORLEVEL"] = str(codes.pop(0) if len(codes) > 1 else codes[0])
