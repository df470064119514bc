"""Boosted trees of XGBoost and LightGBM, each kept in the format of its own library."""

from pathlib import Path

from leukctl import files, runs
from leukctl.errors import InputError
from leukctl.fusion.classifier import Classifier, Labels, Probabilities, Weights, rows_to_one
from leukctl.fusion.steps import Arrays, Floats
from leukctl.processes import processors


class XGBoost(Classifier):
    """Boosted trees (Chen and Guestrin, KDD 2016), kept as UBJSON."""

    file = runs.TREES

    def fit(self, features: Floats, labels: Labels, weights: Weights) -> None:
        """Grow the trees."""
        import xgboost

        others = {k: v for k, v in self.parameters.items() if k != "n_estimators"}
        settings = {
            "objective": "multi:softprob",
            "num_class": self.classes,
            "tree_method": "hist",
            "seed": self.seed,
            **others,
        }
        matrix = xgboost.DMatrix(features, labels, weight=weights)
        self.model = xgboost.train(settings, matrix, self.parameters["n_estimators"])

    def probabilities(self, features: Floats) -> Probabilities:
        """Return float64 (N, K)."""
        return rows_to_one(self.model.inplace_predict(features))

    def save(self, path: Path) -> None:
        """Write UBJSON."""
        files.write_bytes(path, bytes(self.model.save_raw("ubj")))

    def load(self, path: Path, arrays: Arrays) -> None:
        """Read UBJSON."""
        import xgboost

        self.model = xgboost.Booster()
        try:
            self.model.load_model(path)
        except xgboost.core.XGBoostError as error:
            line = str(error).splitlines()[0]
            raise InputError(f"damaged ({line})", file=path) from None


class LightGBM(Classifier):
    """Boosted trees grown leaf by leaf (Ke et al., NeurIPS 2017), kept as LightGBM's text."""

    file = runs.LIGHTGBM

    def fit(self, features: Floats, labels: Labels, weights: Weights) -> None:
        """Grow the trees."""
        import lightgbm

        names = {"reg_lambda": "lambda_l2", "reg_alpha": "lambda_l1"}
        others = {names.get(k, k): v for k, v in self.parameters.items() if k != "n_estimators"}
        settings = {
            "objective": "multiclass",
            "num_class": self.classes,
            "seed": self.seed,
            "deterministic": True,
            "force_row_wise": True,  # timing which way is faster would choose anew each time
            "num_threads": processors(),
            "verbosity": -1,
            **others,
        }
        data = lightgbm.Dataset(features, labels, weight=weights, params={"verbosity": -1})
        self.model = lightgbm.train(settings, data, self.parameters["n_estimators"])

    def probabilities(self, features: Floats) -> Probabilities:
        """Return float64 (N, K)."""
        return rows_to_one(self.model.predict(features))

    def save(self, path: Path) -> None:
        """Write LightGBM's text."""
        files.write_text(path, self.model.model_to_string())

    def load(self, path: Path, arrays: Arrays) -> None:
        """Read LightGBM's text."""
        try:
            import lightgbm
        except ImportError:
            raise InputError(
                "a model of lightgbm, which is missing; pip install 'leukctl[lightgbm]' adds it",
                file=path,
            ) from None
        try:
            self.model = lightgbm.Booster(model_str=path.read_text("utf-8"))
        except (lightgbm.basic.LightGBMError, ValueError) as error:
            raise InputError(f"damaged ({error})", file=path) from None
