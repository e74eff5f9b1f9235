"""`signalbox keys`: API keys in the keys file. A secret is shown once, when it is made; only its hash is kept."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Annotated

import typer

from router.access.keys import Key, digest, read_keys_file, write_keys_file
from router.cli.output import FOUND, JSON_OPTION, errors_as_exit, print_json, refuse
from router.errors import ConfigError, SettingsError
from router.settings import read_settings

app = typer.Typer(help="Make, list and revoke API keys.", no_args_is_help=True)


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="A name for the key; shown in logs and reports.")],
    tenant: Annotated[str, typer.Option(help="Whose key it is.")] = "default",
    tag: Annotated[list[str] | None, typer.Option(help="Tags that policies can ask for; repeatable.")] = None,
    as_json: bool = JSON_OPTION,
) -> None:
    """Make a key and print its secret, once."""
    with errors_as_exit(ConfigError):
        path = _keys_file()
        keys = read_keys_file(path)
        if any(key.name == name for key in keys):
            raise SettingsError(f"A key named {name!r} is there already; revoke it first or choose another name.")
        secret = "sb-" + secrets.token_urlsafe(32)
        write_keys_file(path, (*keys, Key(name, tenant, digest(secret), tuple(tag or ()))))
    if as_json:
        print_json({"name": name, "tenant": tenant, "tags": tag or [], "key": secret})
    else:
        typer.echo(secret)


@app.command(name="list")
def list_keys(as_json: bool = JSON_OPTION) -> None:
    """List keys: name, tenant, tags, and the beginning of the hash."""
    with errors_as_exit(ConfigError):
        keys = read_keys_file(_keys_file())
    rows = [{"name": k.name, "tenant": k.tenant, "tags": list(k.tags), "sha256": k.sha256[:12]} for k in keys]
    if as_json:
        print_json(rows)
        return
    for row in rows:
        typer.echo(f"{row['name']}\t{row['tenant']}\t{','.join(row['tags'])}\t{row['sha256']}")


@app.command()
def revoke(name: Annotated[str, typer.Argument(help="The key's name.")], as_json: bool = JSON_OPTION) -> None:
    """Take a key out of use; running gateways notice within a second or two."""
    with errors_as_exit(ConfigError):
        path = _keys_file()
        keys = read_keys_file(path)
    left = tuple(key for key in keys if key.name != name)
    if len(left) == len(keys):
        refuse(f"There is no key named {name!r} in {path}.", FOUND)
    write_keys_file(path, left)
    if as_json:
        print_json({"revoked": name, "left": len(left)})


def _keys_file() -> Path:
    path = read_settings().keys_file
    if path is None:
        raise SettingsError("Set SIGNALBOX_KEYS_FILE to the file that keys are kept in.")
    return path
