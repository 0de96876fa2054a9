"""The hooks that learn which variables the run declares: see ``isolation.environment.declarations``."""

from __future__ import annotations

import os
from typing import Any, Dict, Iterator, List

import pytest

from pytest_flowsecrets.isolation.environment import declarations

# Plugins whose job is to set variables. They leave out a default where the shell has set the variable.
_SETTERS = ("pytest_env", "pytest_dotenv")
_SHOWN = 6


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """Begin to record who sets variables: this is the first hook of a run."""
    parser.addini(
        "flowsecrets_hide",
        "variables without PREFECT__, or globs, that isolated tests do not see unless the run declares them; with ! in "
        "front, those that they do see (GITHUB_ACCESS_TOKEN and its like are hidden anyway)",
        type="args",
        default=[],
    )
    config: Any = pluginmanager.get_plugin("pytestconfig")
    config.add_cleanup(declarations.start())


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config, parser: Any, args: Any) -> Iterator[None]:
    """Learn what pytest-env and pytest-dotenv would set if the shell had set nothing."""
    run = declarations.current()
    run.hide(early_config.getini("flowsecrets_hide"))
    arguments = {"early_config": early_config, "parser": parser, "args": args}
    for hook in early_config.hook.pytest_load_initial_conftests.get_hookimpls():
        module = getattr(hook.plugin, "__name__", "")
        if module.partition(".")[0] in _SETTERS:
            run.add_defaults(_texts_without_shell(hook, arguments), module)
    yield


def _texts_without_shell(hook: Any, arguments: Dict[str, Any]) -> Dict[str, str]:
    """Return the variables that a hook sets where none of those that can be hidden is there."""
    run, before = declarations.current(), dict(os.environ)
    with declarations.recording_paused():
        try:
            for name in filter(run.tracks, before):
                del os.environ[name]
            hook.function(*(arguments[name] for name in hook.argnames))
            return {name: text for name, text in os.environ.items() if run.tracks(name)}
        except Exception:  # noqa: BLE001 - it will raise that again when pytest calls it
            return {}
        finally:
            os.environ.clear()
            os.environ.update(before)


def pytest_configure(config: pytest.Config) -> None:
    """Take over what the process that has started this xdist worker had declared."""
    declarations.current().hide(config.getini("flowsecrets_hide"))  # again, as a conftest may have loaded this plugin
    declarations.current().inherit(getattr(config, "workerinput", {}).get("flowsecrets_declared", ()))


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell an xdist worker which of the variables that it inherits were declared by this run."""
    node.workerinput["flowsecrets_declared"] = declarations.current().inheritable()


# -- who declares ------------------------------------------------------------------------------------------------------


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Iterator[None]:
    """From here on, variables that are set belong to this test."""
    run = declarations.current()
    run.begin(item, "this test")
    run.path = str(item.path)
    yield


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Iterator[None]:
    """What this test has left behind is no input of another one."""
    yield
    run = declarations.current()
    run.begin(None, "")
    run.end(item)
    run.path = None


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[Any]) -> Iterator[None]:
    """Variables that a fixture of wider scope sets belong to it."""
    if fixturedef.scope == "function":
        yield
        return
    resume = declarations.current().begin(fixturedef, f"the fixture {fixturedef.argname}")
    yield
    resume()


def pytest_fixture_post_finalizer(fixturedef: pytest.FixtureDef[Any]) -> None:
    """Forget what a fixture has set."""
    if fixturedef.scope != "function":
        declarations.current().end(fixturedef)


# -- what is said about it ---------------------------------------------------------------------------------------------


def pytest_report_header(config: pytest.Config) -> List[str]:
    """Which variables isolated tests see and which they do not; names only."""
    run = declarations.current()
    kept = {name: entry.source for name, entry in run.in_effect().items()}
    hidden = {name: run.source_of(name) for name in os.environ if run.tracks(name) and name not in kept}
    return [*_line(config, "hidden from isolated tests", hidden), *_line(config, "kept in isolated tests", kept)]


def pytest_report_collectionfinish(config: pytest.Config) -> List[str]:
    """Which variables were set while test modules were imported."""
    return _line(config, "hidden from isolated tests", declarations.current().set_at_import())


def _line(config: pytest.Config, label: str, sources: Dict[str, str]) -> List[str]:
    if not sources:
        return []
    shown = [f"{name} ({source})" for name, source in list(sources.items())[:_SHOWN]]
    more = f" and {len(sources) - _SHOWN} more" if len(sources) > _SHOWN else ""
    return [f"flowsecrets: {label}: {', '.join(shown)}{more}".replace(f"{config.rootpath}{os.sep}", "")]
