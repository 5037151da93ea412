"""Small checkpoints of OWLv2 and SAM 2 with random weights, as their folders look."""

from __future__ import annotations

import json
from pathlib import Path
from string import ascii_lowercase

import numpy as np
import torch
from transformers import (
    Owlv2Config,
    Owlv2ForObjectDetection,
    Owlv2ImageProcessorPil,
    Sam2Config,
    Sam2Model,
    Sam2VideoConfig,
    Sam2VideoModel,
)

SIDE = 64
"""Of the pictures that both models take, in pixels."""

TINY_TRANSFORMER = {
    "hidden_size": 16,
    "intermediate_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
}


def write_owlv2(folder: Path) -> Path:
    """Write a detector whose boxes are the 4 x 4 cells of its picture, somewhat widened.

    Its logits are cosines of picture and text, so that scores lie in 0.27..0.73.
    """
    folder.mkdir(parents=True)
    start, end = "<|startoftext|>", "<|endoftext|>"
    letters = [*ascii_lowercase, *(f"{letter}</w>" for letter in ascii_lowercase)]
    vocabulary = {piece: number for number, piece in enumerate(["!", *letters, start, end])}
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = {
        "tokenizer_class": "CLIPTokenizer",
        "model_max_length": 16,
        **{"bos_token": start, "eos_token": end, "unk_token": end, "pad_token": "!"},
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer))
    special = {"bos_token_id": vocabulary[start], "eos_token_id": vocabulary[end]}
    config = Owlv2Config(
        text_config={**TINY_TRANSFORMER, **special, "vocab_size": len(vocabulary)},
        vision_config={**TINY_TRANSFORMER, "image_size": SIDE, "patch_size": SIDE // 4},
        projection_dim=16,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Owlv2ForObjectDetection(config)
    model.box_head.dense2.weight.data.zero_()
    model.box_head.dense2.bias.data.copy_(torch.tensor([0, 0, 0.5, 0.5]))
    for part in (model.class_head.logit_shift, model.class_head.logit_scale):
        part.weight.data.zero_()
        part.bias.data.zero_()
    model.save_pretrained(folder)
    Owlv2ImageProcessorPil(size={"height": SIDE, "width": SIDE}).save_pretrained(folder)
    return folder


def sam2_config() -> Sam2Config:
    """Return a config of every part that SAM 2 has."""
    trunk = {
        "model_type": "sam2_hiera_det_model",
        "hidden_size": 8,
        "num_attention_heads": 1,
        "image_size": [SIDE, SIDE],
        "window_positional_embedding_background_size": [4, 4],
        "blocks_per_stage": [1, 1, 2, 1],
        "embed_dim_per_stage": [8, 16, 32, 64],
        "num_attention_heads_per_stage": [1, 1, 1, 1],
        "global_attention_blocks": [3],
    }
    return Sam2Config(
        vision_config={
            "backbone_config": trunk,
            "backbone_channel_list": [64, 32, 16, 8],
            "backbone_feature_sizes": [[16, 16], [8, 8], [4, 4]],
            "fpn_hidden_size": 32,
        },
        prompt_encoder_config={"hidden_size": 32, "image_size": SIDE, "patch_size": 16},
        mask_decoder_config={
            "hidden_size": 32,
            "mlp_dim": 32,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "iou_head_hidden_dim": 32,
        },
    )


def write_sam2(folder: Path) -> Path:
    """Write a segmenter of pictures."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        Sam2Model(sam2_config()).save_pretrained(folder)
    return folder


def write_sam2_video(folder: Path) -> Path:
    """Write a segmenter of videos, as the published ones are."""
    pictures = sam2_config()
    config = Sam2VideoConfig(
        vision_config=pictures.vision_config.to_dict(),
        prompt_encoder_config=pictures.prompt_encoder_config.to_dict(),
        mask_decoder_config=pictures.mask_decoder_config.to_dict(),
        image_size=SIDE,
        memory_attention_hidden_size=32,
        memory_attention_num_layers=1,
        memory_attention_feed_forward_hidden_size=32,
        memory_encoder_hidden_size=32,
        memory_encoder_output_channels=8,
        mask_downsampler_embed_dim=32,
        memory_fuser_embed_dim=32,
        memory_fuser_intermediate_dim=32,
        memory_fuser_num_layers=1,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        Sam2VideoModel(config).save_pretrained(folder)
    return folder


def square(size: tuple[int, int], left: int, top: int, side: int) -> np.ndarray:
    """Return a mask `(H, W) bool` of a square in a frame of `size` `(W, H)`."""
    mask = np.zeros((size[1], size[0]), bool)
    mask[top : top + side, left : left + side] = True
    return mask
