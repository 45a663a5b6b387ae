"""Segmentation metrics from a confusion matrix pooled over clouds, the oracle of a partition, and part IoU."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from s4token_model import constants


@dataclass(frozen=True)
class Scores:
    """Scores in [0, 1] of a labeling.

    Predicting an absent class lowers the IoU of others through their false negatives, not the mean.
    """

    miou: float  # mean IoU over the classes that occur in the ground truth
    macc: float  # mean recall over the same classes
    accuracy: float  # fraction of the annotated points labeled correctly
    iou: np.ndarray  # (C,), NaN for classes absent from the ground truth
    recall: np.ndarray  # (C,), NaN for classes absent from the ground truth
    support: np.ndarray  # (C,) annotated points per class


def confusion(truth: np.ndarray, prediction: np.ndarray, classes: int) -> np.ndarray:
    """Count points per (true class, predicted class): (C, C + 1) int64, the last column for predictions of no class.

    Points of truth (H,) that are of no class (65535) are ignored; predictions (H,) of no class (65535) count as wrong.
    """
    truth, prediction = np.asarray(truth).astype(np.int64), np.asarray(prediction).astype(np.int64)
    if truth.shape != prediction.shape:
        raise ValueError(f"truth has shape {truth.shape} but prediction {prediction.shape}; they must agree")
    annotated = (truth >= 0) & (truth < classes)
    truth, prediction = truth[annotated], prediction[annotated]
    prediction = np.where((prediction >= 0) & (prediction < classes), prediction, classes)
    flat = np.bincount(truth * (classes + 1) + prediction, minlength=classes * (classes + 1))
    return flat.reshape(classes, classes + 1)


def scores(counts: np.ndarray) -> Scores:
    """Compute the scores of a confusion matrix (C, C + 1) of counts or expected counts."""
    counts = np.asarray(counts, np.float64)
    hit, support = np.diagonal(counts), counts.sum(1)
    union = support + counts[:, : len(counts)].sum(0) - hit
    present = support > 0
    iou = np.where(present, hit / np.maximum(union, 1e-300), np.nan)
    recall = np.where(present, hit / np.maximum(support, 1e-300), np.nan)
    if not present.any():
        return Scores(np.nan, np.nan, np.nan, iou, recall, support)
    accuracy = float(hit.sum() / support.sum())
    return Scores(float(iou[present].mean()), float(recall[present].mean()), accuracy, iou, recall, support)


def oracle_labels(superpoints: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Give each superpoint its most frequent true label: the best labeling that the partition allows.

    superpoints (H,) ids, truth (H,) labels, 65535 = not annotated -> (H,) uint32. Ties go to the lower label;
    superpoints without an annotated point get 65535.
    """
    truth = np.asarray(truth).astype(np.int64)
    inverse = np.unique(np.asarray(superpoints), return_inverse=True)[1].reshape(-1)
    annotated = (truth >= 0) & (truth != constants.UNLABELED)
    best = np.full(inverse.max() + 1 if len(inverse) else 0, constants.UNLABELED, np.uint32)
    if annotated.any():
        base = int(truth[annotated].max()) + 1
        pairs, votes = np.unique(inverse[annotated] * base + truth[annotated], return_counts=True)
        order = np.lexsort((-pairs, votes))  # ascending votes, descending label: the last write wins
        best[pairs[order] // base] = (pairs[order] % base).astype(np.uint32)
    return best[inverse]


def part_ious(truth: np.ndarray, prediction: np.ndarray, parts: int) -> np.ndarray:
    """IoU (parts,) of the labels of one shape; 1 for a part that is neither in the truth nor predicted."""
    hit = np.bincount(truth[truth == prediction], minlength=parts)[:parts]
    predicted = np.bincount(prediction[prediction < parts], minlength=parts)[:parts]
    union = np.bincount(truth, minlength=parts)[:parts] + predicted - hit
    return np.where(union > 0, hit / np.maximum(union, 1), 1.0)


def chance_part_ious(truth: np.ndarray, parts: int) -> np.ndarray:
    """IoU (parts,) of uniform guesses from expected counts: n/P hits, n + N/P - n/P points in the union."""
    size = np.bincount(truth, minlength=parts)[:parts] / 1.0
    hit = size / parts
    return hit / (size + len(truth) / parts - hit)
