"""Settings of one Graft process, read once from GRAFT_* environment variables."""

import socket
from functools import lru_cache
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Where things are and how long to wait. Times are seconds."""

    model_config = SettingsConfigDict(env_prefix="GRAFT_", env_ignore_empty=True)

    home: Path = Path("~/.graft")
    #: SQLAlchemy URL; empty means a SQLite file in `home`.
    database_url: str = ""
    #: Celery broker URL; empty means the socket that `graft up` starts, or none (workers poll).
    broker_url: str = ""
    #: fsspec URL or folder of the artifact store; empty means `home`/store.
    store_url: str = ""
    user: str = ""
    project: str = "default"
    host_name: str = Field(default_factory=socket.gethostname)
    #: Jobs at a time on a host without GPUs; a GPU host runs one a GPU.
    cpu_slots: int = Field(default=1, ge=1)
    #: May jobs download a base model from the Hugging Face hub?
    allow_hub: bool = False

    lease_seconds: float = 60.0
    renew_seconds: float = 10.0
    poll_seconds: float = 5.0
    sweep_seconds: float = 5.0
    rehint_seconds: float = 15.0
    cancel_grace_seconds: float = 8.0
    #: A host that the database has not answered for this long saves checkpoints and stops its jobs.
    orphan_grace: float = 1800.0
    #: A host with less free disk than this takes no new jobs; 0 lets it run until the disk is full.
    min_free_mb: int = Field(default=500, ge=0)
    #: How long folders of failed and cancelled jobs stay, for people who want their checkpoints.
    keep_failed_seconds: float = 7 * 86400.0
    #: Between two looks for folders that nothing needs any more.
    garbage_seconds: float = 600.0
    #: How long a preempted job may take to save its checkpoint.
    preempt_grace_seconds: float = 120.0
    #: First wait before a failed attempt is tried again; doubles each time, up to 30 minutes.
    backoff_seconds: float = 30.0

    #: How the pool is shared (docs/scheduling.md): past use counts half after this long,
    half_life_hours: float = Field(default=168.0, gt=0)
    #: an owner who is not served moves up one priority each time this passes,
    ageing_hours: float = Field(default=6.0, gt=0)
    #: and a job that is not preemptible runs this long before a higher priority may stop it.
    guaranteed_minutes: float = Field(default=30.0, ge=0)
    #: Labels of this host, separated by commas, that jobs can ask for.
    host_labels: str = ""

    #: A file that names an OpenID Connect provider (docs/people.md); empty means `home`/oidc.toml.
    oidc_file: str = ""
    dashboard_address: str = "127.0.0.1"
    dashboard_port: int = 8501

    @property
    def root(self) -> Path:
        """The data folder, absolute."""
        return self.home.expanduser().absolute()

    @property
    def database(self) -> str:
        """The SQLAlchemy URL in force."""
        return self.database_url or f"sqlite:///{self.root / 'graft.db'}"

    @property
    def store(self) -> str:
        """The artifact store's URL or folder in force."""
        return self.store_url or str(self.root / "store")

    @property
    def oidc(self) -> Path:
        """Where the OpenID Connect provider is named, if it is."""
        return Path(self.oidc_file).expanduser() if self.oidc_file else self.root / "oidc.toml"

    @property
    def worker_lock(self) -> Path:
        """The file that this host's worker holds a lock on; it says its process id."""
        return self.root / "run" / f"worker-{self.host_name}.lock"

    @property
    def broker_socket(self) -> Path:
        """Where the embedded broker of this data folder listens."""
        return self.root / "run" / "broker.sock"

    @property
    def broker(self) -> str | None:
        """The broker's URL in force, or None when there is no broker to hint through."""
        if self.broker_url:
            return self.broker_url
        if self.broker_socket.exists():
            return f"redis+socket://{self.broker_socket}?virtual_host=0"
        return None


@lru_cache(maxsize=1)
def settings() -> Settings:
    """The settings of this process."""
    return Settings()
