"""Settings: files under `configs/`, composed by Hydra, checked, and built into what they name."""

from tracker.settings.building import build
from tracker.settings.composing import CONFIG_DIR, compose, instantiate, parse_changes, plain
from tracker.settings.schema import check_settings

__all__ = [
    "CONFIG_DIR",
    "build",
    "check_settings",
    "compose",
    "instantiate",
    "parse_changes",
    "plain",
]
