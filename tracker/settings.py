"""How the top-level commands read their configuration.

They use hydra's compose API rather than its decorator: the working directory stays where it is,
no `outputs/` folder appears by itself, and a wrong override is one line and exit code 2.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from tracker.errors import UserError

CONFIG_DIR = Path(__file__).resolve().parents[1] / "configs"


def compose(name: str, overrides: Sequence[str], help_text: str | None) -> DictConfig:
    """Compose `configs/<name>.yaml` with overrides such as `benchmark=robotap limit=3`.

    `--help` prints `help_text`, the config groups and the settings, and exits.

    Raises:
        UserError: an override names no setting or choice.
    """
    import hydra
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    wanted = [o for o in overrides if o not in ("-h", "--help")]
    try:
        with hydra.initialize_config_dir(str(CONFIG_DIR), version_base="1.3"):
            config = hydra.compose(name, overrides=wanted)
            OmegaConf.resolve(config)
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{reason} (see python {Path(sys.argv[0]).name} --help)") from error
    if len(wanted) < len(overrides):
        print(f"{(help_text or '').strip()}\n\nChoices:")
        for group in sorted(p for p in CONFIG_DIR.iterdir() if p.is_dir()):
            print(f"  {group.name}={{{','.join(sorted(p.stem for p in group.glob('*.yaml')))}}}")
        print(f"\nSettings (override any with key=value):\n{OmegaConf.to_yaml(config)}")
        sys.exit(0)
    return config


def instantiate(config: DictConfig, **extra: Any) -> Any:
    """Build what a config's `_target_` names, so that its own `UserError` comes through.

    Raises:
        UserError: the settings do not fit what they describe.
    """
    import hydra
    from hydra.errors import InstantiationException
    from omegaconf import MissingMandatoryValue

    try:
        return hydra.utils.instantiate(config, _convert_="all", **extra)
    except MissingMandatoryValue as error:
        raise UserError(f"{error.full_key} is not set; give {error.full_key}=...") from error
    except InstantiationException as error:
        if isinstance(error.__cause__, UserError):
            raise error.__cause__ from None
        raise UserError(" ".join(str(error).split())) from error
