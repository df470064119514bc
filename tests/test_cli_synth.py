from pathlib import Path

import pytest

from leukctl import cli

SMALL = ["--images", "6", "--subjects", "4", "--size", "48", "--workers", "1"]


def test_synth_says_what_it_did_on_standard_error_alone(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["synth", str(tmp_path / "cells"), *SMALL]) == 0
    out, err = capfd.readouterr()
    assert out == ""
    assert "6 images" in err
    assert "images/s" in err
    assert (tmp_path / "cells" / "manifest.csv").is_file()


def test_spaces_after_the_commas_do_not_belong_to_the_names(tmp_path: Path) -> None:
    assert cli.main(["synth", str(tmp_path), *SMALL, "--classes", "early Pre-B, Pro-B"]) == 0
    names = sorted(path.name for path in (tmp_path / "images").iterdir())
    assert names == ["Pro-B", "early Pre-B"]


@pytest.mark.parametrize(
    "wrong",
    [
        ["--images", "0"],
        ["--images", "3"],
        ["--subjects", "1"],
        ["--classes", "ALL"],
        ["--classes", "ALL,"],
        ["--classes", "ALL,.."],
        ["--classes", "ALL,a/b"],
        ["--classes", "ALL,ALL"],
        ["--size", "8"],
        ["--sources", "0"],
    ],
)
def test_bad_wishes_end_with_one_line_and_write_nothing(
    wrong: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["synth", str(tmp_path / "cells"), *SMALL, *wrong]) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith("leukctl: error: ")
    assert not (tmp_path / "cells").exists()


def test_a_file_in_place_of_the_folder_is_named(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "cells").write_text("x")
    assert cli.main(["synth", str(tmp_path / "cells"), *SMALL]) == 2
    assert "no folder" in capfd.readouterr().err
