"""What the plots beside the artifacts draw."""

from __future__ import annotations

import numpy as np
import pandas as pd

from frostnas.artifacts import ClassScore, Evaluation
from frostnas.report.confusion_plot import confusion_figure
from frostnas.report.training_plot import training_figure


def test_the_confusion_matrix_shows_shares_of_the_true_class_and_counts() -> None:
    confusion = ((3, 1, 0), (0, 0, 2), (0, 0, 5))
    classes = tuple(ClassScore(name, images, 0.5, 0.5) for name, images in (("a", 4), ("b", 2), ("c", 5)))
    axes = confusion_figure(Evaluation("m.onnx", 11, "test", 8 / 11, 1.0, classes, confusion, 1.0, 1.0, (), 1)).axes[0]
    shares = np.asarray(axes.images[0].get_array())
    np.testing.assert_allclose(shares, [[0.75, 0.25, 0], [0, 0, 1], [0, 0, 1]])
    counts = {(int(text.get_position()[1]), int(text.get_position()[0])): text.get_text() for text in axes.texts}
    assert counts == {(0, 0): "3", (0, 1): "1", (1, 2): "2", (2, 2): "5"}
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b", "c"]


def test_the_curves_of_a_training_are_its_rows_and_its_phases_are_named() -> None:
    rows = pd.DataFrame(
        {
            "epoch": [1, 2, 3],
            "phase": ["float", "qat", "qat"],
            "lr": [0.3, 0.2, 0.1],
            "train_loss": [2.0, 1.5, 1.0],
            "train_top1": [0.2, 0.4, 0.6],
            "val_top1": [0.3, 0.5, 0.7],
        }
    )
    loss, top1, rate = training_figure(rows).axes
    assert [np.asarray(line.get_ydata()).tolist() for line in loss.lines] == [[2.0, 1.5, 1.0]]
    drawn = {str(line.get_label()): np.asarray(line.get_ydata()).tolist() for line in top1.lines}
    assert drawn == {"training (augmented)": [20.0, 40.0, 60.0], "validation": [30.0, 50.0, 70.0]}
    assert np.asarray(rate.lines[0].get_ydata()).tolist() == [0.3, 0.2, 0.1]
    assert [text.get_text() for text in loss.texts] == ["float", "qat"]
