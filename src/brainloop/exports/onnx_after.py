"""The steps after a backbone as an ONNX graph: its output to a probability.

All is in float64 there: what differs from our own float32 then is our rounding, not theirs.
"""

from typing import TYPE_CHECKING

import numpy as np

from brainloop.classifier.features import FeatureMap, Projection
from brainloop.classifier.head import Head
from brainloop.classifier.heads import AnyHead
from brainloop.classifier.mlp import Mlp
from brainloop.exports.onnx_text import Arrays, Network, double, graph_of, integers, numbers

if TYPE_CHECKING:
    from onnx import ModelProto

__all__ = ["after"]


def after(feature_map: FeatureMap, head: AnyHead, network: Network, *, rounded: bool, n_outputs: int) -> "ModelProto":
    """Turn a backbone's output, ``raw``, into ``log_odds`` and ``probability``, float32 (n_outputs,).

    Parameters
    ----------
    feature_map : FeatureMap
        From vectors to features.
    head : AnyHead
        Binary, or of several classes.
    network : Network
        What `raw` comes from.
    rounded : bool
        Whether the study keeps vectors as float16.
    n_outputs : int
        1, or the number of classes.
    """
    arrays: Arrays = {
        **numbers(zero=0.0, one=1.0, two=2.0, eighth=np.pi / 8),
        **integers(first=0, axis_first=[0], axis_last=[-1], row=[1, -1], flat=[-1]),
    }
    steps = f"""
        image = Gather <axis=0> (raw, first)
        {_pooled(network.shape, arrays)}
        vector = Reshape (pooled, row)
        {"low = Cast <to=10> (vector)" if rounded else "low = Identity (vector)"}
        embedding = Cast <to=11> (low)
        {_features(feature_map, arrays)}
        {_linear(head, arrays) if isinstance(head, Head) else _mlp(head, arrays)}
        logits = Reshape (output, flat)
        {_moderated(n_outputs)}
        log_odds = Cast <to=1> (logits)
        probability = Cast <to=1> (moderated)
    """
    kind = "float16" if network.half else "float"
    raw = f"{kind}[{', '.join(map(str, network.shape))}] raw"
    outputs = f"float[{n_outputs}] probability, float[{n_outputs}] log_odds"
    return graph_of("after", raw, outputs, steps, arrays, network)


def _pooled(shape: tuple[int, ...], arrays: Arrays) -> str:
    """Make one vector of the output for one image, as `brainloop.images.onnx.OnnxBackbone` does."""
    if len(shape) == 2:
        return "pooled = Cast <to=1> (image)"
    if len(shape) == 3 and round(shape[1] ** 0.5) ** 2 != shape[1]:
        return "token = Gather <axis=0> (image, first)\npooled = Cast <to=1> (token)"
    arrays |= integers(places=[0] if len(shape) == 3 else [1, 2])
    arrays["n_places"] = np.asarray(shape[1] if len(shape) == 3 else shape[2] * shape[3], dtype=np.float32)
    return """
        image_floats = Cast <to=1> (image)
        sum = ReduceSum <keepdims=0> (image_floats, places)
        pooled = Div (sum, n_places)
    """


def _features(feature_map: FeatureMap, arrays: Arrays) -> str:
    arrays["components"] = double(feature_map.components)
    if isinstance(feature_map, Projection):
        arrays["centre"] = double(feature_map.mean @ feature_map.components)
        return """
            projected = MatMul (embedding, components)
            features = Sub (projected, centre)
        """
    landmarks = double(feature_map.landmarks)
    # As they are kept, for they are most of the file.
    arrays |= {"landmarks_kept": feature_map.landmarks.T, "landmark_norms": (landmarks**2).sum(axis=1)}
    arrays |= {"centre": double(feature_map.offset)} | numbers(fall=-feature_map.sharpness)
    return """
        landmarks = Cast <to=11> (landmarks_kept)
        squares = Mul (embedding, embedding)
        norm_square = ReduceSum <keepdims=1> (squares, axis_last)
        norm = Sqrt (norm_square)
        no_norm = Equal (norm, zero)
        divisor = Where (no_norm, one, norm)
        direction = Div (embedding, divisor)
        direction_squares = Mul (direction, direction)
        direction_norm = ReduceSum <keepdims=1> (direction_squares, axis_last)
        product = MatMul (direction, landmarks)
        twice = Mul (product, two)
        norms = Add (direction_norm, landmark_norms)
        apart = Sub (norms, twice)
        distance = Max (apart, zero)
        exponent = Mul (distance, fall)
        kernel = Exp (exponent)
        projected = MatMul (kernel, components)
        features = Sub (projected, centre)
    """


def _linear(head: Head, arrays: Arrays) -> str:
    arrays |= {"weight": double(head.weight).reshape(len(head.weight), -1), "bias": np.atleast_1d(double(head.bias))}
    output = """
        weighed = MatMul (features, weight)
        output = Add (weighed, bias)
    """
    if head.covariance is None:
        return f"{output}\nvariance = Identity (zero)"
    arrays |= {"covariances": double(head.logit_covariances()), "beside": np.ones((1, 1))}
    return f"""
        {output}
        design = Concat <axis=1> (features, beside)
        through = MatMul (design, covariances)
        quadratic = Mul (through, design)
        summed = ReduceSum <keepdims=0> (quadratic, axis_last)
        spread = Reshape (summed, flat)
        variance = Max (spread, zero)
    """


def _mlp(head: Mlp, arrays: Arrays) -> str:
    """Write the network, and the variance of the network made linear: ``j' C j``, `j` the logits' derivatives."""
    output = double(head.output).reshape(len(head.output), -1)
    n_inputs, n_hidden, n_outputs = len(head.hidden) - 1, head.hidden.shape[1], output.shape[1]
    arrays |= {"hidden_bias": double(head.hidden[0]), "hidden_weight": double(head.hidden[1:]), "outputs": output}
    arrays |= {"beside": np.ones((1, 1))} | integers(n_inputs=[n_inputs], begin=[0], axis_one=[1])
    logits = """
        inputs = Slice (features, begin, n_inputs, axis_one)
        sums = MatMul (inputs, hidden_weight)
        potential = Add (sums, hidden_bias)
        units = Tanh (potential)
        activity = Concat <axis=1> (beside, units, inputs)
        output = MatMul (activity, outputs)
    """
    if head.covariance is None:
        return f"{logits}\nvariance = Identity (zero)"
    # Of all logits the same changes no probability: derivatives are taken about their mean.
    centre = np.eye(n_outputs) - (1 / n_outputs if n_outputs > 1 else 0)
    arrays |= {"covariance": double(head.covariance), "by_unit_weight": output[1 : 1 + n_hidden].T[:, None, :]}
    arrays |= {"identity": np.eye(n_outputs)[:, None, :], "mean_off": centre}
    arrays |= integers(column=[-1, 1], per_output=[n_outputs, -1])
    return f"""
        {logits}
        unit_squares = Mul (units, units)
        slope = Sub (one, unit_squares)
        by_unit = Mul (by_unit_weight, slope)
        design = Concat <axis=1> (beside, inputs)
        design_column = Reshape (design, column)
        by_hidden = Mul (design_column, by_unit)
        by_hidden_flat = Reshape (by_hidden, per_output)
        activity_column = Reshape (activity, column)
        by_output = Mul (activity_column, identity)
        by_output_flat = Reshape (by_output, per_output)
        derivatives = Concat <axis=1> (by_hidden_flat, by_output_flat)
        jacobian = MatMul (mean_off, derivatives)
        through = MatMul (jacobian, covariance)
        quadratic = Mul (through, jacobian)
        spread = ReduceSum <keepdims=0> (quadratic, axis_last)
        variance = Max (spread, zero)
    """


def _moderated(n_outputs: int) -> str:
    """Write `brainloop.classifier.head.moderated`."""
    centred = """
        logit_sum = ReduceSum <keepdims=1> (logits, axis_first)
        n_logits = Size (logits)
        n_outputs = Cast <to=11> (n_logits)
        logit_mean = Div (logit_sum, n_outputs)
        centred = Sub (logits, logit_mean)
    """
    return f"""
        {centred if n_outputs > 1 else "centred = Identity (logits)"}
        widening = Mul (variance, eighth)
        widened = Add (widening, one)
        shrink = Sqrt (widened)
        scaled = Div (centred, shrink)
        moderated = {"Softmax <axis=-1>" if n_outputs > 1 else "Sigmoid"} (scaled)
    """
