"""What can be set from outside, read once and checked at the door."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, cast, get_args
from urllib.parse import unquote

import platformdirs

from config.errors import Unusable

Device = Literal["auto", "cpu", "cuda"]

MOST_THREADS = 256
_ICE_SERVER = re.compile(r"(stun|turns?):(?:([^:@\s]+):([^:@\s]+)@)?([^:@?/\s]+)(:[0-9]{1,5})?(\?transport=(?:udp|tcp))?")


@dataclass(frozen=True, slots=True)
class IceServer:
    """A server that helps browsers to a connection through a NAT: RFC 7064 (STUN), RFC 7065 (TURN)."""

    url: str  # without user and password, as browsers take it
    username: str | None = None
    credential: str | None = None


@dataclass(frozen=True, slots=True)
class S3Settings:
    """Where blobs are kept when they are not files: any store that speaks S3."""

    endpoint: str  # S3_ENDPOINT
    bucket: str  # S3_BUCKET
    access_key: str  # S3_ACCESS_KEY
    secret_key: str  # S3_SECRET_KEY
    region: str  # S3_REGION


@dataclass(frozen=True, slots=True)
class LlmSettings:
    """A language model that phrases what was measured: any server that speaks OpenAI's chat completions."""

    url: str  # ELOCUTE_LLM_URL: up to and with /v1
    model: str  # ELOCUTE_LLM_MODEL
    key: str | None = field(default=None, repr=False)  # ELOCUTE_LLM_KEY


@dataclass(frozen=True, slots=True)
class Settings:
    """Checked settings, handed down in pieces. Nothing else reads the environment."""

    data: Path  # ELOCUTE_DATA: where joined weights are kept; absolute
    asr_model: str  # ELOCUTE_ASR_MODEL: `bundled`, a folder, or a name on the Hugging Face hub
    device: Device  # ELOCUTE_DEVICE
    threads: int  # ELOCUTE_THREADS: CPU threads for the models; by default every core this process may use
    database_url: str | None = None  # DATABASE_URL: PostgreSQL with pgvector, as the owner of the tables; None: the embedded one
    redis_url: str | None = None  # REDIS_URL: Valkey or Redis; None: the embedded one
    nats_url: str | None = None  # NATS_URL: NATS with JetStream; None: the embedded one
    s3: S3Settings | None = None  # S3_*; None: files in the data folder
    llm: LlmSettings | None = None  # ELOCUTE_LLM_*; None: sentences are made from templates
    host: str = "127.0.0.1"  # ELOCUTE_HOST: what the server listens on
    port: int = 8000  # ELOCUTE_PORT
    public_url: str | None = None  # ELOCUTE_PUBLIC_URL: where browsers reach the server, when that is not http://host:port
    ice_servers: tuple[IceServer, ...] = ()  # ELOCUTE_ICE_SERVERS: `stun:host:port turn:user:password@host:port?transport=udp`
    udp_ports: range | None = None  # ELOCUTE_UDP_PORTS: `40000-40100`, what sound by WebRTC comes in on; None: any


def read_settings(environ: Mapping[str, str] = os.environ) -> Settings:
    """The settings of this environment; an empty variable counts as unset. Raises Unusable("bad-setting") for a senseless value."""
    device = environ.get("ELOCUTE_DEVICE") or "auto"
    if device not in get_args(Device):
        raise Unusable("bad-setting", name="ELOCUTE_DEVICE", value=device, expected="must be auto, cpu or cuda")
    return Settings(
        data=_data(environ.get("ELOCUTE_DATA")),
        asr_model=environ.get("ELOCUTE_ASR_MODEL") or "bundled",
        device=cast(Device, device),
        threads=_threads(environ),
        database_url=_url(environ, "DATABASE_URL", "postgresql", "postgres"),
        redis_url=_url(environ, "REDIS_URL", "redis", "rediss", "valkey", "unix"),
        nats_url=_url(environ, "NATS_URL", "nats", "tls"),
        s3=_s3(environ),
        llm=_llm(environ),
        host=environ.get("ELOCUTE_HOST") or "127.0.0.1",
        port=_whole(environ, "ELOCUTE_PORT", 8000, 65_535),
        public_url=_url(environ, "ELOCUTE_PUBLIC_URL", "http", "https"),
        ice_servers=tuple(_ice_server(each) for each in (environ.get("ELOCUTE_ICE_SERVERS") or "").split()),
        udp_ports=_udp_ports(environ.get("ELOCUTE_UDP_PORTS")),
    )


def _ice_server(given: str) -> IceServer:
    found = _ICE_SERVER.fullmatch(given)
    scheme, username, credential, host, port, transport = found.groups(default="") if found else ("",) * 6
    if not scheme or (scheme == "stun") == bool(username) or (scheme == "stun" and transport):
        raise Unusable(  # the value may hold a password: it is not repeated
            "bad-setting", name="ELOCUTE_ICE_SERVERS", value="...", expected="must be stun:host:port or turn:user:password@host:port"
        )
    url = f"{scheme}:{host}{port}{transport}"
    return IceServer(url, unquote(username), unquote(credential)) if username else IceServer(url)


def _udp_ports(given: str | None) -> range | None:
    if not given:
        return None
    found = re.fullmatch(r"([0-9]{1,5})-([0-9]{1,5})", given)
    if found is None or not 1024 <= int(found[1]) <= int(found[2]) <= 65_535:
        raise Unusable("bad-setting", name="ELOCUTE_UDP_PORTS", value=given, expected="must be two ports from 1024 on, such as 40000-40100")
    return range(int(found[1]), int(found[2]) + 1)


def _url(environ: Mapping[str, str], name: str, *schemes: str) -> str | None:
    value = environ.get(name)
    if not value:
        return None
    if value.partition("://")[0] not in schemes:  # the value may hold a password: it is not repeated
        raise Unusable("bad-setting", name=name, value="...", expected=f"must be an address that starts with {schemes[0]}://")
    return value.rstrip("/") if schemes[0] == "http" else value


def _s3(environ: Mapping[str, str]) -> S3Settings | None:
    names = ("S3_ENDPOINT", "S3_BUCKET", "S3_ACCESS_KEY", "S3_SECRET_KEY")
    given = [name for name in names if environ.get(name)]
    if not given:
        return None
    for name in names:
        if name not in given:
            raise Unusable("bad-setting", name=name, value="", expected=f"must be set too, as {given[0]} is")
    endpoint = _url(environ, "S3_ENDPOINT", "http", "https")
    assert endpoint is not None
    return S3Settings(
        endpoint, environ["S3_BUCKET"], environ["S3_ACCESS_KEY"], environ["S3_SECRET_KEY"], environ.get("S3_REGION") or "us-east-1"
    )


def _llm(environ: Mapping[str, str]) -> LlmSettings | None:
    url, model = _url(environ, "ELOCUTE_LLM_URL", "http", "https"), environ.get("ELOCUTE_LLM_MODEL")
    key = environ.get("ELOCUTE_LLM_KEY") or None
    if not url:
        if model or key:
            raise Unusable("bad-setting", name="ELOCUTE_LLM_URL", value="", expected="must be set too, as ELOCUTE_LLM_MODEL or _KEY is")
        return None
    if not model:
        raise Unusable("bad-setting", name="ELOCUTE_LLM_MODEL", value="", expected="must be set too, as ELOCUTE_LLM_URL is")
    if key is not None and not (key.isascii() and key.isprintable()):  # not repeated
        raise Unusable("bad-setting", name="ELOCUTE_LLM_KEY", value="...", expected="must be plain text, without line breaks")
    return LlmSettings(url, model, key)


def _whole(environ: Mapping[str, str], name: str, default: int, most: int) -> int:
    value = environ.get(name)
    if not value:
        return default
    if not value.isascii() or not value.isdigit() or not 1 <= int(value) <= most:
        raise Unusable("bad-setting", name=name, value=value, expected=f"must be a number from 1 to {most}")
    return int(value)


def _data(value: str | None) -> Path:
    if not value:
        return platformdirs.user_data_path("elocute").absolute()
    try:
        folder = Path(value).expanduser().absolute()
    except RuntimeError as error:  # ~nobody
        raise Unusable("bad-setting", name="ELOCUTE_DATA", value=value, expected="names a home folder that does not exist") from error
    if folder.exists() and not folder.is_dir():
        raise Unusable("bad-setting", name="ELOCUTE_DATA", value=value, expected="must be a folder, and this is none")
    return folder


def _threads(environ: Mapping[str, str]) -> int:
    return _whole(environ, "ELOCUTE_THREADS", min(len(os.sched_getaffinity(0)), MOST_THREADS), MOST_THREADS)
