"""Values that the plugin knows on Prefect 2.20 and 3, and public ones. Each test prints some."""

from typing import Dict, List, Optional

import prefect
import pytest
from prefect.blocks.core import Block
from prefect.blocks.system import Secret
from prefect.settings import PREFECT_API_KEY, temporary_settings
from prefect.variables import Variable

if prefect.__version__.startswith("2."):
    from pydantic.v1 import BaseModel, SecretStr
else:
    from pydantic import BaseModel, SecretStr


class Inner(BaseModel):
    token: SecretStr
    host: str


class Account(Block):
    """An account with secrets at several depths."""

    _block_type_slug = "account-of-the-known"
    user: str = "public-user77"
    password: Optional[SecretStr] = None
    inner: Optional[Inner] = None
    many: Optional[List[SecretStr]] = None
    table: Optional[Dict[str, SecretStr]] = None
    nested: Optional[Secret] = None


def test_field(local_secrets):
    Account(password="hidden-4vQm8Zr2", user="public-user78").save("a")
    print("hidden-4vQm8Zr2 public-user78 public-user77")


def test_inner_field(local_secrets):
    Account(inner=Inner(token="hidden-7Ls9Kd3w", host="public-host77")).save("a")
    print("hidden-7Ls9Kd3w public-host77")


def test_list_and_mapping(local_secrets):
    Account(many=["hidden-Xz2LpR4w"], table={"key": "hidden-Tb6Yq1Ns"}).save("a")
    print("hidden-Xz2LpR4w hidden-Tb6Yq1Ns")


def test_nested_block(local_secrets):
    saved = Secret(value="hidden-Gc5Hv8Jb")
    saved.save("inner")
    Account(nested=saved).save("a")
    Account(nested=Secret(value="hidden-Wd3Ef6Rg")).save("b")
    print("hidden-Gc5Hv8Jb hidden-Wd3Ef6Rg")


def test_replaced_and_deleted(local_secrets):
    Secret(value="hidden-Pl9Ok2Ij").save("a")
    Secret(value="hidden-Uh7Yg4Tf").save("a", overwrite=True)
    local_secrets["b"] = "hidden-Mn1Bv8Cx"
    del local_secrets["b"]
    print("hidden-Pl9Ok2Ij hidden-Uh7Yg4Tf hidden-Mn1Bv8Cx")


def test_key_of_the_workspace(prefect_cloud):
    print("hidden" if prefect_cloud.api_key in str(prefect_cloud.settings) else "", prefect_cloud.api_key)


def test_key_in_a_variable(monkeypatch):
    monkeypatch.setenv("PREFECT_API_KEY", "pnu_hidden-Qa5Ws3Ed")
    monkeypatch.setenv("PREFECT_SERVER_DATABASE_CONNECTION_URL", "postgresql+asyncpg://u:hidden-Rf8Tg2Yh@public-db77/x")
    print("pnu_hidden-Qa5Ws3Ed hidden-Rf8Tg2Yh public-db77")


def test_key_for_a_moment(local_secrets):
    with temporary_settings({PREFECT_API_KEY: "pnu_hidden-Zx4Cv7Bn"}):
        Variable.get("x")
    print("pnu_hidden-Zx4Cv7Bn")


def test_key_in_a_profile(prefect_home):
    prefect_home.write_profiles('active = "a"\n[profiles.a]\nPREFECT_API_KEY = "pnu_hidden-Lk6Jh9Gf"\n')
    assert "hidden-Lk6Jh9Gf" in PREFECT_API_KEY.value()
    print("pnu_hidden-Lk6Jh9Gf")


@pytest.mark.variables(region="public-region77")
def test_variable(local_secrets):
    Variable.set("zone", "public-zone77")
    print("public-region77 public-zone77")
