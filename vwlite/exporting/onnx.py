"""A model as ONNX: one matrix of features in, the prediction out."""

from __future__ import annotations

import json

from vwlite import __version__
from vwlite.errors import ModelError, VwliteError
from vwlite.exporting.linear import Linear, constant_weight
from vwlite.exporting.named import Namer

OPSET, IR_VERSION = 13, 8  # read by all runtimes of the last years


def write(model: Linear) -> bytes:
    """The bytes of the file.

    The input ``x``, float32 of shape (n, d), has the features whose names are in the metadata, in that order: a number
    its value, a category 1 or 0. The outputs ``prediction`` and ``score`` have the shape (n,).

    Args:
        model: The exported model.

    Returns:
        The bytes.

    Raises:
        ModelError: If it has random effects or interactions, or features without names.
        VwliteError: If the package onnx is not installed.
    """
    try:
        import onnx
        from onnx import TensorProto, helper
    except ImportError as error:
        raise VwliteError("--to onnx needs the package onnx: pip install 'vwlite[onnx]'") from error
    if model.effects:
        raise ModelError(
            f"{model.path}: can't be exported to ONNX: it has random effects; --to python and sql have them"
        )
    if model.settings["patterns"]:
        raise ModelError(f"{model.path}: can't be exported to ONNX: it has interactions; --to python and sql have them")
    products = Namer(model, "ONNX").products()
    names = []
    for (feature,), _ in products:
        base = feature.column if feature.value is None else f"{feature.column}={feature.value}"
        names.append(f"{feature.namespace}^{base}" if feature.namespace else base)
    low, high = model.settings["range"]

    def constant(name: str, values: list[float], shape: list[int]) -> onnx.TensorProto:
        return helper.make_tensor(name, TensorProto.FLOAT, shape, values)

    nodes = [
        helper.make_node("MatMul", ["x", "weights"], ["product"]),
        helper.make_node("Add", ["product", "constant"], ["score"]),
        helper.make_node("Clip", ["score", "low", "high"], ["clipped"]),
        *{
            "identity": [helper.make_node("Identity", ["clipped"], ["prediction"])],
            "logistic": [helper.make_node("Sigmoid", ["clipped"], ["prediction"])],
            "poisson": [helper.make_node("Exp", ["clipped"], ["prediction"])],
            "glf1": [
                helper.make_node("Sigmoid", ["clipped"], ["sigmoid"]),
                helper.make_node("Mul", ["sigmoid", "two"], ["twice"]),
                helper.make_node("Sub", ["twice", "one"], ["prediction"]),
            ],
            "sign": [
                helper.make_node("Greater", ["clipped", "zero"], ["positive"]),
                helper.make_node("Where", ["positive", "one", "minus"], ["prediction"]),
            ],
        }[model.settings["link"]],
    ]
    scalars = {"constant": constant_weight(model), "low": low, "high": high, "one": 1, "two": 2, "zero": 0, "minus": -1}
    used = {name for node in nodes for name in node.input}
    graph = helper.make_graph(
        nodes,
        "vwlite",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", len(names)])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n"]) for name in ("prediction", "score")],
        [
            constant("weights", [weight for _, weight in products], [len(names)]),
            *(constant(name, [value], []) for name, value in scalars.items() if name in used),
        ],
    )
    whole = helper.make_model(
        graph, producer_name="vwlite", producer_version=__version__, opset_imports=[helper.make_opsetid("", OPSET)]
    )
    whole.ir_version = IR_VERSION
    helper.set_model_props(whole, {"features": json.dumps(names), "model": model.id})
    onnx.checker.check_model(whole)
    return bytes(whole.SerializeToString())
