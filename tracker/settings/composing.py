"""How the commands that take many settings read them: files under `configs/` and overrides.

They use hydra's compose API rather than its decorator: the working directory stays where it is,
no `outputs/` folder appears by itself, and a wrong override is one line and exit code 2. Whatever
comes out has been checked: nothing that is given is ignored.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tracker.errors import UserError
from tracker.settings.building import build
from tracker.settings.schema import TARGET, check_settings, join, nearest, unknown_setting

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override
    from omegaconf import DictConfig

_PACKAGED = Path(__file__).resolve().parents[1] / "configs"
CONFIG_DIR = _PACKAGED if _PACKAGED.is_dir() else _PACKAGED.parents[1] / "configs"
"""Inside the package where it is installed from a wheel, beside it in a clone."""

COMMANDS = {
    "evaluate": "evaluate",
    "compare": "compare",
    "train_tracker": "train",
    "pretrain_backbone": "pretrain",
    "render": "render",
}
"""The command that reads each top-level file; experiments are grouped by the command's name."""


def compose(name: str, overrides: Sequence[str], help_text: str | None) -> DictConfig:
    """Compose `configs/<name>.yaml` with overrides such as `benchmark=robotap limit=3`.

    `--help` prints `help_text`, the config groups and the settings, and exits.

    Raises:
        UserError: an override or an experiment's file names no setting or choice, or gives a
            setting a value of the wrong kind.
    """
    import hydra
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    wanted = [o for o in overrides if o not in ("-h", "--help")]
    try:
        with hydra.initialize_config_dir(str(CONFIG_DIR), version_base="1.3"):
            defaults, groups = _compose(name, [])
            config, chosen = defaults, groups
            if wanted:
                config, chosen = _compose(name, _prepare(wanted, groups, COMMANDS[name]))
        # Checking loads what settings build, and with it torch: help alone does not wait for it.
        if wanted or not overrides:
            _check(plain(config), plain(defaults))
    except (HydraException, OmegaConfBaseException, UserError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{reason} (see vjepa-tracker {COMMANDS[name]} --help)") from error
    if len(wanted) < len(overrides):
        from tracker.settings.help import format_help

        print(format_help(help_text or "", name, COMMANDS[name], config, chosen, CONFIG_DIR))
        sys.exit(0)
    return config


def instantiate(config: DictConfig) -> Any:
    """Build what the `_target_` of a part of a composed config names.

    Raises:
        UserError: the settings do not fit what they describe.
    """
    return build(plain(config), config._get_full_key(None))


def parse_changes(assignments: Sequence[str]) -> dict[str, Any]:
    """Read settings of a tracker such as `inference.block=24` as nested settings.

    Raises:
        UserError: one is no assignment.
    """
    if not assignments:
        return {}
    # Imported where they are needed: help, and tracking without settings, do not wait for them.
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    changes = OmegaConf.create({})
    for assignment in assignments:
        if not re.match(r"[\w.]+=", assignment):
            raise UserError(f"--set {assignment}: write KEY=VALUE, as in inference.block=24")
        try:
            override = OverridesParser.create().parse_override(assignment)
            OmegaConf.update(changes, override.key_or_group, override.value(), force_add=True)
        except (HydraException, OmegaConfBaseException) as error:
            reason = " ".join(str(error).split())
            raise UserError(f"--set {assignment} cannot be read ({reason})") from error
    return plain(changes)


def _compose(name: str, overrides: list[str]) -> tuple[DictConfig, dict[str, str]]:
    """Return the composed config, and what was chosen of each config group."""
    import hydra
    from omegaconf import OmegaConf

    config = hydra.compose(name, overrides=overrides, return_hydra_config=True)
    choices = dict(config.hydra.runtime.choices)
    OmegaConf.set_struct(config, False)
    del config["hydra"]
    OmegaConf.resolve(config)
    return config, {k: v for k, v in choices.items() if not k.startswith("hydra/")}


def plain(config: DictConfig) -> dict[str, Any]:
    """Return a config, or a part of it, as dictionaries and lists."""
    from omegaconf import OmegaConf

    content = OmegaConf.to_container(config)
    return {str(key): value for key, value in content.items()} if isinstance(content, dict) else {}


def _prepare(overrides: list[str], groups: Mapping[str, str], command: str) -> list[str]:
    """Return overrides as hydra takes them, once each names a setting or a choice.

    Unknown settings are let through: the whole is checked once it is composed, files included, by
    a rule of ours that names the nearest known setting.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser

    for given in overrides:
        if given.startswith("-"):
            raise UserError(
                f"{given} is no option: settings are given as KEY=VALUE, and there is no "
                "--multirun; run the command once for each value"
            )
    prepared = []
    for override in OverridesParser.create().parse_overrides(overrides):
        key = override.key_or_group + (f"@{override.package}" if override.package else "")
        if override.is_delete() or key.split(".")[0] == "hydra":
            raise UserError(f"{override.input_line}: settings are changed by KEY=VALUE alone")
        if override.is_sweep_override():
            raise UserError(
                f"{override.input_line} gives several values; run the command once for each"
            )
        given = (override.input_line or "").lstrip("+")
        if key == "experiment":
            _check_experiment(override, command)
            prepared.append(f"+{given}")
        elif (CONFIG_DIR / override.key_or_group).is_dir():
            _check_choice(override, key, groups)
            prepared.append(given)
        else:
            prepared.append(f"++{given}")
    return prepared


def experiments(command: str) -> list[str]:
    """Return the experiments of a command by name, such as `train/vitl`."""
    folder = CONFIG_DIR / "experiment" / command
    return sorted(f"{command}/{path.stem}" for path in folder.glob("*.yaml"))


def _check_experiment(override: Override, command: str) -> None:
    given = override.value()
    for name in map(str, given if isinstance(given, list) else [given]):
        owner = name.split("/")[0]
        if owner != command and name in experiments(owner):
            raise UserError(
                f"experiment {name} is not for {command}; run: "
                f"vjepa-tracker {owner} +experiment={name}"
            )
        if name not in experiments(command):
            known = ", ".join(experiments(command)) or f"none; {command} has no experiments"
            raise UserError(f"there is no experiment {name}; known are {known}")


def _check_choice(override: Override, key: str, groups: Mapping[str, str]) -> None:
    if key not in groups:
        raise UserError(
            f"{key} is nothing to choose here; the nearest is {nearest(key, list(groups))}"
        )
    folder = CONFIG_DIR / override.key_or_group
    known = sorted(path.stem for path in folder.glob("*.yaml"))
    if str(override.value()) not in known:
        raise UserError(f"there is no {key}={override.value()}; choose from {', '.join(known)}")


def _check(config: Mapping[str, Any], defaults: Mapping[str, Any], path: str = "") -> None:
    """Check a composed config: its plain parts by the keys of the command's own file."""
    for key, value in config.items():
        name = join(path, key)
        if key not in defaults:
            raise unknown_setting(path, key, list(defaults))
        default = defaults[key]
        if not isinstance(default, Mapping):
            continue
        if not isinstance(value, Mapping):
            raise UserError(f"{name}={value} must be settings, as in {name}.NAME=VALUE")
        if TARGET in value or not default:
            check_settings(value, Any, name)
        else:
            _check(value, default, name)
