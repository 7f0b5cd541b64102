"""The two configuration files as the tests write them."""

from ground import password


def write(path, socket, assets_dir, user, **sections):
    """A configuration for the account `user` at a server's socket, with its password in a file beside it."""
    secret = path.parent / f"{user}.password"
    if not secret.exists():  # a program that runs may be reading it
        secret.touch(0o600)
        secret.write_text(password(user))
    sections["database"] = {"unix_socket": socket, "user": user, "password_file": f"{user}.password"}
    sections["mount"] = {"sync_dir": assets_dir / "sync"}
    lines = []
    for section, options in sections.items():
        lines += [f"[{section}]", *(f"{option} = {value}" for option, value in options.items()), ""]
    path.write_text("\n".join(lines))
    return path
