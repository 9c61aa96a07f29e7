"""Every setting of the service, once: its name, type, default, limits and words of help.

A setting is read from its flag (`--ssh-parallel`), else its variable (`COMMISSAIRE_SSH_PARALLEL`),
else its key in the TOML file of `--config` (`ssh_parallel`). `serve --help` is made from these.
"""

import math
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationInfo, field_validator

from runners.settings.kinds import (
    HOUR_S,
    KIBIBYTE,
    MEBIBYTE,
    Bytes,
    Count,
    Names,
    Networks,
    OptionalFile,
    Seconds,
    Sources,
    postgres_url,
)
from runners.settings.places import Places
from web.authentication.authentication import Observers


class Settings(Places, BaseModel):
    """What `commissaire serve` runs with; checked, and never changed afterwards."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, validate_default=True
    )

    config: Annotated[Path | None, Sources("FILE", ("flag", "variable"))] = Field(
        None,
        description="TOML file with settings, keys as the flags with underscores; or JSON of 2017.",
    )
    data: Annotated[Path, Sources("DIR")] = Field(
        Path("data"), description="Directory of everything that the service keeps."
    )
    database: Annotated[SecretStr | None, Sources("URL")] = Field(
        None,
        description="postgresql:// URL of the database; without it, SQLite in the data directory."
        " A password is better given in the variable than in the flag.",
    )
    database_connections: Count = Field(
        8, ge=3, le=200, description="Connections to PostgreSQL that this process has at most."
    )
    accept_log: Annotated[str | None, Sources("LOG")] = Field(
        None, description="Go on with this log, by its name, though it does not continue the known."
    )
    refuse_wrong_clock: bool = Field(
        False, description="Do not start with a clock an hour behind the log's, or a year ahead."
    )
    host: Annotated[str, Sources("ADDRESS")] = Field(
        "127.0.0.1",
        description="Address to listen on; 0.0.0.0 is all of IPv4, :: is all of IPv6 and IPv4.",
    )
    port: Annotated[int, Sources("PORT")] = Field(
        8000, ge=0, le=65535, description="Port to listen on; 0 takes any that is free."
    )
    trusted_proxy: Networks = Field(
        (),
        description="Network of proxies whose X-Forwarded-For is believed, such as 10.0.0.0/8; may"
        " be repeated.",
    )
    fleet_lock_from: Networks = Field(
        (), description="Network whose hosts may take FleetLock locks; may be repeated."
    )
    sources: Annotated[dict[str, dict[str, object]], Sources("", ("file",))] = Field(
        {}, description="Inventories that may own hosts, a table [sources.NAME] for each."
    )
    gate: Annotated[Names, Sources("NAME=URL", ("flag", "variable"), several=True)] = Field(
        (), description="A check before operations start a host: its URL must answer 2xx."
    )
    gates: Annotated[dict[str, dict[str, object]], Sources("", ("file",))] = Field(
        {}, description="The same, or alerts of a Prometheus: a table [gates.NAME] for each."
    )
    users: OptionalFile = Field(
        None, description="File of users, who come before those of the database by their name."
    )
    master_key_file: OptionalFile = Field(
        None,
        description="File of the key that locks the vault. Without it: master.key in the data"
        " directory.",
    )
    master_key: Annotated[SecretStr | None, Sources("KEY", ("variable",))] = Field(
        None, description="The key that locks the vault itself, instead of a file."
    )

    log_format: Annotated[Literal["json", "text"] | None, Sources("json|text")] = Field(
        None, description="Log lines for machines or people. Without it: text on a terminal."
    )
    log_requests: bool = Field(True, description="A log line for every request.")

    observers: Annotated[Observers, Sources("anyone|local|viewer")] = Field(
        "local",
        description="Who reads /metrics, and the reasons of /readyz, without logging in: anyone,"
        " whoever is on this machine and comes through no proxy, or nobody. Every user may.",
    )

    ssh_parallel: Count = Field(
        32,
        le=4096,
        description="New and failed hosts that are looked at over SSH at once, and three times as"
        " many more that keep us waiting.",
    )
    ssh_connect_timeout_s: Seconds = Field(
        10.0, description="How long a host may take to accept a connection and a log-in."
    )
    ssh_command_timeout_s: Seconds = Field(
        60.0, description="How long a command on a host may take."
    )
    investigation_attempts: Count = Field(
        3, le=100, description="Attempts to reach a host before it counts as failed."
    )
    retry_pause_s: Seconds = Field(
        30.0, description="Pause before a failed host is asked again; it doubles each time."
    )
    retry_pause_max_s: Seconds = Field(
        HOUR_S, description="The longest pause before a failed host is asked again."
    )

    bootstrap: Annotated[str | None, Sources("DIR|none")] = Field(
        None,
        description="Directory of step files: what is installed on hosts whose network asks for it."
        " Without it: what comes with the service. `none`: nothing is ever installed.",
    )

    check_interval: Seconds = Field(
        60.0, description="Each host that is set up is checked once in so long a time."
    )
    check_failures: Count = Field(
        3, le=100, description="Checks in a row without an answer before a host counts as failed."
    )
    ssh_kept: Annotated[int, Sources("COUNT")] = Field(
        0,
        ge=0,
        le=100_000,
        description="Connections to hosts that stay open between checks, an hour at most; with 0"
        " each check logs in.",
    )
    check_parallel: Count = Field(128, le=4096, description="Hosts that are checked at once.")

    node_report_interval_s: Seconds = Field(
        30.0, description="Each container manager is asked about its nodes once in so long a time."
    )
    node_report_age_s: Seconds = Field(
        120.0, description="What it said of a node is shown for so long, and then nothing."
    )

    operation_parallel: Count = Field(
        64, le=4096, description="Hosts that operations work on at once, whatever they allow."
    )
    output_kept_days: Count = Field(
        30, le=3650, description="Days that the output of operations is kept."
    )

    runners: bool = Field(
        True,
        description="Work on hosts. Without: the API alone, beside others on the same PostgreSQL.",
    )
    runners_only: bool = Field(
        False,
        description="Work on hosts alone, beside others on the same PostgreSQL: no API but"
        " /healthz, /readyz and /metrics.",
    )
    lease_s: Annotated[float, Field(ge=2, le=HOUR_S, allow_inf_nan=False), Sources("SECONDS")] = (
        Field(
            10.0,
            description="With PostgreSQL: how long others leave alone what a process works on that"
            " is not heard of any more.",
        )
    )

    body_bytes_max: Bytes = Field(MEBIBYTE, description="Largest body of a request.")
    header_bytes_max: Bytes = Field(
        32 * KIBIBYTE, description="Largest head of a request: its line and all headers."
    )
    header_timeout_s: Seconds = Field(10.0, description="How long the head of a request may take.")
    body_timeout_s: Seconds = Field(30.0, description="How long the body of a request may take.")
    keep_alive_s: Seconds = Field(
        15.0, description="How long a connection may stay open without a request."
    )
    known_answers_bytes: Annotated[int, Field(ge=0, le=1024 * MEBIBYTE), Sources("BYTES")] = Field(
        16 * MEBIBYTE,
        description="With SQLite: how much is kept of what was answered since the last change, to"
        " be answered again; 0: nothing.",
    )
    connections_max: Count = Field(
        16_384,
        description="Connections that may be open at once. Beyond, those without a whole request"
        " are closed, the oldest first.",
    )
    listeners_max: Count = Field(
        1000, le=100_000, description="Event streams that may be open at once."
    )
    command_timeout_s: Seconds = Field(
        10.0, description="How long a change may wait for its turn before the answer is 503."
    )
    failed_logins_per_minute: Count = Field(
        20, le=10_000, description="Failed log-ins of one client before the answer is 429."
    )
    shutdown_timeout_s: Seconds = Field(
        30.0, description="How long the service may take to stop after SIGTERM."
    )
    stop_announced_s: Annotated[float, Field(ge=0, le=HOUR_S), Sources("SECONDS")] = Field(
        0.0,
        description="How long /readyz says 503 before the service begins to stop, so"
        " that a load balancer sends nothing any more.",
    )
    send_stall_s: Seconds = Field(
        30.0, description="How long a client may take nothing of an answer before it is cut off."
    )

    tokens: OptionalFile = Field(
        None, description="File of API tokens, beside those of the database."
    )
    authenticator: Names = Field(
        (), description="A further kind of credentials, which is installed; may be repeated."
    )
    authenticator_timeout_s: Seconds = Field(
        10.0, description="How long such a kind may keep a client waiting."
    )
    tls_cert: OptionalFile = Field(
        None,
        description="PEM file of the server's certificate and those between it and its root:"
        " serve HTTPS. It is read again at SIGHUP, as the other files of TLS are.",
    )
    tls_key: OptionalFile = Field(
        None, description="PEM file of the certificate's key. Without it: in the same file."
    )
    tls_client_ca: OptionalFile = Field(
        None,
        description="PEM file of CAs: a client may log in with a certificate of theirs whose name"
        " is a user's.",
    )
    tls_client_required: bool = Field(
        False, description="Turn away clients without such a certificate."
    )
    tls_handshake_timeout_s: Seconds = Field(
        10.0, description="How long a client may take to agree on TLS."
    )

    @field_validator("*", mode="before")
    @classmethod
    def _refuse_what_is_no_value(cls, value: object, info: ValidationInfo) -> object:
        if isinstance(value, str) and not value.strip():
            raise ValueError("must not be empty")
        if isinstance(value, str) and "\0" in value:
            raise ValueError("must not contain a NUL character")
        # `port = true` would be port 1.
        if (
            isinstance(value, bool)
            and cls.model_fields[info.field_name or ""].annotation is not bool
        ):
            raise ValueError("must not be a truth value")
        return value

    @field_validator(
        "config",
        "data",
        "users",
        "master_key_file",
        "tokens",
        "tls_cert",
        "tls_key",
        "tls_client_ca",
    )
    @classmethod
    def _know_the_home_directory(cls, path: Path | None) -> Path | None:
        try:
            return path and path.expanduser()
        except RuntimeError as error:
            raise ValueError("there is no such home directory") from error

    @field_validator("database")
    @classmethod
    def _refuse_other_databases(cls, url: SecretStr | None) -> SecretStr | None:
        return url and SecretStr(postgres_url(url.get_secret_value()))

    @field_validator("master_key")
    @classmethod
    def _refuse_two_master_keys(
        cls, key: SecretStr | None, info: ValidationInfo
    ) -> SecretStr | None:
        if key is not None and info.data.get("master_key_file") is not None:
            raise ValueError("must not be given together with master_key_file")
        return key

    @field_validator("tls_key", "tls_client_ca", "tls_client_required")
    @classmethod
    def _refuse_half_of_tls(cls, value: object, info: ValidationInfo) -> object:
        needed = "tls_client_ca" if info.field_name == "tls_client_required" else "tls_cert"
        if value and info.data.get(needed) is None:
            raise ValueError(f"must not be given without {needed}")
        return value

    @field_validator("runners_only")
    @classmethod
    def _refuse_a_process_without_work(cls, only: bool, info: ValidationInfo) -> bool:
        if only and not info.data.get("runners", True):
            raise ValueError("must not be given together with no_runners")
        if only and info.data.get("database") is None:
            raise ValueError("must not be given without database: nobody else could serve the API")
        return only

    @field_validator("retry_pause_max_s")
    @classmethod
    def _refuse_pauses_that_shrink(cls, longest: float, info: ValidationInfo) -> float:
        if longest < info.data.get("retry_pause_s", -math.inf):
            raise ValueError("must not be shorter than retry_pause_s")
        return longest

    @field_validator("node_report_age_s")
    @classmethod
    def _refuse_reports_that_come_and_go(cls, age: float, info: ValidationInfo) -> float:
        if age < info.data.get("node_report_interval_s", -math.inf):
            raise ValueError("must not be shorter than node_report_interval_s")
        return age
