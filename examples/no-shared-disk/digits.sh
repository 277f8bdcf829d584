#!/bin/sh
# The digits job on a node that shares no file system with others: the code comes from a git repository, the data from a bucket, and
# checkpoints are kept there, so that the job goes on on any other node. All that the node needs is git, trainit and trainit-transfer.
#
#   CODE=https://host/team/digits.git@v1 BUCKET=s3://bucket/digits sh digits.sh
#
# DISK is a disk of the node; PACE stretches the work. A container sets the same variables.
DISK=${DISK:-/local}
mkdir -p "$DISK/checkpoints"
export TRAINIT_CODE_FROM="$CODE" TRAINIT_CODE_PATH="$DISK/code" TRAINIT_WORKDIR="$DISK/code"
export TRAINIT_DATA="$DISK/data:contains=train.csv.gz+test.csv.gz,from=$BUCKET/data/"
export TRAINIT_OUTPUT="$DISK/checkpoints:mounted=no" TRAINIT_CHECKPOINT_DIR="$DISK/checkpoints"
export TRAINIT_CHECKPOINT_MIRROR="$BUCKET/checkpoints" TRAINIT_STOP_DONE_FILE="$DISK/checkpoints/DONE"
exec trainit run --mode train -- python train.py --data "$DISK/data" --checkpoints "$DISK/checkpoints" --pace "${PACE:-0}"
