"""Generates the message classes from protos/ before the package is built; everything else is in pyproject.toml."""

import pathlib
import sys

from setuptools import setup
from setuptools.command.build_py import build_py

# Build front ends run this file without its folder on the path.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import generate  # noqa: E402


class GenerateAndBuild(build_py):
    def run(self):
        generate.generate()
        super().run()


setup(cmdclass={"build_py": GenerateAndBuild})
