"""Every data set's layout: what it is recognized by, what is read of it, and what is refused."""

import os
from pathlib import Path

import numpy as np
import pytest

from leukctl import catalog, layouts
from leukctl.errors import InputError

STAGES = ("Benign", "Early", "Pre", "Pro")
FOUR = ("Benign", "[Malignant] Pre-B", "[Malignant] Pro-B", "[Malignant] early Pre-B")
CANCERS = {"ALL": ("all_benign", "all_early"), "Lymphoma": ("lymph_cll", "lymph_mcl")}
PBC = {"basophil": "BA", "ig": "PMY", "neutrophil": "BNE", "platelet": "PLATELET"}

# Names of each data set as its public description has them.
TREES = {
    "folders": ["ALL/a.png", "healthy/deep/b.png"],
    "cnmc": [
        "C-NMC_Leukemia/training_data/fold_0/all/UID_1_1_1_all.bmp",
        "C-NMC_Leukemia/testing_data/C-NMC_test_final_phase_data/1.bmp",
        "C-NMC_Leukemia/testing_data/C-NMC_test_final_phase_data/2.bmp",
    ],
    "all-idb": ["ALL_IDB1/im/Im001_1.jpg", "ALL_IDB1/xyc/Im001_1.xyc", "ALL_IDB1/im/Im031_0.jpg"],
    "taleghani": [
        f"{kind}/{stage}/WBC-{'Malignant-' if stage != 'Benign' else ''}{stage}-001.jpg"
        for kind in ("Original", "Segmented")
        for stage in STAGES
    ],
    "taleghani-4class": [f"Blood cell Cancer [ALL]/{name}/Sap_013 (1).jpg" for name in FOUR],
    "pbc": [f"PBC_dataset_normal_DIB/{k}/{prefix}_101611.jpg" for k, prefix in PBC.items()],
    "raabin": [
        f"{part}/{name}/20190526_163951_0.jpg"
        for part in ("Train", "TestA", "TestB")
        for name in ("Basophil", "Lymphocyte")
    ],
    "munich-aml": [f"data/data/{code}/{code}_0001.tiff" for code in ("BAS", "MYO")],
    "multi-cancer": [
        f"Multi Cancer/Multi Cancer/{outer}/{inner}/{inner}_0001.jpg"
        for outer, names in CANCERS.items()
        for inner in names
    ],
    "bloodmnist": ["bloodmnist_64.npz"],
}

every_layout = pytest.mark.parametrize("name", TREES)


def plant(root: Path, names: list[str]) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def read(root: Path, layout: str) -> layouts.Found:
    return layouts.read(layouts.list_source(root), layout, "set")


def cells(found: layouts.Found, *columns: str) -> dict[str, tuple[str, ...]]:
    """Return the cells of each image by its path inside the source."""
    rows = zip(*(found.table.column(column) for column in columns), strict=True)
    return dict(zip(found.relative, rows, strict=True))


def test_readers_and_catalog_name_the_same_layouts_in_one_order() -> None:
    assert ["auto", *layouts.READERS, "manifest"] == list(catalog.LAYOUTS)
    assert list(TREES) == list(layouts.READERS)


@every_layout
def test_each_is_recognized_and_none_is_taken_for_another(tmp_path: Path, name: str) -> None:
    listing = layouts.list_folder(plant(tmp_path, TREES[name]))
    assert layouts.recognize(listing) == name
    fitting = [other for other, layout in layouts.READERS.items() if layout.fits(listing)]
    assert fitting == ([name] if name != "folders" else [])


@pytest.mark.parametrize("name", [name for name in TREES if name not in ("folders", "bloodmnist")])
def test_rows_come_in_the_order_of_their_paths(tmp_path: Path, name: str) -> None:
    plant(tmp_path, TREES[name])
    found = read(tmp_path, name)
    assert found.relative == sorted(found.relative)
    assert found.table.column("path") == [str(tmp_path / path) for path in found.relative]
    assert set(found.table.column("source")) == {"set"}


@pytest.mark.parametrize("name", [name for name in TREES if name != "folders"])
def test_the_wrong_layout_says_what_it_looked_for_and_found(tmp_path: Path, name: str) -> None:
    plant(tmp_path, TREES["folders"])
    with pytest.raises(InputError) as caught:
        read(tmp_path, name)
    text = str(caught.value)
    assert text.startswith(f"{tmp_path}: not laid out as {name} (looked for ")
    assert text.endswith("found 2 images such as 'ALL/a.png')")


@every_layout
def test_an_empty_folder_is_refused_by_every_layout(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"looked for .*; found nothing\)"):
        read(tmp_path, name)


@pytest.mark.parametrize(
    ("inner", "layout", "columns", "expected"),
    [
        ("Segmented", "taleghani", ["label"], {("Benign",), ("Early",), ("Pre",), ("Pro",)}),
        ("Blood cell Cancer [ALL]/[Malignant] Pro-B", "taleghani-4class", ["label"], {(FOUR[2],)}),
        ("PBC_dataset_normal_DIB/ig", "pbc", ["label", "subtype"], {("ig", "PMY")}),
        ("TestA/Basophil", "raabin", ["label", "split"], {("Basophil", "test")}),
        ("data/data/MYO", "munich-aml", ["label"], {("MYO",)}),
        ("Multi Cancer/Multi Cancer/ALL/all_early", "multi-cancer", ["part"], {("ALL",)}),
    ],
)
def test_an_inner_folder_is_read_as_the_whole_set_is(
    tmp_path: Path, inner: str, layout: str, columns: list[str], expected: set[tuple[str, ...]]
) -> None:
    plant(tmp_path, TREES[layout])
    listing = layouts.list_folder(tmp_path / inner)
    assert layouts.recognize(listing) == layout
    assert set(cells(layouts.read(listing, layout, "set"), *columns).values()) == expected


def test_two_data_sets_in_one_folder_are_told_apart_by_the_user(tmp_path: Path) -> None:
    plant(tmp_path / "a", TREES["pbc"])
    plant(tmp_path / "b", TREES["munich-aml"])
    with pytest.raises(InputError, match=r"several data sets .*as in pbc, munich-aml\)"):
        layouts.recognize(layouts.list_folder(tmp_path))
    assert len(read(tmp_path, "pbc").table) == 6


def test_a_few_images_with_a_known_name_do_not_make_a_data_set(tmp_path: Path) -> None:
    plant(tmp_path, ["a/Im001_1.jpg", "a/cell.png", "b/WBC-Benign-001.jpg", "b/c.png", "b/d.png"])
    assert layouts.recognize(layouts.list_folder(tmp_path)) == "folders"


@pytest.mark.parametrize(
    "names",
    [
        ["Benign/1.png", "Malignant/2.png"],
        ["basophil/cell_1.png", "monocyte/cell_2.png"],
        ["Train/Basophil/1.jpg", "Test/Basophil/2.jpg"],
        ["BAS/1.tiff", "MYO/2.tiff"],
        ["ALL/1.jpg", "Lymphoma/2.jpg"],
        ["hem/UID.bmp", "all/UID_1.bmp"],
    ],
)
def test_folders_with_common_names_stay_folders(tmp_path: Path, names: list[str]) -> None:
    assert layouts.recognize(layouts.list_folder(plant(tmp_path, names))) == "folders"


def test_images_that_do_not_fit_are_kept_without_labels_and_told_of(tmp_path: Path) -> None:
    plant(tmp_path, [*TREES["all-idb"], "overview.png"])
    found = read(tmp_path, "all-idb")
    assert cells(found, "label")["overview.png"] == ("",)
    assert found.notes == [
        "1 images are not named or placed as the others, such as 'overview.png': kept without "
        "labels"
    ]


def test_all_idb_names_end_in_the_class(tmp_path: Path) -> None:
    plant(tmp_path, ["Im001_1.jpg", "Im002_0.JPG", "Im001_1.xyc"])
    found = read(tmp_path, "all-idb")
    assert cells(found, "label") == {"Im001_1.jpg": ("ALL",), "Im002_0.JPG": ("healthy",)}
    assert found.notes == []


def test_both_parts_of_all_idb_together_are_warned_of(tmp_path: Path) -> None:
    plant(tmp_path, ["ALL_IDB1/Im001_1.jpg", "ALL_IDB2/Im001_1.tif"])
    found = read(tmp_path, "all-idb")
    assert len(found.table) == 2
    assert "ALL-IDB2 (.tif) is cropped from ALL-IDB1 (.jpg)" in found.notes[0]


def test_taleghani_takes_the_originals_and_says_so(tmp_path: Path) -> None:
    plant(tmp_path, TREES["taleghani"])
    found = read(tmp_path, "taleghani")
    assert cells(found, "label") == {
        "Original/Benign/WBC-Benign-001.jpg": ("Benign",),
        "Original/Early/WBC-Malignant-Early-001.jpg": ("Early",),
        "Original/Pre/WBC-Malignant-Pre-001.jpg": ("Pre",),
        "Original/Pro/WBC-Malignant-Pro-001.jpg": ("Pro",),
    }
    assert "left out the 4 images of Segmented" in found.notes[0]
    assert read(tmp_path / "Segmented", "taleghani").notes == []


def test_taleghani_refuses_an_image_in_another_stages_folder(tmp_path: Path) -> None:
    plant(tmp_path, ["Pre/WBC-Malignant-Pro-001.jpg"])
    with pytest.raises(InputError, match=r"Pro-001.jpg: named 'Pro' but lies in a folder 'Pre'"):
        read(tmp_path, "taleghani")


def test_the_four_class_variant_keeps_its_folders_names(tmp_path: Path) -> None:
    found = read(plant(tmp_path, TREES["taleghani-4class"]), "taleghani-4class")
    assert found.table.column("label") == list(FOUR)


def test_pbc_prefixes_are_subtypes(tmp_path: Path) -> None:
    names = ["ig/MY_1.jpg", "ig/IG_2.jpg", "neutrophil/SNE_3.jpg", "neutrophil/odd.jpg"]
    assert cells(read(plant(tmp_path, names), "pbc"), "label", "subtype") == {
        "ig/IG_2.jpg": ("ig", "IG"),
        "ig/MY_1.jpg": ("ig", "MY"),
        "neutrophil/SNE_3.jpg": ("neutrophil", "SNE"),
        "neutrophil/odd.jpg": ("neutrophil", ""),
    }


def test_real_pbc_cells(shared: Path) -> None:
    root = shared / "pbc" / "PBC_dataset_normal_DIB"
    listing = layouts.list_folder(root)
    assert layouts.recognize(listing) == "pbc"
    assert layouts.READERS["pbc"].fits(listing) == 1200
    table = layouts.read(listing, "pbc", "pbc").table
    assert {label: table.column("label").count(label) for label in set(table.column("label"))} == (
        dict.fromkeys(os.listdir(root), 150)
    )
    subtypes = table.column("subtype")
    assert [subtypes.count(name) for name in ("BNE", "SNE", "NEUTROPHIL")] == [71, 77, 2]
    assert "" not in subtypes


def test_raabin_parts_become_splits_but_for_the_other_equipment(tmp_path: Path) -> None:
    found = read(plant(tmp_path, TREES["raabin"]), "raabin")
    assert set(cells(found, "part", "split").values()) == {
        ("Train", "train"),
        ("TestA", "test"),
        ("TestB", ""),
    }
    assert found.table.column("label") == ["Basophil", "Lymphocyte"] * 3
    assert "2 images of TestB" in found.notes[0]


def test_raabin_train_alone_is_read_when_asked_for(tmp_path: Path) -> None:
    plant(tmp_path, ["Train/Basophil/1.jpg"])
    assert read(tmp_path, "raabin").table.column("split") == ["train"]


def test_multi_cancer_labels_are_the_inner_folders(tmp_path: Path) -> None:
    found = read(plant(tmp_path, TREES["multi-cancer"]), "multi-cancer")
    assert list(cells(found, "label", "part").values()) == [
        ("all_benign", "ALL"),
        ("all_early", "ALL"),
        ("lymph_cll", "Lymphoma"),
        ("lymph_mcl", "Lymphoma"),
    ]


@pytest.mark.parametrize("prefix", ["", "data/data/", "data\\data\\"])
@pytest.mark.parametrize("place", ["annotations.dat", "data/annotations.dat"])
def test_munich_labels_come_from_the_annotations(tmp_path: Path, prefix: str, place: str) -> None:
    plant(tmp_path, [*TREES["munich-aml"], "data/data/MYO/MYO_0002.tiff"])
    slash = "\\" if "\\" in prefix else "/"
    lines = [f"{prefix}BAS{slash}BAS_0001.tiff BAS nan nan", f"{prefix}MYO{slash}MYO_0001.tiff MOB"]
    lines += ["", f"{prefix}MYO{slash}MYO_9999.tiff MYO"]
    (tmp_path / place).write_text("\ufeff" + "\r\n".join(lines))
    found = read(tmp_path, "munich-aml")
    assert cells(found, "label") == {
        "data/data/BAS/BAS_0001.tiff": ("BAS",),
        "data/data/MYO/MYO_0001.tiff": ("MOB",),
        "data/data/MYO/MYO_0002.tiff": ("",),
    }
    assert "annotations.dat names 1 images that are not there, such as 'MYO/" in found.notes[0]
    assert "1 images have no label, such as 'data/data/MYO/MYO_0002.tiff'" in found.notes[1]
    inner = read(tmp_path / "data" / "data", "munich-aml")
    assert inner.table.column("label") == ["BAS", "MOB", ""]


def test_munich_annotations_may_give_names_alone(tmp_path: Path) -> None:
    plant(tmp_path, TREES["munich-aml"])
    (tmp_path / "annotations.dat").write_text("MYO_0001.tiff MON\nBAS_0001.tiff BAS\n")
    assert read(tmp_path, "munich-aml").table.column("label") == ["BAS", "MON"]


def test_munich_without_annotations_goes_by_the_folders_and_says_so(tmp_path: Path) -> None:
    found = read(plant(tmp_path, [*TREES["munich-aml"], "data/x.tiff"]), "munich-aml")
    assert found.table.column("label") == ["BAS", "MYO", ""]
    assert "the labels are those of the folders" in found.notes[0]
    assert "1 images lie elsewhere" in found.notes[1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("MYO/MYO_0001.tiff\n", "line 1: a path, and no label behind it"),
        ("MYO/MYO_0001.tiff MYO\nMYO/MYO_0001.tiff MON\n", "line 2: .* stands above as 'MYO'"),
        ("path label\n", "names none of the images .it names 'path'; found 2 images such as"),
    ],
)
def test_wrong_munich_annotations_are_named(tmp_path: Path, text: str, message: str) -> None:
    plant(tmp_path, TREES["munich-aml"])
    (tmp_path / "annotations.dat").write_text(text)
    with pytest.raises(InputError, match=f"annotations.dat.*{message}"):
        read(tmp_path, "munich-aml")


def test_two_annotation_files_are_one_too_many(tmp_path: Path) -> None:
    plant(tmp_path, [*TREES["munich-aml"], "annotations.dat", "data/annotations.dat"])
    with pytest.raises(InputError, match=r"as good as data/annotations.dat"):
        read(tmp_path, "munich-aml")


def test_hostile_names_pass_through_every_reader_of_names(tmp_path: Path) -> None:
    odd = "\udcff, [x]\n"
    plant(tmp_path, [f"{odd}/Train/Basophil/{odd}.jpg", f"{odd}/TestA/Basophil/{odd}.jpg"])
    assert read(tmp_path, "raabin").table.column("split") == ["test", "train"]


def save_bloodmnist(path: Path, size: int = 4, **changed: np.ndarray | None) -> Path:
    """Write a small archive: 10 train, 8 val and 8 test images, each filled with its number."""
    arrays: dict[str, np.ndarray] = {}
    for start, (split, count) in enumerate((("train", 10), ("val", 8), ("test", 8))):
        numbers = np.arange(100 * start // 2, 100 * start // 2 + count)
        fill = np.broadcast_to(numbers[:, None, None, None], (count, size, size, 3))
        arrays[f"{split}_images"] = fill.astype(np.uint8)
        arrays[f"{split}_labels"] = (np.arange(count) % 8).astype(np.uint8)[:, None]
    arrays |= {name: array for name, array in changed.items() if array is not None}
    for name in [name for name, array in changed.items() if array is None]:
        del arrays[name]
    np.savez_compressed(path, **arrays)
    return path


@pytest.mark.parametrize("whole", [True, False], ids=["folder", "file"])
def test_bloodmnist_labels_and_splits_come_from_its_keys(tmp_path: Path, whole: bool) -> None:
    path = save_bloodmnist(tmp_path / "bloodmnist.npz")
    listing = layouts.list_source(tmp_path if whole else path)
    assert layouts.recognize(listing) == "bloodmnist"
    found = layouts.read(listing, "bloodmnist", "set")
    assert found.table.column("split") == ["train"] * 10 + ["val"] * 8 + ["test"] * 8
    order = ["basophil", "eosinophil", "erythroblast", "ig"]
    order += ["lymphocyte", "monocyte", "neutrophil", "platelet"]
    assert found.table.column("label") == order + order[:2] + order * 2
    assert found.table.column("path")[9:11] == [f"{path}#train/9", f"{path}#val/0"]
    assert set(found.archives.values()) == {str(path)}
    assert list(found.archives) == found.table.column("path")


def test_several_sizes_of_bloodmnist_are_not_mixed(tmp_path: Path) -> None:
    for name in ("bloodmnist.npz", "bloodmnist_64.npz"):
        save_bloodmnist(tmp_path / name)
    with pytest.raises(InputError, match=r"several archives \(bloodmnist.npz, bloodmnist_64.npz\)"):
        read(tmp_path, "bloodmnist")


def test_another_archive_is_not_taken_for_bloodmnist(tmp_path: Path) -> None:
    path = save_bloodmnist(tmp_path / "pathmnist.npz")
    assert layouts.recognize(layouts.list_source(path)) == "folders"
    with pytest.raises(InputError, match=r"pathmnist.npz: no images .*found 1 .npz"):
        read(path, "folders")


def test_sources_made_from_one_another_are_warned_of() -> None:
    assert layouts.kin(["cnmc", "pbc", "raabin"]) == []
    assert layouts.kin(["bloodmnist", "pbc"]) == [
        "pbc and bloodmnist hold the same cells: a split of them together leaks"
    ]
    assert "taleghani and multi-cancer" in layouts.kin(["multi-cancer", "taleghani", "pbc"])[0]
