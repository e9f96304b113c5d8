"""The recurrent vision transformer with its feature pyramid and head, as one PyTorch module.

Backbone, feature pyramid and head are evlib's, which are numerically identical to the published
ones. What connects them is implemented here: states as a flat list, so that the network can be
traced and exported; boxes decoded from constants (evlib's head keeps the grid of the first input it
sees); slicing of the LSTM's gates, which exporters support; and the weight names of the published
files.

Gehrig and Scaramuzza, CVPR 2023; Ge et al., "YOLOX: Exceeding YOLO Series in 2021", arXiv
2107.08430, for the head. Importing this module requires PyTorch and evlib.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from evlib.models.rvt_backbone import RVTBackbone, RVTConfig
from evlib.models.yolox_fpn import PAFPN
from evlib.models.yolox_head import YOLOXHead
from torch import Tensor, nn

from evio_ros.detection.rvt_configuration import STRIDES, RvtConfiguration
from evio_ros.errors import ParameterError

__all__ = ["RvtNetwork"]

_FEATURE_STAGES = (2, 3, 4)
"""Stages whose maps are inputs of the feature pyramid."""
_RENAMED = (
    (r"\battention_blocks\.", "att_blocks."),
    (r"\b(window|grid)_attn\.attn\.", r"att_\1.self_attn."),
    (r"\b(window|grid)_attn\.", r"att_\1."),
    (r"\.mlp\.fc1\.", ".mlp.net.0.0."),
    (r"\.mlp\.fc2\.", ".mlp.net.2."),
    (r"\.(ls[12])$", r".\1.gamma"),
    (r"^head\.", "yolox_head."),
)
"""Patterns from evlib's weight names to the published ones."""
_MOST_NAMED = 3
"""Maximum number of missing or superfluous weights that an error message names."""


class RvtNetwork(nn.Module):
    """Predicts boxes from an input and the recurrent states.

    Args:
        configuration: dimensions, classes and geometry.

    The network is in evaluation mode; its weights are random until `load_published` is called.
    """

    def __init__(self, configuration: RvtConfiguration) -> None:
        super().__init__()
        dimensions = configuration.dimensions
        self.configuration = configuration
        self.backbone = RVTBackbone(
            RVTConfig(
                input_channels=configuration.channels,
                embed_dim=dimensions.embedding,
                dim_head=dimensions.head,
                partition_size=configuration.partition,
            )
        )
        channels = self.backbone.get_stage_dims(_FEATURE_STAGES)
        self.fpn = PAFPN(in_channels=channels, depth_multiplier=dimensions.pyramid_depth)
        self.head = YOLOXHead(len(configuration.classes), strides=STRIDES, in_channels=channels)
        self.head.decode_in_inference = False
        for stage in self.backbone.stages:
            stage.lstm = _SlicedLstm(stage.lstm)
        grid, strides = _places(configuration)
        self.register_buffer("grid", grid, persistent=False)
        self.register_buffer("strides", strides, persistent=False)
        self.eval()

    def forward(self, histogram: Tensor, states: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Predict boxes.

        Args:
            histogram: (n, channels, rows, columns) floating-point counts, not scaled.
            states: as returned for the last input, or `first_states`.

        Returns:
            Predictions (n, places, 5 + classes): centre x and y, width and height in pixels of the
            input, objectness, and the probability of each class given an object; and the next
            states: hidden and cell state of each stage in turn.
        """
        pairs = list(zip(states[::2], states[1::2], strict=True))
        features, after = self.backbone(histogram, pairs)
        levels = self.fpn(features)
        raw, _ = self.head(levels)
        centers = (raw[..., :2] + self.grid) * self.strides
        sizes = torch.exp(raw[..., 2:4]) * self.strides
        boxes = torch.cat((centers, sizes, raw[..., 4:]), dim=-1)
        return boxes, [state for pair in after for state in pair]

    def loss(
        self, inputs: Tensor, labels: list[Tensor], states: list[Tensor]
    ) -> tuple[Tensor, list[Tensor]]:
        """Training loss over consecutive windows.

        Args:
            inputs: (windows, n, channels, rows, columns), not scaled.
            labels: for each window (n, most, 5): class, centre x and y, width and height in pixels;
                rows of zeros where there are fewer objects.
            states: see `forward`.

        Returns:
            The YOLOX loss (overlap, objectness, class), and the states after the last window.
        """
        levels: list[list[Tensor]] = [[] for _ in STRIDES]
        pairs = list(zip(states[::2], states[1::2], strict=True))
        for window in inputs:
            features, pairs = self.backbone(window, pairs)
            for level, stage in zip(levels, _FEATURE_STAGES, strict=True):
                level.append(features[stage])
        joined = {
            stage: torch.cat(level) for level, stage in zip(levels, _FEATURE_STAGES, strict=True)
        }
        _, losses = self.head(self.fpn(joined), torch.cat(labels))
        return losses["loss"], [state for pair in pairs for state in pair]

    def first_states(self, n: int = 1) -> list[Tensor]:
        """Initial states: zeros."""
        size = self.configuration.input_size
        like = self.grid
        return [
            like.new_zeros((n, channels, size.height // stride, size.width // stride))
            for channels, stride in zip(
                self.backbone.stage_dims, self.backbone.strides, strict=True
            )
            for _ in range(2)
        ]

    def published_weights(self) -> dict[str, Tensor]:
        """All weights, by the names of the published files."""
        return {_published_name(name): value for name, value in self.state_dict().items()}

    def load_published(self, weights: Mapping[str, Tensor]) -> None:
        """Load weights by the names of the published files.

        Raises:
            ParameterError: if a weight is missing, superfluous, of another shape, or not finite.
        """
        own = self.state_dict()
        names = {_published_name(name): name for name in own}
        missing, extra = (
            sorted(names.keys() - weights.keys()),
            sorted(weights.keys() - names.keys()),
        )
        if missing or extra:
            raise ParameterError(
                f"weights do not fit the {self.configuration.variant} network: "
                + "; ".join(
                    f"{len(some)} {what} ({', '.join(some[:_MOST_NAMED])} ...)"
                    for some, what in ((missing, "missing"), (extra, "too many"))
                    if some
                )
            )
        for name, value in weights.items():
            wanted = own[names[name]].shape
            if value.shape != wanted:
                raise ParameterError(
                    f"{name} is {tuple(value.shape)}, the {self.configuration.variant} network "
                    f"with {len(self.configuration.classes)} classes has {tuple(wanted)}"
                )
            if value.is_floating_point() and not bool(torch.isfinite(value).all()):
                raise ParameterError(f"{name} contains numbers that are not finite")
        self.load_state_dict({names[name]: value for name, value in weights.items()})


class _SlicedLstm(nn.Module):
    """evlib's convolutional LSTM without `tensor_split`, which exporters do not support."""

    def __init__(self, lstm: nn.Module) -> None:
        super().__init__()
        self.conv1x1 = lstm.conv1x1
        self.dim = int(lstm.dim)

    def forward(self, x: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """The next hidden and cell state."""
        hidden, cell = state
        mixed = self.conv1x1(torch.cat((x, hidden), dim=1))
        gates = torch.sigmoid(mixed[:, : 3 * self.dim])
        forget = gates[:, : self.dim]
        take = gates[:, self.dim : 2 * self.dim]
        show = gates[:, 2 * self.dim :]
        cell = forget * cell + take * torch.tanh(mixed[:, 3 * self.dim :])
        return show * torch.tanh(cell), cell


def _published_name(name: str) -> str:
    """The name of a weight in the published files."""
    for pattern, published in _RENAMED:
        name = re.sub(pattern, published, name)
    return name


def _places(configuration: RvtConfiguration) -> tuple[Tensor, Tensor]:
    """Column and row (places, 2) and stride (places, 1) of each predicted box."""
    grids, strides = [], []
    for stride in STRIDES:
        rows = configuration.input_size.height // stride
        columns = configuration.input_size.width // stride
        y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
        grids.append(torch.stack((x, y), dim=-1).reshape(-1, 2))
        strides.append(torch.full((rows * columns, 1), stride))
    return torch.cat(grids).float(), torch.cat(strides).float()
