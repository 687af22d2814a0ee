"""Connections with certificates: which files make them, and who is told that there are none. Sends no task.

The files are those of ``prefectlite tls``: one authority, and a certificate and a key for each role. Both
ends of a connection show their certificates, and take only what the authority signed.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import ssl
import threading
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from prefectlite.errors import DefinitionTypeError, ExecutorError, InsecureClusterWarning

#: The authority's certificate.
CA_FILE: Final = "ca.pem"
#: Who has a certificate of its own.
ROLES: Final = ("scheduler", "worker", "client")
#: Protocols that encrypt nothing and ask nobody for a certificate.
_PLAIN: Final = frozenset({"tcp", "ws"})

#: The addresses that were looked at; each is once.
_looked_at: Final[set[str]] = set()
_looking: Final = threading.Lock()


def role_files(role: str) -> tuple[str, str]:
    """Return the names of a role's files.

    Parameters
    ----------
    role : str
        One of ``ROLES``.

    Returns
    -------
    tuple of str
        The certificate's and the key's.

    Examples
    --------
    >>> role_files("worker")
    ('worker-cert.pem', 'worker-key.pem')
    """
    return f"{role}-cert.pem", f"{role}-key.pem"


def check_security(given: Any) -> None:
    """Refuse what cannot be the security of a connection, before anything is connected.

    Parameters
    ----------
    given : distributed.security.Security, str, path or None
        What the user gave.

    Raises
    ------
    DefinitionTypeError
        When it is something else.
    """
    if given is not None and not _is_path(given) and not hasattr(given, "get_connection_args"):
        raise DefinitionTypeError(
            f"DaskExecutor was given security={given!r} of type {type(given).__name__}; pass the directory "
            "that 'prefectlite tls' made, or a distributed.security.Security."
        )


def security_of(given: Any, roles: Sequence[str] = ("client",)) -> Any:
    """Return what Dask needs to make connections secure.

    Parameters
    ----------
    given : distributed.security.Security, str or path
        As it is, or the directory that ``prefectlite tls`` made.
    roles : sequence of str
        Whose files must be there: a client's to use a cluster, all to start one.

    Returns
    -------
    distributed.security.Security
        With the files of these roles, named in full.

    Raises
    ------
    ExecutorError
        When a file is missing.
    """
    if not _is_path(given):
        return given
    directory = Path(given).expanduser().absolute()
    needed = [CA_FILE, *(name for role in roles for name in role_files(role))]
    missing = [name for name in needed if not (directory / name).is_file()]
    if missing:
        raise ExecutorError(
            f"The directory {str(directory)!r}, given as security, lacks {', '.join(missing)}. Make it with "
            "'prefectlite tls DIRECTORY', or copy these files from where that was done."
        )
    import distributed

    fields = {"tls_ca_file": str(directory / CA_FILE)}
    for role in roles:
        for kind, name in zip(("cert", "key"), role_files(role), strict=True):
            fields[f"tls_{role}_{kind}"] = str(directory / name)
    return distributed.Security(require_encryption=True, **fields)


def client_context(address: str, security: Any) -> ssl.SSLContext:
    """Return what a client shows and trusts on a connection with certificates.

    Parameters
    ----------
    address : str
        Where it leads, for messages.
    security : distributed.security.Security or None
        By default what Dask's own configuration says.

    Returns
    -------
    ssl.SSLContext
        With the client's certificate.

    Raises
    ------
    ExecutorError
        When there is none, or its files cannot be used.
    """
    import distributed

    try:
        context = (security or distributed.Security()).get_connection_args("client").get("ssl_context")
    except (OSError, ValueError) as error:
        raise ExecutorError(
            f"The certificates for {address!r} cannot be used ({type(error).__name__}: {error}). They are "
            f"those of {security!r}; copy them again, or make new ones with 'prefectlite tls DIR --force'."
        ) from error
    if isinstance(context, ssl.SSLContext):
        return context
    raise ExecutorError(
        f"The Dask scheduler at {address!r} takes only clients with a certificate, and none was given. Pass "
        "the directory with ca.pem, client-cert.pem and client-key.pem that 'prefectlite tls' made for this "
        f"cluster: DaskExecutor({address!r}, security='DIRECTORY'), or --security DIRECTORY."
    )


def warn_if_open(client: Any) -> None:
    """Warn, once for each address, of a cluster that anybody on the network can use.

    Parameters
    ----------
    client : distributed.Client
        Connected. Its scheduler is asked where it listens: behind a tunnel, or where it listens everywhere,
        the address that the client knows would not tell.
    """
    known = client.scheduler.address
    with _looking:
        if known in _looked_at:
            return
        _looked_at.add(known)
    address = next(filter(is_open, (known, client.scheduler_info()["address"])), None)
    if address is None:
        return
    secure = f"tls{address[address.index('://') :]}"
    warnings.warn(
        f"The Dask scheduler at {address!r} is open to the network and asks nobody for a certificate: "
        "whoever can reach it can read what your tasks send and run code as you. Make certificates with "
        "'prefectlite tls DIRECTORY', start scheduler and workers as that says, and use "
        f"DaskExecutor({secure!r}, security='DIRECTORY'). Where only people whom you trust can reach it, "
        "silence this with warnings.simplefilter('ignore', prefectlite.errors.InsecureClusterWarning).",
        InsecureClusterWarning,
        stacklevel=2,
    )


def is_open(address: str) -> bool:
    """Return whether an address is on a network and without encryption.

    Parameters
    ----------
    address : str
        ``tcp://host:8786`` and the like.

    Returns
    -------
    bool
        False for this machine's own loopback, for ``tls://``, and for protocols that we know nothing of.

    Examples
    --------
    >>> [is_open(one) for one in ("tcp://192.0.2.1:8786", "tcp://[::1]:8786", "tls://192.0.2.1:8786")]
    [True, False, False]
    """
    parts = urlsplit(address)
    if parts.scheme not in _PLAIN or not parts.hostname:
        return False
    try:
        found = socket.getaddrinfo(parts.hostname, None, type=socket.SOCK_STREAM)
    except OSError:
        return True  # whatever it is, it is not the loopback
    return not all(_is_loopback(str(one[4][0])) for one in found)


def _is_loopback(host: str) -> bool:
    ip = ipaddress.ip_address(host.partition("%")[0])
    mapped = getattr(ip, "ipv4_mapped", None)
    return (mapped or ip).is_loopback


def _is_path(given: Any) -> bool:
    return isinstance(given, str | os.PathLike)
