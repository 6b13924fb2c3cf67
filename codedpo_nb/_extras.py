"""Where this package wants a library that is not installed, the error is one sentence that names the extra.

Python asks the finders of `sys.meta_path` in turn; the last is asked for what nobody found."""
import sys

DISTRIBUTIONS = {"PIL": "pillow", "yaml": "pyyaml"}   # where the module has another name
IMPORTING = ("importlib", "importlib._bootstrap", "_frozen_importlib")


def extra_of(module: str) -> str:
    "The first extra of this package that has a module, '' if none has: by the metadata of the package."
    import re
    from importlib.metadata import PackageNotFoundError, requires
    plain = lambda name: re.sub(r"[-_.]+", "-", name).lower()
    try: wanted = requires(__package__) or []
    except PackageNotFoundError: return ""   # a folder on the path, not installed
    for entry in wanted:
        found = re.match(r"""([\w.-]+)[^;]*;.*\bextra *== *['"]([\w-]+)""", entry)
        if found and plain(found[1]) == plain(DISTRIBUTIONS.get(module, module)): return found[2]
    return ""


class MissingExtra:
    "A finder that finds nothing, and says so in better words."

    @staticmethod
    def find_spec(name, path=None, target=None):
        frame = sys._getframe(1)
        while frame and frame.f_globals.get("__name__") in IMPORTING: frame = frame.f_back
        asking = frame.f_globals.get("__name__", "") if frame else ""
        if path is None and asking.startswith(__package__ + ".") and (extra := extra_of(name)):
            needs = f"{asking} needs {name}: pip install '{__package__}[{extra}]'"
            raise ModuleNotFoundError(needs, name=name)


sys.meta_path.append(MissingExtra)
