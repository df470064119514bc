"""The classifiers of fused features by the names that users type."""

from leukctl.fusion.boosting import LightGBM, XGBoost
from leukctl.fusion.classifier import Classifier
from leukctl.fusion.estimators import AdaBoost, Forest, Logistic, Neighbors, Svm

REGISTRY: dict[str, type[Classifier]] = {
    "xgboost": XGBoost,
    "svm": Svm,
    "knn": Neighbors,
    "adaboost": AdaBoost,
    "logreg": Logistic,
    "random-forest": Forest,
    "lightgbm": LightGBM,
}
