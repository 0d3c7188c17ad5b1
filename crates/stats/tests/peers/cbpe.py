"""Writes cbpe.json: what NannyML estimates without labels, on data that is written with it.

    python3 -m venv venv && venv/bin/pip install -r requirements.txt && venv/bin/python cbpe.py
"""

import json
import os
import pathlib

os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"

import nannyml
import numpy
import pandas
from nannyml.calibration import NoopCalibrator

BINARY = ["accuracy", "precision", "recall", "f1", "roc_auc"]
MULTICLASS = ["accuracy", "precision", "recall", "f1", "roc_auc"]


def binary(seed, shift, sharpen):
    """Scores that are `sharpen` times too sure of themselves, before and after the inputs move."""
    rng = numpy.random.default_rng(seed)

    def draw(n, by):
        x = rng.normal(by, 1.0, n)
        truth = 1 / (1 + numpy.exp(-(1.2 * x - 0.3)))
        y = (rng.random(n) < truth).astype(int)
        score = 1 / (1 + numpy.exp(-sharpen * (1.2 * x - 0.3)))
        return pandas.DataFrame({"y": y, "score": numpy.round(score, 9)})

    reference, current = draw(900, 0.0), draw(500, shift)
    for frame in (reference, current):
        frame["predicted"] = (0.5 <= frame.score).astype(int)
    estimator = nannyml.CBPE(
        problem_type="classification_binary", y_true="y", y_pred="predicted", y_pred_proba="score",
        metrics=BINARY, chunk_number=1,
    )
    estimator.fit(reference)
    found = estimator.estimate(current.drop(columns="y")).filter(period="analysis").to_df()
    return {
        "name": f"binary_shift_{shift}_sharpen_{sharpen}",
        "task": "binary",
        "reference": {"y": reference.y.tolist(), "score": reference.score.tolist()},
        "current": {"y": current.y.tolist(), "score": current.score.tolist()},
        "expect": {it: float(found[(it, "value")].iloc[0]) for it in BINARY},
        "is_calibrated": [bool(estimator.needs_calibration)],
    }


def multiclass(seed, shift, sharpen):
    rng = numpy.random.default_rng(seed)
    columns = {f"c{k}": f"p{k}" for k in range(3)}

    def draw(n, by):
        x = rng.normal(by, 1.0, (n, 2))
        logits = numpy.stack([1.3 * x[:, 0], 1.1 * x[:, 1], 0.4 - 0.8 * x[:, 0]], axis=1)
        softmax = lambda it: numpy.exp(it) / numpy.exp(it).sum(axis=1, keepdims=True)
        truth, scores = softmax(logits), numpy.round(softmax(sharpen * logits), 9)
        y = numpy.array([rng.choice(3, p=row) for row in truth])
        frame = pandas.DataFrame(scores, columns=list(columns.values()))
        frame["y"] = [f"c{k}" for k in y]
        frame["predicted"] = [f"c{k}" for k in scores.argmax(axis=1)]
        return frame, y, scores

    (reference, y, scores), (current, current_y, current_scores) = draw(900, 0.0), draw(400, shift)
    estimator = nannyml.CBPE(
        problem_type="classification_multiclass", y_true="y", y_pred="predicted", y_pred_proba=columns,
        metrics=MULTICLASS, chunk_number=1,
    )
    estimator.fit(reference)
    found = estimator.estimate(current.drop(columns="y")).filter(period="analysis").to_df()
    return {
        "name": f"multiclass_shift_{shift}_sharpen_{sharpen}",
        "task": "multiclass",
        "reference": {"y": y.tolist(), "score": scores.ravel().tolist()},
        "current": {"y": current_y.tolist(), "score": current_scores.ravel().tolist()},
        "expect": {it: float(found[(it, "value")].iloc[0]) for it in MULTICLASS},
        "is_calibrated": [not isinstance(it, NoopCalibrator) for it in estimator._calibrators.values()],
    }


cases = [binary(1, 0.0, 1.0), binary(2, 0.8, 2.5), binary(3, -1.0, 0.4), multiclass(4, 0.0, 2.0), multiclass(5, 0.7, 3.0)]
out = {"made_by": "cbpe.py", "nannyml": nannyml.__version__, "numpy": numpy.__version__, "cases": cases}
pathlib.Path(__file__).with_name("cbpe.json").write_text(json.dumps(out, separators=(",", ":")) + "\n")
for case in cases:
    print(case["name"], case["is_calibrated"], case["expect"])
