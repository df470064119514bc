"""The command ``report``: formats, exit statuses, the gate."""

import json
import subprocess
import sys

import pytest
from fakes import few, many, write_predictions, write_run
from sklearn.metrics import accuracy_score

from leukctl.cli import main


def test_the_gate_tells_what_fell_and_ends_with_one(tmp_path, capsys):
    good = write_run(many(skill=3), tmp_path / "good")
    bad = write_run(many(skill=1), tmp_path / "bad")
    assert main(["report", str(good), "--fail-if", "test.accuracy < 0.5"]) == 0
    assert main(["report", str(good), "--baseline", str(good)]) == 0
    capsys.readouterr()
    assert main(["report", str(bad), "--baseline", str(good / "metrics.json")]) == 1
    assert "fell: bad: test.accuracy: was 0." in capsys.readouterr().err
    assert main(["report", str(bad), "--baseline", str(good), "--tolerance", "5"]) == 0
    assert main(["report", str(good), str(bad), "--fail-if", "test.accuracy < 0.8"]) == 1
    err = capsys.readouterr().err
    assert "fell: bad: test.accuracy: is 0." in err
    assert "fell: good" not in err


@pytest.mark.parametrize(
    "options",
    [
        ["--fail-if", "test.nothing < 1"],
        ["--fail-if", "nonsense"],
        ["--tolerance", "0.1"],
        ["--split", "val"],
        ["--baseline", "nowhere.json"],
        ["--json", "--format", "csv"],
        ["-o", "report.pdf"],
    ],
)
def test_what_cannot_be_done_ends_with_two_and_writes_nothing(
    options, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    write_run(many(), tmp_path / "run")
    assert main(["report", "run", *options]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert [line for line in said.err.splitlines() if "error" in line]
    assert not (tmp_path / "report.pdf").exists()


def test_a_baseline_goes_with_one_model(tmp_path, capsys):
    a, b = (str(write_run(many(), tmp_path / name)) for name in "ab")
    assert main(["report", a, b, "--baseline", a]) == 2
    assert "one model" in capsys.readouterr().err


def test_the_format_follows_the_name_of_the_output(tmp_path, capsys):
    rows = str(write_predictions(many(), tmp_path / "p.csv"))
    starts = {".html": "<!DOCTYPE html>", ".md": "# Report", ".json": "{", ".csv": "model,split"}
    for suffix, start in starts.items():
        assert main(["report", rows, "-o", str(tmp_path / f"r{suffix}")]) == 0
        assert (tmp_path / f"r{suffix}").read_text().startswith(start)
    capsys.readouterr()
    assert main(["report", rows, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["split"] == "test"


def test_the_plain_table_holds_a_row_a_model(tmp_path, capsys):
    rows = many()
    path = str(write_predictions(rows, tmp_path / "[red]m.csv"))
    assert main(["report", path, "--digits", "2"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[1].startswith("[red]m  300")
    assert f"{accuracy_score(rows.labels, rows.predicted):.2f} [" in out[1]


def test_predictions_that_are_not_sound_are_refused_in_one_line(tmp_path, capsys):
    for cells, words in (("nan,0.5", "outside"), ("0.9,0.9", "sum"), ("x,1", "not a number")):
        (tmp_path / "p.csv").write_text(f"path,label,p:a,p:b\n1.png,a,{cells}\n")
        assert main(["report", str(tmp_path / "p.csv")]) == 2
        assert words in capsys.readouterr().err


def test_predictions_without_labels_cannot_be_scored(tmp_path, capsys):
    assert main(["report", str(write_predictions(few("--", "ab"), tmp_path / "p.csv"))]) == 2
    assert "p has no labeled image" in capsys.readouterr().err


def test_the_gate_on_a_run_needs_neither_torch_nor_scikit_learn(tmp_path):
    run = write_run(many(), tmp_path / "run")
    code = (
        "import sys; from leukctl.cli import main; "
        f"status = main(['report', {str(run)!r}, '--fail-if', 'test.accuracy < 0']); "
        "heavy = {'torch', 'sklearn', 'scipy', 'matplotlib', 'cv2', 'rich'} & set(sys.modules); "
        "sys.exit(status or (3 if heavy else 0))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
