"""Generated files, variables and profiles with settings of Prefect, and the comparison of the model with the real one."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from pytest_flowsecrets.resolution.settings.catalogue import release, settings_of
from pytest_flowsecrets.resolution.settings.model import Inputs
from pytest_flowsecrets.resolution.settings.resolve import COMPUTED, resolve_settings
from pytest_flowsecrets.resolution.settings.values import convert

HOME_PROFILES = "home/.prefect/profiles.toml"
OTHER_PROFILES = "home/other.toml"
OWN_HOME = "home/own"
_VALUES = {
    "text": ["x", "", "http://127.0.0.1:4200/api", "é", "a b", "42", " t ", "None"],
    "secret": ["s", "", "pnu_1", "42"],
    "bool": ["true", "False", "1", "0", "on", "YES", "t", "no", "", "2", " true", "maybe"],
    "int": [
        "7",
        "30",
        "100",
        "-1",
        "+5",
        " 8 ",
        "1_000",
        "2.0",
        "007",
        "",
        "x",
        "2.5",
        "1e3",
        "0x1",
        "_1",
        "1__0",
        "٣",
    ],
    "float": ["7", "1.5", "-2", ".5", "5.", "1e3", "inf", "nan", " 30 ", "1_0.5", "", "x", "1e", "+300", "0"],
    "path": ["/p", "p/q", "./p", "~/p", "p/", "$PREFECT_HOME/p", ""],
    "level": ["DEBUG", "info", "Error", "", "WARN", "10"],
    "choice": ["warn", "ignore", "Warn", ""],
    "json": ['{"a": "b"}', '{"c": "d"}', '{"a": "e", "f": "g"}', "{}"],
    "duration": ["PT5M", "P1D", "01:02:03", "PT1M"],
    "other": ["1", "2", "3"],
}
_TYPED = {
    "text": [1, True, 1.5, ["x"]],
    "secret": [1, False, ["x"]],
    "bool": [True, False, 0, 1, 2, 1.0, 0.5, [True]],
    "int": [3, 31, 101, True, 2.0, 2.5, 10**30, [3]],
    "float": [3, 30.5, False, 301, [3]],
    "path": [1, ["p"]],
    "level": [10, ["INFO"]],
    "choice": [1, ["warn"]],
    "json": [],
    "duration": [61, 62],
    "other": [4, 5],
}
_NAMES = ["a", "b", "a,b"]
_OTHERS = {
    "event_retention_overrides": ['{"a": "PT2H"}', '{"b": "PT3H", "a": "P1D"}', "{}"],
    "retention_period": ["P1D", "P2D", "P3D"],
    "allow": _NAMES,
    "deny": _NAMES,
    "extra_loggers": _NAMES,
    "retry_extra_codes": ["429", "502", "503"],
}
_VACUUM = ["events", "flow_runs", "true"]  # "1" is JSON, and Prefect rejects it
# Settings that Prefect rejects because of the value of another one.
_DEPENDENT = (
    "PREFECT_API_DATABASE_PASSWORD",
    "PREFECT_LOGGING_TO_API_BATCH_SIZE",
    "PREFECT_LOGGING_TO_API_MAX_LOG_SIZE",
    "logging.to_api.batch_size",
    "logging.to_api.max_log_size",
)
_DOTENV = 6  # settings in `.env`, more or less: Prefect parses it twice for each table
# The environment of the worker. Prefect copies it for each line of `.env`.
OWN_ENVIRON = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT", "LD_LIBRARY_PATH") if name in os.environ}
_LEFT_OUT = ("home", "profiles_path", "testing.test_setting", "server.database.driver", "PREFECT_HOME")


class Writer:
    """Writes values of settings.

    Args:
        rng: chooses them.
        valid: whether Prefect accepts all of them, by the model. Otherwise it accepts most.
        version: of Prefect.
    """

    def __init__(self, rng, version, *, valid):
        self.rng, self.valid, self.is_old = rng, valid, not is_new(version)

    def __call__(self, setting, *, typed):
        """Return a text, or sometimes a typed value for a TOML file."""
        texts = (
            _OTHERS.get(setting.name)
            or (_VACUUM if setting.path.endswith("vacuum.enabled") else None)
            or _VALUES[setting.kind]
        )
        typed = typed and texts is _VALUES[setting.kind]
        if setting.choices and self.rng.randrange(2):
            return self.rng.choice(setting.choices)
        if typed and _TYPED[setting.kind] and self.rng.randrange(2):
            return self._chosen(setting, _TYPED[setting.kind], 2) or self._chosen(setting, texts, 3)
        return self._chosen(setting, texts, 3)

    def _chosen(self, setting, values, first):
        """Return a valid value, or mostly one of the first ones."""
        if self.valid:
            accepted = [each for each in values if not convert(setting, each, is_old=self.is_old).failure]
            return self.rng.choice(accepted or setting.choices or [str(setting.default)])
        return self.rng.choice(values[:first] if self.rng.randrange(3) else values)


def toml_value(value):
    """Write a value of TOML."""
    return json.dumps(value, ensure_ascii=False)


def cased(rng, name):
    """Return a name of a variable, mostly in upper case."""
    return rng.choice([name.upper(), name.upper(), name.upper(), name.lower(), name.title()])


def dotenv_line(rng, name, value):
    """Return a line of ``.env`` in one of its notations."""
    if '"' in value:
        return f"{name}='{value}'"
    forms = [f'{name}="{value}"', f"{name}='{value}'", f"export {name}='{value}'  # note"]
    if value and value.strip() == value and " " not in value and "#" not in value:
        forms += [f"{name}={value}", f"{name} = {value}", f'X={value}\n{name}="${{X}}"', f"{name}=${{NO:-{value}}}"]
    return rng.choice(forms)


def some(rng, items, most=2):
    """Return some of the items, at most two; often none."""
    return [rng.choice(items) for _ in range(rng.choice(range(most + 1)))]


def new_case(rng, version, *, whole, most=12):
    """Return the environment, the files, and at most so many settings to compare."""
    settings = [each for each in settings_of(version) if each.path not in _LEFT_OUT and (whole or each.table)]
    aliased = [each for each in settings if each.has_aliases]
    number = rng.randrange(1, 4 if whole else most + 1)
    chosen = [rng.choice(aliased or settings) for _ in range(number // 2)]
    chosen += [rng.choice(settings) for _ in range(number - number // 2)]
    chosen = list({each.path: each for each in chosen}.values())
    environ, files = _sources(rng, version, chosen, Writer(rng, version, valid=False))
    if whole:
        _add_rare(rng, files, environ, chosen[0])
    return environ, files, [each.path for each in chosen]


def large_case(rng, version, *, whole, most=100):
    """Return a case with as many settings of five tables, or of all. Mostly all are valid, so that each is compared."""
    valid = rng.randrange(4) > 0
    left_out = (*_LEFT_OUT, *_DEPENDENT) if valid else _LEFT_OUT
    settings = [each for each in settings_of(version) if each.path not in left_out and (whole or each.table)]
    if not whole:
        tables = rng.sample(sorted({each.table for each in settings}), 5)  # Prefect reads the sources for each table
        settings = [each for each in settings if each.table in tables]
    chosen = rng.sample(settings, min(most, len(settings)))
    if whole and not valid:
        chosen = chosen[:3]
    kinds = [kind for kind in ("env", "dotenv", "toml", "profile") if rng.randrange(3)]
    environ, files = _sources(rng, version, chosen, Writer(rng, version, valid=valid), kinds)
    return environ, files, [each.path for each in chosen]


def _sources(rng, version, chosen, write, kinds=("env", "dotenv", "toml", "profile")):
    """Return an environment and files that set the chosen settings."""
    environ, dotenv, tables = [], [], {"prefect.toml": {}, "pyproject.toml": {}}
    profiles = {"a": [], "b": [], "ephemeral": []}
    for setting in chosen:
        if "env" in kinds:
            environ += [(cased(rng, name), write(setting, typed=False)) for name in some(rng, setting.names)]
        if "dotenv" in kinds and rng.randrange(len(chosen)) < _DOTENV:
            names = some(rng, [*setting.names, setting.name])
            dotenv += [dotenv_line(rng, cased(rng, name), write(setting, typed=False)) for name in names]
        for keys in tables.values() if "toml" in kinds and is_new(version) else ():
            if rng.randrange(3) == 0:
                keys.setdefault(setting.table, {})[setting.name] = toml_value(write(setting, typed=True))
        for name in dict.fromkeys(some(rng, setting.names)) if "profile" in kinds else ():
            spelled = name.upper() if version.startswith("2") or rng.randrange(6) else name
            line = f"{spelled} = {toml_value(write(setting, typed=True))}"
            profiles[rng.choice(["a", "a", "b", "ephemeral"])].append(line)
    files = toml_files(tables)
    if dotenv:
        rng.shuffle(dotenv)
        files["work/.env"] = "\n".join(dotenv) + "\n"
    rng.shuffle(environ)
    environ = dict(environ)
    _add_profiles(rng, version, files, environ, profiles)
    return environ, files


def toml_files(tables):
    """Write the TOML files of the working directory."""
    files = {}
    for name, contents in tables.items():
        lines = []
        for table, keys in sorted(contents.items()):
            header = ".".join((*(("tool", "prefect") if name == "pyproject.toml" else ()), *table))
            lines += [f"[{header}]"] * bool(header) + [f"{key} = {text}" for key, text in keys.items()]
        if lines:
            files[f"work/{name}"] = "\n".join(lines) + "\n"
    return files


def _add_profiles(rng, version, files, environ, profiles):
    lines = [f'active = "{name}"' for name in rng.choice([["a"], ["a"], ["a"], ["b"], ["c"], []])]
    for name, settings in profiles.items():
        keys = {line.partition(" ")[0]: line for line in settings}
        if keys or (name == "a" and rng.randrange(2)):
            lines += [f"[profiles.{name}]", *keys.values()]
    place = rng.choice([HOME_PROFILES, HOME_PROFILES, OTHER_PROFILES, OWN_HOME + "/profiles.toml", None])
    if place:
        files[place] = "\n".join(lines) + "\n"
    name = rng.choice(["", "", "", "b", "local", "nope"])
    if name or rng.randrange(10) == 0:
        environ["PREFECT_PROFILE"] = name
    named_by = rng.choice(["", "", "env", "env", "dotenv", "toml", "home", "home"])
    if named_by == "env":
        environ["PREFECT_PROFILES_PATH"] = "{root}/" + OTHER_PROFILES
    elif named_by == "dotenv":
        files["work/.env"] = "PREFECT_PROFILES_PATH={root}/" + OTHER_PROFILES + "\n" + files.get("work/.env", "")
    elif named_by == "toml" and not version.startswith("2"):
        text = 'profiles_path = "{root}/' + OTHER_PROFILES + '"\n'
        files["work/prefect.toml"] = text + files.get("work/prefect.toml", "")
    elif named_by == "home":
        environ["PREFECT_HOME"] = "{root}/" + OWN_HOME


def _add_rare(rng, files, environ, setting):
    rare = rng.choice(["", "", "", "table", "broken", "debug", "test", "no table"])
    if rare == "debug":
        environ["PREFECT_DEBUG_MODE"] = "true"
    elif rare == "test":
        environ["PREFECT_TEST_MODE"] = rng.choice(["1", "", "0"])
    elif rare == "broken" and files:
        files[rng.choice(sorted(files))] += rng.choice(["[x\n", "= 1\n", "a = \n"])
    elif rare == "table" and setting.table:
        number = rng.randrange(1, len(setting.table) + 1)
        value = rng.choice(_VALUES[setting.kind])
        for key in reversed((*setting.table[number:], setting.name)):
            value = {key: value}
        text = rng.choice([json.dumps(value), json.dumps(value), "x"])
        name = "_".join(("PREFECT", *setting.table[:number])).upper()
        if rng.randrange(2):
            environ[name] = text
        else:
            files["work/.env"] = f"{name}='{text}'\n" + files.get("work/.env", "")
    elif rare == "no table" and setting.table and "work/prefect.toml" not in files:
        files["work/prefect.toml"] = f"{setting.table[0]} = 1\n"


class RealSettings:
    """The worker of one Prefect.

    Args:
        python: the interpreter with the Prefect.
        version: its version.
        root: an empty folder.
    """

    def __init__(self, python, version, root):
        self.version, self.root = version, Path(root)
        environ = {**OWN_ENVIRON, "HOME": str(self.root / "home")}
        script = str(Path(__file__).with_name("settings_worker.py"))
        self._process = subprocess.Popen(
            [python, script, str(self.root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environ
        )

    def answer(self, request):
        """Return the answer of the worker."""
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def close(self):
        """End the worker."""
        self._process.stdin.close()
        self._process.wait(60)
        self._process.stdout.close()

    def check(self, case, *, whole):
        """Compare the model with the real Prefect for one case.

        Returns:
            The number of values that are the same, and of those that both reject, alone or with their table.
        """
        environ, files, paths = case
        environ, files = self.filled(environ), self.filled(files)
        resolution = self.model(environ, files)
        compared, raw, rejected = [], {}, 0
        for path in paths:
            result = resolution.results[path]
            if (
                path in COMPUTED
                or (result.computed and not whole)
                or (result.setting.is_computed and not result.computed)
            ):
                continue
            if result.value.is_exact:
                compared.append(path)
            elif result.candidates:
                compared.append(path)
                raw[path] = result.value.value
        request = {"environ": environ, "files": files, "paths": compared, "raw": raw, "whole": whole}
        answer = self.answer(request)
        for path in compared:
            problems = [
                tuple(each)
                for each in resolution.problems
                if whole
                or f"{_table(each.path)}.".startswith(f"{_table(path)}.")
                or (not each.path and "profiles" not in each.place)
            ]
            context = self.version, path, resolution.results[path].candidates, problems, answer, request
            real = answer if "error" in answer else answer["values"][path]
            if problems:
                assert "error" in real, context
                rejected += 1
            else:
                assert real == ("same" if path in raw else plain(resolution.results[path].value.value)), context
        if whole and "error" not in answer and not is_new(self.version):
            assert answer["profile"] == resolution.profile.name, (answer, resolution.profile, request)
        return len(compared) - rejected, rejected

    def filled(self, texts):
        """Fill in the folder of the worker."""
        return {name: text.replace("{root}", str(self.root)) for name, text in texts.items()}

    def model(self, environ, files):
        """Resolve the case with the model."""
        return modeled(self.version, {**OWN_ENVIRON, **environ}, files, self.root)


def modeled(version, environ, files, root):
    """Resolve the settings in files below a folder, which need not exist."""

    def read(name):
        text = files.get(os.path.relpath(Path(root, "work", name), root))
        return None if text is None else text.encode()

    return resolve_settings(version, Inputs(environ, read, f"{root}/home"))


def _table(path):
    return path.rpartition(".")[0] or ("(root)" if path else "")


def plain(value):
    """Return a value as the worker writes it."""
    return [type(value).__name__, repr(value)]


def is_new(version):
    return release(version) >= (3, 0, 0)
