"""X-Forwarded-* headers of trusted proxies."""

from typing import TYPE_CHECKING

from .responses import Environ

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network


def apply_proxy_headers(environ: Environ, trusted: "tuple[IPv4Network | IPv6Network, ...]") -> Environ:
    """Apply a trusted proxy's headers to the environment.

    The headers are X-Remote-User (unless the server itself knows the user), X-Forwarded-Proto and X-Forwarded-Prefix
    (docs/CONTRACT.md, "10. Pages").
    """
    source = parse_address(environ.get("REMOTE_ADDR", "")) if trusted else None
    if source is None or not any(source in network for network in trusted):
        return environ
    return environ | _user(environ) | _scheme(environ) | _folder(environ)


def parse_address(text: str) -> "IPv4Address | IPv6Address | None":
    """Parse an IP address. An IPv4-mapped IPv6 address is returned as IPv4."""
    from ipaddress import ip_address  # imported here, since most requests come without a proxy

    try:
        ip = ip_address(text.strip("[]"))
    except ValueError:
        return None
    return ip.ipv4_mapped or ip if ip.version == 6 else ip


def _user(environ: Environ) -> dict[str, str]:
    return {"REMOTE_USER": environ.get("REMOTE_USER") or environ.get("HTTP_X_REMOTE_USER", "")}


def _scheme(environ: Environ) -> dict[str, str]:
    # Each proxy of a chain may add its own at the end; the first is the browser's.
    scheme = environ.get("HTTP_X_FORWARDED_PROTO", "").partition(",")[0].strip().lower()
    return {"wsgi.url_scheme": scheme} if scheme in ("http", "https") else {}


def _folder(environ: Environ) -> dict[str, str]:
    """Return the pages' folder, which the proxy may have cut off the path."""
    folder, path = environ.get("HTTP_X_FORWARDED_PREFIX", "").rstrip("/"), environ.get("PATH_INFO", "")
    if not folder.startswith("/") or folder.startswith("//"):
        return {}
    inside = path == folder or path.startswith(folder + "/")
    return {"SCRIPT_NAME": folder, "PATH_INFO": path[len(folder):] if inside else path}
