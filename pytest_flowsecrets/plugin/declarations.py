"""The hooks that record which variables the run declares. See ``isolation.environment.declarations``."""

from __future__ import annotations

import os
from typing import Any, Dict, Generator, Iterator, List

import pytest

from pytest_flowsecrets.isolation.environment import declarations
from pytest_flowsecrets.options import LISTS

_HIDE = LISTS["hide"]
# Plugins that set variables. They skip a default if the shell has set the variable.
_SETTERS = ("pytest_env", "pytest_dotenv")
_MAX_NAMES = 6  # in a line of the header


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """Start to record which code sets variables. This is the first hook of a run."""
    parser.addini(_HIDE.ini, _HIDE.help, type="args", default=[])
    config: Any = pluginmanager.get_plugin("pytestconfig")
    config.add_cleanup(declarations.start())


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config, parser: Any, args: Any) -> Iterator[None]:
    """Record the variables that pytest-env and pytest-dotenv set if the shell sets none."""
    run = declarations.current()
    run.hide(early_config.getini(_HIDE.ini))
    arguments = {"early_config": early_config, "parser": parser, "args": args}
    for hook in early_config.hook.pytest_load_initial_conftests.get_hookimpls():
        module = getattr(hook.plugin, "__name__", "")
        if module.partition(".")[0] in _SETTERS:
            run.add_defaults(_texts_without_shell(hook, arguments), module)
    yield


def _texts_without_shell(hook: Any, arguments: Dict[str, Any]) -> Dict[str, str]:
    """Return the tracked variables that a hook sets if none of them exists before."""
    run, before = declarations.current(), dict(os.environ)
    with declarations.recording_paused():
        try:
            for name in run.tracked(before):
                del os.environ[name]
            hook.function(*(arguments[name] for name in hook.argnames))
            return {name: os.environ[name] for name in run.tracked(os.environ)}
        except Exception:  # noqa: BLE001 - the hook raises the same error again when pytest calls it
            return {}
        finally:
            os.environ.clear()
            os.environ.update(before)


def pytest_configure(config: pytest.Config) -> None:
    """Add the declarations of the process that has started this xdist worker."""
    declarations.current().hide(config.getini(_HIDE.ini))  # again, because a conftest may load this plugin
    declarations.current().inherit(getattr(config, "workerinput", {}).get("flowsecrets_declared", ()))


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Pass the declarations of this run on to an xdist worker, which inherits the variables."""
    node.workerinput["flowsecrets_declared"] = declarations.current().inheritable()


# -- owners of declarations --------------------------------------------------------------------------------------------


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, Any, Any]:
    """Make this test the owner of all variables that are set from now on."""
    __tracebackhide__ = True
    run = declarations.current()
    run.begin(item, "this test")
    run.path = str(item.path)
    return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, Any, Any]:
    """Remove the declarations of this test, so that other tests do not see its variables."""
    __tracebackhide__ = True
    try:
        return (yield)
    finally:
        run = declarations.current()
        run.begin(None, "")
        run.end(item)
        run.path = None


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[Any]) -> Generator[None, Any, Any]:
    """Make a fixture of wider scope the owner of the variables that it sets."""
    __tracebackhide__ = True
    if fixturedef.scope == "function":
        return (yield)
    resume = declarations.current().begin(fixturedef, f"the fixture {fixturedef.argname}")
    try:
        return (yield)
    finally:
        resume()


def pytest_fixture_post_finalizer(fixturedef: pytest.FixtureDef[Any]) -> None:
    """Remove the declarations of a fixture."""
    if fixturedef.scope != "function":
        declarations.current().end(fixturedef)


# -- header ------------------------------------------------------------------------------------------------------------


def pytest_report_header(config: pytest.Config) -> List[str]:
    """Return lines with the names of the variables that isolated tests see, and of those that are hidden."""
    run = declarations.current()
    kept = {name: entry.source for name, entry in run.in_effect().items()}
    hidden = {name: run.source_of(name) for name in run.tracked(os.environ) if name not in kept}
    return [*_line(config, "hidden from isolated tests", hidden), *_line(config, "kept in isolated tests", kept)]


def pytest_report_collectionfinish(config: pytest.Config) -> List[str]:
    """Return a line with the names of the variables that were set during the import of test modules."""
    return _line(config, "hidden from isolated tests", declarations.current().set_at_import())


def _line(config: pytest.Config, label: str, sources: Dict[str, str]) -> List[str]:
    if not sources:
        return []
    names = [f"{name} ({source})" for name, source in list(sources.items())[:_MAX_NAMES]]
    more = f" and {len(sources) - _MAX_NAMES} more" if len(sources) > _MAX_NAMES else ""
    return [f"flowsecrets: {label}: {', '.join(names)}{more}".replace(f"{config.rootpath}{os.sep}", "")]
