"""Generates the message classes from protos/ before the package is built; everything else is in pyproject.toml."""

from setuptools import setup
from setuptools.command.build_py import build_py

import generate


class GenerateAndBuild(build_py):
    def run(self):
        generate.generate()
        super().run()


setup(cmdclass={"build_py": GenerateAndBuild})
