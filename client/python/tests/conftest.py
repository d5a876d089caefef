import os

import pytest

import omserve


@pytest.fixture(scope="session")
def omserved():
    """Skips where there is no server to test against."""
    if not os.environ.get("OMSERVE_BIN"):
        pytest.skip("OMSERVE_BIN does not name the folder of omserved")


@pytest.fixture(scope="module")
def standalone(omserved):
    with omserve.Server.standalone(devices=2) as server:
        yield server


@pytest.fixture
def client(standalone):
    with standalone.client() as client:
        yield client
        for model in client.models():
            client.unload(model.name)
