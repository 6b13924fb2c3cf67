"""Package metadata lives in settings.ini; this file only hands it to setuptools."""
from configparser import ConfigParser
from pathlib import Path

from setuptools import find_packages, setup

here = Path(__file__).parent
config = ConfigParser(delimiters=["="])
config.read(here / "settings.ini", encoding="utf-8")
meta = config["DEFAULT"]

setup(
    name=meta["lib_name"],
    version=meta["version"],
    description=meta["description"],
    long_description=(here / "README.md").read_text(encoding="utf-8") if (here / "README.md").exists() else "",
    long_description_content_type="text/markdown",
    author=meta["author"],
    keywords=[word.strip() for word in meta["keywords"].split(",")],
    license="Apache-2.0",
    packages=find_packages(include=[meta["lib_path"], meta["lib_path"] + ".*"]),
    python_requires=">=" + meta["min_python"],
    install_requires=meta["requirements"].split(),
    extras_require={"dev": meta["dev_requirements"].split()},
    entry_points={"console_scripts": meta["console_scripts"].split()},
    classifiers=["Development Status :: 3 - Alpha", "Intended Audience :: Science/Research", "Programming Language :: Python :: 3"],
)
