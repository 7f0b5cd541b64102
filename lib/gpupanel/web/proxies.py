"""What a trusted proxy says of a request that it passes on: who asks, over https or not, and below which folder."""


def as_received(environ: dict, trusted: tuple) -> dict:
    """The request as it reached the proxy, when its address is in one of the `trusted` networks; otherwise as it is.

    Believed are X-Remote-User (unless the server itself knows the user), X-Forwarded-Proto and X-Forwarded-Prefix
    (docs/CONTRACT.md, 10).
    """
    source = address(environ.get("REMOTE_ADDR", "")) if trusted else None
    if source is None or not any(source in network for network in trusted):
        return environ
    return environ | _user(environ) | _scheme(environ) | _place(environ)


def address(text: str):
    """The address that a text means, None for what is none; an IPv4 address in IPv6 clothes is that IPv4 address."""
    from ipaddress import ip_address  # most requests come without a proxy, and need none

    try:
        found = ip_address(text.strip("[]"))
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


def _user(environ: dict) -> dict[str, str]:
    return {"REMOTE_USER": environ.get("REMOTE_USER") or environ.get("HTTP_X_REMOTE_USER", "")}


def _scheme(environ: dict) -> dict[str, str]:
    scheme = environ.get("HTTP_X_FORWARDED_PROTO", "").lower()
    return {"wsgi.url_scheme": scheme} if scheme in ("http", "https") else {}


def _place(environ: dict) -> dict[str, str]:
    """The folder of the pages, whether the proxy left it in the path or has already taken it away."""
    folder, path = environ.get("HTTP_X_FORWARDED_PREFIX", "").rstrip("/"), environ.get("PATH_INFO", "")
    if not folder.startswith("/") or folder.startswith("//"):
        return {}
    inside = path == folder or path.startswith(folder + "/")
    return {"SCRIPT_NAME": folder, "PATH_INFO": path[len(folder):] if inside else path}
