import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def bin_folder():
    folder = os.environ.get("OMSERVE_BIN", str(ROOT / "build" / "release" / "bin"))
    os.environ["OMSERVE_BIN"] = folder
    assert (pathlib.Path(folder) / "omserved").exists(), f"no omserved in {folder}: build first, or set OMSERVE_BIN"
    return pathlib.Path(folder)


@pytest.fixture(scope="session")
def real_models():
    """The folder of real trained models."""
    folder = os.environ.get("OMSERVE_MODELS")
    if not folder:
        pytest.skip("OMSERVE_MODELS does not name a folder of real models")
    return pathlib.Path(folder)


@pytest.fixture(scope="session")
def generated_models(tmp_path_factory):
    """Model families with random weights and ONNX Runtime's outputs."""
    folder = tmp_path_factory.mktemp("models")
    subprocess.run([sys.executable, ROOT / "tests" / "models" / "generate.py", folder], check=True)
    return folder


@pytest.fixture(scope="session")
def omctl(bin_folder):
    """Runs omctl; returns the completed process."""

    def run(*arguments, timeout=120, **options):
        return subprocess.run([str(bin_folder / "omctl"), *map(str, arguments)], capture_output=True, text=True,
                              timeout=timeout, **options)

    return run
