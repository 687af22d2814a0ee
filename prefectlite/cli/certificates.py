"""Makes an authority and certificates for a Dask cluster, and writes them. Knows no cluster."""

from __future__ import annotations

import ipaddress
import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from prefectlite.errors import CertificateError
from prefectlite.executors.security import CA_FILE, ROLES, role_files

if TYPE_CHECKING:
    from cryptography import x509

#: Clocks of two hosts may differ by that much.
_SKEW: Final = timedelta(hours=1)
_NEEDED: Final = (
    "Certificates are made with the library 'cryptography', which is not installed; install it with "
    "pip install 'prefectlite[tls]'."
)


def make_certificates(hosts: Sequence[str], begin: datetime, end: datetime) -> dict[str, bytes]:
    """Make an authority, and a certificate and a key for each role.

    The authority's key signs these and is forgotten, so nobody can make another certificate of it.

    Parameters
    ----------
    hosts : sequence of str
        Names and IP addresses that stand in each certificate.
    begin, end : datetime
        Between which they are good.

    Returns
    -------
    dict of str to bytes
        PEM by file name.

    Raises
    ------
    CertificateError
        When a host is no name, or the library ``cryptography`` is not there.
    """
    try:
        from cryptography import x509
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ec
    except ImportError as error:
        raise CertificateError(_NEEDED) from error

    names = x509.SubjectAlternativeName([_host(host) for host in dict.fromkeys(hosts)])
    times = (begin - _SKEW, end)
    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority = _signed("authority", authority_key, None, authority_key, times, _may_sign())
    files = {CA_FILE: authority.public_bytes(serialization.Encoding.PEM)}
    for role in ROLES:
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _signed(
            role, key, authority, authority_key, times, [*_may_connect(role), (names, False)]
        )
        files |= zip(
            role_files(role),
            (
                certificate.public_bytes(serialization.Encoding.PEM),
                key.private_bytes(
                    serialization.Encoding.PEM,
                    serialization.PrivateFormat.PKCS8,
                    serialization.NoEncryption(),
                ),
            ),
            strict=True,
        )
    return files


def write_private(directory: Path, files: Mapping[str, bytes], force: bool) -> None:
    """Write files that nobody else may read.

    Parameters
    ----------
    directory : Path
        Made if it is not there, and then closed to others.
    files : mapping of str to bytes
        Contents by file name.
    force : bool
        Whether files that are there are replaced.

    Raises
    ------
    CertificateError
        When one is there and not to be replaced, others may write to the directory, or it cannot be written.
    """
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if directory.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise CertificateError(
                f"Others may write to the directory {str(directory)!r}, so they could replace its files; "
                "give one that is not there yet, or run 'chmod go-w' on it."
            )
        there = [name for name in files if os.path.lexists(directory / name)]
        if there and not force:
            raise CertificateError(
                f"{', '.join(there)} would be overwritten in {str(directory)!r}; give another directory, or "
                "--force to replace them (a cluster that uses them must then be started again)."
            )
        for name, content in files.items():
            _write(directory / name, content)
    except OSError as error:
        raise CertificateError(
            f"The certificates cannot be written to {str(directory)!r} ({error.strerror or error}); give a "
            "directory of yours."
        ) from error


def _write(path: Path, content: bytes) -> None:
    # Under another name first: a reader sees the old file or the new one, and no link is followed.
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        os.fsync(file.fileno())
    fresh.replace(path)


def _host(text: str) -> x509.GeneralName:
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        pass
    # What could not be a host could be words of a command, which we print.
    if text.isascii() and text.replace("-", "").replace(".", "").replace("_", "").isalnum():
        return x509.DNSName(text)
    raise CertificateError(
        f"{text!r} is no host's name or IP address; write it as in 'node1.lan' or '10.0.0.5'."
    )


def _may_sign() -> list[tuple[Any, bool]]:
    from cryptography import x509

    return [(x509.BasicConstraints(ca=True, path_length=0), True), (_usage(signs=True), True)]


def _may_connect(role: str) -> Iterable[tuple[Any, bool]]:
    from cryptography import x509
    from cryptography.x509.oid import ExtendedKeyUsageOID

    # Scheduler and workers call each other; a client is called by nobody, so it cannot pass for one of them.
    uses = [ExtendedKeyUsageOID.CLIENT_AUTH]
    if role != "client":
        uses.append(ExtendedKeyUsageOID.SERVER_AUTH)
    yield x509.BasicConstraints(ca=False, path_length=None), True
    yield _usage(signs=False), True
    yield x509.ExtendedKeyUsage(uses), False


def _usage(signs: bool) -> x509.KeyUsage:
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=not signs,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _signed(
    role: str,
    key: Any,
    issuer: x509.Certificate | None,
    issuer_key: Any,
    times: tuple[datetime, datetime],
    extensions: Iterable[tuple[Any, bool]],
) -> x509.Certificate:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.x509.oid import NameOID

    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"prefectlite {role}")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(times[0])
        .not_valid_after(times[1])
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False
        )
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(issuer_key, hashes.SHA256())
