#!/bin/sh
# From a folder of images to a report, a line a step; every line can be typed by hand.
#
#   sh examples/quickstart/run.sh                                    cells drawn by leukctl
#   DATA=FOLDER WEIGHTS=FOLDER sh examples/quickstart/run.sh         real ones, a folder a class
#
# OUT is where everything goes, build/demo by default.
set -eu
OUT=${OUT:-build/demo}
DATA=${DATA:-}
WEIGHTS=${WEIGHTS:-}
mkdir -p "$OUT"
set -x

# 1. Images: your own, or drawn ones with subjects, two laboratories and masks.
if [ -z "$DATA" ]; then
    leukctl synth "$OUT/cells" --images 600 --classes ALL,healthy --subjects 60 --seed 7 --force
    DATA="$OUT/cells/manifest.csv"
fi

# 2. Prepare them, and say who is trained on and who is tested on.
leukctl prep "$DATA" --steps resize:224 --images "$OUT/images" -o "$OUT/all.csv"
# Status 1 says that the audit found something, which the report then shows.
leukctl split "$OUT/all.csv" --ratios 80,10,10 --seed 7 --shortcuts \
    --audit-json "$OUT/audit.json" -o "$OUT/split.csv" || test $? -eq 1
leukctl balance "$OUT/split.csv" --method oversample --seed 7 -o "$OUT/train.csv"

# 3. Train two networks: one from pretrained weights where there are some, one from scratch.
if [ -n "$WEIGHTS" ]; then
    leukctl train "$OUT/train.csv" --weights "$WEIGHTS" --frozen-epochs 3 --epochs 2 \
        --seed 7 --force -o "$OUT/runs/net"
else
    leukctl train "$OUT/train.csv" --backbone resnet10t --input-size 112 --epochs 8 \
        --seed 7 --force -o "$OUT/runs/net"
fi
leukctl train "$OUT/train.csv" --backbone standard_cnn --input-size 96 --epochs 10 \
    --seed 7 --force -o "$OUT/runs/cnn"

# 4. Ask them, together and fused.
leukctl predict "$OUT/runs/net" "$OUT/split.csv" -o "$OUT/net.csv"
leukctl ensemble "$OUT/runs/net" "$OUT/runs/cnn" --weights 0.7,0.3 -o "$OUT/ensemble.csv"
leukctl fuse "$OUT/train.csv" --runs "$OUT/runs/net,$OUT/runs/cnn" --force -o "$OUT/runs/fused"

# 5. See why, on one test image of every class, and how far the methods agree.
awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) column[$i] = i; print; next }
         $column["split"] == "test" && !seen[$column["label"]]++' \
    "$OUT/split.csv" > "$OUT/some.csv"
leukctl explain "$OUT/runs/net" "$OUT/some.csv" --methods gradcam,scorecam --force \
    -o "$OUT/maps"
CELL=$(awk -F, 'NR == 2 { print $1 }' "$OUT/some.csv")
leukctl explain "$OUT/runs/net" "$CELL" --methods gradcam,scorecam,lime -o "$OUT/why.png"
leukctl compare-cams "$OUT/maps" -o "$OUT/similarity.csv"

# 6. The report.
leukctl report "$OUT/runs/net" "$OUT/runs/cnn" "$OUT/runs/fused" "$OUT/ensemble.csv" \
    "$OUT/audit.json" "$OUT/similarity.csv" "$OUT/maps" -o "$OUT/report.html"

set +x
echo "$OUT/report.html"
