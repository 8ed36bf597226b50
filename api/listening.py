"""Where the server listens. Light to load, so that a wrong address is said before anything else is."""

import errno
import ipaddress
import socket

from config.settings import Settings
from speech.errors import Problem

WAITING_CONNECTIONS = 1024


def is_loopback(host: str) -> bool:
    """Whether this name or address cannot be reached from another machine."""
    name = host.strip("[]").rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def listen(settings: Settings) -> socket.socket:
    """The socket. Raises Problem: also where others could reach a server that knows no accounts."""
    if not is_loopback(settings.host):
        raise Problem("needs-accounts", host=settings.host)
    return bound(settings.host, settings.port)


def bound(host: str, port: int) -> socket.socket:
    """A socket that listens there. Raises Problem."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host.strip("[]"), port), family=family, backlog=WAITING_CONNECTIONS)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise Problem("port-taken", address=netloc(host, port)) from error
        raise Problem("cannot-listen", address=netloc(host, port), reason=error.strerror or error) from error


def netloc(host: str, port: int) -> str:
    """Host and port as in an address."""
    return f"[{host.strip('[]')}]:{port}" if ":" in host else f"{host}:{port}"
