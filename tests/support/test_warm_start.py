"""What is forked for tests is the program that is installed."""

from importlib.metadata import entry_points

from tests.support.warm_start import commctl


def test_commctl_is_the_installed_command() -> None:
    (installed,) = entry_points(group="console_scripts", name="commctl")
    assert commctl() is installed.load()
