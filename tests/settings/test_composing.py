"""Configuration of the top-level commands."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import asdict, fields, is_dataclass
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from tracker.datasets.tapvid import TapVid
from tracker.errors import UserError
from tracker.evaluation.run import EvaluationSettings
from tracker.settings import CONFIG_DIR, compose, instantiate, parse_changes, plain
from tracker.settings.schema import find_target


def test_overrides_change_settings_and_groups() -> None:
    overrides = ["benchmark=robotap", "query_mode=strided", "trackers=[lk]", "limit=3"]
    config = compose("evaluate", overrides, None)
    assert config.benchmark.name == "robotap"
    assert (config.query_mode, list(config.trackers), config.limit) == ("strided", ["lk"], 3)
    assert config.output_dir == "outputs/evaluate/robotap-strided"


@pytest.mark.parametrize("path", sorted((CONFIG_DIR / "benchmark").glob("*.yaml")), ids=str)
def test_every_benchmark_composes(path: Path) -> None:
    config = compose("evaluate", [f"benchmark={path.stem}"], None)
    assert config.benchmark.name == path.stem


@pytest.mark.parametrize(
    ("override", "word"),
    [
        ("query_mod=first", "query_mod"),
        ("benchmark=nope", "nope"),
        ("no equals sign", "equals"),
        ("trackers=[lk", "'[lk'"),
        ("--multirun", "there is no --multirun"),
        ("-m", "-m is no option"),
        ("limit=1,2", "limit=1,2 gives several values; run the command once for each"),
        ("limit=range(1,3)", "gives several values"),
        ("~limit", "~limit"),
        ("hydra.verbose=true", "hydra.verbose=true"),
        ("changes=3", "changes=3 must be settings"),
        ("benchmark@validation=procedural", "the nearest is benchmark"),
        ("+experiment=train/mini_match", "run: vjepa-tracker train +experiment=train/mini_match"),
        ("+experiment=nope", "evaluate has no experiments"),
    ],
)
def test_wrong_overrides_are_one_line(override: str, word: str) -> None:
    with pytest.raises(UserError) as caught:
        compose("evaluate", [override], None)
    assert word in str(caught.value) and "--help" in str(caught.value)
    assert "\n" not in str(caught.value)


UNKNOWN = [
    ("evaluate", [], "query_mod", "query_mode"),
    ("evaluate", [], "benchmark.pth", "benchmark.path"),
    ("evaluate", ["benchmark=procedural"], "benchmark.scene", "benchmark.scenes"),
    ("evaluate", ["benchmark=procedural_128"], "benchmark.config.hight", "benchmark.config.height"),
    ("train_tracker", [], "trainning.max_steps", "training"),
    ("train_tracker", [], "training.max_step", "training.max_steps"),
    ("train_tracker", [], "backbone.layer", "backbone.layers"),
    ("train_tracker", [], "head.widht", "head.width"),
    ("train_tracker", ["head=coarse_only"], "head.iteration", "head.iterations"),
    ("train_tracker", [], "inference.blok", "inference.block"),
    ("train_tracker", [], "flow.withot", "flow.without"),
    ("train_tracker", [], "loss.visiblity", "loss.visibility"),
    ("train_tracker", [], "validation.scene", "validation.scenes"),
    ("train_tracker", [], "data.scene.motion.max_sped", "data.scene.motion.max_speed"),
    ("train_tracker", ["data=procedural_fast"], "data.scene.points_", "data.scene.points"),
    ("train_tracker", ["data=kubric"], "data.rot", "data.root"),
    ("train_tracker", ["data=point_odyssey"], "data.frame", "data.frames"),
    ("pretrain_backbone", [], "architecture.hidden_sise", "architecture.hidden_size"),
    ("pretrain_backbone", [], "jepa.momentun", "jepa.momentum"),
    ("pretrain_backbone", [], "masks.shrot.blocks", "masks.short"),
    ("pretrain_backbone", [], "masks.long.block", "masks.long.blocks"),
    ("pretrain_backbone", ["pretrain_data@data=videos"], "data.folde", "data.folder"),
    (
        "pretrain_backbone",
        ["pretrain_data@data=mix"],
        "data.sources.videos.folde",
        "data.sources.videos.folder",
    ),
]


@pytest.mark.parametrize("plus", ["", "+", "++"])
@pytest.mark.parametrize(("name", "before", "wrong", "right"), UNKNOWN, ids=[u[2] for u in UNKNOWN])
def test_an_unknown_setting_is_refused_with_the_nearest(
    name: str, before: list[str], wrong: str, right: str, plus: str
) -> None:
    with pytest.raises(UserError) as caught:
        compose(name, [*before, f"{plus}{wrong}=3"], None)
    assert f"; the nearest is {right} (see" in str(caught.value)


EVERY_CHOICE = [
    (name, f"{group}={path.stem}", group.split("@")[-1])
    for name, groups in {
        "evaluate": ["benchmark"],
        "train_tracker": ["backbone", "head", "data", "benchmark@validation"],
        "pretrain_backbone": ["pretrain_data@data"],
        "render": ["data"],
    }.items()
    for group in groups
    for path in sorted((CONFIG_DIR / group.split("@")[0]).glob("*.yaml"))
]


@pytest.mark.parametrize(
    ("name", "choice", "place"), EVERY_CHOICE, ids=[c[1] for c in EVERY_CHOICE]
)
def test_every_choice_refuses_what_it_does_not_take(name: str, choice: str, place: str) -> None:
    with pytest.raises(UserError, match=rf"there is no setting {place}\.nonsense; the nearest is"):
        compose(name, [choice, f"{place}.nonsense=1"], None)


def test_an_unknown_setting_in_a_file_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "configs"
    shutil.copytree(CONFIG_DIR, root)
    monkeypatch.setattr("tracker.settings.composing.CONFIG_DIR", root)
    recipe = "# @package _global_\ntrainning:\n  max_steps: 3\n"
    (root / "experiment" / "train" / "wrong.yaml").write_text(recipe)
    with pytest.raises(UserError, match="no setting trainning; the nearest is training"):
        compose("train_tracker", ["+experiment=train/wrong"], None)
    with (root / "head" / "default.yaml").open("a") as file:
        file.write("widht: 3\n")
    with pytest.raises(UserError, match=r"no setting head.widht; the nearest is head.width"):
        compose("train_tracker", [], None)


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("head.use_rgb=flase", "head.use_rgb=flase must be true or false"),
        ("training.max_steps=1.5", "training.max_steps=1.5 must be a whole number"),
        ("training.max_minutes=[3]", "must be a number or null"),
        ("training=3", "training=3 must be settings"),
        ("data.textures=3", "data.textures=3 must be text or null"),
        ("head._target_=os.system", "is no class or function of this package"),
        ("+head.x={_target_: os.system}", "no setting head.x"),
        ("+data.scene.motion={_target_: os.system}", "is no class or function of this package"),
    ],
)
def test_values_of_the_wrong_kind_are_refused(override: str, words: str) -> None:
    with pytest.raises(UserError, match=re.escape(words)):
        compose("train_tracker", [override], None)


def test_an_experiment_of_another_command_is_refused() -> None:
    with pytest.raises(UserError, match=r"run: vjepa-tracker pretrain .experiment=pretrain/cpu"):
        compose("train_tracker", ["+experiment=pretrain/cpu"], None)
    with pytest.raises(UserError, match="no experiment train/nope; known are train/ablation"):
        compose("train_tracker", ["+experiment=train/nope"], None)
    plain = compose("train_tracker", ["experiment=train/vitl"], None)
    assert plain == compose("train_tracker", ["+experiment=train/vitl"], None)


def test_changes_take_any_depth_with_and_without_a_plus() -> None:
    for plus in ("", "+", "++"):
        config = compose("evaluate", [f"{plus}changes.inference.iterations=2"], None)
        assert config.changes == {"inference": {"iterations": 2}}


def test_settings_of_a_tracker_are_read_as_overrides_are() -> None:
    given = ["inference.block=24", "fine_size=[256,256]", "inference.point_chunk=null"]
    assert parse_changes(given) == {
        "inference": {"block": 24, "point_chunk": None},
        "fine_size": [256, 256],
    }
    assert parse_changes(["backbone.source=/a b/c"]) == {"backbone": {"source": "/a b/c"}}
    for wrong in ("fine_size", "=3", "+a=3", "~a", "a@b=3", "fine_size=[256", ""):
        with pytest.raises(UserError, match=f"--set {re.escape(wrong)}"):
            parse_changes([wrong])


DIFFERENT = {("pretrain_backbone", "training")}
"""What a command's file sets otherwise than its dataclass; there it has to name every setting."""


def test_files_and_dataclasses_agree() -> None:
    """Defaults stand in a YAML file for commands and in a dataclass for callers: the same ones."""
    compared = 0
    for name in ("train_tracker", "pretrain_backbone", "render"):
        for key, node in plain(compose(name, [], None)).items():
            target = (
                isinstance(node, dict) and "_target_" in node and find_target(node["_target_"], key)
            )
            if not (target and is_dataclass(target)):
                continue
            node.pop("_target_")
            assert node.keys() == {field.name for field in fields(target)}, (name, key)
            if (name, key) not in DIFFERENT:
                defaults = json.loads(json.dumps(asdict(target())))
                assert node == defaults, (name, key)
            compared += 1
    assert compared == 13


def test_evaluation_and_its_file_agree() -> None:
    config, defaults = plain(compose("evaluate", [], None)), asdict(EvaluationSettings())
    shared = config.keys() & defaults.keys()
    assert shared == {"query_mode", "input_size", "limit", "changes", "device"}
    assert {key: config[key] for key in shared} == {key: defaults[key] for key in shared}


def test_a_wrong_override_does_not_spoil_the_next() -> None:
    with pytest.raises(UserError):
        compose("evaluate", ["nope=1"], None)
    assert compose("evaluate", [], None).query_mode == "first"


def test_help_lists_choices_and_settings(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        compose("evaluate", ["limit=3", "--help"], "What this does.")
    out = capsys.readouterr().out
    assert stop.value.code == 0
    assert out.startswith("What this does.") and "tapvid_davis" in out and "limit: 3" in out


@pytest.mark.parametrize("name", ["evaluate", "train_tracker", "pretrain_backbone", "render"])
def test_help_says_what_every_setting_means(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        compose(name, ["--help"], "What this does.")
    settings = capsys.readouterr().out.partition("KEY=VALUE):\n")[2].splitlines()
    assert len(settings) > 10
    silent = [line for line in settings if "# " not in line and not line.endswith(":")]
    assert not silent


def test_user_errors_come_through_instantiate(tmp_path: Path) -> None:
    config = compose("evaluate", ["benchmark=robotap"], None)
    with pytest.raises(UserError, match=r"needs benchmark\.path"):
        instantiate(config.benchmark)
    config = compose("evaluate", [f"benchmark.path={tmp_path / 'nowhere'}"], None)
    with pytest.raises(UserError, match="nowhere does not exist"):
        instantiate(config.benchmark)
    with pytest.raises(UserError, match="nonsense"):
        instantiate(OmegaConf.create({"_target_": "tracker.datasets.tapvid.TapVid", "nonsense": 1}))


def test_instantiate_builds_the_target(tmp_path: Path) -> None:
    (tmp_path / "a.pkl").write_bytes(b"")
    config = compose("evaluate", [f"benchmark.path={tmp_path}"], None)
    assert isinstance(instantiate(config.benchmark), TapVid)
