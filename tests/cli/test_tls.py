"""The command ``prefectlite tls``: what it writes, for whom, and what it says of it."""

from __future__ import annotations

import os
import ssl
import stat
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from prefectlite.cli.certificates import make_certificates, write_private
from prefectlite.cli.main import main
from prefectlite.errors import CertificateError
from prefectlite.executors.security import CA_FILE, ROLES, role_files, security_of

NAMES = {CA_FILE, *(name for role in ROLES for name in role_files(role))}
NOW = datetime.now(UTC)


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    return make_certificates(["head.lan", "10.0.0.5"], NOW, NOW + timedelta(days=30))


def test_only_their_owner_can_read_the_files(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        assert main(["tls", str(tmp_path / "a" / "tls")]) == 0
    finally:
        os.umask(before)

    made = tmp_path / "a" / "tls"
    assert {path.name for path in made.iterdir()} == NAMES
    assert stat.S_IMODE(made.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in made.iterdir()} == {0o600}


def test_what_is_there_is_replaced_only_by_force(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tls", str(tmp_path)]) == 0
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    capsys.readouterr()

    assert main(["tls", str(tmp_path)]) == 2
    assert "ca.pem" in (told := capsys.readouterr().err)
    assert "--force" in told
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before

    assert main(["tls", str(tmp_path), "--force"]) == 0
    assert not {path.read_bytes() for path in tmp_path.iterdir()} & set(before.values())


def test_a_link_is_replaced_and_not_followed(tmp_path: Path, files: dict[str, bytes]) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("mine")
    place = tmp_path / "tls"
    place.mkdir()
    (place / CA_FILE).symlink_to(elsewhere)

    with pytest.raises(CertificateError, match=CA_FILE):
        write_private(place, files, force=False)
    write_private(place, files, force=True)

    assert elsewhere.read_text() == "mine"
    assert (place / CA_FILE).read_bytes() == files[CA_FILE]


def test_a_directory_that_others_may_write_to_is_refused(tmp_path: Path, files: dict[str, bytes]) -> None:
    tmp_path.chmod(0o777)

    with pytest.raises(CertificateError, match="chmod go-w"):
        write_private(tmp_path, files, force=False)
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path, files: dict[str, bytes]) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(CertificateError, match=r"file/tls.*Not a directory"):
        write_private(tmp_path / "file" / "tls", files, force=False)


def test_hosts_and_days_stand_in_each_certificate(files: dict[str, bytes]) -> None:
    authority = x509.load_pem_x509_certificate(files[CA_FILE])
    for role in ROLES:
        certificate = x509.load_pem_x509_certificate(files[role_files(role)[0]])
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        certificate.verify_directly_issued_by(authority)
        assert [str(name.value) for name in names] == ["head.lan", "10.0.0.5"]
        assert abs(certificate.not_valid_after_utc - NOW - timedelta(days=30)) < timedelta(seconds=2)
        assert certificate.not_valid_before_utc < NOW


def test_a_client_cannot_pass_for_a_scheduler(files: dict[str, bytes], tmp_path: Path) -> None:
    write_private(tmp_path, files, force=False)

    assert shake(tmp_path, "client", "scheduler") == "agreed"
    assert shake(tmp_path, "worker", "scheduler") == "agreed"
    assert shake(tmp_path, "scheduler", "worker") == "agreed"
    assert "purpose" in shake(tmp_path, "worker", "client")


def shake(directory: Path, caller: str, called: str) -> str:
    """Let two roles connect in memory, as Dask would, and return what came of it."""
    security = security_of(directory, ROLES)
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = [
        security.get_connection_args(caller)["ssl_context"].wrap_bio(back, there),
        security.get_listen_args(called)["ssl_context"].wrap_bio(there, back, server_side=True),
    ]
    for _ in range(4):
        for side in sides:
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLError as error:
                return str(error)
    return "agreed"


@pytest.mark.parametrize("host", ["", "a b", "$(id)", "näme", "x\ny", "a,b", "-"])
def test_what_is_no_host_is_refused_by_name(
    host: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["tls", str(tmp_path / "tls"), "--host", host]) == 2
    assert f"{host!r} is no host's name or IP address" in capsys.readouterr().err
    assert not (tmp_path / "tls").exists()


def test_without_the_library_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "cryptography", None)

    assert main(["tls", str(tmp_path / "tls")]) == 2
    assert "pip install 'prefectlite[tls]'" in capsys.readouterr().err


def test_it_prints_what_to_type_next(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = tmp_path / "my tls"

    assert main(["tls", str(place), "--host", "fd00::5", "--host", "head", "--days", "3"]) == 0

    told = capsys.readouterr().out
    assert f"good until {datetime.now(UTC) + timedelta(days=3):%Y-%m-%d}" in told
    assert "dask scheduler --protocol tls --port 8786 --dashboard-address 127.0.0.1:8787" in told
    assert f"--tls-key '{place}/scheduler-key.pem'" in told
    assert "dask worker tls://[fd00::5]:8786 --dashboard-address 127.0.0.1:0" in told
    assert f"DaskExecutor('tls://[fd00::5]:8786', security='{place}')" in told
    assert f"prefectlite run FILE --address tls://[fd00::5]:8786 --security '{place}'" in told


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    main(["tls", "--help"])
    told = capsys.readouterr().out
    for word in ("--host", "--days", "--force", "Examples:", "prefectlite tls ~/cluster-tls", "password"):
        assert word in told
    main(["--help"])
    assert "tls" in capsys.readouterr().out
