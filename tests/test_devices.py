"""Names of devices, and what of them renders."""

from __future__ import annotations

import cv2
import pytest
import torch

from tracker.devices import bf16_products, check_device, check_rendering, set_threads
from tracker.errors import UserError


def test_names() -> None:
    assert check_device("cpu") == check_device(torch.device("cpu")) == torch.device("cpu")
    expected = "cuda" if torch.cuda.is_available() else "cpu"
    assert check_device("auto") == torch.device(expected)


@pytest.mark.parametrize("name", ["abacus", "", "meta", "cuda:99", None])
def test_devices_that_are_not_there(name: str) -> None:
    with pytest.raises(UserError, match=rf"device {name} cannot be used .*; use cpu or auto") as e:
        check_device(name)
    assert "\n" not in str(e.value)


def test_a_gpu_is_called_cuda() -> None:
    with pytest.raises(UserError, match="a GPU is called cuda"):
        check_device("gpu")


def test_torch_gives_its_reason_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **options: object) -> None:
        raise RuntimeError("Could not run it on MPS. This could be because of many things.\nMore")

    monkeypatch.setattr(torch, "zeros", refuse)
    with pytest.raises(UserError) as e:
        check_device("mps")
    reason = "Could not run it on MPS"
    assert str(e.value) == f"device mps cannot be used ({reason}); use cpu or auto"


def test_every_device_of_the_data_is_checked() -> None:
    mix = {"shares": {"a": 1.0}, "sources": {"a": {"frames": 8, "device": "abacus"}}}
    with pytest.raises(UserError, match="device abacus cannot be used"):
        check_rendering(mix, workers=0)
    check_rendering({"device": "cpu"}, workers=2)
    check_rendering({"root": "somewhere"}, workers=2)


def test_workers_do_not_render_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tracker.devices.check_device", torch.device)
    check_rendering({"device": "cuda"}, workers=0)
    with pytest.raises(UserError, match=r"device cuda.*set training\.workers=0"):
        check_rendering({"device": "cuda"}, workers=1)


def test_threads_of_torch_and_opencv() -> None:
    before = torch.get_num_threads(), cv2.getNumThreads()
    try:
        set_threads(1)
        assert (torch.get_num_threads(), cv2.getNumThreads()) == (1, 1)
        set_threads(None)
        assert (torch.get_num_threads(), cv2.getNumThreads()) == (1, 1)
        for wrong in (0, -1, "two"):
            with pytest.raises(UserError, match=f"threads={wrong}"):
                set_threads(wrong)
    finally:
        torch.set_num_threads(before[0])
        cv2.setNumThreads(before[1])


@pytest.mark.parametrize(
    ("pays", "wanted", "gradients"),
    [(True, True, False), (True, True, True), (True, False, False), (False, True, False)],
)
def test_bfloat16_where_it_pays_and_no_gradient_needs_more(
    pays: bool, wanted: bool, gradients: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tracker.devices.bf16_pays", lambda device: pays)
    cpu, one = torch.device("cpu"), torch.ones(1, 1)
    expected = pays and wanted and not gradients
    with torch.set_grad_enabled(gradients), bf16_products(cpu, wanted) as reduced:
        assert reduced == expected
        assert (one @ one).dtype == (torch.bfloat16 if expected else torch.float32)
    # What somebody else asked for stays.
    with torch.autocast("cpu", torch.bfloat16), bf16_products(cpu, False):
        assert (one @ one).dtype == torch.bfloat16
