"""A file with one certificate, so that a client does not load all certificates of the machine for each request.

Every client of Prefect creates an SSL context, also for ``http://``. With the bundle of certifi this takes longer than
the request itself.
"""

from __future__ import annotations

from pathlib import Path

from pytest_flowsecrets.isolation.home.private_home import write_private

_END = "-----END CERTIFICATE-----\n"


def certificate_file(folder: Path) -> str:
    """Return the path of a file in ``folder`` with the first certificate of certifi's bundle."""
    target = folder / "certificate.pem"
    if not target.exists():
        import certifi  # a dependency of httpx

        bundle = Path(certifi.where()).read_text("utf-8")
        write_private(target, bundle[bundle.index("-----BEGIN") : bundle.index(_END) + len(_END)])
    return str(target)
