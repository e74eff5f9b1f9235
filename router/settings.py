"""What the environment says, read once, typed, explained and frozen. Passed down; never a module global."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from router.errors import SettingsError


class Settings(BaseSettings):
    """Every setting is an environment variable `SIGNALBOX_<NAME>`; flags of `signalbox serve` win over them.

    Set but empty, as compose files leave what nobody filled in, counts as not set.
    """

    model_config = SettingsConfigDict(env_prefix="SIGNALBOX_", frozen=True, extra="ignore", env_ignore_empty=True)

    database_url: str | None = Field(
        None, repr=False, description="`sqlite:///FILE` or `postgresql://...`; default SQLite in the data folder."
    )
    redis_url: str | None = Field(
        None,
        repr=False,
        description="`redis://`, `rediss://` or `redis+cluster://`; default none: state stays in the process.",
    )
    data_dir: Path = Field(Path(".signalbox"), description="Where SQLite and a policy that was built live.")
    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8080, ge=0, le=65535, description="Port to listen on; 0 picks a free one.")
    policy: Path | None = Field(None, description="Policy file; without it one is built from what is found.")
    artefact: Path | None = Field(
        None, description="Artefact folder to judge with; default the registry's current one, else the shipped one."
    )
    classifier: str = Field("fast", description="Tier of the judge: `fast` (learned), `heuristic` or `encoder`.")
    encoder_model: str | None = Field(
        None, description="Folder or hub name of the encoder's model; default the installed all-MiniLM-L6-v2."
    )
    encoder_budget_ms: float = Field(
        60.0, gt=0, description="Milliseconds that an ask waits for the encoder before `fast` answers."
    )
    encoder_threads: int | None = Field(
        None,
        ge=1,
        le=64,
        description="Threads that one batch is computed with; default half of the CPUs, at most four.",
    )
    api_keys: SecretStr | None = Field(None, description="`tenant:key,tenant2:key2`.")
    keys_file: Path | None = Field(None, description="YAML list of `{name, tenant, sha256, tags}`.")
    admin_key: SecretStr | None = Field(None, description="Opens the control plane; unset: loopback only.")
    cache_secret: SecretStr | None = Field(
        None, description="HMAC secret of cache keys; unset with Redis: made once there."
    )
    cache_bytes: int = Field(64 * 1024 * 1024, ge=0, description="Bound of the in-process cache, in bytes.")
    retention_days: float = Field(400.0, gt=0, description="How long the ledger keeps requests, texts and labels.")
    features_days: float = Field(120.0, gt=0, description="How long it keeps what retraining learns from.")
    grace_seconds: float = Field(30.0, ge=0, description="How long running streams may finish after SIGTERM.")
    log_level: str = Field(
        "info", pattern="^(?i:debug|info|warning|error)$", description="`debug`, `info`, `warning` or `error`."
    )
    metrics_dir: Path | None = Field(
        None, description="Where the workers of one gateway leave their counts for each other; set by `--workers`."
    )
    log_format: Literal["text", "json"] = Field("text", description="`text`, or `json`: one object a line.")

    @property
    def store_url(self) -> str:
        """The database to use: the one named, else SQLite in the data folder."""
        return self.database_url or f"sqlite:///{self.data_dir / 'signalbox.sqlite3'}"

    def as_environment(self) -> dict[str, str]:
        """These settings as environment variables, for worker processes."""
        return {
            f"SIGNALBOX_{name.upper()}": value.get_secret_value() if isinstance(value, SecretStr) else str(value)
            for name, value in self
            if value is not None
        }


def read_settings(**flags: Any) -> Settings:
    """Reads the environment; flags that were given (not None) win. Raises SettingsError naming the variable."""
    try:
        return Settings(**{name: value for name, value in flags.items() if value is not None})
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        name = "_".join(str(part) for part in first["loc"]).upper()
        raise SettingsError(f"SIGNALBOX_{name}: {first['msg']}.") from None
