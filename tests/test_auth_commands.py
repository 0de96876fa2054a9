"""The ``prefect auth`` commands of the real command line, in a child process with the isolated environment."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.compat import VERSION, needs_prefect

pytestmark = needs_prefect
keys = pytest.mark.skipif((VERSION or ()) < (0, 15), reason="API keys came with Prefect 0.15.0")
tokens = pytest.mark.skipif(
    not (0, 6, 4) <= (VERSION or ()) < (0, 15), reason="logging in with API tokens: from 0.6.4 to 0.14.22"
)
SET = "set X"  # no command of Prefect's: what a program does with its client
# All commands in one process, one after the other: each is what a shell would start, without the time of the import.
CODE = """
import click, json, prefect, sys
from click.testing import CliRunner
from prefect.cli import cli

@cli.command()
@click.argument("name")
def set(name):
    prefect.Client().set_secret(name=name, value=1)

ran = [CliRunner().invoke(cli, command, input="y\\n") for command in json.loads(sys.argv[1])]
print(json.dumps([[run.exit_code, run.output.strip() + repr(run.exception) * bool(run.exit_code)] for run in ran]))
"""


def prefect(*commands):
    """Return exit status and output of each command."""
    command = [sys.executable, "-W", "ignore", "-c", CODE, json.dumps([line.split() for line in commands])]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout.splitlines()[-1])


@pytest.mark.slow
@keys
def test_login_with_a_key(prefect_cloud):
    """Login, user, tenants, switching and logout work; wrong keys and foreign tenants are rejected."""
    blue, red = prefect_cloud.add_tenant("Blue team", shared=True), prefect_cloud.add_tenant("Red team")
    with prefect_cloud.logged_out():
        wrong, right, tenants, switch, switched, by_id, nobodys, logout, after = prefect(
            "auth login --key wrong",
            f"auth login --key {prefect_cloud.tenant.user_key}",
            "auth list-tenants",
            "auth switch-tenants --slug blue-team",
            "auth list-tenants",
            f"auth switch-tenants --id {red.id}",
            "auth switch-tenants --slug red-team",
            "auth logout",
            "auth list-tenants",
        )
    assert wrong[0] == 1
    assert wrong[1].startswith("Unauthorized. Invalid Prefect Cloud API key.")
    assert right == [0, "Logged in to Prefect Cloud tenant 'flowsecrets' (flowsecrets)"]
    first, second = (output.splitlines() for _, output in (tenants, switched))
    assert [line.split()[0] for line in first] == ["NAME", "Blue", "flowsecrets"]
    assert ["*" in line for line in first] == [False, False, True]
    assert switch[0] == 0
    assert ["*" in line for line in second] == [False, True, False]
    assert blue.id in second[1]
    assert by_id[0] == 1
    if VERSION >= (1,):
        assert "Your API key is not valid for that tenant." in by_id[1]
    assert nobodys[0] == 1
    assert "No matching tenant" in nobodys[1]
    assert (logout[0], after[0]) == (0, 1)
    assert "Logged out" in logout[1]
    assert "You are not authenticated" in after[1]


@pytest.mark.slow
@keys
def test_after_login_clients_have_the_key(prefect_cloud):
    """Clients read the key from ``auth.toml`` until logout."""
    with prefect_cloud.logged_out():
        before, _, inside, _, after = prefect(
            SET, f"auth login --key {prefect_cloud.tenant.user_key}", SET, "auth logout", SET
        )
    assert prefect_cloud.secrets.names() == ["X"]
    assert inside[0] == 0
    for status, output in (before, after):
        assert status == 1
        assert "AuthorizationError" in output


@pytest.mark.slow
@keys
def test_keys(prefect_cloud):
    """Keys are created, listed and revoked; a new key is valid, a revoked one is not."""
    status, created = prefect("auth status", "auth create-key --quiet --name laptop --expire 2099-01-01")
    assert "You are authenticating with an API key" in status[1]
    client = prefect_cloud.client_for(created[1], prefect_cloud.tenant.id)
    client.set_secret(name="X", value=1)
    ((_, listed),) = prefect("auth list-keys")
    ours = next(line.split() for line in listed.splitlines() if line.startswith("laptop"))
    assert ours[2] == "2099-01-01T00:00:00+00:00"
    revoked, again = prefect(f"auth revoke-key --id {ours[1]}", f"auth revoke-key --id {ours[1]}")
    assert revoked == [0, "Key successfully revoked!"]
    assert again[0] == 1
    assert "Key not found" in again[1]
    with pytest.raises(Exception, match="UNAUTHENTICATED"):
        client.set_secret(name="X", value=2)


@pytest.mark.slow
@keys
def test_a_configured_key(prefect_cloud):
    """With a configured key, login fails as in production; ``logged_out`` removes the key."""
    ((status, output),) = prefect(f"auth login --key {prefect_cloud.tenant.user_key}")
    assert status == 1
    assert "Your API key is set in the Prefect config instead of with the CLI" in output


@tokens
def test_login_with_a_token(prefect_cloud):
    """Login works with the API tokens of older versions."""
    prefect_cloud.add_tenant("Blue team", shared=True)
    with prefect_cloud.logged_out():
        wrong, right, tenants, switch, switched, listed, logout = prefect(
            "auth login --token wrong",
            f"auth login --token {prefect_cloud.tenant.user_key}",
            "auth list-tenants",
            "auth switch-tenants --slug blue-team",
            "auth list-tenants",
            "auth list-tokens" if VERSION >= (0, 6, 7) else "version",
            "auth logout",
        )
    assert wrong[1].startswith("Error attempting to")
    assert right[1].startswith("Login successful!")
    first, second = (output.splitlines() for _, output in (tenants, switched))
    assert ["*" in line for line in first] == [False, False, True]
    assert switch == [0, "Tenant switched"]
    assert ["*" in line for line in second] == [False, True, False]
    assert (listed[0], logout[0]) == (0, 0)
    assert "Logged out from tenant" in logout[1]


@tokens
def test_tokens(prefect_cloud):
    """Tokens are created, listed and revoked; a new token is valid, a revoked one is not."""
    role = "--role" if VERSION < (0, 10) else "--scope"
    login = f"auth login --token {prefect_cloud.tenant.user_key}"
    with prefect_cloud.logged_out():
        _, created, listed = prefect(login, f"auth create-token --name laptop {role} RUNNER", "auth list-tokens")
    agent = prefect_cloud.client_for(created[1], None)
    info = "auth_info { api_token_scope }" if VERSION >= (0, 10) else "authInfo { apiTokenScope }"
    assert "RUNNER" in str(agent.graphql(f"query {{ {info} }}"))  # what agents insist on
    ours = next(line.split() for line in listed[1].splitlines() if line.startswith("laptop"))
    with prefect_cloud.logged_out():
        revoked, none = prefect(f"auth revoke-token --id {ours[1]}", "auth list-tokens")
    assert revoked == [0, "Token successfully revoked"]
    assert "laptop" not in none[1]
    with pytest.raises(Exception, match="UNAUTHENTICATED"):
        agent.graphql("query { hello }")


@tokens
def test_a_token_of_no_known_scope(prefect_cloud):
    """A token with an unknown scope is rejected."""
    field = "create_api_token" if VERSION >= (0, 10) else "createAPIToken"
    with pytest.raises(Exception, match="the scope of a token must be USER or RUNNER"):
        prefect_cloud.client.graphql(f'mutation {{ {field}(input: {{name: "x", scope: "ADMIN"}}) {{ token }} }}')


@tokens
def test_access_tokens_are_renewed(prefect_cloud):
    """A client that has switched to a tenant renews its token before it expires."""
    import pendulum

    blue = prefect_cloud.add_tenant("Blue team", shared=True)
    client = prefect_cloud.client
    assert client.login_to_tenant(tenant_slug="blue-team")
    first = client.get_auth_token()
    client.set_secret(name="X", value=1)
    client._access_token_expires_at = pendulum.now()
    second = client.get_auth_token()
    assert len({first, second, blue.user_key}) == 3
    client.set_secret(name="Y", value=1)
    assert blue.secrets.names() == ["X", "Y"]
    red = prefect_cloud.add_tenant("Red team")
    field = "switch_tenant" if VERSION >= (0, 10) else "switchTenant"
    name, answer = ("tenant_id", "access_token") if VERSION >= (0, 10) else ("tenantId", "accessToken")
    with pytest.raises(Exception, match="UNAUTHENTICATED"):
        client.graphql(f'mutation {{ {field}(input: {{{name}: "{red.id}"}}) {{ {answer} }} }}')
