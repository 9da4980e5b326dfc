"""What to do about PyTorch operations that have no counterpart in spiking neurons."""

from __future__ import annotations

_RELU = "spiking neurons compute ReLU: replace it by nn.ReLU and fine-tune"
_RECURRENT = "train the recurrent part as a spiking network, or replace it by convolutions over time"
_ATTENTION = "attention multiplies activations, which spiking neurons cannot; use convolutions"
_NORM = "it divides by statistics of each sample; replace it by nn.BatchNorm and fine-tune"
_ORDER = "keep data as (N, C, H, W) or (N, C, L) throughout; permute the samples before"
_PART = "import the parts as layers of their own: a strided or grouped convolution, or one layer for each part"
_PRODUCT = "spiking neurons add weighted inputs; train without products of activations"
_UPSAMPLE = "use nearest-neighbour enlargement or ConvTranspose2d"
_BRANCH = "write forward without branches that depend on values"
_MAXIMUM = "spiking neurons compute ReLU and sums; use nn.ReLU, or average pooling for a maximum over pixels"
_SCORES = "return the scores; the read-out makes the decision"
_VOLUME = "layers are 1-D and 2-D; put the third axis into the channels"
_EMBEDDING = "look the table up before the network and give its rows as input"

HINTS: dict[str, str] = {
    **dict.fromkeys(("sigmoid", "log_sigmoid"), f"{_RELU}; at the end leave it out, the read-out compares scores"),
    **dict.fromkeys(("tanh", "gelu", "silu", "leaky_relu", "elu", "celu", "selu", "softplus", "mish"), _RELU),
    **dict.fromkeys(("hardsigmoid", "hardswish", "prelu", "rrelu", "rrelu_with_noise", "softsign", "glu"), _RELU),
    **dict.fromkeys(("abs", "exp", "log", "pow", "sqrt", "rsqrt", "square", "sin", "cos", "erf", "sign"), _RELU),
    **dict.fromkeys(("hardshrink", "softshrink", "heaviside", "round", "floor", "ceil"), _RELU),
    **dict.fromkeys(("lstm", "gru", "rnn_tanh", "rnn_relu", "lstm_cell", "gru_cell"), _RECURRENT),
    **dict.fromkeys(("scaled_dot_product_attention", "bmm", "baddbmm", "einsum"), _ATTENTION),
    **dict.fromkeys(("layer_norm", "native_layer_norm", "group_norm", "native_group_norm"), _NORM),
    **dict.fromkeys(("instance_norm", "rms_norm", "local_response_norm", "var_mean", "var", "std"), _NORM),
    **dict.fromkeys(("movedim", "flip", "roll", "pixel_shuffle", "pixel_unshuffle", "channel_shuffle"), _ORDER),
    **dict.fromkeys(("slice", "select", "split", "split_with_sizes", "chunk", "unbind", "narrow", "index"), _PART),
    **dict.fromkeys(("index_select", "gather", "unfold", "im2col"), _PART),
    **dict.fromkeys(("upsample_bilinear2d", "upsample_bicubic2d", "upsample_linear1d"), _UPSAMPLE),
    **dict.fromkeys(("dot", "outer", "prod", "cumsum", "reciprocal"), _PRODUCT),
    **dict.fromkeys(("where", "gt", "lt", "ge", "le", "eq", "ne", "cond", "while_loop"), _BRANCH),
    **dict.fromkeys(("max", "min", "amax", "amin", "maximum", "minimum"), _MAXIMUM),
    **dict.fromkeys(("argmax", "argmin", "topk", "sort"), _SCORES),
    **dict.fromkeys(("conv3d", "conv_transpose3d", "avg_pool3d", "max_pool3d", "upsample_nearest3d"), _VOLUME),
    "embedding": _EMBEDDING,
}
"""A remedy for each ATen operation that users meet and that cannot be imported."""

MODULE_HINTS: dict[str, str] = {
    "MultiheadAttention": _ATTENTION,
    "LSTM": _RECURRENT,
    "GRU": _RECURRENT,
    "RNN": _RECURRENT,
}
"""A remedy for modules that are traced as many operations; they are reported once."""

OTHERWISE = "rewrite the layer with the operations of the table in docs/import-pytorch.md"
"""The remedy for everything else."""
