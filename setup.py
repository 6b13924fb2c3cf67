"""Package metadata lives in settings.ini; this file only hands it to setuptools."""
from configparser import ConfigParser
from pathlib import Path

from setuptools import find_packages, setup

here = Path(__file__).parent
config = ConfigParser(delimiters=["="])
config.read(here / "settings.ini", encoding="utf-8")
meta = config["DEFAULT"]
end = "_requirements"
extras = {key.removesuffix(end): words.split() for key, words in meta.items() if key.endswith(end)}
extras["all"] = sorted({word for name in ("data", "train", "sample", "notebooks") for word in extras[name]})
extras["dev"] += extras["all"] + extras["test"]

setup(
    name=meta["lib_name"],
    version=meta["version"],
    description=meta["description"],
    long_description=(here / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    author=meta["author"],
    keywords=[word.strip() for word in meta["keywords"].split(",")],
    license="Apache-2.0",
    url=meta["paper_url"],
    packages=find_packages(include=[meta["lib_path"], meta["lib_path"] + ".*"]),
    package_data={meta["lib_path"]: ["py.typed", "*.pyi", "published.json"]},
    python_requires=">=" + meta["min_python"],
    install_requires=meta["requirements"].split(),
    extras_require=extras,
    entry_points={"console_scripts": meta["console_scripts"].split()},
    project_urls={"Paper": meta["paper_url"]},
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Intended Audience :: Science/Research",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3",
        *(f"Programming Language :: Python :: {version}" for version in meta["pythons"].split()),
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Typing :: Typed",
    ],
)
