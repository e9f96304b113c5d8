"""Where the dashboard listens, who has access, and how much it sends."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from evio_ros.errors import ParameterError, reason_of
from evio_ros.parameters import Parameters, parameter

__all__ = ["WebParameters"]

_SHORTEST_TOKEN = 16


@dataclass(frozen=True)
class WebParameters(Parameters):
    """The server of the dashboard."""

    host: str = parameter(
        "127.0.0.1",
        read_only=True,
        doc="Address to listen on; anything but this machine's own needs a token.",
    )
    port: int = parameter(
        8088,
        minimum=0,
        maximum=65535,
        read_only=True,
        doc="Port to listen on; 0 takes any free one, which is logged.",
    )
    token: str = parameter(
        "",
        read_only=True,
        doc="Token that clients must send, as `Authorization: Bearer TOKEN`, or once as "
        "?token=TOKEN in a browser. At least 16 characters; empty for none.",
    )
    token_file: str = parameter(
        "", read_only=True, doc="File whose first line is the token, instead of `token`."
    )
    host_names: str = parameter(
        "",
        read_only=True,
        doc="Host names by which the server may be addressed, separated by commas. localhost and "
        "numeric addresses are always allowed. Other names are refused, because a page on "
        "another site could send requests here.",
    )
    rate_hz: float = parameter(
        10.0,
        unit="Hz",
        minimum=0.1,
        maximum=60.0,
        read_only=True,
        doc="Rate of messages in live streams.",
    )
    events_a_message: int = parameter(
        12_000,
        minimum=1,
        maximum=100_000,
        read_only=True,
        doc="Most events in one message of the live stream of events; if there are more, a share "
        "is sent.",
    )
    clients: int = parameter(
        100, minimum=1, maximum=1000, read_only=True, doc="Most clients of a live stream."
    )
    requests_a_second: float = parameter(
        50.0,
        minimum=1.0,
        maximum=10_000.0,
        read_only=True,
        doc="Requests that one address may make on average, with bursts of four seconds' worth.",
    )
    stale_after_s: float = parameter(
        2.0,
        unit="s",
        minimum=0.1,
        maximum=3600.0,
        read_only=True,
        doc="Time after the newest window at which rotors are no longer shown.",
    )

    def check_together(self) -> None:
        """Check that only this machine gets in without a token."""
        if self.token and self.token_file:
            raise ParameterError("token, token_file: give one of them")
        if self.token and (len(self.token) < _SHORTEST_TOKEN or not self.token.isascii()):
            raise ParameterError(f"token: give at least {_SHORTEST_TOKEN} ASCII characters")
        if not (self.is_local or self.token or self.token_file):
            raise ParameterError(
                f"host: {self.host} can be reached from other machines; give a token, e.g. by "
                "`openssl rand -hex 16`, or leave 127.0.0.1"
            )

    @property
    def is_local(self) -> bool:
        """Whether only this machine reaches the server."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def names(self) -> frozenset[str]:
        """The names in `host_names`, in small letters."""
        return frozenset(name.strip().lower() for name in self.host_names.split(",") if name)

    def secret(self) -> str:
        """The token; empty for none.

        Raises:
            ParameterError: if the file cannot be read, or holds too short a token.
        """
        if not self.token_file:
            return self.token
        try:
            with open(self.token_file, encoding="ascii") as file:
                token = file.readline().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ParameterError(f"token_file: {self.token_file}: {reason_of(error)}") from None
        if len(token) < _SHORTEST_TOKEN:
            raise ParameterError(
                f"token_file: {self.token_file}: its first line is shorter than "
                f"{_SHORTEST_TOKEN} characters"
            )
        return token
