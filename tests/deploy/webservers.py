"""The four ways to serve the panel, each started from its sample in etc/.

Of a sample only what names the machine is replaced: port, sockets, and the path of the pages.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from pwd import getpwnam
from typing import NamedTuple

START_SECONDS = 20
WEB_USER = "www-data" if os.geteuid() == 0 else None  # without root, everything runs as the present user
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

APACHE = """
ServerRoot {folder}
ServerName localhost
Listen 127.0.0.1:{port}
PidFile {folder}/apache.pid
ErrorLog {folder}/error.log
DefaultRuntimeDir {folder}
{identity}
LoadModule mpm_event_module {modules}/mod_mpm_event.so
LoadModule authn_core_module {modules}/mod_authn_core.so
LoadModule authn_file_module {modules}/mod_authn_file.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule authz_user_module {modules}/mod_authz_user.so
LoadModule auth_basic_module {modules}/mod_auth_basic.so
LoadModule alias_module {modules}/mod_alias.so
LoadModule mime_module {modules}/mod_mime.so
LoadModule headers_module {modules}/mod_headers.so
LoadModule reqtimeout_module {modules}/mod_reqtimeout.so
LoadModule {extra}_module {modules}/mod_{extra}.so
TypesConfig /dev/null
{socket}
{https}
<Directory />
    AllowOverride None
    Require all denied
</Directory>
Include {sample}
"""

APACHE_HTTPS = """
LoadModule ssl_module /usr/lib/apache2/modules/mod_ssl.so
SSLEngine on
SSLCertificateFile {certificate}
SSLSessionCache none
"""

NGINX = """
daemon off;
pid {folder}/nginx.pid;
{identity}
worker_processes 1;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {sample};
}}
"""

NGINX_HTTPS = " ssl; ssl_certificate {certificate}; ssl_certificate_key {certificate};"


class Site(NamedTuple):
    """An installed tree, a folder for the servers' files, the URL folder of the pages, whether behind Basic, and the
    key and certificate in one file, for https."""

    tree: Path
    folder: Path
    path: str = "/admin"
    guarded: bool = True
    certificate: Path | None = None


@contextlib.contextmanager
def apache_cgi(site: Site):
    """Apache, mod_cgid, cgi-bin/*.cgi."""
    folder = new_folder(site, "apache-cgi")
    with _apache(site, folder, "import-media-cgi.conf", "cgid", f"ScriptSock {folder}/cgid.sock") as port:
        yield port


@contextlib.contextmanager
def apache_wsgi(site: Site):
    """Apache, mod_wsgi, cgi-bin/panel.wsgi."""
    folder = new_folder(site, "apache-wsgi")
    with _apache(site, folder, "import-media-wsgi.conf", "wsgi", f"WSGISocketPrefix {folder}/wsgi") as port:
        yield port


@contextlib.contextmanager
def nginx_fcgiwrap(site: Site):
    """nginx, fcgiwrap, cgi-bin/*.cgi."""
    folder = new_folder(site, "nginx-fcgiwrap")
    fcgi = folder / "fcgi.sock"
    with (
        _running(folder, "fcgiwrap", "-f", "-c", "4", "-s", f"unix:{fcgi}", user=WEB_USER, ready=fcgi.is_socket),
        nginx(site, folder, "import-media-fcgiwrap.conf", {"/run/fcgiwrap.socket": str(fcgi)}) as port,
    ):
        yield port


@contextlib.contextmanager
def nginx_waitress(site: Site):
    """nginx in front of `bin/gpupanel serve`."""
    folder = new_folder(site, "nginx-waitress")
    with (
        waitress(site) as behind,
        nginx(site, folder, "import-media-waitress.conf", {"127.0.0.1:8080": f"127.0.0.1:{behind}"}) as port,
    ):
        yield port


@contextlib.contextmanager
def waitress(site: Site):
    """Run `bin/gpupanel serve` with a configuration that trusts the proxy; yield its port."""
    folder = new_folder(site, "waitress")
    config, port = site.tree / "etc" / "proxied.conf", free_port()
    command = [site.tree / "bin" / "gpupanel", "serve", "--config", config, "--port", str(port)]
    with _running(folder, *command, user=WEB_USER, ready=lambda: _answers(port)):
        yield port


ALL = {each.__name__: each for each in (apache_cgi, apache_wsgi, nginx_fcgiwrap, nginx_waitress)}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def new_folder(site: Site, name: str) -> Path:
    """Return a new folder without sockets of earlier runs."""
    folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=site.folder))
    if WEB_USER:
        shutil.chown(folder, WEB_USER, WEB_USER)
    return folder


def _sample(site: Site, folder: Path, kind: str, name: str, replacements: dict[str, str]) -> Path:
    text = (site.tree / "etc" / kind / name).read_text()
    for old, new in replacements.items():
        assert old in text, f"{name} does not say {old} any more"
        text = text.replace(old, new)
    (folder / name).write_text(text)
    return folder / name


@contextlib.contextmanager
def _apache(site: Site, folder: Path, name: str, extra: str, its_socket: str):
    port, config = free_port(), folder / "apache.conf"
    replacements = {"IMPORT_MEDIA_PATH /admin": f"IMPORT_MEDIA_PATH {site.path}"}
    replacements |= {} if site.guarded else {"Require valid-user": "Require all granted"}
    config.write_text(APACHE.format(
        folder=folder, port=port, extra=extra, socket=its_socket, modules="/usr/lib/apache2/modules",
        identity=f"User {WEB_USER}\nGroup {WEB_USER}" if WEB_USER else "",
        https=APACHE_HTTPS.format(certificate=site.certificate) if site.certificate else "",
        sample=_sample(site, folder, "apache", name, replacements),
    ))

    def ready() -> bool:
        """Whether Apache answers, and mod_cgid's own process, which it starts beside itself: else a program is 503."""
        sockets = [path for path in folder.glob("cgid.sock*") if path.is_socket()]
        return _answers(port) and (extra != "cgid" or any(map(_listens, sockets)))

    with _running(folder, "apache2", "-f", config, "-D", "FOREGROUND", ready=ready):
        yield port


@contextlib.contextmanager
def nginx(site: Site, folder: Path, name: str, replacements: dict[str, str]):
    """Run nginx with one of our samples; yield its port."""
    port, config = free_port(), folder / "nginx.conf"
    replacements |= {} if site.guarded else {'auth_basic "Admin panel";': "auth_basic off;"}
    https = NGINX_HTTPS.format(certificate=site.certificate) if site.certificate else ";"
    replacements |= {"listen 80;": f"listen 127.0.0.1:{port}{https}", "/admin": site.path}
    config.write_text(NGINX.format(
        folder=folder, identity=f"user {WEB_USER};" if WEB_USER else "",
        sample=_sample(site, folder, "nginx", name, replacements),
    ))
    command = ["nginx", "-p", folder, "-c", config, "-e", folder / "error.log"]
    with _running(folder, *command, ready=lambda: _answers(port)):
        yield port


@contextlib.contextmanager
def _running(folder: Path, *command, ready, user=None):
    """Run a program in its own process group until the block ends; wait until it is ready."""
    with open(folder / "output.log", "ab") as log:
        process = subprocess.Popen(
            [shutil.which(command[0], path=PATH), *command[1:]], cwd=folder, env={"PATH": PATH, "LANG": "C.UTF-8"},
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, **identity(user),
        )
    try:
        _wait(process, ready, folder)
        yield
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def identity(user: str | None) -> dict:
    """Return the options of subprocess that run a program as this user, without other groups."""
    return {"user": user, "group": getpwnam(user).pw_gid, "extra_groups": []} if user else {}


def _wait(process: subprocess.Popen, ready, folder: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not ready():
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.02)
        if process.poll() is not None or time.monotonic() > deadline:
            raise AssertionError("\n".join(log.read_text() for log in folder.glob("*.log")))


def _listens(path: Path) -> bool:
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        return True
    return False


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False
