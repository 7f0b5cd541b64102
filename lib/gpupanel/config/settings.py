"""Settings of each section. Each option is declared once: type, kind with its unit, purpose in a sentence, default."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from ..window import ALWAYS, Window
from .option_kinds import (
    ACCOUNT, ADDRESS, ADDRESSES, AUTH, BYTES, COUNT, DATABASE, FLAG, HOOK_URL, HOST, LOCAL_HOSTS, MINUTES, NAMES,
    NETWORKS, ON_CHANGE, PAGES_URL, PATH, PORT, SECONDS, SMTP_TLS, SOCKET, TEXT, TIME_ZONE, TLS, UNIT, VERIFY,
    WINDOW, Kind, Url, whole_number,
)

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from .option_kinds import Networks


@dataclass(frozen=True, slots=True)
class DatabaseSettings:
    """Section [database]."""

    host: Annotated[str, HOST, "Name or address of the MariaDB server."] = "127.0.0.1"
    port: Annotated[int, PORT, "TCP port of the server."] = 3306
    unix_socket: Annotated[str, SOCKET, "Path of the server's socket, used instead of host and port."] = ""
    user: Annotated[str, ACCOUNT, "Account to log in with."] = ""
    password: Annotated[str, TEXT, "The account's password."] = field(default="", repr=False)
    name: Annotated[str, DATABASE, "Database that holds the tables."] = "admin_panel"
    password_file: Annotated[Path | None, PATH, "File that holds the password and nothing else."] = None
    ssl: Annotated[str, TLS, "TLS: if the server offers it, always, or never; auto has none on this machine."] = "auto"
    ssl_ca: Annotated[Path | None, PATH, "Certificates of the authorities that may sign the server's."] = None
    ssl_cert: Annotated[Path | None, PATH, "Certificate of this client, if the account needs one."] = None
    ssl_key: Annotated[Path | None, PATH, "Key of that certificate."] = None
    ssl_verify: Annotated[bool | None, FLAG, "Whether the server's certificate is verified; yes with ssl_ca."] = None
    perl_time_zone: Annotated["ZoneInfo | None", TIME_ZONE, "Zone of the times that a Perl side writes; UTC."] = None

    @property
    def is_local(self) -> bool:
        """Whether the server is on this machine."""
        return bool(self.unix_socket) or self.host in LOCAL_HOSTS

    @property
    def verifies_tls(self) -> bool:
        """Whether a certificate must prove who the server is."""
        return self.ssl_ca is not None if self.ssl_verify is None else self.ssl_verify

    @property
    def requires_tls(self) -> bool:
        """Whether a server without TLS is refused, so that an attacker on the network cannot strip it."""
        return self.ssl == "required" or self.verifies_tls or self.ssl_cert is not None

    @property
    def wants_tls(self) -> bool:
        """Whether TLS is tried."""
        return self.ssl != "off" and (self.requires_tls or not self.is_local)


@dataclass(frozen=True, slots=True)
class MountSettings:
    """Section [mount]."""

    sync_dir: Annotated[Path, PATH, "Folder of the manifests and sentinels."] = Path("/mnt/s3-sync/assets/sync")
    assets_dir: Annotated[Path, PATH, "Folder that the paths of items are relative to."] = Path("/mnt/s3-sync/assets")
    manifest_limit: Annotated[int, BYTES, "Size of the largest manifest that is read."] = 256 * 1024 * 1024
    max_items: Annotated[int, COUNT, "Items of a manifest, at most."] = 500_000
    max_derivatives: Annotated[int, COUNT, "Derivatives of an item, at most."] = 1_000
    max_members: Annotated[int, COUNT, "Members of a container, at most."] = 500_000
    max_containers: Annotated[int, COUNT, "Containers of a manifest, at most."] = 500_000
    max_text_bytes: Annotated[int, BYTES, "Bytes of a text in a manifest, at most."] = 64 * 1024


@dataclass(frozen=True, slots=True)
class PanelSettings:
    """Section [panel]."""

    auth: Annotated[str, AUTH, "Who authenticates people: the web server, or nobody (on loopback)."] = "remote_user"
    operators: Annotated[frozenset[str], NAMES, "Who may act; `*` is every authenticated user."] = frozenset()
    viewers: Annotated[frozenset[str], NAMES, "Who has view-only access; `*` as above."] = frozenset()
    trusted_proxies: Annotated["Networks", NETWORKS, "Proxies whose X-Remote-User and X-Forwarded-* are used."] = ()
    secret_file: Annotated[Path | None, PATH, "File of the key that signs forms."] = None
    templates: Annotated[Path | None, PATH, "Folder of templates that replace those of the panel."] = None
    socket: Annotated[Path | None, PATH, "Socket on which `serve` answers CGI programs."] = None
    page_size: Annotated[int, whole_number(1000), "Rows on a page."] = 50
    stale_minutes: Annotated[float, MINUTES, "The worker's stale_minutes, for display."] = 15
    worker_unit: Annotated[str, UNIT, "The worker's unit of systemd, which pages name; empty without systemd."] = (
        "gpu-admin-panel-import-worker"
    )


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """Section [worker]."""

    poll_seconds: Annotated[float, SECONDS, "Time between two queries for a job while the queue is empty."] = 1
    heartbeat_seconds: Annotated[float, SECONDS, "Time between two heartbeats of a running job."] = 15
    stale_minutes: Annotated[float, MINUTES, "Age of the heartbeat after which a job is requeued."] = 15
    chunk_items: Annotated[int, whole_number(10_000), "Items written in one transaction, at most."] = 100
    readers: Annotated[int, whole_number(256), "Threads that read documents from the mount, at most."] = 16
    max_attempts: Annotated[int, whole_number(1000), "Attempts after which a stale job fails."] = 5
    verify: Annotated[str, VERIFY, "What an import compares of each file: its size, or also its SHA-256."] = "size"
    on_change: Annotated[str, ON_CHANGE, "A change after approval waits for a person, or is planned again."] = "hold"
    window: Annotated[Window, WINDOW, "Local times in which this worker claims jobs; empty: always."] = ALWAYS


@dataclass(frozen=True, slots=True)
class NotifySettings:
    """Section [notify]: whom `gpupanel notify` tells of failures. It alone reads the files with secrets."""

    mail_to: Annotated[tuple[str, ...], ADDRESSES, "Who gets the mails."] = ()
    mail_from: Annotated[str, ADDRESS, "Sender of the mails."] = ""
    smtp_host: Annotated[str, HOST, "Mail server that takes the mails."] = "127.0.0.1"
    smtp_port: Annotated[int | None, PORT, "Its port; 587, with tls 465, without TLS 25."] = None
    smtp_tls: Annotated[str, SMTP_TLS, "TLS to it; auto is starttls, and off on this machine."] = "auto"
    smtp_user: Annotated[str, TEXT, "User name at the mail server, if it wants one."] = ""
    smtp_password_file: Annotated[Path | None, PATH, "File that holds that user's password and nothing else."] = None
    webhook_url: Annotated[Url | None, HOOK_URL, "Where the messages are posted as JSON."] = field(
        default=None, repr=False
    )
    webhook_secret_file: Annotated[Path | None, PATH, "File of the key that signs each POST."] = None
    tls_ca: Annotated[Path | None, PATH, "Certificates of the authorities of both servers; else the system's."] = None
    panel_url: Annotated[Url | None, PAGES_URL, "Folder of the panel's pages, for links in the messages."] = None

    @property
    def is_set_up(self) -> bool:
        """Whether people are told at all."""
        return bool(self.mail_to or self.webhook_url)

    @property
    def tls(self) -> str:
        """TLS to the mail server: starttls, tls or off."""
        if self.smtp_tls != "auto":
            return self.smtp_tls
        return "off" if self.smtp_host in LOCAL_HOSTS else "starttls"

    @property
    def port(self) -> int:
        """The port of the mail server."""
        return self.smtp_port or {"starttls": 587, "tls": 465, "off": 25}[self.tls]


@dataclass(frozen=True, slots=True)
class Settings:
    """One configuration file; the panel's has no [worker], and vice versa."""

    path: Path
    database: DatabaseSettings
    mount: MountSettings
    panel: PanelSettings
    worker: WorkerSettings
    notify: NotifySettings


SECTIONS = {
    "database": DatabaseSettings, "mount": MountSettings, "panel": PanelSettings, "worker": WorkerSettings,
    "notify": NotifySettings,
}
# section -> option -> its kind
OPTIONS: dict[str, dict[str, Kind]] = {
    section: {option: hint.__metadata__[0] for option, hint in settings.__annotations__.items()}
    for section, settings in SECTIONS.items()
}
